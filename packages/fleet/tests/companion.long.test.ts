/** @server none */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import fc from 'fast-check';
import { Client } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { type Address, addressUrl, isListening, listenIn, readAddress } from '../src/postgres/companion/address';
import { companionState, removeCompanion, startCompanion, stopCompanion } from '../src/postgres/companion/server';
import { frameReader, message, startupMessage, statementName, withStatementName } from '../src/postgres/companion/wire';
import { findLockOwner, lockDirectory, unlockDirectory } from '../src/system/lock-file';

const { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } = fs;

/** A home for one companion, with clients that {@link remove} closes. */
interface Given {
  readonly options: { readonly home: string; readonly service: string };
  readonly directory: string;
  readonly start: () => ReturnType<typeof startCompanion>;
  readonly connect: () => Promise<Client>;
  readonly disconnect: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

/** An empty companion, stopped. Copying its data takes a fraction of the time in which PGlite creates it. */
let template: Given;

beforeAll(async () => {
  template = await givenHome();
  await template.start();
  await stopCompanion(template.options);
});
afterAll(() => template.remove());

async function copyTemplate(given: Given): Promise<void> {
  await mkdir(given.directory, { recursive: true, mode: 0o700 });
  await cp(path.join(template.directory, 'data'), path.join(given.directory, 'data'), { recursive: true });
}

async function givenHome(): Promise<Given> {
  const home = await mkdtemp(path.join(os.tmpdir(), 'azora-companion-'));
  const options = { home, service: 'rag' };
  const clients: Client[] = [];
  const start = () => startCompanion({ ...options, database: 'azora_rag' });
  const disconnect = async () => {
    await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)));
  };
  return {
    options,
    directory: path.join(home, 'companion', 'rag'),
    start,
    connect: async () => {
      const { url } = await start();
      const client = new Client(url.href);
      // Some connections are cut on purpose.
      client.on('error', () => undefined);
      clients.push(client);
      await client.connect();
      return client;
    },
    disconnect,
    remove: async () => {
      await disconnect();
      await stopCompanion(options);
      await rm(home, { recursive: true, force: true });
    },
  };
}

async function countOf(client: Client, table: string): Promise<number | undefined> {
  const { rows } = await client.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${table}`);
  return rows[0]?.count;
}

describe('a running companion', () => {
  let given: Given;
  const connect = () => given.connect();
  const several = (count: number) => Promise.all(Array.from({ length: count }, connect));

  beforeAll(async () => {
    given = await givenHome();
    await copyTemplate(given);
    await given.start();
  });
  afterEach(() => given.disconnect());
  afterAll(() => given.remove());

  it('answers an approximate search from an HNSW index', async () => {
    const client = await connect();
    await client.query('CREATE EXTENSION vector');
    await client.query('CREATE TABLE chunk (id int, embedding vector(3))');
    await client.query(
      'INSERT INTO chunk SELECT n, ARRAY[cos(n), sin(n), n / 100.0]::vector FROM generate_series(1, 300) n',
    );
    await client.query('CREATE INDEX ON chunk USING hnsw (embedding vector_cosine_ops)');
    await client.query('SET enable_seqscan = off');
    const search = 'SELECT id FROM chunk ORDER BY embedding <=> $1 LIMIT 1';
    const wanted = `[${Math.cos(42)},${Math.sin(42)},0.42]`;

    const plan = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN ${search}`, [wanted]);
    const found = await client.query(search, [wanted]);

    expect(plan.rows.map((row) => row['QUERY PLAN']).join()).toContain('Index Scan using chunk_embedding_idx');
    expect(found.rows).toEqual([{ id: 42 }]);
  });

  it('keeps the queries of its clients apart, however large, and their prepared statements', async () => {
    const ask = async (client: Client, who: number): Promise<string[]> => {
      const answers: string[] = [];
      for (let round = 0; round < 8; round += 1) {
        // Longer than the socket's buffer: its parts arrive between the parts of other queries.
        const large = await client.query(`SELECT '${who}' AS who, length($1) AS length`, ['x'.repeat(200_000)]);
        const named = await client.query({
          name: 'mine',
          text: `SELECT '${who}' AS who, $1::int AS round`,
          values: [round],
        });
        answers.push(`${large.rows[0].who} ${large.rows[0].length}`, `${named.rows[0].who} ${named.rows[0].round}`);
      }
      return answers;
    };

    const answers = await Promise.all((await several(6)).map(ask));

    const expected = (who: number) =>
      Array.from({ length: 8 }, (_, round) => [`${who} 200000`, `${who} ${round}`]).flat();
    expect(answers).toEqual(answers.map((_, who) => expected(who)));
  });

  it('runs transactions one after another, and rolls back the transaction of a client that disconnects', async () => {
    const [first, second, third] = (await several(3)) as [Client, Client, Client];
    await first.query('CREATE TABLE entry (who text)');
    await first.query('BEGIN');
    await first.query("INSERT INTO entry VALUES ('first')");
    const waiting = second.query("INSERT INTO entry VALUES ('second')");
    await first.query("INSERT INTO entry VALUES ('first')");
    await expect(first.query('SELECT 1/0')).rejects.toMatchObject({ code: '22012' });
    await expect(first.query('SELECT 1')).rejects.toMatchObject({ code: '25P02' });
    await first.query('ROLLBACK');
    await waiting;
    await third.query('BEGIN');
    await third.query("INSERT INTO entry VALUES ('third')");
    (third as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();

    expect((await second.query('SELECT who FROM entry')).rows).toEqual([{ who: 'second' }]);
  });

  it('accepts COPY FROM STDIN, and reports an error where it cannot', async () => {
    const client = await connect();
    await client.query('CREATE TABLE copied (id int)');
    const rows = Readable.from(Array.from({ length: 20_000 }, (_, id) => `${id}\n`));
    await pipeline(rows, client.query(copyFrom('COPY copied (id) FROM STDIN')));
    const bad = pipeline(Readable.from(['x\n']), client.query(copyFrom('COPY copied (id) FROM STDIN')));

    await expect(bad).rejects.toMatchObject({ code: '22P02' });
    await expect(client.query('SELECT 1; COPY copied FROM STDIN')).rejects.toMatchObject({ code: '57014' });
    expect(await countOf(client, 'copied')).toBe(20_000);
  });

  it('discards the settings of clients that have disconnected', async () => {
    const client = await connect();
    await client.query("SET statement_timeout = '1s'");
    await client.end();

    expect((await (await connect()).query('SHOW statement_timeout')).rows).toEqual([{ statement_timeout: '0' }]);
  });
});

describe('the companion server', () => {
  let given: Given;

  beforeEach(async () => {
    given = await givenHome();
  });
  afterEach(() => given.remove());

  it('is absent before its first start', async () => {
    expect(await companionState(given.options)).toEqual({ state: 'absent' });
    expect(await stopCompanion(given.options)).toBe(false);
    expect(await removeCompanion(given.options)).toBe(false);
  });

  it('is created and started once by three starts at once', async () => {
    const results = await Promise.all([given.start(), given.start(), given.start()]);

    expect(new Set(results.map(({ pid }) => pid)).size).toBe(1);
    expect(results.filter(({ started }) => started)).toHaveLength(1);
    expect(await companionState(given.options)).toMatchObject({ state: 'running', pid: results[0]?.pid });
    expect((await stat(given.directory)).mode & 0o777).toBe(0o700);
  });

  it('keeps every acknowledged row through kill -9', async () => {
    await copyTemplate(given);
    const { pid } = await given.start();
    const client = await given.connect();
    await client.query('CREATE TABLE kept (id int)');
    let acknowledged = 0;
    const inserting = (async () => {
      for (;;) {
        await client.query('INSERT INTO kept VALUES (1)');
        acknowledged += 1;
        if (acknowledged === 100) process.kill(pid, 'SIGKILL');
      }
    })();
    await expect(inserting).rejects.toThrow();

    const results = await Promise.all([given.start(), given.start()]);

    expect(results.filter(({ started }) => started)).toHaveLength(1);
    // The last row may have been committed without an answer.
    expect([acknowledged, acknowledged + 1]).toContain(await countOf(await given.connect(), 'kept'));
  });

  it('is started while the socket of a killed one still accepts connections', async () => {
    await copyTemplate(given);
    const dying = net.createServer((socket) => socket.once('data', () => socket.destroy())).unref();
    await listenIn(given.directory, dying);

    expect(await given.start()).toMatchObject({ started: true });
    expect(await (await given.connect()).query('SELECT 1')).toMatchObject({ rowCount: 1 });
    await new Promise((resolve) => dying.close(resolve));
  });

  it('counts as running while it is too busy to answer, as long as its process lives', async () => {
    await mkdir(given.directory, { recursive: true });
    const lock = (await lockDirectory(given.directory, 'host', async () => false)) ?? '';
    const busy = net.createServer((socket) => socket.resume()).unref();
    await listenIn(given.directory, busy);

    // The end of the test stops the process that owns the directory, which must not be this one.
    const started = await given.start().finally(() => unlockDirectory(lock));
    await new Promise((resolve) => busy.close(resolve));

    expect(started).toMatchObject({ started: false, pid: process.pid });
  });

  it('stops, and starts again at the same address with its rows', async () => {
    await copyTemplate(given);
    const before = await given.start();
    const client = await given.connect();
    await client.query('CREATE TABLE kept AS SELECT generate_series(1, 300) AS id');
    await client.end();

    expect(await stopCompanion(given.options)).toBe(true);
    expect(await companionState(given.options)).toMatchObject({ state: 'stopped' });
    expect(await given.start()).toMatchObject({ url: { href: before.url.href }, started: true });
    expect(await countOf(await given.connect(), 'kept')).toBe(300);
  });

  it('is removed with its data', async () => {
    given = await givenHome();
    await copyTemplate(given);
    await given.start();

    expect(await removeCompanion(given.options)).toBe(true);
    expect(await companionState(given.options)).toEqual({ state: 'absent' });
    expect(await findLockOwner(given.directory)).toBeUndefined();
  });

  it('rejects a home that is not a directory', async () => {
    const home = path.join(given.options.home, 'file');
    await writeFile(home, '');

    await expect(startCompanion({ home, service: 'rag', database: 'azora_rag' })).rejects.toMatchObject({
      code: 'COMPANION.HOME_UNUSABLE',
    });
  });

  describe('while a command works on its data', () => {
    let lock: string;

    beforeEach(async () => {
      await mkdir(given.directory, { recursive: true });
      lock = (await lockDirectory(given.directory, 'command', async () => false)) ?? '';
    });
    afterEach(() => jest.restoreAllMocks());

    /** Resolves when the directory was read `count` times. A stop reads it each time it looks for the owner. */
    function reads(count: number): Promise<void> {
      const read = jest.spyOn(fs, 'readdir');
      return new Promise((resolve) => {
        read.mockImplementation((async (directory: string) => {
          if (read.mock.calls.length >= count) resolve();
          return jest.requireActual<typeof import('node:fs')>('node:fs').readdirSync(directory);
        }) as unknown as typeof fs.readdir);
      });
    }

    it('waits for the command before it stops', async () => {
      const waited = reads(3);
      let isOver = false;
      const stopping = stopCompanion(given.options).finally(() => {
        isOver = true;
      });
      await waited;

      expect(isOver).toBe(false);
      expect(await companionState(given.options)).toMatchObject({ state: 'absent' });
      await unlockDirectory(lock);
      expect(await stopping).toBe(false);
    });

    it('names the command that does not end', async () => {
      const now = Date.now();
      const clock = jest.spyOn(Date, 'now').mockReturnValue(now);
      const waited = reads(2);
      const stopping = stopCompanion(given.options);
      const failure = expect(stopping).rejects.toMatchObject({ code: 'COMPANION.IN_USE', meta: { pid: process.pid } });
      await waited;
      clock.mockReturnValue(now + 120_001);

      await failure;
      jest.restoreAllMocks();
      await unlockDirectory(lock);
    });
  });
});

describe('the socket', () => {
  it('is in a short directory of its own, and stays there, when the path of the home is too long', async () => {
    const parent = await mkdtemp(path.join(os.tmpdir(), 'azora-socket-'));
    const directory = path.join(parent, 'x'.repeat(100));
    await mkdir(directory);
    const found: (Address | undefined)[] = [];
    for (let round = 0; round < 2; round += 1) {
      const server = net.createServer((socket) => socket.once('data', () => socket.end('N')));
      found.push(await listenIn(directory, server), await readAddress(directory));
      expect(await isListening(found[0])).toBe(true);
      await new Promise((resolve) => server.close(resolve));
      expect(await isListening(found[0])).toBe(false);
    }

    expect(new Set(found.map((address) => JSON.stringify(address))).size).toBe(1);
    const { host } = addressUrl(found[0] ?? { port: 0 }, 'azora_rag', 'rag');
    expect(host.length).toBeLessThan(80);
    expect((await stat(host)).mode & 0o777).toBe(0o700);
    await chmod(host, 0o777);
    expect(await readAddress(directory)).toBeUndefined();
    await Promise.all([host, parent].map((made) => rm(made, { recursive: true })));
  });
});

describe('the lock file of a directory', () => {
  let directory: string;
  const lock = () => lockDirectory(directory, 'host', async () => false);

  beforeEach(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'azora-lock-'));
  });

  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('is given to one of many processes that find the last owner dead', async () => {
    const dead = spawnSync(process.execPath, ['--version']).pid;
    await writeFile(path.join(directory, 'lock.7'), `${dead} long-ago\n`);

    const locks = await Promise.all(Array.from({ length: 20 }, lock));

    expect(locks.filter((given) => given !== undefined)).toEqual([path.join(directory, 'lock.8')]);
    expect(await findLockOwner(directory)).toMatchObject({ pid: process.pid });
    expect((await readdir(directory)).sort()).toEqual(['lock.7', 'lock.8']);
  });

  it('ends with its process, even when a later process has the same pid', async () => {
    await writeFile(path.join(directory, 'lock.1'), `${process.pid} another-start\n`);

    expect(await findLockOwner(directory)).toBeUndefined();
    expect(await lock()).toBe(path.join(directory, 'lock.2'));
    expect(await lock()).toBeUndefined();
  });

  it('counts under the name that versions before 0.2 use', async () => {
    const own = (await lock()) ?? '';
    await fs.rename(own, path.join(directory, 'claim.1'));

    expect(await findLockOwner(directory)).toMatchObject({ pid: process.pid });
    expect(await lock()).toBeUndefined();
  });

  it('is not given while a server answers on the socket', async () => {
    expect(await lockDirectory(directory, 'host', async () => true)).toBeUndefined();
    expect(await readdir(directory)).toEqual([]);
  });

  it('removes lock files of long ago', async () => {
    for (const number of [1, 2, 30]) await writeFile(path.join(directory, `lock.${number}`), '1 long-ago\n');

    await lock();

    expect((await readdir(directory)).sort()).toEqual(['lock.30', 'lock.31']);
    expect(await readFile(path.join(directory, 'lock.31'), 'utf8')).toContain(`${process.pid} `);
  });
});

describe('the protocol', () => {
  const query = message('Q', 'SELECT 1');

  it('is read the same way however it is cut', () => {
    const sent = [startupMessage(), query, message('P', 'name', 'SELECT $1', Buffer.from([0, 0])), message('S')];
    const whole = Buffer.concat(sent);
    fc.assert(
      fc.property(fc.array(fc.nat(whole.length)), (places) => {
        const cuts = [0, ...places.sort((left, right) => left - right), whole.length];
        const read = frameReader();
        const frames = cuts.slice(1).flatMap((end, index) => read(whole.subarray(cuts[index], end)) ?? []);
        expect(frames.map(({ type }) => type)).toEqual(['', 'Q', 'P', 'S']);
        expect(frames.map(({ bytes }) => bytes.toString('hex'))).toEqual(sent.map((bytes) => bytes.toString('hex')));
      }),
    );
  });

  it('rejects clients of another protocol', () => {
    expect(frameReader()(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toBeUndefined();
  });

  it.each([
    ['P', message('P', 'old', 'SELECT 1', Buffer.from([0, 0])), message('P', 'newer', 'SELECT 1', Buffer.from([0, 0]))],
    ['B', message('B', 'portal', 'old', Buffer.alloc(6)), message('B', 'portal', 'newer', Buffer.alloc(6))],
    ['D', message('D', Buffer.from('S'), 'old'), message('D', Buffer.from('S'), 'newer')],
    ['C', message('C', Buffer.from('S'), 'old'), message('C', Buffer.from('S'), 'newer')],
  ])('finds and replaces the name of a statement in %s', (type, bytes, renamed) => {
    expect(statementName({ type, bytes })).toBe('old');
    expect(withStatementName({ type, bytes }, 'newer')).toEqual({ type, bytes: renamed });
  });

  it('names no statement when it describes a portal', () => {
    expect(statementName({ type: 'D', bytes: message('D', Buffer.from('P'), 'portal') })).toBeUndefined();
  });
});
