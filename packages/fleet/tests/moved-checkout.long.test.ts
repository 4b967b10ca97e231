/** @server none */
import { chmod, cp, mkdir, mkdtemp, readFile, realpath, rename, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { DatabaseUrl } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { companionState, startCompanion, stopCompanion } from '../src/postgres/companion/server';
import { embeddedState, startEmbedded, stopEmbedded } from '../src/postgres/embedded/server';
import { processStart } from '../src/system/processes';

const isRoot = process.getuid?.() === 0;

async function rowsOf<Row extends object>(url: DatabaseUrl, sql: string): Promise<Row[]> {
  return withClient(url, async (client) => (await client.query<Row>(sql)).rows);
}

/** Checkouts below one directory, each with a home. The servers of all homes are stopped at the end. */
let directory: string;
const homes = new Set<string>();
const homeOf = (checkout: string): string => {
  const home = path.join(directory, checkout, '.azora');
  homes.add(home);
  return home;
};
const move = (from: string, to: string) => rename(path.join(directory, from), path.join(directory, to));
/** As `cp -r` does, which copies everything but sockets. */
const copy = (from: string, to: string) =>
  cp(path.join(directory, from), path.join(directory, to), {
    recursive: true,
    preserveTimestamps: true,
    filter: (source) => !path.basename(source).startsWith('.s.PGSQL'),
  });

beforeAll(async () => {
  // Real, because /tmp is a symbolic link on macOS. Accessible, so that root's account can reach the homes.
  directory = await realpath(await mkdtemp(path.join(os.tmpdir(), 'azora-moved-')));
  await chmod(directory, 0o755);
});

afterAll(async () => {
  for (const home of homes) {
    await stopEmbedded({ home }).catch(() => undefined);
    await stopCompanion({ home, service: 'rag' }).catch(() => undefined);
  }
  await rm(directory, { recursive: true, force: true });
});

describe('the embedded server of a moved checkout', () => {
  it('is restarted once with the new paths, and keeps its rows', async () => {
    const first = await startEmbedded({ home: homeOf('a') });
    await rowsOf(first.url, 'CREATE TABLE kept AS SELECT 1 AS id');
    await move('a', 'b');
    const home = homeOf('b');

    const found = await Promise.all([startEmbedded({ home }), startEmbedded({ home })]);
    const again = await startEmbedded({ home });

    expect(new Set(found.map(({ pid }) => pid)).size).toBe(1);
    expect(found[0]?.pid).not.toBe(first.pid);
    expect(again).toMatchObject({ pid: found[0]?.pid, started: false, url: { href: found[0]?.url.href } });
    expect(await rowsOf(again.url, `SELECT id, current_setting('data_directory') AS data FROM kept`)).toEqual([
      { id: 1, data: path.join(home, 'embedded', 'data') },
    ]);
    expect(await rowsOf(again.url, 'SELECT pg_reload_conf() AS ok, error FROM pg_file_settings LIMIT 1')).toMatchObject(
      [{ ok: true, error: null }],
    );
  });

  it('is not the server of a new checkout at the former path', async () => {
    const moved = await startEmbedded({ home: homeOf('b') });

    const created = await startEmbedded({ home: homeOf('a') });

    expect(created.url.port).not.toBe(moved.url.port);
    expect(await rowsOf(created.url, `SELECT to_regclass('kept') AS kept`)).toEqual([{ kept: null }]);
    await stopEmbedded({ home: homeOf('a') });
    expect(await embeddedState({ home: homeOf('b') })).toMatchObject({ state: 'running', pid: moved.pid });
  });
});

describe('the embedded server of a copied checkout', () => {
  it('is its own, and says that its data was copied from a running server', async () => {
    const original = await startEmbedded({ home: homeOf('b') });
    await copy('b', 'copy');
    const home = homeOf('copy');
    const lines: string[] = [];

    expect(await stopEmbedded({ home })).toBe(false);
    const started = await startEmbedded({ home, onProgress: (line) => lines.push(line) });
    await rowsOf(started.url, 'DROP TABLE kept');

    expect(started.url.port).not.toBe(original.url.port);
    expect(lines.join('\n')).toContain(`copied from ${homeOf('b')} while the server there was running`);
    expect(await rowsOf(original.url, 'SELECT id FROM kept')).toEqual([{ id: 1 }]);
    await stopEmbedded({ home });
    expect(await embeddedState({ home: homeOf('b') })).toMatchObject({ state: 'running', pid: original.pid });
  });

  it('does not take the port of a stopped original', async () => {
    const { url } = await startEmbedded({ home: homeOf('b') });
    await stopEmbedded({ home: homeOf('b') });
    await copy('b', 'second');
    const lines: string[] = [];

    const second = await startEmbedded({ home: homeOf('second'), onProgress: (line) => lines.push(line) });

    expect(second.url.port).not.toBe(url.port);
    expect(lines).toEqual(['starting the embedded server']);
    expect((await startEmbedded({ home: homeOf('b') })).url.href).toBe(url.href);
  });
});

(isRoot ? describe : describe.skip)('the server of root outside of its home (skipped for other users)', () => {
  const bases = new Set<string>();
  const baseOf = async (home: string): Promise<string> => {
    const base = (await readFile(path.join(home, 'embedded.location'), 'utf8')).trim();
    bases.add(base);
    return base;
  };

  afterAll(async () => {
    for (const name of ['closed/one', 'closed/two', 'closed/three']) await stopEmbedded({ home: homeOf(name) });
    await Promise.all([...bases].map((base) => rm(base, { recursive: true, force: true })));
  });

  it('moves with its home, and belongs to no copy and to no new home at the former path', async () => {
    await mkdir(path.join(directory, 'closed'), { mode: 0o700 });
    const first = await startEmbedded({ home: homeOf('closed/one') });
    const base = await baseOf(homeOf('closed/one'));
    await move('closed/one', 'closed/two');
    const moved = await startEmbedded({ home: homeOf('closed/two') });
    await copy('closed/two', 'closed/three');

    expect(await embeddedState({ home: homeOf('closed/three') })).toEqual({ state: 'absent' });
    expect(await stopEmbedded({ home: homeOf('closed/three') })).toBe(false);
    const copied = await startEmbedded({ home: homeOf('closed/three') });
    const created = await startEmbedded({ home: homeOf('closed/one') });

    expect(moved).toMatchObject({ started: false, pid: first.pid });
    expect(await baseOf(homeOf('closed/two'))).toBe(base);
    expect(new Set([first.pid, copied.pid, created.pid]).size).toBe(3);
    expect(new Set([base, await baseOf(homeOf('closed/three')), await baseOf(homeOf('closed/one'))]).size).toBe(3);
  });
});

describe.each([
  ['a socket in its directory', 'c'],
  ['a socket elsewhere, because its path is too long', `c${'-long'.repeat(20)}`],
])('a companion with %s', (_title, checkout) => {
  const start = (name: string) => startCompanion({ home: homeOf(name), service: 'rag', database: 'azora_rag' });

  it('is restarted after its checkout was moved, and keeps its rows', async () => {
    const first = await start(checkout);
    await rowsOf(first.url, 'CREATE TABLE kept AS SELECT 1 AS id');
    await move(checkout, `${checkout}-moved`);

    const found = await Promise.all([start(`${checkout}-moved`), start(`${checkout}-moved`)]);

    expect(new Set(found.map(({ pid }) => pid)).size).toBe(1);
    expect(found[0]?.pid).not.toBe(first.pid);
    expect(await processStart(first.pid)).toBeUndefined();
    expect(await rowsOf(found[0]?.url ?? first.url, 'SELECT id FROM kept')).toEqual([{ id: 1 }]);
  });

  it('is not used or stopped by a copy of its checkout', async () => {
    const original = await start(`${checkout}-moved`);
    await copy(`${checkout}-moved`, `${checkout}-copy`);
    const copied = { home: homeOf(`${checkout}-copy`), service: 'rag' };

    expect(await companionState(copied)).toMatchObject({ state: 'stopped' });
    expect(await stopCompanion(copied)).toBe(false);
    const started = await start(`${checkout}-copy`);
    await rowsOf(started.url, 'DROP TABLE kept');

    expect(started.pid).not.toBe(original.pid);
    expect(await rowsOf(original.url, 'SELECT id FROM kept')).toEqual([{ id: 1 }]);
  });
});
