/** @server any */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { withUrlParts } from '@azora/db-core';
import { Client } from 'pg';
import { openSet } from '../src/backup-store/set';
import type { Storage } from '../src/backup-store/storage';
import { restoreFleet } from '../src/operations/backup/restore';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import type { Target } from '../src/operations/targets';
import { startEmbedded, stopEmbedded } from '../src/postgres/embedded/server';
import { backUp, givenPlace, removePlaces, restore } from './backup-fixture';
import { killServer } from './embedded-fixture';
import { type GivenFleet, givenFleet, removeFleets } from './fleet-fixture';
import { failureOf, rowsOf } from './migrations-fixture';

const BIN = path.resolve(__dirname, '..', 'bin', 'azora-db.js');
const SEED = Number(process.env['AZORA_TEST_SEED'] ?? Date.now() % 1_000_000);
const KILLS = 6;
const SCHEMA = 'model Note {\n  id Int @id\n  text String\n  @@map("notes")\n}';
const INIT = { up: 'CREATE TABLE notes (id int PRIMARY KEY, text text NOT NULL);', down: 'DROP TABLE notes;' };
/** 20 MB: more than the largest file of the limited server, and at most 16 MB in memory. */
const LARGE = `INSERT INTO notes SELECT id, string_agg(md5(id::text || part::text), '')
  FROM generate_series(10, 20000) AS id, generate_series(1, 32) AS part GROUP BY id`;
/** In KiB. A segment of the write-ahead log has 16 MB, and no server starts with a lower limit. */
const SMALL_FILES = 16 * 1024;
const STATE = `SELECT count(*) || ' ' || md5(string_agg(notes::text, ',' ORDER BY id)) FROM notes`;

/** The sets come from the test server and are restored on a separate server, which the tests may kill. */
describe(`a restore whose server fails (AZORA_TEST_SEED=${SEED})`, () => {
  const homes: string[] = [];
  let fleet: GivenFleet;
  let storage: Storage;
  let small = '';
  let large = '';
  beforeAll(async () => {
    const notes = { schema: SCHEMA, migrations: { '20260101000001_init': INIT } };
    fleet = await givenFleet({ notes, other: notes });
    for (const target of fleet.targets) await migrateTargetUp(target, { lockTimeoutMs: 10_000 });
    for (const { admin } of fleet.targets) await rowsOf(admin, `INSERT INTO notes VALUES (1, 'small')`);
    ({ storage } = await givenPlace());
    small = (await backUp(fleet.targets, storage)).set;
    await rowsOf(fleet.target('notes').admin, LARGE);
    large = (await backUp(fleet.targets, storage)).set;
  });
  afterAll(async () => {
    for (const home of homes.splice(0)) {
      await stopEmbedded({ home });
      await rm(home, { recursive: true, force: true });
    }
    await removePlaces();
    await removeFleets();
  });

  /** A server whose live databases have the content of the small set. */
  const givenServer = async (limitKiB?: number) => {
    const home = await mkdtemp(path.join(os.tmpdir(), 'azora-restore-'));
    homes.push(home);
    if (limitKiB !== undefined) startLimited(home, fleet.root, limitKiB);
    const there = await targetsOn(home);
    await restore(there, storage, small);
    return { home, there };
  };
  const targetsOn = async (home: string) => {
    const { url } = await startEmbedded({ home });
    return fleet.targets.map(
      (target): Target => ({
        ...target,
        server: 'embedded',
        maintenance: withUrlParts(url, { database: 'postgres' }),
        admin: withUrlParts(url, { database: target.database }),
      }),
    );
  };
  const statesOf = async (targets: readonly Target[]) =>
    (await Promise.all(targets.map(({ admin }) => rowsOf(admin, STATE)))).flat();
  const databasesOf = async ([target]: readonly Target[]) =>
    rowsOf(
      target?.maintenance ?? fleet.target('notes').maintenance,
      'SELECT datname::text FROM pg_database ORDER BY 1',
    );

  it('leaves the live databases unchanged and reports the reason when the disk is full', async () => {
    const { there } = await givenServer(SMALL_FILES);
    const [states, databases] = [await statesOf(there), await databasesOf(there)];

    const failure = await failureOf(restore(there, storage, large));

    expect(failure).toMatchObject({
      code: 'DATABASE.FAILED',
      message: expect.stringMatching(/could not (extend|write)/),
    });
    expect(await statesOf(there)).toEqual(states);
    expect(await databasesOf(there)).toEqual(databases);
    expect(await restore(there, storage, small)).toMatchObject([{ state: 'done' }, { state: 'done' }]);
  });

  it('leaves the live databases unchanged or restored when the server is killed at any moment', async () => {
    const { home, there } = await givenServer();
    const expected = { [small]: await statesOf(there), [large]: await statesOf(fleet.targets) };
    const since = performance.now();
    await restore(there, storage, large);
    const length = performance.now() - since;
    await restore(there, storage, small);

    for (let kill = 0; kill < KILLS; kill += 1) {
      const delay = (length * (kill + pseudoRandom(SEED + kill))) / KILLS;
      const set = await openSet(storage, large, undefined);
      const surroundings = { home, environment: process.env, log: () => undefined };
      const request = { set, passwordOf: () => 'only-for-tests', dropOld: true, ...surroundings };
      const ended = restoreFleet(there, request, {}).then(
        ({ rows }) => rows.map(({ state }) => state),
        (error: { readonly code?: string }) => [error.code],
      );
      await sleep(delay);
      await killServer(home);
      const came = await ended;

      await targetsOn(home);
      const states = await statesOf(there);
      console.log(JSON.stringify({ delay: Math.round(delay), came, restored: states[0] === expected[large]?.[0] }));
      expect([expected[small], expected[large]]).toContainEqual(states);
      await restore(there, storage, small);
      expect(await statesOf(there)).toEqual(expected[small]);
      const names = await databasesOf(there);
      expect(names.filter((name) => !String(name).includes('__before_'))).toEqual(
        [...there.map(({ database }) => database), 'postgres', 'template0', 'template1'].sort(),
      );
    }
  });

  it('of one service does not affect the others or their sessions', async () => {
    const { there } = await givenServer();
    const [notes, other] = there as [Target, Target];
    const session = new Client({ connectionString: other.admin.href });
    await session.connect();
    await session.query('CREATE TEMP TABLE mine AS SELECT 1');
    const oidOf = `SELECT oid::int FROM pg_database WHERE datname = '${other.database}'`;
    const before = [await rowsOf(other.maintenance, oidOf), await statesOf([other])];

    expect(await restore([notes], storage, large)).toMatchObject([{ state: 'done' }]);

    expect(await statesOf([notes])).toEqual(await statesOf([fleet.target('notes')]));
    expect([await rowsOf(other.maintenance, oidOf), await statesOf([other])]).toEqual(before);
    expect((await session.query('SELECT * FROM mine')).rowCount).toBe(1);
    await session.end();
  });
});

describe('a backup to a full disk', () => {
  afterAll(removeFleets);

  it('stores no set, leaves nothing behind and reports the reason', async () => {
    const fleet = await givenFleet({ notes: { schema: SCHEMA, migrations: { '20260101000001_init': INIT } } });
    await migrateTargetUp(fleet.target('notes'), { lockTimeoutMs: 10_000 });
    await rowsOf(fleet.target('notes').admin, LARGE);
    const { directory, storage } = await givenPlace();
    const env = { PATH: process.env['PATH'] ?? '', HOME: os.tmpdir(), ...fleet.environment };

    const { status, stdout } = withFileLimit(512, [BIN, 'backup', '--json', '--out', directory], fleet.root, env);

    expect({ status, answer: JSON.parse(stdout) }).toMatchObject({
      status: 1,
      answer: { services: [{ error: { code: 'BACKUP.STORAGE_FAILED' } }] },
    });
    expect(await storage.list()).toEqual([]);
    expect(spawnSync('ls', ['-A', directory], { encoding: 'utf8' }).stdout).toBe('');
  });
});

/** Runs a program of the suite with a limit on the size of files, which its children inherit. */
function withFileLimit(limitKiB: number, args: readonly string[], cwd: string, env: Readonly<Record<string, string>>) {
  const script = `ulimit -f ${limitKiB} && exec "$@"`;
  return spawnSync('bash', ['-c', script, 'bash', process.execPath, ...args], { cwd, env, encoding: 'utf8' });
}

function startLimited(home: string, root: string, limitKiB: number): void {
  const env = { PATH: process.env['PATH'] ?? '', HOME: os.tmpdir(), AZORA_HOME: home };
  const { status, stderr } = withFileLimit(limitKiB, [BIN, 'server', 'start'], root, env);
  if (status !== 0) throw new Error(stderr);
}

/** A number between 0 and 1 that depends on the seed alone. */
function pseudoRandom(seed: number): number {
  const value = Math.sin(seed) * 10_000;
  return value - Math.floor(value);
}
