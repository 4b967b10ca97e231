/** @server any */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DatabaseUrl, withUrlParts } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import { newAccount } from '../src/postgres/embedded/account';
import { embeddedOffers, linkLibraries, usableBinaries } from '../src/postgres/embedded/binaries';
import { embeddedState, type StartedServer, startEmbedded, stopEmbedded } from '../src/postgres/embedded/server';
import { processStart } from '../src/system/processes';

const isRoot = process.getuid?.() === 0;

async function rowsOf<Row extends object>(url: DatabaseUrl, sql: string): Promise<Row[]> {
  return withClient(url, async (client) => (await client.query<Row>(sql)).rows);
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'no error',
    (error: { code?: string }) => String(error.code),
  );
}

describe('the embedded server', () => {
  let home: string;
  const dataFile = (name: string) => path.join(home, 'embedded', 'data', name);
  const start = () => startEmbedded({ home });
  let created: readonly StartedServer[];
  /** Kills the server and waits until its process, and so its port, is gone. */
  const kill = async () => {
    const { pid } = await start();
    process.kill(pid, 'SIGKILL');
    while ((await processStart(pid)) !== undefined) await sleep(10);
    return pid;
  };

  beforeAll(async () => {
    const checkout = await mkdtemp(path.join(os.tmpdir(), 'azora-embedded-'));
    await chmod(checkout, 0o755);
    home = path.join(checkout, '.azora');
    // The unfinished server of a process that has ended.
    await mkdir(path.join(home, 'embedded.new-999999-gone-00000000', 'data'), { recursive: true });
    const environment = { ...process.env, AZORA_BACKUP_KEY: 'secret', PGOPTIONS: '-c fsync=off' };
    created = await Promise.all([1, 2, 3].map(() => startEmbedded({ home, environment })));
  });

  afterAll(async () => {
    await stopEmbedded({ home });
    await rm(path.dirname(home), { recursive: true, force: true });
  });

  it('is absent before its first start', async () => {
    const unused = path.join(path.dirname(home), 'unused');

    expect(await embeddedState({ home: unused })).toEqual({ state: 'absent' });
    expect(await stopEmbedded({ home: unused })).toBe(false);
  });

  it('is created and started once by three starts at once', async () => {
    expect(new Set(created.map(({ url }) => url.href)).size).toBe(1);
    expect(new Set(created.map(({ pid }) => pid)).size).toBe(1);
    expect(created.filter(({ started }) => started)).toHaveLength(1);
    expect(await readdir(home)).toEqual(['embedded']);
  });

  (process.platform === 'linux' ? it : it.skip)('does not see the secrets of the command (Linux)', async () => {
    const { pid } = await start();
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8');

    expect(environment).toContain('LC_ALL=C\0');
    expect(environment).not.toMatch(/AZORA_|TEST_DATABASE_URL|PGOPTIONS/);
  });

  it('reports its state', async () => {
    const { url, pid } = await start();

    expect(await embeddedState({ home })).toEqual({
      state: 'running',
      pid,
      port: url.port,
      version: expect.stringMatching(/^18\./),
      dataDirectory: path.join(home, 'embedded', 'data'),
    });
  });

  it('is private to the machine and durable', async () => {
    const { url } = await start();
    const wanted = {
      data_checksums: 'on',
      fsync: 'on',
      full_page_writes: 'on',
      listen_addresses: '127.0.0.1',
      max_connections: '200',
      password_encryption: 'scram-sha-256',
      server_encoding: 'UTF8',
      synchronous_commit: 'on',
      unix_socket_directories: '',
    };
    const names = Object.keys(wanted).map((name) => `'${name}'`);
    const settings = await rowsOf<{ name: string; setting: string }>(
      url,
      `SELECT name, setting FROM pg_settings WHERE name IN (${names})`,
    );
    const methods = await rowsOf(url, 'SELECT DISTINCT auth_method FROM pg_hba_file_rules');

    expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toEqual(wanted);
    expect(methods).toEqual([{ auth_method: 'scram-sha-256' }]);
    expect((await stat(path.join(home, 'embedded', 'password'))).mode & 0o777).toBe(0o600);
    expect((await stat(path.join(home, 'embedded'))).mode & 0o777).toBe(0o700);
    expect(await codeOf(rowsOf(withUrlParts(url, { password: 'wrong' }), 'SELECT 1'))).toBe('SERVER.REFUSED');
  });

  it('keeps committed rows through kill -9, whichever command starts it again', async () => {
    const { url } = await start();
    await rowsOf(url, 'CREATE TABLE killed AS SELECT generate_series(1, 100) AS id');
    const pid = await kill();

    const results = await Promise.all([start(), start(), start()]);

    expect(new Set(results.map((result) => result.pid)).size).toBe(1);
    expect(results[0]?.pid).not.toBe(pid);
    expect(await rowsOf(url, 'SELECT count(*)::int AS count FROM killed')).toEqual([{ count: 100 }]);
  });

  it('stops, and starts again on its port', async () => {
    const { url } = await start();

    expect(await stopEmbedded({ home })).toBe(true);
    expect(await stopEmbedded({ home })).toBe(false);
    expect(await embeddedState({ home })).toMatchObject({ state: 'stopped', version: '18' });
    expect(await start()).toMatchObject({ url: { href: url.href }, started: true });
  });

  it('takes another port when its own is in use', async () => {
    const { url } = await start();
    await rowsOf(url, 'CREATE TABLE moved AS SELECT generate_series(1, 100) AS id');
    await stopEmbedded({ home });
    const other = net.createServer().listen(url.port, '127.0.0.1');

    const again = await start();
    other.close();

    expect(again.url.port).not.toBe(url.port);
    expect(await rowsOf(again.url, 'SELECT count(*)::int AS count FROM moved')).toEqual([{ count: 100 }]);
  });

  it('does not mistake another program on the port of a killed server for itself', async () => {
    const { url } = await start();
    await kill();
    const received: string[] = [];
    // Accepts every client and asks for the password in clear text.
    const other = net.createServer((socket) => {
      socket.on('data', (data) => received.push(data.toString()));
      socket.on('error', () => undefined);
      socket.write(Buffer.from('R\0\0\0\x08\0\0\0\x03', 'latin1'));
    });
    await new Promise<void>((resolve) => other.listen(url.port, '127.0.0.1', () => resolve()));

    expect(await embeddedState({ home })).toMatchObject({ state: 'stopped' });
    expect((await start()).url.port).not.toBe(url.port);
    other.close();
    expect(received).toEqual([]);
  });

  it('starts although another process of its account has the pid of the killed server', async () => {
    await kill();
    const { uid, gid } = await stat(dataFile('PG_VERSION'));
    const bystander = spawn('sleep', ['60'], { stdio: 'ignore', ...(isRoot ? { uid, gid } : {}) });
    const pidFile = await readFile(dataFile('postmaster.pid'), 'utf8');
    await writeFile(dataFile('postmaster.pid'), pidFile.replace(/^\d+/, String(bystander.pid)));

    expect(await start()).toMatchObject({ started: true });
    expect(bystander.kill(0)).toBe(true);
    bystander.kill();
  });

  it('reports why it does not start, without its password', async () => {
    const password = (await readFile(path.join(home, 'embedded', 'password'), 'utf8')).trim();
    await stopEmbedded({ home });
    await rename(dataFile('global'), dataFile('elsewhere'));

    const error: unknown = await start().catch((thrown: unknown) => thrown);
    await rename(dataFile('elsewhere'), dataFile('global'));

    expect(error).toMatchObject({ code: 'EMBEDDED.START_FAILED', why: expect.stringContaining('pg_control') });
    expect(JSON.stringify(error)).not.toContain(password);
  });

  it('reports a lost or wrong password', async () => {
    const file = path.join(home, 'embedded', 'password');
    await start();
    const password = await readFile(file, 'utf8');
    await writeFile(file, 'wrong\n');
    const wrong = await codeOf(start());
    await writeFile(file, '');
    const lost = await codeOf(start());
    await writeFile(file, password);

    expect([wrong, lost]).toEqual(['EMBEDDED.WRONG_PASSWORD', 'EMBEDDED.NO_PASSWORD']);
    expect(await start()).toMatchObject({ started: false });
  });

  it('rejects a home that is not a directory', async () => {
    const file = path.join(path.dirname(home), 'file');
    await writeFile(file, '');

    expect(await codeOf(startEmbedded({ home: file }))).toBe('EMBEDDED.HOME_UNUSABLE');
    expect(await codeOf(embeddedState({ home: path.join(file, 'below') }))).toBe('EMBEDDED.HOME_UNUSABLE');
  });
});

describe('the programs of the embedded server', () => {
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'azora-binaries-'));
  });

  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('run when no install script created the links between their libraries', async () => {
    const { initdb } = await usableBinaries(directory, undefined);
    const installed = path.dirname(path.dirname(initdb));
    const native = path.join(directory, 'native');
    await cp(installed, native, { recursive: true, verbatimSymlinks: true });
    const list = await readFile(path.join(native, 'pg-symlinks.json'), 'utf8');
    const links = JSON.parse(list) as { target: string }[];
    await Promise.all(links.map(({ target }) => rm(path.join(directory, target), { force: true })));

    await Promise.all([linkLibraries(native), linkLibraries(native)]);

    expect(links.filter(({ target }) => !existsSync(path.join(directory, target)))).toEqual([]);
    const version = execFileSync(path.join(native, 'bin', 'initdb'), ['--version'], { encoding: 'utf8' });
    expect(version).toMatch(/^initdb \(PostgreSQL\) 18/);
  });

  it('offer the usual extensions but not pgvector', () => {
    expect(['pg_trgm', 'pgcrypto', 'vector'].map(embeddedOffers)).toEqual([true, true, false]);
  });
});

(isRoot ? describe : describe.skip)('run by root (skipped for other users)', () => {
  it('moves to a place that its account can reach when it cannot reach the home', async () => {
    const closed = await mkdtemp(path.join(os.tmpdir(), 'azora-closed-'));
    const home = path.join(closed, '.azora');
    try {
      const { url } = await startEmbedded({ home });
      const { dataDirectory = '' } = await embeddedState({ home });
      const base = path.dirname(path.dirname(dataDirectory));
      const account = await newAccount();

      expect(path.dirname(base)).toBe('/var/lib/azora');
      expect(await readFile(path.join(home, 'embedded.location'), 'utf8')).toBe(`${base}\n`);
      expect(await stat(base)).toMatchObject({ ...account, mode: 0o40700 });
      expect((await stat('/var/lib/azora')).mode & 0o777).toBe(0o711);
      expect((await stat(closed)).mode & 0o777).toBe(0o700);
      expect(await startEmbedded({ home })).toMatchObject({ url: { href: url.href }, started: false });
      expect(await stopEmbedded({ home })).toBe(true);
      await rm(base, { recursive: true });
    } finally {
      await stopEmbedded({ home });
      await rm(closed, { recursive: true, force: true });
    }
  });

  it('lets its account pass through a home of its own', async () => {
    const home = await mkdtemp(path.join(os.tmpdir(), 'azora-home-'));
    await startEmbedded({ home });
    await stopEmbedded({ home });

    expect((await stat(home)).mode & 0o777).toBe(0o711);
    expect((await stat(path.join(home, 'embedded', 'data'))).uid).toBe((await newAccount())?.uid);
    await rm(home, { recursive: true });
  });
});
