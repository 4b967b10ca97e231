import { inspect } from 'node:util';
import { useDatabase } from '@azora/db-testkit';
import { type Mint, openMint, Prisma } from '@azora/mint';
import { Client, type PoolClient } from 'pg';

/** A value of a row, which no error may show. */
const PRIVATE = 'ada-private';
/** The key of the advisory lock that another session holds. */
const LOCK = 7_073;

/** Every way in which the user of a store sends a statement. */
const WAYS: readonly (readonly [string, (store: Mint) => Promise<unknown>])[] = [
  ['a call of a model', (store) => store.prisma.wallet.findMany({ where: { userId: PRIVATE } })],
  ['raw SQL', (store) => store.prisma.$queryRaw`SELECT ${PRIVATE}::text`],
  ['a batch', (store) => store.prisma.$transaction([store.prisma.wallet.count(), store.prisma.wallet.count()])],
  ['a transaction of the client', (store) => store.prisma.$transaction((tx) => tx.wallet.count())],
  ['a transaction of the store', (store) => store.transaction((tx) => tx.wallet.count())],
  ['a query of the store', (store) => store.query({ text: 'SELECT $1::text', values: [PRIVATE] })],
];

/** The errors of all ways, by the way. */
async function errorsOf(store: Mint): Promise<Readonly<Record<string, unknown>>> {
  const outcomes = await Promise.allSettled(WAYS.map(([, send]) => send(store)));
  const named = outcomes.map((it, way) => [WAYS[way]?.[0], it.status === 'rejected' ? it.reason : it.status]);
  return Object.fromEntries(named);
}

/** A promise, and the function that resolves it. */
function signal() {
  let give = () => {};
  const given = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { given, give: () => give() };
}

const everyWay = (expected: object) =>
  Object.fromEntries(WAYS.map(([way]) => [way, expect.objectContaining({ name: 'SuiteError', ...expected })]));

describe('the errors of a store', () => {
  const db = useDatabase('mint');
  let mint: Mint;

  beforeAll(async () => {
    mint = openMint({ url: db().url });
    // The app role may insert into no table that has a model with a plain key.
    const check = 'CONSTRAINT wallets_balance_check CHECK (amount > 0)';
    await db().admin(`CREATE TABLE scratch (id text PRIMARY KEY, amount integer ${check})`);
    await db().admin('GRANT SELECT, INSERT ON scratch TO PUBLIC');
  });
  afterAll(() => mint.close());

  /** Opens a store, runs `work`, and closes the store. */
  const withStore = async <Result>(options: Parameters<typeof openMint>[0], work: (store: Mint) => Promise<Result>) => {
    const store = openMint({ url: db().url, ...options });
    return work(store).finally(() => store.close());
  };
  const urlWith = (change: (url: URL) => void) => {
    const url = new URL(db().url);
    change(url);
    return url.href;
  };

  it.each([
    [
      'the server is stopped',
      (url: URL) => {
        url.port = '1';
        url.searchParams.delete('host');
        url.hostname = '127.0.0.1';
      },
      'DATABASE.NO_CONNECTION',
    ],
    [
      'the password is wrong',
      (url: URL) => {
        url.password = 'wrong';
      },
      'DATABASE.ACCESS_DENIED',
    ],
    [
      'the URL has no password',
      (url: URL) => {
        url.password = '';
      },
      'DATABASE.ACCESS_DENIED',
    ],
    [
      'the database does not exist',
      (url: URL) => {
        url.pathname = '/missing';
      },
      'DATABASE.ACCESS_DENIED',
    ],
    [
      'the server does not support TLS',
      (url: URL) => {
        url.searchParams.set('sslmode', 'verify-full');
      },
      'DATABASE.TLS_FAILED',
    ],
  ])('say that nothing was sent when %s', async (_, change, code) => {
    const errors = await withStore({ url: urlWith(change) }, errorsOf);

    expect(errors).toEqual(everyWay({ code, meta: expect.objectContaining({ outcome: 'not-sent' }) }));
    expect(inspect(errors, { depth: 9 })).not.toContain(PRIVATE);
  });

  it('say that nothing was sent when no connection is free in time', async () => {
    const errors = await withStore({ pool: { max: 1, connectTimeoutMs: 200 } }, async (store) => {
      // On a busy machine, opening the connection takes longer than the limit too.
      let holder: PoolClient | undefined;
      while (holder === undefined) holder = await store.pool.connect().catch(() => undefined);
      const seen = await errorsOf(store);
      holder.release();
      return seen;
    });

    expect(errors).toEqual(everyWay({ code: 'DATABASE.NO_CONNECTION' }));
  });

  it('say that the store is closed, for later calls', async () => {
    const store = openMint({ url: db().url });
    await store.close();

    expect(await errorsOf(store)).toEqual(everyWay({ code: 'DATABASE.CLOSED', kind: 'usage' }));
  });

  it('say that the store is closed, for calls that wait for a connection and for open transactions', async () => {
    const store = openMint({ url: db().url, pool: { max: 2 } });
    const [begun, rejected] = [signal(), signal()];
    const holder = await store.pool.connect();
    const open = store.prisma.$transaction(async (tx) => {
      await tx.$executeRaw`INSERT INTO scratch VALUES ('open', 1)`;
      begun.give();
      await rejected.given;
      return tx.wallet.count();
    });
    await begun.given;
    const waiting = errorsOf(store);
    while (store.pool.waitingCount < WAYS.length) await new Promise(setImmediate);
    const closed = store.close();

    expect(await waiting).toEqual(everyWay({ code: 'DATABASE.CLOSED' }));
    rejected.give();
    await expect(open).rejects.toMatchObject({ code: 'DATABASE.CLOSED' });
    holder.release();
    await closed;
    expect(await db().admin("SELECT * FROM scratch WHERE id = 'open'")).toEqual([]);
  });

  it('say that the outcome is unknown when the connection is cut', async () => {
    const cut = Prisma.sql`SELECT pg_terminate_backend(pg_backend_pid())`;

    for (const send of [
      () => mint.prisma.$queryRaw(cut),
      () => mint.prisma.$transaction([mint.prisma.$queryRaw(cut)]),
      () => mint.prisma.$transaction((tx) => tx.$queryRaw(cut)),
      () => mint.transaction((tx) => tx.$queryRaw(cut)),
    ]) {
      await expect(send()).rejects.toMatchObject({ code: 'DATABASE.CONNECTION_LOST', meta: { outcome: 'unknown' } });
    }
  });

  it('say that a statement took too long, or waited too long for a lock', async () => {
    const holder = new Client({ connectionString: db().url });
    await holder.connect();
    await holder.query('SELECT pg_advisory_lock($1)', [LOCK]);
    const wait = Prisma.sql`SELECT pg_advisory_xact_lock(${LOCK})::text`;
    const setLimit = Prisma.sql`SET LOCAL lock_timeout = '20ms'`;

    await withStore({ pool: { statementTimeoutMs: 300 } }, async (store) => {
      await expect(store.prisma.$queryRaw(wait)).rejects.toMatchObject({
        code: 'DATABASE.TIMEOUT',
        meta: { sqlState: '57014', statement: '$queryRaw' },
      });
    });
    const batch = [mint.prisma.$executeRaw(setLimit), mint.prisma.$queryRaw(wait)];
    await expect(mint.prisma.$transaction(batch)).rejects.toMatchObject({
      code: 'DATABASE.TIMEOUT',
      meta: { sqlState: '55P03' },
    });
    await holder.end();
  });

  it('name the constraint and the call, and show no value', async () => {
    const insert = Prisma.sql`INSERT INTO scratch VALUES (${PRIVATE}, 1)`;
    await mint.prisma.$executeRaw(insert);
    const create = () => mint.prisma.$executeRaw(insert);

    const errors = await Promise.all([
      create().catch((error: unknown) => error),
      mint.prisma.$transaction([mint.prisma.wallet.count(), create()]).catch((error: unknown) => error),
      mint.transaction((tx) => tx.$executeRaw(insert)).catch((error: unknown) => error),
    ]);

    const facts = { sqlState: '23505', constraint: 'scratch_pkey', statement: '$executeRaw' };
    expect(errors).toEqual(errors.map(() => expect.objectContaining({ code: 'DATABASE.FAILED', meta: facts })));
    expect(inspect(errors, { depth: 9 })).not.toContain(PRIVATE);
  });

  it("are the store's own where it has one for the constraint, also for a CHECK, whose name Prisma drops", async () => {
    const overdrawn = mint.prisma.$executeRaw`INSERT INTO scratch VALUES ('overdrawn', -1)`;

    await expect(overdrawn).rejects.toMatchObject({ code: 'MINT.INSUFFICIENT_FUNDS' });
  });

  it('say that a row does not exist, which findUnique answers with null', async () => {
    const { wallet } = mint.prisma;

    expect(await wallet.findUnique({ where: { id: 'missing' } })).toBeNull();
    await expect(wallet.findUniqueOrThrow({ where: { id: 'missing' } })).rejects.toMatchObject({
      code: 'DATABASE.NOT_FOUND',
      why: expect.stringContaining('No record was found'),
      meta: { statement: 'Wallet.findUniqueOrThrow' },
    });
  });

  it('name the argument that does not fit, and not its value', async () => {
    const where = JSON.parse(`{ "userId": { "equals": ["${PRIVATE}"] } }`) as Prisma.WalletWhereInput;

    const error = await mint.prisma.wallet.findMany({ where }).catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({
      code: 'DATABASE.INVALID_QUERY',
      kind: 'usage',
      why: 'Argument `equals`: Invalid value provided. Expected String, StringFieldRefInput or Null, provided (String). Nothing was sent.',
    });
    expect(inspect(error, { depth: 9 })).not.toContain(PRIVATE);
  });

  it('say that a statement ran whose result cannot be read', async () => {
    await expect(mint.prisma.$queryRaw`SELECT point(1, 2)`).rejects.toMatchObject({
      code: 'DATABASE.UNREADABLE_RESULT',
    });
  });

  it('say that a client was used after its transaction, or after the time limit of the transaction', async () => {
    const ended = await mint.prisma.$transaction(async (tx) => tx);
    const late = mint.prisma.$transaction(
      async (tx) => {
        await tx.$executeRaw`SELECT pg_sleep(0.2)`;
        return tx.wallet.count();
      },
      { timeout: 100 },
    );

    await expect(ended.wallet.count()).rejects.toMatchObject({ code: 'DATABASE.TRANSACTION_ENDED' });
    await expect(late).rejects.toMatchObject({ code: 'DATABASE.TRANSACTION_TIMEOUT' });
  });

  it("leave what a transaction's own work throws unchanged", async () => {
    const bug = new TypeError('not a function');

    const work = mint.prisma.$transaction(async () => {
      throw bug;
    });

    await expect(work).rejects.toBe(bug);
  });

  it('leave the methods of the client as they are', async () => {
    const seen: string[] = [];
    const store = openMint({ url: db().url });
    // Prisma removes this method from extended clients.
    (store.prisma as unknown as { $on: (event: 'query', report: (event: { query: string }) => void) => void }).$on(
      'query',
      ({ query }) => seen.push(query),
    );

    await store.prisma.wallet.count();
    await store.close();

    expect(seen).toEqual([expect.stringContaining('COUNT(*)')]);
  });
});
