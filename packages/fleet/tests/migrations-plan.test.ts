/** @server any */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { withClient } from '@azora/db-migrate';
import { findDestinations } from '../src/operations/migrations/destination';
import { migrateFleetDown, migrateFleetUp, readFleetMigrations } from '../src/operations/migrations/migrate';
import { planFleet } from '../src/operations/migrations/plan';
import { readHeads, readTag, tagNames, writeTag } from '../src/operations/migrations/tags';
import { planText } from '../src/render/migrations';
import { type GivenFleet, givenFleet, removeFleets } from './fleet-fixture';
import { failureOf, rowsOf, WAIT } from './migrations-fixture';

const INIT = { up: 'CREATE TABLE notes (id int PRIMARY KEY, body text);', down: 'DROP TABLE notes;' };
const TITLE = {
  up: 'ALTER TABLE notes ADD COLUMN title text;',
  down: 'ALTER TABLE notes DROP COLUMN title;',
};
const SHORT = {
  up: 'ALTER TABLE notes ALTER COLUMN title TYPE varchar(9);',
  down: 'ALTER TABLE notes ALTER COLUMN title TYPE text;',
};
const MIGRATIONS = { '20260101000000_init': INIT, '20260102000000_title': TITLE, '20260103000000_short': SHORT };
const SCHEMA = 'model Note {\n  id Int @id\n  body String?\n  title String? @db.VarChar(9)\n  @@map("notes")\n}';

describe('all databases', () => {
  let fleet: GivenFleet;
  beforeEach(async () => {
    const service = { schema: SCHEMA, migrations: MIGRATIONS };
    fleet = await givenFleet({ auth: service, shop: { schema: SCHEMA, migrations: { '20260101000000_init': INIT } } });
  });
  afterEach(removeFleets);

  const all = () => fleet.targets.map((target) => ({ target }));
  const to = (name: string) => findDestinations(fleet.root, fleet.targets, name);
  const up = async (name?: string) => migrateFleetUp(name === undefined ? all() : await to(name), WAIT);
  const heads = async () =>
    (await readHeads(fleet.targets, {})).map((row) => (row.state === 'done' ? row.data.head : row.state));
  const rows = (sql: string, service = 'auth') => rowsOf(fleet.target(service).admin, sql);

  it('are migrated up to a migration, given by the beginning of its name, and to a tag and back', async () => {
    await up('20260102');
    expect(await heads()).toEqual(['20260102000000_title', null]);
    const tagged = Object.fromEntries([
      ['auth', '20260102000000_title'],
      ['shop', null],
    ]);
    await writeTag(fleet.root, 'v1', tagged);
    expect(await readTag(fleet.root, 'v1')).toEqual(tagged);
    await up();
    expect(await heads()).toEqual(['20260103000000_short', '20260101000000_init']);

    const down = await migrateFleetDown(await to('v1'), { acceptDataLoss: false }, WAIT);

    expect(down).toMatchObject([
      { service: 'auth', data: { migrations: ['20260103000000_short'] } },
      { service: 'shop', data: { migrations: ['20260101000000_init'] } },
    ]);
    expect(await heads()).toEqual(['20260102000000_title', null]);
    await up('v1');
    expect(await heads()).toEqual(['20260102000000_title', null]);
  });

  it('reject invalid destinations', async () => {
    await writeTag(fleet.root, 'v1', { auth: '20260101000000_init' });

    expect(await failureOf(to('v2'))).toMatchObject({
      code: 'USAGE.UNKNOWN_DESTINATION',
      next: 'Use one of the tags: v1',
    });
    expect(await failureOf(to('2026'))).toMatchObject({ message: expect.stringContaining('2026 is ambiguous: ') });
    expect(await failureOf(writeTag(fleet.root, 'v1', { auth: null }))).toMatchObject({ code: 'MIGRATION.TAG_EXISTS' });
    expect(await failureOf(writeTag(fleet.root, '../v1', {}))).toMatchObject({ code: 'USAGE.BAD_TAG' });
    await writeTag(fleet.root, 'gone', { auth: '20250101000000_gone' });
    expect(await failureOf(to('gone'))).toMatchObject({ code: 'MIGRATION.MISSING' });
    expect((await to('v1')).map(({ target }) => target.service.name)).toEqual(['auth']);
  });

  it('are planned also for tables in other schemas and with dots in their names', async () => {
    await fleet.write('shop', {
      migrations: {
        '20260102000000_dots': {
          up: `CREATE SCHEMA app; CREATE TABLE app.a AS SELECT 1 AS x; CREATE TABLE "app.b" AS SELECT 1 AS x;
            CREATE TABLE app."c.d" AS SELECT 1 AS x; CREATE TABLE app.empty (x int); ANALYZE app.a;`,
          down: 'DROP TABLE app.a; DROP TABLE "app.b"; DROP TABLE app."c.d"; DROP TABLE app.empty; DROP SCHEMA app;',
        },
      },
    });
    await migrateFleetUp([{ target: fleet.target('shop') }], WAIT);

    expect(await planFleet([{ target: fleet.target('shop') }], { down: true, steps: 1 }, {})).toMatchObject([
      {
        data: {
          steps: [
            {
              locks: [
                { table: 'app.a', rows: 1 },
                { table: '"app.b"' },
                { table: 'app."c.d"' },
                { table: 'app.empty' },
              ],
              losses: [
                { table: 'app.a', hit: true },
                { table: '"app.b"', hit: true },
                { table: 'app."c.d"', hit: true },
                { table: 'app.empty', hit: false },
              ],
            },
          ],
        },
      },
    ]);
  });

  it('are planned with locks, rows and data losses, without any change', async () => {
    await up('20260101000000_init');
    await rows("INSERT INTO notes SELECT n, 'body' FROM generate_series(1, 1234) n; ANALYZE notes");

    const planned = await planFleet(all(), { down: false }, {});

    expect(planned).toMatchObject([
      {
        service: 'auth',
        data: {
          steps: [
            {
              name: '20260102000000_title',
              locks: [{ table: 'notes', lock: 'ACCESS EXCLUSIVE', rows: 1234 }],
              losses: [],
            },
            {
              name: '20260103000000_short',
              locks: [{ table: 'notes', work: 'rewrite' }],
              losses: [{ what: 'type', hit: false }],
            },
          ],
        },
      },
      { service: 'shop', data: { steps: [] } },
    ]);
    const text = planText(planned, { sql: true });
    expect(text).toContain('  locks   notes (about 1,234 rows) ACCESS EXCLUSIVE');
    expect(text).toContain('  | ALTER TABLE notes ADD COLUMN title text;');
    expect(text).toContain('2 migrations to run on 1 of 2 databases');
    const back = planText(await planFleet(all(), { down: true, steps: 1 }, {}), {});
    expect(back).toContain('loses   the table notes');
    expect(await heads()).toEqual(['20260101000000_init', '20260101000000_init']);
  });

  it('are not reverted where rows or values would be lost, unless that is accepted', async () => {
    await up();
    await rows("INSERT INTO notes VALUES (1, 'body', 'title')");
    const down = (steps: number, acceptDataLoss = false) => migrateFleetDown(all(), { steps, acceptDataLoss }, WAIT);

    // The second of two steps would lose data, so neither the first nor a step of another database runs.
    expect(await down(2)).toMatchObject([
      {
        service: 'auth',
        state: 'failed',
        error: { code: 'MIGRATION.DATA_LOSS', why: expect.stringContaining('notes.title') },
      },
      { service: 'shop', state: 'not-started' },
    ]);
    expect(await heads()).toEqual(['20260103000000_short', '20260101000000_init']);
    expect(await down(1)).toMatchObject([{ state: 'done' }, { state: 'done' }]);
    expect(await rows('SELECT title FROM notes')).toEqual(['title']);
    await rows('UPDATE notes SET title = NULL');
    expect(await down(1)).toMatchObject([{ state: 'done' }, { state: 'done' }]);
    expect(await down(1)).toMatchObject([{ error: { code: 'MIGRATION.DATA_LOSS' } }, { state: 'not-started' }]);
    expect(await down(1, true)).toMatchObject([{ state: 'done' }, { state: 'done' }]);
    expect(await heads()).toEqual([null, null]);
  });

  it('are checked again for rows that were added while the runner waited for a lock', async () => {
    await up('20260102');
    const result = await withClient(fleet.target('auth').admin, async (client) => {
      await client.query('BEGIN');
      await client.query("INSERT INTO notes VALUES (1, 'b', 'a title that nobody has seen yet')");
      const down = migrateFleetDown([{ target: fleet.target('auth') }], { steps: 1, acceptDataLoss: false }, WAIT);
      const waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'notes'::regclass";
      while ((await client.query(waits)).rowCount === 0);
      await client.query('COMMIT');
      return down;
    });

    expect(result).toMatchObject([{ state: 'failed', error: { code: 'MIGRATION.DATA_LOSS' } }]);
    expect(await rows('SELECT title FROM notes')).toEqual(['a title that nobody has seen yet']);
    expect(await readFleetMigrations([fleet.target('auth')], {})).toMatchObject([
      { data: { failed: [], unfinished: [] } },
    ]);
  });
});

describe('a run down over all databases', () => {
  const LATER = '20260102000000_later';
  const given = async (up: string, down: string, more: Readonly<Record<string, { up: string; down: string }>> = {}) => {
    const init = { '20260101000000_init': INIT };
    const fleet = await givenFleet({
      auth: { schema: SCHEMA, migrations: { ...init, [LATER]: { up: 'CREATE TABLE a ();', down: 'DROP TABLE a;' } } },
      shop: { schema: SCHEMA, migrations: { ...init, [LATER]: { up, down }, ...more } },
    });
    await migrateFleetUp(
      fleet.targets.map((target) => ({ target })),
      WAIT,
    );
    return fleet;
  };
  afterEach(removeFleets);

  const down = async (fleet: GivenFleet, acceptDataLoss = false) =>
    migrateFleetDown(
      await findDestinations(fleet.root, fleet.targets, '20260101000000_init'),
      { acceptDataLoss },
      WAIT,
    );
  const heads = async (fleet: GivenFleet) =>
    (await readHeads(fleet.targets, {})).map((row) => (row.state === 'done' ? row.data.head : row.state));

  it('is rehearsed in each of them, and leaves no trace when one would lose data', async () => {
    const fleet = await given(
      "INSERT INTO notes VALUES (1, 'b'), (2, 'b'); CREATE SEQUENCE s; SELECT nextval('s') FROM generate_series(1, 9);",
      "SELECT setval('s', 2); DO $$ BEGIN EXECUTE 'DELETE FROM ' || 'notes WHERE id = 1'; END $$;",
    );

    expect(await down(fleet)).toMatchObject([
      { service: 'auth', state: 'not-started' },
      {
        service: 'shop',
        state: 'failed',
        error: {
          code: 'MIGRATION.DATA_LOSS',
          why: expect.stringMatching(/Lost: rows of notes \(2 → 1\); the position of the sequence s, which gave 9\.$/),
        },
      },
    ]);
    expect(await heads(fleet)).toEqual([LATER, LATER]);
    expect(await rowsOf(fleet.target('shop').admin, 'SELECT last_value::int FROM s')).toEqual([9]);
    expect(await down(fleet, true)).toMatchObject([{ state: 'done' }, { state: 'done' }]);
    expect(await rowsOf(fleet.target('shop').admin, 'SELECT id FROM notes')).toEqual([2]);
  });

  it('runs a file outside of a transaction only if it is proven to keep all data', async () => {
    const index = '-- no-transaction\nCREATE INDEX CONCURRENTLY i ON notes (body);';
    const proven = await given(index, '-- no-transaction\nDROP INDEX CONCURRENTLY i; VACUUM notes;', {
      '20260103000000_b': {
        up: 'CREATE TABLE b (id int);',
        down: 'DROP TABLE b; CREATE TABLE kept (); DROP TABLE kept;',
      },
    });
    expect(await down(proven)).toMatchObject([
      { state: 'done' },
      { state: 'done', data: { migrations: ['20260103000000_b', LATER] } },
    ]);

    const unproven = await given(index, '-- no-transaction\nDROP INDEX CONCURRENTLY i; DELETE FROM notes;');
    expect(await down(unproven)).toMatchObject([
      { state: 'not-started' },
      { error: { code: 'MIGRATION.DATA_LOSS', message: expect.stringMatching(/could lose data$/) } },
    ]);
    expect(await heads(unproven)).toEqual([LATER, LATER]);
    expect(await down(unproven, true)).toMatchObject([{ state: 'done' }, { state: 'done' }]);
  });

  it('stops before the first database when the SQL of another one fails', async () => {
    const fleet = await given('CREATE TABLE b ();', 'DROP TABLE b; DROP TABLE nope;');

    expect(await down(fleet)).toMatchObject([{ state: 'not-started' }, { error: { code: 'MIGRATION.SQL_FAILED' } }]);
    expect(await heads(fleet)).toEqual([LATER, LATER]);
  });
});

describe('a tag that cannot be read', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'azora-tags-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it('is an error, not a missing tag', async () => {
    // A directory in place of the file fails like a file without permission, also for root.
    await mkdir(path.join(root, 'prisma', 'tags', 'v1.json'), { recursive: true });

    expect(await failureOf(readTag(root, 'v1'))).toMatchObject({
      code: 'MIGRATION.BAD_TAG_FILE',
      why: expect.stringContaining('EISDIR'),
    });
    expect(await failureOf(writeTag(root, 'v1', {}))).toMatchObject({ code: 'MIGRATION.BAD_TAG_FILE' });
    expect(await readTag(root, 'v2')).toBeUndefined();
  });

  it('is an error when the directory of all tags is the problem', async () => {
    expect(await tagNames(root)).toEqual([]);
    await mkdir(path.join(root, 'prisma'));
    await writeFile(path.join(root, 'prisma', 'tags'), '');

    expect(await failureOf(tagNames(root))).toMatchObject({ code: 'MIGRATION.BAD_TAG_FILE' });
    expect(await failureOf(readTag(root, 'v1'))).toMatchObject({ code: 'MIGRATION.BAD_TAG_FILE' });
  });

  it.each(['', '[]', '{}', '{"heads":[]}', '{"heads":{"auth":1}}'])('is an error when its text is %j', async (text) => {
    await mkdir(path.join(root, 'prisma', 'tags'), { recursive: true });
    await writeFile(path.join(root, 'prisma', 'tags', 'v1.json'), text);

    expect(await failureOf(readTag(root, 'v1'))).toMatchObject({ code: 'MIGRATION.BAD_TAG_FILE' });
  });
});
