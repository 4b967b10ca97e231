/** @server any */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type DatabaseUrl, parseDatabaseUrl, withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { swapDatabases } from '../src/postgres/dump/swap';
import { findReplacedDatabases, recordReplaced, replacedName } from '../src/postgres/replaced';
import { findScratchDatabases, withScratchDatabase } from '../src/postgres/scratch';
import { findStudioRemnants } from '../src/postgres/studio/role';
import { makeTemporary } from '../src/system/temporary';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

const BIN = path.resolve(__dirname, '..', 'bin', 'azora-db.js');
const SCHEMA = 'model Note {\n  id Int @id\n  @@map("notes")\n}';
const UP = 'CREATE TABLE notes (id int PRIMARY KEY); INSERT INTO notes SELECT generate_series(1, 100)';
const SET = '20260101T120000123Z-0a1b2c';
const DAY_MS = 24 * 3_600_000;
/** No process has this pid. */
const DEAD = '99999999-gone';

const server = (): DatabaseUrl => parseDatabaseUrl(process.env['TEST_DATABASE_URL'] ?? '', 'TEST_DATABASE_URL');
/** A directory for temporary files of this test's own: other tests kill runs, and sweep what those left. */
const temporaries = mkdtempSync(path.join(os.tmpdir(), 'azora-cleanup-'));
beforeAll(() => {
  jest.spyOn(os, 'tmpdir').mockReturnValue(temporaries);
});
afterAll(() => rmSync(temporaries, { recursive: true, force: true }));

/** Confirms the removal of copies: the name of one database, or the host for several. */
const confirmed = (name = server().host) => ['--yes', '--confirm', name];
const sql = (text: string): Promise<readonly unknown[]> => rowsOf(server(), text);

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function cli(
  fleet: GivenFleet,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: os.tmpdir(),
    TMPDIR: temporaries,
    ...fleet.environment,
    ...more,
  };
  const child = spawn(process.execPath, [BIN, ...args], { cwd: fleet.root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [status] = await once(child, 'close');
  return { status, stdout, stderr };
}

async function answerOf(fleet: GivenFleet, args: readonly string[], more: Readonly<Record<string, string>> = {}) {
  const { status, stdout } = await cli(fleet, [...args, '--json'], more);
  return { status, answer: JSON.parse(stdout) };
}

/** The databases of the fleet that are not live ones, without the prefix. */
async function databasesOf(fleet: GivenFleet): Promise<readonly string[]> {
  const prefix = fleet.environment['AZORA_DB_PREFIX'] ?? '';
  const live = fleet.targets.map(({ database }) => database);
  const names = await sql(`SELECT datname::text FROM pg_database WHERE starts_with(datname, '${prefix}') ORDER BY 1`);
  const others = names.map(String).filter((name) => !live.includes(name));
  return others.map((name) => name.slice(prefix.length));
}

/** The copy of a database that a restore replaced at a time; undefined for a copy of a version that did not record it. */
async function givenCopy(database: string, set: string, at: Date | undefined): Promise<string> {
  const name = replacedName(database, set);
  await sql(`CREATE DATABASE "${name}"`);
  if (at !== undefined) await sql(recordReplaced(name, database, at, null));
  return name;
}

const given = () => givenMigratedFleet({ notes: { schema: SCHEMA, up: UP }, lists: { schema: SCHEMA, up: UP } });
const daysAgo = (days: number): Date => new Date(Date.now() - days * DAY_MS);

afterAll(async () => {
  for (const name of await sql(`SELECT datname::text FROM pg_database WHERE datname ~ '^azt_[0-9a-f]{8}_.*__'`))
    await sql(`DROP DATABASE "${name}" WITH (FORCE)`);
  await removeFleets();
});

describe('the copies of replaced databases', () => {
  let fleet: GivenFleet;
  beforeAll(async () => {
    fleet = await given();
  });

  it('are shown by status, listed by cleanup, and removed with --yes', async () => {
    const { answer: made } = await answerOf(fleet, ['backup']);
    await cli(fleet, ['restore', 'latest', '--confirm', server().host]);

    const { answer: status } = await answerOf(fleet, ['status']);
    expect(status.leftovers.copies).toMatchObject({ count: 2, bytes: expect.any(Number) });
    expect(status.leftovers.copies.bytes).toBeGreaterThan(2 ** 20);
    expect(Date.parse(status.leftovers.copies.oldest)).toBeGreaterThan(Date.now() - 600_000);
    const listed = await cli(fleet, ['cleanup']);
    expect(listed.stdout).toContain(`__before_${made.set}`);
    expect(listed.stdout).toContain('2 items would be removed');
    expect(await databasesOf(fleet)).toHaveLength(2);

    const young = await answerOf(fleet, ['cleanup', '--older-than', '1', '--yes']);
    expect(young).toMatchObject({
      status: 0,
      answer: { removed: [], kept: [{ service: 'lists' }, { service: 'notes' }] },
    });
    const { database } = fleet.target('notes');
    const refused = await answerOf(fleet, ['cleanup', '--service', 'notes', '--yes']);
    expect(refused).toMatchObject({
      status: 2,
      answer: {
        error: {
          code: 'USAGE.NEEDS_CONFIRM',
          message: 'This would remove the copies of replaced databases',
          next: `Run "npx azora-db cleanup --service notes --json --confirm ${database}"`,
        },
      },
    });
    expect(await answerOf(fleet, ['cleanup', '--service', 'notes', '--confirm', 'azora_notes'])).toMatchObject({
      ...{ status: 2, answer: { error: { code: 'USAGE.NEEDS_CONFIRM' } } },
    });
    expect(await databasesOf(fleet)).toHaveLength(2);
    const one = await answerOf(fleet, ['cleanup', '--service', 'notes', '--confirm', database]);
    expect(one).toMatchObject({ status: 0, answer: { done: true, removed: [{ service: 'notes', kind: 'copy' }] } });
    expect(await databasesOf(fleet)).toEqual([`lists__before_${made.set}`]);
    expect((await cli(fleet, ['cleanup', ...confirmed(fleet.target('lists').database)])).status).toBe(0);
    expect(await databasesOf(fleet)).toEqual([]);
  });

  it('expire after a restore, except the newest of each database and those of unknown age', async () => {
    await answerOf(fleet, ['backup']);
    const { database } = fleet.target('notes');
    const old = await givenCopy(database, '20260101T120000123Z-aaaaaa', daysAgo(30));
    const young = await givenCopy(database, '20260102T120000123Z-bbbbbb', daysAgo(6));
    const unknown = await givenCopy(database, '20260103T120000123Z-cccccc', undefined);
    const lonely = await givenCopy(fleet.target('lists').database, SET, daysAgo(30));

    const restore = ['restore', 'latest', '--service', 'notes', '--confirm', fleet.target('notes').database];
    const restored = await answerOf(fleet, restore);
    expect(restored).toMatchObject({ status: 0, answer: { ok: true, removedCopies: [old] } });
    const again = await cli(fleet, restore, { AZORA_KEEP_REPLACED: '5d' });
    expect(again.stdout).toContain(`removed 1 older copy of replaced data (AZORA_KEEP_REPLACED): ${young}`);
    const names = (await databasesOf(fleet)).map((name) => `${fleet.environment['AZORA_DB_PREFIX']}${name}`);
    expect(names).toEqual(expect.arrayContaining([unknown, lonely]));
    expect(names).toHaveLength(4);
    const bad = await answerOf(fleet, ['status'], { AZORA_KEEP_REPLACED: 'a week' });
    expect(bad).toMatchObject({ status: 2, answer: { error: { code: 'CONFIG.BAD_KEEP_REPLACED' } } });
    expect(await cli(fleet, ['cleanup', ...confirmed()])).toMatchObject({ status: 0 });
  });

  it('stay while a session is connected to them', async () => {
    const name = await givenCopy(fleet.target('notes').database, SET, daysAgo(1));

    const report = await withClient(withUrlParts(server(), { database: name }), () =>
      answerOf(fleet, ['cleanup', '--yes']),
    );

    expect(report).toMatchObject({ status: 0, answer: { removed: [], kept: [{ name, state: 'in-use' }] } });
    const confirming = confirmed(fleet.target('notes').database);
    expect(await answerOf(fleet, ['cleanup', ...confirming])).toMatchObject({ answer: { removed: [{ name }] } });
  });

  it('of two prefixes, and databases that are named alike, do not mix', async () => {
    const prefix = fleet.environment['AZORA_DB_PREFIX'] ?? '';
    const { database } = fleet.target('notes');
    const own = await givenCopy(database, SET, undefined);
    const second = `${own}_2`;
    const foreign = [
      `${prefix}test_notes__before_${SET}`,
      `${database}__before_summer`,
      `${database}__before_${SET}_old`,
      `x${database.slice(1)}__before_${SET}`,
      `${database}__scratch_pad`,
      `${database}__scratch_0123456789`,
    ];
    for (const name of [second, ...foreign]) await sql(`CREATE DATABASE "${name}"`);

    const { answer } = await answerOf(fleet, ['cleanup', ...confirmed(database)]);
    await answerOf(fleet, ['migrate', 'drift', '--service', 'notes']);

    expect(answer.removed.map(({ name }: { name: string }) => name)).toEqual([own, second]);
    const there = await sql(`SELECT datname::text FROM pg_database WHERE datname = ANY ('{${foreign.join(',')}}')`);
    expect([...there].sort()).toEqual([...foreign].sort());
    for (const name of foreign) await sql(`DROP DATABASE "${name}"`);
  });

  it('that have a truncated name are found by the name in their comment', async () => {
    const long = 'a_database_with_a_rather_long_name_north';
    const twin = 'a_database_with_a_rather_long_name_south';
    const names = [await givenCopy(long, SET, daysAgo(1))];
    names.push(`${names[0]}_2`);
    await sql(`CREATE DATABASE "${names[1]}"`);
    await sql(recordReplaced(names[1] ?? '', twin, daysAgo(1), "the owner's comment"));

    const found = await withClient(server(), async (client) => [
      (await findReplacedDatabases(client, [long])).map(({ name }) => name),
      (await findReplacedDatabases(client, [twin])).map(({ name }) => name),
    ]);

    expect(found).toEqual([[names[0]], [names[1]]]);
    for (const name of names) await sql(`DROP DATABASE "${name}"`);
  });

  it('get names of their own when a restore replaces databases whose names begin alike', async () => {
    const prefix = fleet.environment['AZORA_DB_PREFIX'] ?? '';
    const names = ['north', 'south'].map((end) => `${prefix}a_rather_long_name_${end}`);
    for (const name of names) await sql(`CREATE DATABASE "${name}"`);
    for (const name of names) await sql(`CREATE DATABASE "${name}_side"`);

    const swaps = names.map((live) => ({
      live,
      side: `${live}_side`,
      kept: replacedName(live, SET),
      keepSettings: true,
    }));
    const kept = await swapDatabases(server(), swaps);

    const first = replacedName(names[0] ?? '', SET);
    expect([...kept]).toEqual([
      [names[0], first],
      [names[1], `${first}_2`],
    ]);
    const found = await withClient(server(), (client) => findReplacedDatabases(client, names));
    expect(found.map(({ name, database }) => [database, name])).toEqual([...kept]);
    for (const name of [...names, ...kept.values()]) await sql(`DROP DATABASE "${name}"`);
  });
});

describe('what killed runs leave', () => {
  let fleet: GivenFleet;
  beforeAll(async () => {
    fleet = await given();
  });

  const givenScratch = (service: string) =>
    sql(`CREATE DATABASE "${fleet.target(service).database}__scratch_0a1b2c3d"`);

  it('is shown by status and doctor with the command that removes it', async () => {
    await givenScratch('lists');
    const sets = path.join(fleet.root, '.azora', 'backups');
    await mkdir(path.join(sets, `${SET}.part-${DEAD}`), { recursive: true });

    const remedy = 'left by killed runs: 2 remnants';
    for (const command of [['status'], ['migrate', 'doctor']]) {
      const { stdout } = await cli(fleet, command);
      expect(stdout).toContain(remedy);
      expect(stdout).toContain('remove with "npx azora-db cleanup --yes"');
    }
    expect(await cli(fleet, ['cleanup', '--yes'])).toMatchObject({ status: 0 });
    expect(await databasesOf(fleet)).toEqual([]);
    expect(await readdir(sets)).toEqual([]);
  });

  it('is removed by the next backup, also that of other services', async () => {
    await givenScratch('lists');

    const { status, stderr } = await cli(fleet, ['backup', '--service', 'notes']);

    expect(stderr).toContain('removed what a killed run left: 1 scratch database');
    expect({ status, left: await databasesOf(fleet) }).toEqual({ status: 0, left: [] });
  });

  it('is removed by two cleanups at once, and both succeed', async () => {
    const { database } = fleet.target('notes');
    for (const service of ['lists', 'notes']) await givenScratch(service);
    // All copies are of one database, so that its name confirms whatever the other clean-up has left.
    for (const hex of ['aaaaaa', 'bbbbbb', 'cccccc', 'dddddd', 'eeeeee', 'ffffff'])
      await givenCopy(database, `20260101T120000123Z-${hex}`, daysAgo(1));

    const cleanup = ['cleanup', ...confirmed(database)];
    const both = await Promise.all([answerOf(fleet, cleanup), answerOf(fleet, cleanup)]);

    expect(both).toMatchObject(Array(2).fill({ status: 0, answer: { ok: true, problems: [] } }));
    expect(await databasesOf(fleet)).toEqual([]);
  });

  it('includes no work of a running process, whatever database its lock is in', async () => {
    const { database, service } = fleet.target('notes');
    const hub = `${database}_hub`;
    await sql(`CREATE DATABASE "${hub}"`);
    const place = { service: service.name, server: 'ordinary', database } as const;
    const temporary = await makeTemporary('lint');
    const work = withScratchDatabase(
      { ...place, maintenance: withUrlParts(server(), { database: hub }) },
      async (url) => {
        expect(await answerOf(fleet, ['cleanup', '--yes'])).toMatchObject({ status: 0, answer: { removed: [] } });
        // A second run on the same service, from another database.
        await withScratchDatabase({ ...place, maintenance: server() }, async () => undefined);
        return rowsOf(url, 'SELECT 1');
      },
    );

    expect(await work).toEqual([1]);
    expect(await readdir(temporary)).toEqual([]);
    await sql(`DROP DATABASE "${hub}"`);
  });

  it('is not reported as removed when a run has begun to use it', async () => {
    await givenScratch('notes');
    const { database, role } = fleet.target('notes');
    const scratch = `${database}__scratch_0a1b2c3d`;
    const studio = role.replace(/_app$/, '_studio');
    await sql(`CREATE ROLE "${studio}" LOGIN; COMMENT ON ROLE "${studio}" IS 'azora-db studio 0a1b ${DEAD}'; SELECT`);

    await withClient(server(), async (client) => {
      const roles = new Map([[studio, { database, admin: fleet.target('notes').admin }]]);
      const [found] = await findScratchDatabases(client, [database]);
      const [abandoned] = await findStudioRemnants(client, roles);
      await sql(`COMMENT ON ROLE "${studio}" IS 'azora-db studio 9f9f ${DEAD}'; SELECT`);
      const removing = async (it: { readonly remove: () => Promise<void> } | undefined) => await it?.remove();

      await withClient(server(), async (run) => {
        await run.query('SELECT pg_advisory_lock(hashtext($1))', [scratch]);
        await expect(removing(found)).rejects.toMatchObject({ code: 'CLEANUP.IN_USE', meta: { database: scratch } });
        // A run on the same service leaves it alone, and does not fail.
        const place = { service: 'notes', server: 'ordinary', database, maintenance: server() } as const;
        await withScratchDatabase(place, async () => undefined);
      });
      await expect(removing(abandoned)).rejects.toMatchObject({ code: 'CLEANUP.IN_USE', meta: { role: studio } });
      await removing(found);
    });

    expect(await sql(`SELECT rolcanlogin FROM pg_roles WHERE rolname = '${studio}'`)).toEqual([true]);
    expect(await databasesOf(fleet)).toEqual([]);
    await sql(`DROP ROLE "${studio}"`);
  });

  it('is found beside a location of backup sets that is a file, which only cleanup reports', async () => {
    const AZORA_BACKUP_DIR = path.join(fleet.root, 'lerna.json');
    await givenScratch('notes');
    const bad = { AZORA_BACKUP_DIR };

    const sets = path.join(fleet.root, 'elsewhere');
    const made = await answerOf(fleet, ['backup', '--service', 'notes', '--out', sets], bad);
    expect(made).toMatchObject({ status: 0, answer: { ok: true } });
    expect(await databasesOf(fleet)).toEqual([]);
    for (const command of [['status'], ['migrate', 'verify', '--service', 'notes']])
      expect({ command, ...(await cli(fleet, command, bad)) }).toMatchObject({ command, status: 0 });
    const { database } = fleet.target('notes');
    const restore = ['restore', 'latest', '--from', sets, '--service', 'notes', '--confirm', database];
    expect(await answerOf(fleet, restore, bad)).toMatchObject({ status: 0, answer: { ok: true } });
    const cleaned = await answerOf(fleet, ['cleanup', ...confirmed(database)], bad);

    expect(cleaned).toMatchObject({
      ...{ status: 1, answer: { removed: [{ service: 'notes' }], problems: [{ code: 'USAGE.BAD_LOCATION' }] } },
    });
    expect(await databasesOf(fleet)).toEqual([]);
  });

  it('includes temporary directories of ended processes, and the role of a killed studio', async () => {
    const { role } = fleet.target('notes');
    const studio = role.replace(/_app$/, '_studio');
    const temporary = path.join(os.tmpdir(), `azora-structure-${DEAD}-Ab12Cd`);
    await mkdir(temporary);
    await sql(`CREATE ROLE "${studio}" LOGIN; COMMENT ON ROLE "${studio}" IS 'azora-db studio 0a1b ${DEAD}'`);

    const { answer } = await answerOf(fleet, ['cleanup', '--yes']);

    const names = answer.removed.map(({ name }: { name: string }) => name);
    expect(names).toEqual(expect.arrayContaining([temporary, studio]));
    expect(await sql(`SELECT rolcanlogin FROM pg_roles WHERE rolname = '${studio}'`)).toEqual([false]);
    expect(await readdir(os.tmpdir())).not.toContain(path.basename(temporary));
    await sql(`DROP ROLE "${studio}"`);
  });

  it('stays a day when it belongs to another machine', async () => {
    const sets = path.join(fleet.root, '.azora', 'backups');
    const part = path.join(sets, `${SET}.part-1-abcd1234-5678@00000000`);
    await mkdir(path.join(part, 'notes'), { recursive: true });
    await writeFile(path.join(part, 'notes', 'notes.copy.gz'), 'rows');

    const { answer } = await answerOf(fleet, ['cleanup', '--yes']);
    await answerOf(fleet, ['backup']);

    expect(answer).toMatchObject({ removed: [], kept: [{ name: part, state: 'unknown' }] });
    expect(await readdir(part)).toEqual(['notes']);
    for (const file of ['notes/notes.copy.gz', 'notes', '.'])
      await utimes(path.join(part, file), daysAgo(2), daysAgo(2));
    await answerOf(fleet, ['backup']);
    expect(await readdir(sets)).not.toContain(path.basename(part));
  });
});
