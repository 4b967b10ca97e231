import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { SuiteError } from '@azora/db-core';
import { useDatabase } from '@azora/db-testkit';
import { type Mint, type MintTransaction, openMint } from '@azora/mint';

describe('a store', () => {
  const db = useDatabase('mint');
  let mint: Mint;
  const slow: unknown[] = [];

  beforeAll(() => {
    const logger = { warn: (message: string, fields?: object) => slow.push({ message, ...fields }) };
    mint = openMint({ url: db().url, slowQueryMs: 150, logger, pool: { max: 4 } });
  });
  afterAll(() => mint.close());

  it('rolls a transaction back when its work throws', async () => {
    const work = mint.transaction(async (tx) => {
      await tx.$executeRaw`SELECT open_wallet('lost', 'ada', 'AZR')`;
      throw new SuiteError('TEST.STOP', 'stop');
    });

    await expect(work).rejects.toMatchObject({ code: 'TEST.STOP' });
    expect(await mint.prisma.wallet.findUnique({ where: { id: 'lost' } })).toBeNull();
  });

  it('retries a transaction that PostgreSQL ended because of a deadlock', async () => {
    let runs = 0;
    const held = new Set<number>();
    const touch = (first: number, second: number) =>
      mint.transaction(async (tx) => {
        runs += 1;
        await tx.$executeRaw`SELECT pg_advisory_xact_lock(${first})`;
        held.add(first);
        while (held.size < 2) await sleep(10);
        await tx.$executeRaw`SELECT pg_advisory_xact_lock(${second})`;
      });

    await Promise.all([touch(1, 2), touch(2, 1)]);

    expect(runs).toBeGreaterThan(2);
  });

  it('ends a transaction that takes too long, and reports that it was rolled back', async () => {
    const hasty = openMint({ url: db().url, pool: { statementTimeoutMs: 1_000 } });

    const work = hasty.transaction(async (tx) => {
      await tx.$executeRaw`SELECT open_wallet('late', 'late', 'AZR')`;
      await sleep(1_500);
      await tx.wallet.count();
    });

    await expect(work).rejects.toMatchObject({ code: 'DATABASE.TRANSACTION_TIMEOUT' });
    expect(await mint.prisma.wallet.findUnique({ where: { id: 'late' } })).toBeNull();
    await hasty.close();
  });

  it('keeps a connection whose statement failed, and drops a broken one', async () => {
    const narrow = openMint({ url: db().url, pool: { max: 1 } });
    const session = async () => {
      const [row] = await narrow.query<{ pid: number }>({
        text: 'SELECT pg_backend_pid() AS pid',
        values: [],
      });
      return row?.pid;
    };
    const first = await session();

    const refused = narrow.query({ text: 'SELECT 1 / $1::int', values: [0] });
    await expect(refused).rejects.toMatchObject({ code: 'DATABASE.FAILED', meta: { sqlState: '22012' } });
    expect(await session()).toBe(first);
    const ended = narrow.query({ text: 'SELECT pg_terminate_backend(pg_backend_pid())', values: [] });
    await expect(ended).rejects.toMatchObject({ code: 'DATABASE.CONNECTION_LOST' });
    expect(await session()).not.toBe(first);
    await narrow.close();
  });

  it('runs a prepared statement on the same connection after a migration added a column', async () => {
    const narrow = openMint({ url: db().url, pool: { max: 1 } });
    const read = () => narrow.query({ text: 'SELECT * FROM wallets LIMIT 1', values: [] });
    const before = await read();
    await db().admin('ALTER TABLE wallets ADD COLUMN added_later text');

    const after = await read();

    expect(after).toEqual(before.map((row) => ({ ...row, added_later: null })));
    expect(await read()).toEqual(after);
    await db().admin('ALTER TABLE wallets DROP COLUMN added_later');
    await narrow.close();
  });

  it('reports that nothing was sent when the pool has no free connection', async () => {
    const narrow = openMint({ url: db().url, pool: { max: 1, connectTimeoutMs: 2_000 } });
    const holder = await narrow.pool.connect();

    const waiting = narrow.query({ text: 'SELECT 1', values: [] });

    await expect(waiting).rejects.toMatchObject({ code: 'DATABASE.NO_CONNECTION' });
    holder.release();
    await narrow.close();
  });

  it('reports slow statements without their parameters', async () => {
    slow.length = 0;

    await mint.prisma.$queryRaw`SELECT pg_sleep(0.2)::text, ${'private'}::text`;

    await mint.query({ text: 'SELECT pg_sleep(0.2)::text, $1::text', values: ['private'] });

    const entry = expect.objectContaining({ message: 'slow query', service: 'mint', durationMs: expect.any(Number) });
    expect(slow).toEqual([entry, entry]);
    expect(JSON.stringify(slow)).not.toContain('private');
  });

  it('continues after its connections were cut', async () => {
    await mint.prisma.wallet.count();
    await db().admin(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename LIKE '%_mint_app'",
    );
    while (mint.pool.totalCount > 0) await sleep(10);

    expect(await mint.prisma.wallet.count()).toBeGreaterThan(0);
  });

  it('opens no connection before its first use, and can be closed twice', async () => {
    const connections: unknown[] = [];
    const server = net.createServer((socket) => connections.push(socket.destroy()));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    const unused = openMint({ url: `postgresql://nobody@127.0.0.1:${port}/nothing` });

    await expect(unused.close()).resolves.toBeUndefined();
    await expect(unused.close()).resolves.toBeUndefined();
    expect(connections).toEqual([]);
    const used = openMint({ url: `postgresql://nobody@127.0.0.1:${port}/nothing` });
    await expect(used.query({ text: 'SELECT 1', values: [] })).rejects.toMatchObject({ kind: 'failure' });
    expect(connections.length).toBeGreaterThan(0);
    await used.close();
    await new Promise((resolve) => server.close(resolve));
  });

  it('names the missing variable when it has no URL', () => {
    expect(() => openMint()).toThrow(
      expect.objectContaining({ code: 'CONFIG.NO_URL', message: expect.stringContaining('mint') }),
    );
  });

  it('does not compile when a client is passed where a transaction is required', async () => {
    const needsTransaction = async (tx: MintTransaction) => tx.wallet.count();

    // @ts-expect-error the client is not inside a transaction
    await needsTransaction(mint.prisma);
    expect(await mint.transaction(needsTransaction)).toBeGreaterThan(0);
  });
});
