/** @server any */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseDatabaseUrl } from '@azora/db-core';
import { Client } from 'pg';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

const BIN = path.resolve(__dirname, '..', 'bin', 'azora-db.js');
const SCHEMA = 'model Note {\n  id Int @id\n  @@map("notes")\n}';
const UP = 'CREATE TABLE notes (id int PRIMARY KEY); INSERT INTO notes SELECT generate_series(1, 200000)';
const SERVICES = ['lists', 'notes', 'words'];

/** A directory for temporary files of this test's own: other tests kill runs, and sweep what those left. */
const temporaries = mkdtempSync(path.join(os.tmpdir(), 'azora-cleanup-'));
beforeAll(() => {
  jest.spyOn(os, 'tmpdir').mockReturnValue(temporaries);
});
afterAll(() => rmSync(temporaries, { recursive: true, force: true }));

/** The restore of several databases on this server is confirmed with its host. */
const confirmed = () => ['--confirm', server().host];
const server = () => parseDatabaseUrl(process.env['TEST_DATABASE_URL'] ?? '', 'TEST_DATABASE_URL');

afterAll(removeFleets);

function start(fleet: GivenFleet, args: readonly string[]) {
  const env = { PATH: process.env['PATH'] ?? '', HOME: os.tmpdir(), TMPDIR: temporaries, ...fleet.environment };
  const child = spawn(process.execPath, [BIN, ...args], { cwd: fleet.root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, 'close').then(([status]) => ({ status: status as number | null, output }));
  return { child, ended };
}

async function databasesOf(fleet: GivenFleet, pattern: string): Promise<readonly string[]> {
  const prefix = fleet.environment['AZORA_DB_PREFIX'] ?? '';
  const sql = `SELECT datname::text FROM pg_database WHERE starts_with(datname, '${prefix}') AND datname ~ '${pattern}'`;
  return (await rowsOf(server(), sql)).map(String);
}

const unfinishedIn = async (fleet: GivenFleet) =>
  (await readdir(path.join(fleet.root, '.azora', 'backups'))).filter((name) => name.includes('.part-'));

/** Waits until the run has made something, and kills it. */
async function killWhen(child: ChildProcess, isThere: () => Promise<boolean>): Promise<void> {
  while (!(await isThere())) {
    if (child.exitCode !== null) throw new Error('the command ended before it could be killed');
    await sleep(5);
  }
  child.kill('SIGKILL');
  await once(child, 'close');
}

describe('a run that is killed', () => {
  let fleet: GivenFleet;
  beforeAll(async () => {
    const given = SERVICES.map((name) => [name, { schema: SCHEMA, up: UP }] as const);
    fleet = await givenMigratedFleet(Object.fromEntries(given));
    expect((await start(fleet, ['backup']).ended).status).toBe(0);
  });

  const commands = [
    ['backup', ['backup'], async () => (await unfinishedIn(fleet)).length > 0],
    ['verify', ['backup', 'verify'], async () => (await databasesOf(fleet, '__scratch_')).length === SERVICES.length],
    ['restore', ['restore', 'latest', ...confirmed()], async () => (await databasesOf(fleet, '__scratch_')).length > 1],
    ['migrate verify', ['migrate', 'verify'], async () => (await databasesOf(fleet, '__scratch_')).length > 0],
  ] as const;

  it.each(commands)('%s: status shows the remains, and cleanup removes all of them', async (_, args, isThere) => {
    await killWhen(start(fleet, args).child, isThere);

    const { output } = await start(fleet, ['status']).ended;
    expect(output).toMatch(/left by killed runs: \d remnants?, .*remove with "npx azora-db cleanup --yes"/);
    expect((await start(fleet, ['cleanup', '--yes', ...confirmed()]).ended).status).toBe(0);

    expect([await databasesOf(fleet, '__'), await unfinishedIn(fleet)]).toEqual([[], []]);
    expect((await start(fleet, ['status']).ended).output).not.toContain('left by killed runs');
  });

  it('leaves a copy when it is a restore with --drop-old between the swap and the drop; status shows it', async () => {
    const { prefix, blocker } = {
      prefix: fleet.environment['AZORA_DB_PREFIX'] ?? '',
      blocker: new Client(server().href),
    };
    await blocker.connect();
    try {
      // Waits for the swap, and then holds a lock on a copy, so that the restore cannot drop it.
      const blocking = blocker.query(`BEGIN; DO $$ DECLARE copy text; BEGIN
        LOOP SELECT datname INTO copy FROM pg_database WHERE starts_with(datname, '${prefix}') AND datname ~ '__before_';
             EXIT WHEN copy IS NOT NULL; PERFORM pg_sleep(0.001); END LOOP;
        EXECUTE format('COMMENT ON DATABASE %I IS NULL', copy); END $$`);
      const dropping = `SELECT pid FROM pg_stat_activity WHERE starts_with(query, 'DROP DATABASE IF EXISTS "${prefix}')
        AND wait_event_type = 'Lock'`;
      const { child } = start(fleet, ['restore', 'latest', ...confirmed(), '--drop-old']);
      await killWhen(child, async () => (await rowsOf(server(), dropping)).length > 0);
      await blocking;
      await rowsOf(server(), `SELECT pg_terminate_backend(pid, 10000) FROM (${dropping}) AS waiting`);
    } finally {
      await blocker.end();
    }

    // The server completes statements of a killed client.
    const running = `SELECT 1 FROM pg_stat_activity WHERE starts_with(query, 'DROP DATABASE IF EXISTS "${fleet.environment['AZORA_DB_PREFIX']}')
      AND state = 'active'`;
    while ((await rowsOf(server(), running)).length > 0) await sleep(5);
    const copies = await databasesOf(fleet, '__before_');
    const { output } = await start(fleet, ['status', '--json']).ended;
    expect(copies).not.toEqual([]);
    expect(JSON.parse(output.slice(output.indexOf('{'))).leftovers.copies.count).toBe(copies.length);
    const only = fleet.targets.find(({ database }) => copies.length === 1 && copies[0]?.startsWith(`${database}__`));
    const confirming = only === undefined ? confirmed() : ['--confirm', only.database];
    expect((await start(fleet, ['cleanup', ...confirming]).ended).status).toBe(0);
    expect(await databasesOf(fleet, '__')).toEqual([]);
  });

  it('does not disturb a restore that is still running', async () => {
    const restoring = start(fleet, ['restore', 'latest', ...confirmed()]);
    while ((await databasesOf(fleet, '__scratch_')).length < SERVICES.length) await sleep(5);

    const cleanup = start(fleet, ['cleanup', '--yes', ...confirmed()]);
    const [restored, cleaned] = await Promise.all([restoring.ended, cleanup.ended]);

    expect([restored.status, cleaned.status]).toEqual([0, 0]);
    expect(restored.output).toContain('3 done');
    for (const { admin } of fleet.targets)
      expect(await rowsOf(admin, 'SELECT count(*)::int FROM notes')).toEqual([200_000]);
    await start(fleet, ['cleanup', '--yes', ...confirmed()]).ended;
  });
});
