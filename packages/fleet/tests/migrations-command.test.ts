/** @server any */
import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { withClient } from '@azora/db-migrate';
import { migrateFleetUp, readFleetMigrations } from '../src/operations/migrations/migrate';
import { dropDatabase } from '../src/postgres/databases';
import { type GivenFleet, givenFleet, removeFleets } from './fleet-fixture';
import { rowsOf, WAIT } from './migrations-fixture';

const BIN = path.resolve(__dirname, '..', 'bin', 'azora-db.js');
const SCHEMA = 'model Note {\n  id Int @id\n  @@map("notes")\n}';
const INIT = { up: 'CREATE TABLE notes (id int PRIMARY KEY);', down: 'DROP TABLE notes;' };
const LATER = { up: 'CREATE TABLE later (id int);', down: 'DROP TABLE later;' };

/** Stands for the seed of the services: reports each service that it is asked to seed as done. */
const SEED = `process.once('message', ({ services }) => {
  for (const { name } of services) process.send({ kind: 'done', service: name, rows: 0 });
  process.disconnect();
});`;

describe('the migrate commands', () => {
  let fleet: GivenFleet;
  beforeEach(async () => {
    const migrations = { '20260101000000_init': INIT, '20260102000000_later': LATER };
    fleet = await givenFleet({ auth: { schema: SCHEMA, migrations }, shop: { schema: SCHEMA, migrations } });
    await migrateFleetUp(
      fleet.targets.map((target) => ({ target })),
      WAIT,
    );
  });
  afterEach(removeFleets);

  const run = (...args: readonly string[]) => {
    const env = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...fleet.environment };
    return spawnSync(process.execPath, [BIN, ...args], { cwd: fleet.root, env, encoding: 'utf8', input: '' });
  };
  const json = (...args: readonly string[]) => {
    const { status, stdout } = run(...args, '--json');
    return { status, answer: JSON.parse(stdout) };
  };
  const applied = async () =>
    (await readFleetMigrations(fleet.targets, {})).map((row) => row.state === 'done' && row.data.applied.length);
  const sql = (service: string, text: string) => rowsOf(fleet.target(service).admin, `${text}; SELECT 1`);

  it('revert nothing without a choice of services, and everything with --all', async () => {
    for (const args of [[], ['--steps', '2']]) {
      expect(json('migrate', 'down', ...args)).toMatchObject({
        status: 2,
        answer: { error: { code: 'USAGE.NEEDS_SELECTION' } },
      });
    }
    expect(await applied()).toEqual([2, 2]);

    expect(run('migrate', 'down', '--all')).toMatchObject({ status: 0 });
    expect(await applied()).toEqual([1, 1]);
  });

  it.each([
    [
      'an irreversible migration',
      () =>
        fleet.write('shop', {
          migrations: { '20260102000000_later': { up: LATER.up, down: '-- irreversible: sent' } },
        }),
      'MIGRATION.IRREVERSIBLE',
    ],
    [
      'an unfinished migration',
      () => sql('shop', `UPDATE _prisma_migrations SET finished_at = NULL WHERE migration_name LIKE '%later'`),
      'MIGRATION.UNFINISHED',
    ],
    ['rows', () => sql('shop', 'INSERT INTO later VALUES (1)'), 'MIGRATION.DATA_LOSS'],
  ])('revert no database when one of them has %s', async (_, given, code) => {
    await given();

    const { status, answer } = json('migrate', 'down', '--all');

    expect(status).toBeGreaterThan(0);
    expect(answer.services).toMatchObject([
      { service: 'auth', state: 'not-started' },
      { service: 'shop', state: 'failed', error: { code } },
    ]);
    expect((await applied())[0]).toBe(2);
  });

  it('ask for the name of a database that would lose rows, although the loss is accepted', async () => {
    await sql('shop', 'INSERT INTO later VALUES (1)');
    const { database } = fleet.target('shop');
    const down = ['migrate', 'down', '--all', '--accept-data-loss'];

    expect(json(...down)).toMatchObject({
      status: 2,
      answer: {
        error: {
          code: 'USAGE.NEEDS_CONFIRM',
          next: `Run "npx azora-db migrate down --all --accept-data-loss --json --confirm ${database}"`,
        },
      },
    });
    expect(await applied()).toEqual([2, 2]);

    expect(json(...down, '--confirm', database)).toMatchObject({ status: 0 });
    expect(await applied()).toEqual([1, 1]);
  });

  it('are named before a seed for a database with pending migrations; the other services are seeded', async () => {
    await mkdir(path.join(fleet.root, 'prisma', 'dist'), { recursive: true });
    await writeFile(path.join(fleet.root, 'prisma', 'dist', 'seed.js'), SEED);
    expect(run('migrate', 'down', '--service', 'shop').status).toBe(0);
    const { database } = fleet.target('auth').admin;
    await sql('shop', 'INSERT INTO notes VALUES (1)');

    const expected = {
      status: 2,
      answer: {
        services: [
          {
            service: 'shop',
            state: 'failed',
            error: {
              code: 'MIGRATION.PENDING',
              message: expect.stringMatching(/lacks the migration 20260102000000_later$/),
            },
          },
          { service: 'auth', state: 'done' },
        ],
      },
    };
    expect(json('seed')).toMatchObject(expected);
    // Only the database that can be seeded again is emptied, so that its name is the consent.
    expect(json('seed', '--reset', '--confirm', database)).toMatchObject(expected);
    expect(await rowsOf(fleet.target('shop').admin, 'SELECT id FROM notes')).toEqual([1]);
    expect(run('backup')).toMatchObject({ status: 0, stderr: expect.not.stringContaining('20260102') });
  });

  it('say which command creates a database that does not exist', async () => {
    const { maintenance, database } = fleet.target('shop');
    await withClient(maintenance, (client) => dropDatabase(client, database));

    expect(json('seed', '--service', 'shop')).toMatchObject({
      status: 2,
      answer: {
        services: [
          { service: 'shop', error: { code: 'SERVER.NO_DATABASE', next: expect.stringMatching(/^Run "npm start" /) } },
        ],
      },
    });
  });

  it.each([
    ['resolve', ['migrate', 'resolve', 'applied', 'shop', '20260101000000_init']],
    ['baseline', ['migrate', 'baseline', 'shop']],
  ])('name the service of an error: %s', (_, args) => {
    expect(run(...args)).toMatchObject({ status: 2, stderr: expect.stringMatching(/^shop: error: /m) });
  });

  it('name the service of an error in JSON', () => {
    expect(json('migrate', 'new', 'shop', 'Not A Slug')).toMatchObject({
      status: 2,
      answer: { ok: false, service: 'shop', error: { code: 'USAGE.BAD_SLUG' } },
    });
  });
});
