/** @server any */
import net from 'node:net';
import { useDatabase } from '@azora/db-testkit';
import { type Mint, openMint } from '@azora/mint';
import { Client } from 'pg';

/** The key of the advisory lock that another session holds while statements wait for it. */
const LOCK = 7_072;
const WAIT = { text: 'SELECT pg_advisory_xact_lock($1)', values: [LOCK] };
const RACES = 12;

describe('the limit of a statement', () => {
  const db = useDatabase('mint');
  let mint: Mint;
  let holder: Client;

  beforeAll(async () => {
    mint = openMint({ url: db().url, pool: { max: 3, statementTimeoutMs: 1_000, connectTimeoutMs: 60_000 } });
    holder = new Client({ connectionString: db().url });
    // The database is dropped under the session when the tests end.
    holder.on('error', () => undefined);
    await holder.connect();
    await holder.query('SELECT pg_advisory_lock($1)', [LOCK]);
  });
  afterAll(async () => {
    await mint.close();
    await holder.end();
  });

  /** Sessions of the store that still wait for the lock in the server. */
  const waiting = async () => {
    const sql = 'SELECT count(*)::int AS waiting FROM pg_locks WHERE NOT granted AND objid = $1';
    const { rows } = await holder.query<{ waiting: number }>(sql, [LOCK]);
    return rows[0]?.waiting;
  };

  it('cancels statements in the server, so that none of them waits there any longer', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: RACES }, () => mint.query(WAIT)));

    const codes = outcomes.map((it) => (it.status === 'rejected' ? it.reason.code : it.status));
    expect(codes).toEqual(Array.from({ length: RACES }, () => 'DATABASE.TIMEOUT'));
    expect(await waiting()).toBe(0);
  });

  it('applies to the generated client and to transactions', async () => {
    await expect(mint.prisma.$queryRaw`SELECT pg_advisory_xact_lock(${LOCK})::text`).rejects.toMatchObject({
      code: 'DATABASE.TIMEOUT',
    });
    await expect(
      mint.transaction((tx) => tx.$queryRaw`SELECT pg_advisory_xact_lock(${LOCK})::text`),
    ).rejects.toMatchObject({
      code: expect.stringMatching(/^DATABASE\.(TRANSACTION_)?TIMEOUT$/),
    });
    expect(await waiting()).toBe(0);
  });

  it("says what the statement was about, and keeps the server's answer as the cause", async () => {
    await expect(mint.query(WAIT)).rejects.toMatchObject({
      code: 'DATABASE.TIMEOUT',
      meta: { sqlState: '57014', statement: 'pg_advisory_xact_lock' },
      cause: { code: '57014', message: 'canceling statement due to user request' },
    });
  });

  it('ends a transaction whose function waits for something else, so that the caller does not wait forever', async () => {
    const forever = new Promise<never>(() => undefined);
    await expect(mint.transaction(() => forever)).rejects.toMatchObject({ code: 'DATABASE.TRANSACTION_TIMEOUT' });

    expect(await mint.query({ text: 'SELECT 1 AS one', values: [] })).toEqual([{ one: 1 }]);
  });

  it('leaves the next statement alone', async () => {
    await expect(mint.query(WAIT)).rejects.toMatchObject({ code: 'DATABASE.TIMEOUT' });

    expect(await mint.query({ text: 'SELECT 1 AS one', values: [] })).toEqual([{ one: 1 }]);
  });
});

describe('a server that has stopped to answer', () => {
  const db = useDatabase('mint');
  const sockets: net.Socket[] = [];
  let proxy: net.Server;
  let mint: Mint;
  let isSilent = false;

  beforeAll(async () => {
    const { hostname, port, searchParams } = new URL(db().url);
    const folder = searchParams.get('host');
    proxy = net.createServer((socket) => {
      const server = folder === null ? net.connect(Number(port), hostname) : net.connect(`${folder}/.s.PGSQL.${port}`);
      sockets.push(socket, server);
      for (const one of [socket, server]) one.on('error', () => undefined);
      socket.on('data', (data) => isSilent || server.write(data));
      server.pipe(socket);
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const url = new URL(db().url);
    url.searchParams.delete('host');
    url.host = `127.0.0.1:${(proxy.address() as net.AddressInfo).port}`;
    mint = openMint({ url: url.href, pool: { statementTimeoutMs: 1_000 } });
  });
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await mint.close();
    await new Promise((resolve) => proxy.close(resolve));
  });

  it('loses the connection when it does not answer the cancellation either', async () => {
    expect(await mint.query({ text: 'SELECT 1 AS one', values: [] })).toEqual([{ one: 1 }]);
    isSilent = true;

    await expect(mint.query({ text: 'SELECT 1 AS one', values: [] })).rejects.toMatchObject({
      code: 'DATABASE.CONNECTION_LOST',
      meta: { outcome: 'unknown' },
    });

    isSilent = false;
    expect(await mint.query({ text: 'SELECT 1 AS one', values: [] })).toEqual([{ one: 1 }]);
  });
});

describe('a long read', () => {
  const db = useDatabase('mint');
  let mint: Mint;
  beforeAll(() => {
    mint = openMint({ url: db().url, pool: { max: 1, statementTimeoutMs: 120_000 } });
  });
  afterAll(() => mint.close());

  const LIMIT = {
    text: `SELECT current_setting('statement_timeout') AS statement, current_setting('transaction_timeout', true) AS transaction`,
    values: [],
  };

  it("has the limit of the store's options instead of the app role's, for this statement only", async () => {
    const before = await mint.query(LIMIT);
    const [during] = await mint.queryLong<{ statement: string; transaction: string | null }>(LIMIT);

    // PostgreSQL before 17 has no limit of a transaction.
    expect([during?.statement, during?.transaction ?? '2min']).toEqual(['2min', '2min']);
    expect(await mint.query(LIMIT)).toEqual(before);
    expect(before).not.toMatchObject([{ statement: '2min' }]);
  });

  it('is reported when it is slow, as every statement is', async () => {
    const warn = jest.fn();
    const reporting = openMint({ url: db().url, slowQueryMs: 0, logger: { warn } });

    await reporting.queryLong(LIMIT);

    expect(warn).toHaveBeenCalledWith('slow query', expect.objectContaining({ service: 'mint', query: LIMIT.text }));
    await reporting.close();
  });

  it("throws the store's error, and leaves no transaction open", async () => {
    await expect(mint.queryLong({ text: 'SELECT 1 / $1::int', values: [0] })).rejects.toMatchObject({
      code: 'DATABASE.FAILED',
      meta: { sqlState: '22012' },
    });

    expect(await mint.query({ text: 'SELECT pg_current_xact_id_if_assigned() AS id', values: [] })).toEqual([
      { id: null },
    ]);
    const open = await db().admin(
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'",
    );
    expect(open).toEqual([]);
  });
});
