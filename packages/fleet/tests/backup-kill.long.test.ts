/** @server any */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type DatabaseUrl, parseDatabaseUrl, withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { testEffort } from '@azora/db-testkit';
import { directoryStorage } from '../src/backup-store/directory';
import { openSet } from '../src/backup-store/set';
import type { Storage } from '../src/backup-store/storage';
import { SET_ID } from '../src/backup-store/storage';
import { pairUp } from '../src/operations/backup/preflight';
import { checkFiles } from '../src/operations/backup/restore';
import { listSets } from '../src/operations/backup/sets';
import { verifySet } from '../src/operations/backup/verify';
import { migrateTargetUp } from '../src/operations/migrations/migrate';
import type { Target } from '../src/operations/targets';
import { createDatabase, dropDatabase } from '../src/postgres/databases';
import { type GivenFleet, givenFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

const BIN = path.resolve(__dirname, '..', 'bin', 'azora-db.js');
const SEED = Number(process.env['AZORA_TEST_SEED'] ?? Date.now() % 1_000_000);
/** The moments of a run that are tried, one at random in each part of it: the parts are the phases of a run. */
const KILLS = 4 * testEffort();
const INTERRUPTS = 4 * testEffort();
const SERVICES = ['auth', 'mint', 'shop'];
const SCHEMA = `
model Item {
  id    Int    @id
  label String
  @@map("items")
}

model Part {
  id   Int @id @default(autoincrement())
  item Int
  @@map("parts")
}`;
const UP = `
CREATE TABLE items (id integer PRIMARY KEY, label text NOT NULL);
CREATE TABLE parts (id serial PRIMARY KEY, item integer NOT NULL REFERENCES items (id));
CREATE INDEX parts_item ON parts (item);
CREATE UNIQUE INDEX items_label ON items (label);`;
/** No value is the same before and after a restore. */
const STORED = `
TRUNCATE items, parts RESTART IDENTITY;
INSERT INTO items SELECT id, 'stored ' || md5(id::text) FROM generate_series(1, 15000) AS id;
INSERT INTO parts (item) SELECT id FROM items, generate_series(1, 2);`;
const LIVE = `
TRUNCATE items, parts RESTART IDENTITY;
INSERT INTO items SELECT id, 'live ' || md5(id::text) FROM generate_series(30001, 30500) AS id;
INSERT INTO parts (item) SELECT id FROM items;`;
const STATE = `
SELECT md5((SELECT string_agg(items::text, ',' ORDER BY id) FROM items)
           || (SELECT string_agg(parts::text, ',' ORDER BY id) FROM parts)
           || (SELECT string_agg(conname, ',' ORDER BY conname) FROM pg_constraint
               WHERE conrelid IN ('items'::regclass, 'parts'::regclass))
           || (SELECT string_agg(indexname, ',' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public'))`;

interface Ended {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

/** A checkout whose sessions and databases have names of their own on the server. */
interface Checkout {
  readonly fleet: GivenFleet;
  /** The database from which the others are created. */
  readonly hub: DatabaseUrl;
  readonly prefix: string;
  readonly directory: string;
  readonly storage: Storage;
}

const hubs: DatabaseUrl[] = [];

async function givenCheckout(): Promise<Checkout> {
  const migrations = { '20260101000001_init': { up: UP, down: '-- irreversible: a test\n' } };
  const fleet = await givenFleet(Object.fromEntries(SERVICES.map((name) => [name, { schema: SCHEMA, migrations }])));
  for (const target of fleet.targets) await migrateTargetUp(target, { lockTimeoutMs: 10_000 });
  const prefix = fleet.environment['AZORA_DB_PREFIX'] ?? '';
  const server = parseDatabaseUrl(fleet.environment['DATABASE_URL'] ?? '', 'DATABASE_URL');
  const hub = withUrlParts(server, { database: `${prefix}hub` });
  await withClient(server, (client) => createDatabase(client, hub.database));
  hubs.push(hub);
  const directory = path.join(fleet.root, '.azora', 'backups');
  return { fleet, hub, prefix, directory, storage: directoryStorage(directory) };
}

afterAll(async () => {
  for (const hub of hubs.splice(0)) {
    for (const database of await databasesOf(hub)) await rowsOf(hub, `DROP DATABASE "${database}" WITH (FORCE)`);
    await withClient(withUrlParts(hub, { database: 'postgres' }), (client) => dropDatabase(client, hub.database));
  }
  await removeFleets();
});

/** Every database of the checkout except the hub. */
async function databasesOf(hub: DatabaseUrl): Promise<readonly string[]> {
  const prefix = hub.database.slice(0, -'hub'.length);
  const sql = `SELECT datname::text FROM pg_database WHERE starts_with(datname, '${prefix}') ORDER BY 1`;
  return (await rowsOf(hub, sql)).map(String).filter((name) => name !== hub.database);
}

function startCli({ fleet, hub }: Checkout, args: readonly string[]) {
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: fleet.root,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '',
      ...fleet.environment,
      DATABASE_URL: hub.href,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, 'close').then(([exitCode, signal]): Ended => {
    // However a command ends, it must not report a bug.
    if (output.includes('[INTERNAL]')) throw new Error(output);
    return { exitCode, signal, output };
  });
  return { child, ended };
}

/** Runs a command that must succeed. */
async function run(checkout: Checkout, args: readonly string[]): Promise<string> {
  const { exitCode, output } = await startCli(checkout, args).ended;
  if (exitCode !== 0) throw new Error(`${args.join(' ')} ended with ${exitCode}: ${output}`);
  return output;
}

/** The shorter of two durations of an undisturbed command, so that most moments are within a run. */
async function measure(checkout: Checkout, args: readonly string[]): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 2; round += 1) {
    const since = performance.now();
    await run(checkout, args);
    times.push(performance.now() - since);
  }
  return Math.min(...times);
}

async function signalAfter(
  checkout: Checkout,
  args: readonly string[],
  signal: NodeJS.Signals,
  delayMs: number,
): Promise<Ended> {
  const { child, ended } = startCli(checkout, args);
  await Promise.race([sleep(delayMs), ended]);
  child.kill(signal);
  return ended;
}

/** Moments spread over a run, each at random in its part of the run; the last may be after the measured end. */
function momentsIn(fromMs: number, toMs: number, count: number, random: () => number): readonly number[] {
  return Array.from({ length: count }, (_, part) => fromMs + ((toMs - fromMs) * 1.05 * (part + random())) / count);
}

/** Mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Resolves when the server has noticed that the clients are gone. */
async function waitForTheDead({ hub, prefix }: Checkout): Promise<void> {
  const sql = `SELECT 1 FROM pg_stat_activity WHERE starts_with(datname, '${prefix}') AND application_name = 'azora-db'
    AND pid <> pg_backend_pid()`;
  while ((await rowsOf(hub, sql)).length > 0) await sleep(20);
}

async function fill(targets: readonly Target[], sql: string): Promise<readonly unknown[]> {
  await Promise.all(targets.map(({ admin }) => rowsOf(admin, sql)));
  return statesOf(targets);
}

/** A hash of the content of each service. */
async function statesOf(targets: readonly Target[]): Promise<readonly unknown[]> {
  return (await Promise.all(targets.map(({ admin }) => rowsOf(admin, STATE)))).flat();
}

/** The databases that are neither live nor kept, and the files that are not sets. */
async function leftOversOf({ hub, directory, fleet }: Checkout): Promise<readonly string[]> {
  const live = fleet.targets.map(({ database }) => database);
  const databases = (await databasesOf(hub)).filter((name) => !live.includes(name) && !name.includes('__before_'));
  const sets = (await readdir(directory)).filter((name) => !SET_ID.test(name));
  return [...databases, ...sets];
}

async function dropKept({ hub }: Checkout): Promise<void> {
  for (const name of await databasesOf(hub))
    if (name.includes('__before_')) await rowsOf(hub, `DROP DATABASE "${name}" WITH (FORCE)`);
}

/** Reads every byte of the listed sets; returns their ids. */
async function readSets({ storage, fleet }: Checkout): Promise<readonly string[]> {
  const sets = await listSets(storage, undefined);
  for (const { id, problem, services } of sets) {
    expect({ id, problem, services }).toEqual({ id, problem: null, services: SERVICES });
    const set = await openSet(storage, id, undefined);
    await checkFiles(set, pairUp(fleet.targets, set.manifest));
  }
  return sets.map(({ id }) => id);
}

/** Verifies the sets; returns those that fail, with the reason. */
async function unsoundSets({ storage, fleet }: Checkout, ids: readonly string[]): Promise<readonly unknown[]> {
  const unsound: unknown[] = [];
  for (const id of ids) {
    const set = await openSet(storage, id, undefined);
    const { verification } = await verifySet(
      fleet.targets,
      { set, home: fleet.root, references: [], environment: process.env },
      {},
    );
    if (!verification.ok) unsound.push({ id, verification });
  }
  return unsound;
}

describe(`a backup or restore that does not finish (AZORA_TEST_SEED=${SEED})`, () => {
  let checkout: Checkout;
  let stored: readonly unknown[];
  const random = randomFrom(SEED);
  const backup = ['backup'];
  const restore = ['restore', 'latest'];

  beforeAll(async () => {
    checkout = await givenCheckout();
    restore.push('--confirm', checkout.fleet.targets[0]?.admin.host ?? '');
    stored = await fill(checkout.fleet.targets, STORED);
    await run(checkout, backup);
  });

  it('leaves no incomplete set and unchanged live databases when a backup is killed at any moment', async () => {
    const totalMs = await measure(checkout, backup);
    const finished: string[] = [];
    let killed = 0;
    let parts = 0;

    for (const moment of momentsIn(0, totalMs, KILLS, random)) {
      const known = await checkout.storage.list();
      if ((await signalAfter(checkout, backup, 'SIGKILL', moment)).signal !== null) killed += 1;
      await waitForTheDead(checkout);

      expect(await statesOf(checkout.fleet.targets)).toEqual(stored);
      const shown = await readSets(checkout);
      finished.push(...shown.filter((id) => !known.includes(id)));
      parts += (await leftOversOf(checkout)).length;
      await run(checkout, backup);
      expect(await leftOversOf(checkout)).toEqual([]);
      expect(await checkout.storage.list()).toHaveLength(shown.length + 1);
    }
    expect(await unsoundSets(checkout, [...finished, ...(await checkout.storage.list()).slice(-1)])).toEqual([]);
    summarize('backup', totalMs, `${killed} of ${KILLS} killed, ${parts} left a part, ${finished.length} a set`);
    expect(parts).toBeGreaterThan(0);
  });

  it('leaves each live database unchanged or restored when a restore is killed at any moment', async () => {
    const { targets } = checkout.fleet;
    const live = await fill(targets, LIVE);
    const totalMs = await measure(checkout, restore);
    expect(await statesOf(targets)).toEqual(stored);
    const outcomes = { killed: 0, before: 0, mixed: 0, after: 0, leftOvers: 0 };

    for (const moment of momentsIn(totalMs * 0.25, totalMs, KILLS, random)) {
      await dropKept(checkout);
      await fill(targets, LIVE);
      if ((await signalAfter(checkout, restore, 'SIGKILL', moment)).signal !== null) outcomes.killed += 1;
      await waitForTheDead(checkout);

      const states = await statesOf(targets);
      for (const [index, state] of states.entries()) expect([live[index], stored[index]]).toContain(state);
      const restored = states.filter((state, index) => state === stored[index]).length;
      outcomes[restored === 0 ? 'before' : restored === states.length ? 'after' : 'mixed'] += 1;
      outcomes.leftOvers += (await leftOversOf(checkout)).length;
      await expectKept(checkout, live, restored);
      await run(checkout, restore);
      expect(await statesOf(targets)).toEqual(stored);
      expect(await leftOversOf(checkout)).toEqual([]);
    }
    summarize('restore', totalMs, JSON.stringify(outcomes));
    expect(outcomes.leftOvers).toBeGreaterThan(0);
  });

  it.each([
    ['backup', backup, STORED],
    ['restore', restore, LIVE],
  ])(
    'leaves nothing behind when a %s is interrupted, exits with 130, and has the state before or after',
    async (_, args, given) => {
      const { targets } = checkout.fleet;
      const totalMs = await measure(checkout, args);
      const outcomes: Interrupted[] = [];
      // The first moments are before the command listens to Ctrl-C: it ends at once, before it has changed anything.
      for (const moment of momentsIn(0, totalMs, INTERRUPTS, random)) {
        await dropKept(checkout);
        const before = await fill(targets, given);
        outcomes.push(await interrupt(checkout, args, moment, { before, stored }));
      }
      summarize(args[0] ?? '', totalMs, outcomes.map((outcome) => JSON.stringify(outcome)).join('\n'));
      // A command that has finished may have ended before the signal arrived.
      for (const { end, did } of outcomes) expect(did === 'all' ? [130, 'SIGINT', 0] : [130, 'SIGINT']).toContain(end);
      expect(outcomes).toContainEqual(expect.objectContaining({ end: 130, did: 'nothing' }));
    },
  );

  it('reports it when the server terminates all sessions of a restore, and leaves the live databases unchanged', async () => {
    const { targets } = checkout.fleet;
    await fill(targets, STORED);
    const totalMs = await measure(checkout, restore);
    const outcomes: { exitCode: number | null; moment: number; count: number; says: unknown }[] = [];
    for (const moment of momentsIn(totalMs * 0.2, totalMs * 0.9, INTERRUPTS, random)) {
      await dropKept(checkout);
      const live = await fill(targets, LIVE);
      const { ended } = startCli(checkout, restore);
      await Promise.race([sleep(moment), ended]);
      const count = await endSessions(checkout);
      const { exitCode, output } = await ended;

      const states = await statesOf(targets);
      outcomes.push({
        moment: Math.round(moment),
        count,
        exitCode,
        says: output.match(/\[[A-Z_.]+\]/g),
      });
      for (const [index, state] of states.entries()) expect([live[index], stored[index]]).toContain(state);
      if (exitCode === 0) expect(states).toEqual(stored);
      else expect(output).toMatch(/\[(SERVER|RESTORE|DATABASE|MIGRATION)\.[A-Z_]+\]/);
      await run(checkout, restore);
      expect(await statesOf(targets)).toEqual(stored);
      expect(await leftOversOf(checkout)).toEqual([]);
    }
    summarize('restore', totalMs, outcomes.map((outcome) => JSON.stringify(outcome)).join('\n'));
    expect(outcomes.filter(({ exitCode }) => exitCode !== 0)).not.toEqual([]);
  });
});

interface Interrupted {
  readonly moment: number;
  /** The exit code, or the signal. */
  readonly end: number | string | null;
  readonly did: 'all' | 'nothing';
}

async function interrupt(
  checkout: Checkout,
  args: readonly string[],
  moment: number,
  { before, stored }: { readonly before: readonly unknown[]; readonly stored: readonly unknown[] },
): Promise<Interrupted> {
  const known = await checkout.storage.list();
  const { exitCode, signal } = await signalAfter(checkout, args, 'SIGINT', moment);
  const states = await statesOf(checkout.fleet.targets);
  expect([before, stored]).toContainEqual(states);
  expect(await leftOversOf(checkout)).toEqual([]);
  const made = (await readSets(checkout)).length > known.length;
  const did = made || !isDeepStrictEqual(states, before) ? 'all' : 'nothing';
  return { moment: Math.round(moment), end: exitCode ?? signal, did };
}

/** Each restored database has a kept predecessor with the former content. */
async function expectKept({ hub }: Checkout, live: readonly unknown[], restored: number): Promise<void> {
  const kept = (await databasesOf(hub)).filter((name) => name.includes('__before_'));
  const states = await Promise.all(kept.map((database) => rowsOf(withUrlParts(hub, { database }), STATE)));
  expect(kept).toHaveLength(restored);
  for (const [state] of states) expect(live).toContain(state);
}

/** Terminates the administrator's sessions in the databases of the checkout; returns their number. */
async function endSessions({ hub, prefix }: Checkout): Promise<number> {
  const sql = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE starts_with(datname, '${prefix}')
    AND application_name = 'azora-db' AND pid <> pg_backend_pid()`;
  return (await rowsOf(hub, sql)).length;
}

function summarize(command: string, totalMs: number, outcome: string): void {
  process.stdout.write(`${command}, ${Math.round(totalMs)} ms undisturbed, seed ${SEED}: ${outcome}\n`);
}
