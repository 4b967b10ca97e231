import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { Client } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { type Address, addressUrl, isListening, listenIn, readAddress } from '../src/postgres/companion/address';
import { claimDirectory, findHolder, releaseClaim } from '../src/postgres/companion/claim';
import { companionState, removeCompanion, startCompanion, stopCompanion } from '../src/postgres/companion/server';
import { frameReader, message, startupMessage, statementName, withStatementName } from '../src/postgres/companion/wire';

describe('the companion server', () => {
  let home: string;
  const clients: Client[] = [];
  const at = () => ({ home, service: 'rag' });
  const start = () => startCompanion({ ...at(), database: 'azora_rag' });
  const connect = async (): Promise<Client> => {
    const { url } = await start();
    const client = new Client(url.href);
    // Some are cut off on purpose.
    client.on('error', () => undefined);
    clients.push(client);
    await client.connect();
    return client;
  };
  const several = (count: number) => Promise.all(Array.from({ length: count }, connect));
  const countOf = async (client: Client, table: string) =>
    (await client.query<{ count: number }>(`SELECT count(*)::int AS count FROM ${table}`)).rows[0]?.count;

  beforeAll(async () => {
    home = await mkdtemp(path.join(os.tmpdir(), 'azora-companion-'));
  });

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)));
  });

  afterAll(async () => {
    await stopCompanion(at());
    await rm(home, { recursive: true, force: true });
  });

  it('is absent before it was ever started', async () => {
    expect(await companionState(at())).toEqual({ state: 'absent' });
    expect(await stopCompanion(at())).toBe(false);
    expect(await removeCompanion(at())).toBe(false);
  });

  it('is created and started once by three starts at once', async () => {
    const results = await Promise.all([start(), start(), start()]);

    expect(new Set(results.map(({ pid }) => pid)).size).toBe(1);
    expect(results.filter(({ started }) => started)).toHaveLength(1);
    expect(await companionState(at())).toMatchObject({ state: 'running', pid: results[0]?.pid });
    expect((await stat(path.join(home, 'companion', 'rag'))).mode & 0o777).toBe(0o700);
  });

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

  it('does not mix the queries of its clients, however large, or their prepared statements', async () => {
    const ask = async (client: Client, who: number): Promise<string[]> => {
      const answers: string[] = [];
      for (let round = 0; round < 8; round += 1) {
        // Longer than the socket's buffer: its parts arrive between those of others.
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

  it('lets transactions wait for each other and forgets that of a client which is gone', async () => {
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

  it('takes COPY FROM STDIN, and an error where it cannot', async () => {
    const client = await connect();
    await client.query('CREATE TABLE copied (id int)');
    const rows = Readable.from(Array.from({ length: 20_000 }, (_, id) => `${id}\n`));
    await pipeline(rows, client.query(copyFrom('COPY copied (id) FROM STDIN')));
    const bad = pipeline(Readable.from(['x\n']), client.query(copyFrom('COPY copied (id) FROM STDIN')));

    await expect(bad).rejects.toMatchObject({ code: '22P02' });
    await expect(client.query('SELECT 1; COPY copied FROM STDIN')).rejects.toMatchObject({ code: '57014' });
    expect(await countOf(client, 'copied')).toBe(20_000);
  });

  it('keeps no settings of clients that are gone', async () => {
    const client = await connect();
    await client.query("SET statement_timeout = '1s'");
    await client.end();

    expect((await (await connect()).query('SHOW statement_timeout')).rows).toEqual([{ statement_timeout: '0' }]);
  });

  it('keeps every acknowledged row through kill -9', async () => {
    const { pid } = await start();
    const client = await connect();
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

    const results = await Promise.all([start(), start()]);

    expect(results.filter(({ started }) => started)).toHaveLength(1);
    // The last one may have been committed and not answered.
    expect([acknowledged, acknowledged + 1]).toContain(await countOf(await connect(), 'kept'));
  });

  it('stops, and comes back with its rows at the same place', async () => {
    const before = await start();

    expect(await stopCompanion(at())).toBe(true);
    expect(await companionState(at())).toMatchObject({ state: 'stopped' });
    expect(await start()).toMatchObject({ url: { href: before.url.href }, started: true });
    expect(await countOf(await connect(), 'chunk')).toBe(300);
  });

  it('is not stopped by ending a command that works on its data: that one is waited for', async () => {
    await start();
    await stopCompanion(at());
    const claim = await claimDirectory(path.join(home, 'companion', 'rag'), 'command', async () => false);
    const ended: string[] = [];
    const stopping = stopCompanion(at()).then((was) => ended.push(`stopped: ${was}`));
    await sleep(300);

    expect([ended, await companionState(at())]).toMatchObject([[], { state: 'stopped' }]);
    await releaseClaim(claim ?? '');
    await stopping;
    expect(ended).toEqual(['stopped: false']);
  });

  it('is not stopped when that command does not end, and says which it is', async () => {
    await start();
    await stopCompanion(at());
    const claim = await claimDirectory(path.join(home, 'companion', 'rag'), 'command', async () => false);
    const now = Date.now();
    const clock = jest.spyOn(Date, 'now').mockReturnValue(now);
    const stopping = stopCompanion(at());
    await sleep(100);
    clock.mockReturnValue(now + 120_001);

    await expect(stopping).rejects.toMatchObject({ code: 'COMPANION.IN_USE', meta: { pid: process.pid } });
    clock.mockRestore();
    await releaseClaim(claim ?? '');
  });

  it('is removed with its data', async () => {
    await start();

    expect(await removeCompanion(at())).toBe(true);
    expect(await companionState(at())).toEqual({ state: 'absent' });
    expect(await findHolder(path.join(home, 'companion', 'rag'))).toBeUndefined();
  });

  it('refuses a home that is no directory', async () => {
    const file = path.join(home, 'file');
    await writeFile(file, '');

    await expect(startCompanion({ home: file, service: 'rag', database: 'azora_rag' })).rejects.toMatchObject({
      code: 'COMPANION.HOME_UNUSABLE',
    });
  });
});

describe('the socket', () => {
  it('is in a short directory of its own, and stays there, where the path of the home is too long', async () => {
    const parent = await mkdtemp(path.join(os.tmpdir(), 'azora-socket-'));
    const directory = path.join(parent, 'x'.repeat(100));
    await mkdir(directory);
    const found: (Address | undefined)[] = [];
    for (let round = 0; round < 2; round += 1) {
      const server = net.createServer((socket) => socket.end());
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

describe('the claim to a directory', () => {
  let directory: string;
  const claim = () => claimDirectory(directory, 'host', async () => false);

  beforeEach(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'azora-claim-'));
  });

  afterEach(() => rm(directory, { recursive: true, force: true }));

  it('is given to one of many, also when all of them find that the last holder is dead', async () => {
    const dead = spawnSync(process.execPath, ['--version']).pid;
    await writeFile(path.join(directory, 'claim.7'), `${dead} long-ago\n`);

    const claims = await Promise.all(Array.from({ length: 20 }, claim));

    expect(claims.filter((given) => given !== undefined)).toEqual([path.join(directory, 'claim.8')]);
    expect(await findHolder(directory)).toMatchObject({ pid: process.pid });
    expect((await readdir(directory)).sort()).toEqual(['claim.7', 'claim.8']);
  });

  it('ends when its process does, even if another one has the pid by now', async () => {
    await writeFile(path.join(directory, 'claim.1'), `${process.pid} another-start\n`);

    expect(await findHolder(directory)).toBeUndefined();
    expect(await claim()).toBe(path.join(directory, 'claim.2'));
    expect(await claim()).toBeUndefined();
  });

  it('is not given while somebody answers at the socket', async () => {
    expect(await claimDirectory(directory, 'host', async () => true)).toBeUndefined();
    expect(await readdir(directory)).toEqual([]);
  });

  it('sweeps the claims of long ago', async () => {
    await mkdir(directory, { recursive: true });
    for (const number of [1, 2, 30]) await writeFile(path.join(directory, `claim.${number}`), '1 long-ago\n');

    await claim();

    expect((await readdir(directory)).sort()).toEqual(['claim.30', 'claim.31']);
    expect(await readFile(path.join(directory, 'claim.31'), 'utf8')).toContain(`${process.pid} `);
    expect(existsSync(path.join(directory, 'claim.1'))).toBe(false);
  });
});

describe('the protocol', () => {
  const query = message('Q', 'SELECT 1');

  it('is read alike however it is cut', () => {
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

  it('is not what another kind of client speaks', () => {
    expect(frameReader()(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toBeUndefined();
  });

  it.each([
    ['P', message('P', 'old', 'SELECT 1', Buffer.from([0, 0])), message('P', 'newer', 'SELECT 1', Buffer.from([0, 0]))],
    ['B', message('B', 'portal', 'old', Buffer.alloc(6)), message('B', 'portal', 'newer', Buffer.alloc(6))],
    ['D', message('D', Buffer.from('S'), 'old'), message('D', Buffer.from('S'), 'newer')],
    ['C', message('C', Buffer.from('S'), 'old'), message('C', Buffer.from('S'), 'newer')],
  ])('names a statement in %s', (type, bytes, renamed) => {
    expect(statementName({ type, bytes })).toBe('old');
    expect(withStatementName({ type, bytes }, 'newer')).toEqual({ type, bytes: renamed });
  });

  it('names no statement where a portal is described', () => {
    expect(statementName({ type: 'D', bytes: message('D', Buffer.from('P'), 'portal') })).toBeUndefined();
  });
});
