/** @server any */
import { type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { generateX25519Identity } from 'age-encryption';
import { directoryStorage } from '../src/backup-store/directory';
import { filesOf } from '../src/backup-store/manifest';
import { readManifest } from '../src/backup-store/set';
import { listSets } from '../src/operations/backup/sets';
import { type GivenFleet, givenMigratedFleet, removeFleets } from './fleet-fixture';
import { rowsOf } from './migrations-fixture';

/**
 * Random operations on backup sets against a model of what each set must restore: `AZORA_CHAOS_MINUTES=60 AZORA_TEST_SEED=…`.
 * Commands are killed at random moments, the disk fills up, files are damaged, clocks jump, and several commands run at once, some
 * of them in namespaces of their own, as on another host.
 */
const MINUTES = Number(process.env['AZORA_CHAOS_MINUTES'] ?? 1);
const SEED = Number(process.env['AZORA_TEST_SEED'] ?? Date.now() % 1_000_000);
const BIN = path.resolve(__dirname, '..', 'bin', 'azora-db.js');
const TABLES = ['notes', 'steady', 'twins'];
const SCHEMA = 'model Note {\n  id Int @id\n  label String\n  @@map("notes")\n}';
const UP = TABLES.map(
  (name) => `CREATE TABLE ${name} (id int PRIMARY KEY, label text NOT NULL);
             INSERT INTO ${name} SELECT id, '${name} ' || md5(id::text) FROM generate_series(1, 400) AS id;`,
).join('\n');
const STATE = `SELECT md5(${TABLES.map((name) => `(SELECT coalesce(string_agg(it::text, ',' ORDER BY id), '') FROM ${name} AS it)`).join(" || '|' || ")})`;
const CLOCK = `const shift = Number(process.env.SHIFT_MS); const Real = Date;
globalThis.Date = class extends Real { constructor(...given) { given.length === 0 ? super(Real.now() + shift) : super(...given); }
static now() { return Real.now() + shift; } };`;

interface Ended {
  readonly exitCode: number | null;
  readonly output: string;
}

/** The content of each service at one moment. */
type Content = Readonly<Record<string, string>>;

interface ModelSet {
  readonly content: Content;
  readonly encrypted: boolean;
  /** The services whose files were damaged after the backup. */
  readonly damaged: Set<string>;
}

let fleet: GivenFleet;
let directory: string;
let isMounted = false;
let identity: string;
const sets = new Map<string, ModelSet>();
const counts = new Map<string, number>();
const history: string[] = [];
const random = randomFrom(SEED);
const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
const canUnshare = spawnSync('unshare', ['--uts', '--pid', '--fork', 'true']).status === 0;

beforeAll(async () => {
  fleet = await givenMigratedFleet({ auth: { schema: SCHEMA, up: UP }, mint: { schema: SCHEMA, up: UP } });
  identity = await generateX25519Identity();
  directory = path.join(fleet.root, 'sets');
  await mkdir(directory);
  isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=700', 'tmpfs', directory]).status === 0;
  await writeFile(path.join(fleet.root, 'clock.js'), CLOCK);
});
afterAll(async () => {
  if (isMounted) spawnSync('umount', [directory]);
  await removeFleets();
});

describe('backup sets, under random operations', () => {
  it(
    'restore what the model says, or are refused',
    async () => {
      process.stdout.write(`chaos: seed ${SEED}, ${MINUTES} minutes, tmpfs ${isMounted}, unshare ${canUnshare}\n`);
      const end = Date.now() + MINUTES * 60_000;
      const operations = [
        write,
        write,
        backup,
        backup,
        backup,
        killedBackup,
        verify,
        restore,
        killedRestore,
        prune,
        damage,
      ];
      const more = [fullDisk, jumpedBackup, several];
      try {
        while (Date.now() < end) {
          const operation = pick([...operations, ...more]);
          counts.set(operation.name, (counts.get(operation.name) ?? 0) + 1);
          history.push(operation.name);
          await operation();
        }
        for (const [id, set] of sets) if (set.damaged.size === 0) await restoreSet(id, set);
      } catch (error) {
        throw new Error(`seed ${SEED}, after ${history.slice(-12).join(', ')}: ${String(error)}`, { cause: error });
      }
      process.stdout.write(
        `chaos: ${[...counts].map(([name, count]) => `${name} ${count}`).join(', ')}, ${sets.size} sets at the end\n`,
      );
      expect(sets.size).toBeGreaterThan(0);
    },
    MINUTES * 60_000 + 1_200_000,
  );
});

const storage = () => directoryStorage(directory);
const services = () => fleet.targets.map(({ service }) => service.name);

async function contentNow(): Promise<Content> {
  const states = await Promise.all(fleet.targets.map(({ admin }) => rowsOf(admin, STATE)));
  return Object.fromEntries(services().map((name, index) => [name, String(states[index]?.[0])]));
}

function start(args: readonly string[], { key = false, shiftMs = 0, elsewhere = false } = {}) {
  const own = ['--require', path.join(fleet.root, 'clock.js'), BIN, ...args];
  const command = [process.execPath, ...own];
  const host = 'hostname elsewhere && exec "$@"';
  const wrapped = elsewhere
    ? ['unshare', '--uts', '--pid', '--fork', '--kill-child', 'sh', '-c', host, 'sh', ...command]
    : command;
  const env = { PATH: process.env['PATH'], HOME: os.tmpdir(), ...fleet.environment, AZORA_BACKUP_DIR: directory };
  const options: SpawnOptions = {
    cwd: fleet.root,
    env: { ...env, SHIFT_MS: String(shiftMs), ...(key ? { AZORA_BACKUP_KEY: identity } : {}) },
    stdio: ['ignore', 'pipe', 'pipe'],
  };
  const [program = '', ...rest] = wrapped;
  const child = spawn(program, rest, options);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk));
  const ended: Promise<Ended> = once(child, 'close').then(([exitCode]) => ({ exitCode, output }));
  return { child, ended };
}

async function run(args: readonly string[], options = {}): Promise<Ended> {
  return start(args, options).ended;
}

async function runKilled(args: readonly string[], options = {}): Promise<Ended> {
  const { child, ended } = start(args, options);
  const timer = setTimeout(() => child.kill('SIGKILL'), random() * 6_000);
  const outcome = await ended.finally(() => clearTimeout(timer));
  await waitForTheDead();
  return outcome;
}

/** The server finishes the statement of a client that is gone. */
async function waitForTheDead(): Promise<void> {
  const sql = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'azora-db' AND pid <> pg_backend_pid()`;
  while ((await rowsOf(fleet.targets[0]?.maintenance ?? missing(), sql)).length > 0);
}

function missing(): never {
  throw new Error('the fleet has no services');
}

function demand(condition: boolean, what: string, { exitCode, output }: Partial<Ended> = {}): void {
  if (!condition) throw new Error(`${what}\n${exitCode ?? ''} ${(output ?? '').slice(-1_500)}`);
}

/** Adds the sets that appeared while the databases had this content. */
async function notice(content: Content): Promise<readonly string[]> {
  const listed = await storage().list();
  const found = listed.filter((id) => !sets.has(id));
  for (const id of found) {
    const { manifest } = await readManifest(storage(), id);
    const held = manifest.databases.map(({ service }) => [service, content[service] ?? ''] as const);
    sets.set(id, { content: Object.fromEntries(held), encrypted: manifest.encryption !== null, damaged: new Set() });
  }
  const lost = [...sets.keys()].filter((id) => !listed.includes(id));
  demand(lost.length === 0, `sets disappeared: ${lost.join(', ')}`);
  return found;
}

async function write(): Promise<void> {
  const { admin } = pick(fleet.targets);
  const [table, id] = [pick(TABLES.slice(0, 1 + Math.floor(random() * 3))), 1 + Math.floor(random() * 400)];
  await rowsOf(
    admin,
    pick([
      `UPDATE ${table} SET label = md5(label) WHERE id BETWEEN ${id} AND ${id + 3}`,
      `DELETE FROM ${table} WHERE id = ${id}`,
      `INSERT INTO ${table} VALUES (${id}, 'new') ON CONFLICT (id) DO UPDATE SET label = 'new'`,
      `WITH gone AS (DELETE FROM ${table} WHERE id = (SELECT min(id) FROM ${table}) RETURNING id)
       INSERT INTO ${table} SELECT 1000 + max(it.id), 'moved' FROM ${table} AS it, gone`,
      `VACUUM FULL ${table}`,
    ]),
  );
}

function randomBackup() {
  const key = random() < 0.3;
  const flags = [
    ...(key ? ['--encrypt'] : []),
    ...(random() < 0.15 ? ['--full'] : []),
    ...(random() < 0.2 ? ['--service', pick(services())] : []),
    ...(random() < 0.2 ? ['--fence'] : []),
    ...(random() < 0.1 ? ['--verify'] : []),
  ];
  return { args: ['backup', ...flags], key };
}

async function backup(): Promise<void> {
  const [content, { args, key }] = [await contentNow(), randomBackup()];
  const ended = await run(args, { key });
  const found = await notice(content);
  demand(ended.exitCode === 0 && found.length === 1, `${args.join(' ')} failed`, ended);
}

async function killedBackup(): Promise<void> {
  const [content, { args, key }] = [await contentNow(), randomBackup()];
  await runKilled(args, { key });
  await notice(content);
}

async function jumpedBackup(): Promise<void> {
  const content = await contentNow();
  const ended = await run(['backup'], { shiftMs: pick([-400, -2, 2, 400]) * 86_400_000 });
  demand(ended.exitCode === 0 && (await notice(content)).length === 1, 'a backup with another clock failed', ended);
}

async function fullDisk(): Promise<void> {
  if (!isMounted) return;
  const filler = path.join(directory, 'filler');
  spawnSync('dd', ['if=/dev/zero', `of=${filler}`, 'bs=4096', 'status=none']);
  const file = await open(filler, 'r+');
  await file.truncate(Math.max(0, (await file.stat()).size - Math.floor(random() * 60_000)));
  await file.close();
  const content = await contentNow();
  const ended = await run(['backup', '--full']);
  const found = await notice(content);
  demand((ended.exitCode === 0) === (found.length === 1), 'a full disk: the exit code is not true', ended);
  await rm(filler);
}

/** Several commands at once, some of them elsewhere. Nothing is written meanwhile. */
async function several(): Promise<void> {
  const content = await contentNow();
  const two = [randomBackup(), randomBackup()];
  const ends = await Promise.all([
    ...two.map(({ args, key }, index) => run(args, { key, elsewhere: canUnshare && index === 1 })),
    runKilled(randomBackup().args, { key: true, elsewhere: canUnshare && random() < 0.5 }),
  ]);
  const found = await notice(content);
  for (const ended of ends.slice(0, 2)) demand(ended.exitCode === 0, 'a backup beside others failed', ended);
  demand(found.length >= 2, 'a backup beside others is missing');
}

function anySet(): readonly [string, ModelSet] | undefined {
  return sets.size === 0 ? undefined : pick([...sets]);
}

async function verify(): Promise<void> {
  const [id, set] = anySet() ?? [];
  if (id === undefined || set === undefined) return;
  const args = ['backup', 'verify', id, '--service', Object.keys(set.content).join(',')];
  const ended = random() < 0.2 ? undefined : await run(args, { key: set.encrypted });
  if (ended === undefined) await runKilled(args, { key: set.encrypted });
  else demand(ended.exitCode === (set.damaged.size === 0 ? 0 : 4), `verify ${id}, damaged: ${[...set.damaged]}`, ended);
}

async function restoreSet(id: string, set: ModelSet): Promise<void> {
  const before = await contentNow();
  const ended = await run(restoreArgs(id, set), { key: set.encrypted });
  const after = await contentNow();
  const isGood = set.damaged.size === 0;
  demand(ended.exitCode === (isGood ? 0 : 4), `restore ${id}, damaged: ${[...set.damaged]}`, ended);
  demand(isDeepStrictEqual(after, isGood ? { ...before, ...set.content } : before), `restore ${id}: other rows`, ended);
}

function restoreArgs(id: string, { content }: ModelSet): readonly string[] {
  const asked = fleet.targets.filter(({ service }) => service.name in content);
  // The name of a single database, or the host of several.
  const name = asked.length === 1 ? asked[0]?.database : asked[0]?.admin.host;
  return ['restore', id, '--service', Object.keys(content).join(','), '--drop-old', '--confirm', name ?? ''];
}

async function restore(): Promise<void> {
  const [id, set] = anySet() ?? [];
  if (id !== undefined && set !== undefined) await restoreSet(id, set);
}

async function killedRestore(): Promise<void> {
  const [id, set] = anySet() ?? [];
  if (id === undefined || set === undefined) return;
  const before = await contentNow();
  const ended = await runKilled(restoreArgs(id, set), { key: set.encrypted });
  const after = await contentNow();
  const isOld = isDeepStrictEqual(after, before);
  const isNew = set.damaged.size === 0 && isDeepStrictEqual(after, { ...before, ...set.content });
  demand(isOld || isNew, `a killed restore of ${id} left other rows`, ended);
}

/** The newest verified set of each service, which a removal must spare. */
async function proofs(): Promise<ReadonlyMap<string, string>> {
  const listed = await listSets(storage(), { identity });
  const good = listed.filter(({ verified, isFuture }) => verified?.ok === true && !isFuture);
  return new Map(
    services().flatMap((service) => {
      const newest = good.find((set) => set.services.includes(service));
      return newest === undefined ? [] : [[service, newest.id] as const];
    }),
  );
}

async function prune(): Promise<void> {
  if (sets.size < 6 && random() < 0.7) return;
  const needed = await proofs();
  const had = services().filter((name) => [...sets.values()].some(({ content }) => name in content));
  const last = 1 + Math.floor(random() * 3);
  const args = ['backup', 'prune', '--last', String(last), '--daily', '0', '--weekly', '0', '--monthly', '0', '--yes'];
  const ended = random() < 0.3 ? await runKilled(args) : await run(args);
  const listed = await storage().list();
  for (const [service, id] of needed) {
    demand(listed.includes(id), `the newest verified set of ${service}, ${id}, was removed`, ended);
  }
  for (const id of [...sets.keys()]) if (!listed.includes(id)) sets.delete(id);
  for (const service of had) {
    const isLeft = [...sets.values()].some(({ content }) => service in content);
    demand(isLeft, `no set of ${service} is left`, ended);
  }
}

/** Changes a byte of one file. Sets that share it are damaged too. */
async function damage(): Promise<void> {
  if (random() < 0.6) return;
  const [id] = anySet() ?? [];
  if (id === undefined) return;
  const { manifest } = await readManifest(storage(), id);
  const file = pick(filesOf(manifest.databases).filter(({ bytes }) => bytes > 0));
  const harmed = path.join(directory, id, ...file.path.split('/'));
  const { ino } = await stat(harmed);
  const handle = await open(harmed, 'r+');
  const at = Math.floor(random() * file.bytes);
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at);
  await handle.write(Buffer.from([(buffer[0] ?? 0) ^ 0x20]), 0, 1, at);
  await handle.close();
  for (const [other, set] of sets) {
    for (const entry of await readdir(path.join(directory, other), { recursive: true, withFileTypes: true })) {
      const at = path.join(entry.parentPath, entry.name);
      if (entry.isFile() && (await stat(at)).ino === ino) set.damaged.add(path.basename(entry.parentPath));
    }
  }
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
