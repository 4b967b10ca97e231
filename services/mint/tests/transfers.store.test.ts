/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { getWallet, type Mint, openMint, Prisma, reconcile, transfer, transferMany } from '../src';
import { balanceOf, countDeadlocks, dump, fresh, givenHold, givenStores, givenWallet, outcomes } from './ledger-given';

describe('transfers', () => {
  const db = useDatabase('mint');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let mint: Mint;
  let stores: readonly Mint[];
  beforeAll(() => {
    mint = openMint({ url: db().url });
    stores = givenStores(db(), 8);
  });
  afterEach(async () => {
    expect(await reconcile(mint)).toEqual([]);
  });
  afterAll(async () => {
    await Promise.all([mint, ...stores].map((store) => store.close()));
  });

  const store = (n: number) => stores[n % stores.length] as Mint;

  it('move the exact amount and return the transaction', async () => {
    const [from, to] = [await givenWallet(mint, '0.3'), await givenWallet(mint, '0')];
    const key = fresh('key');

    const made = await transfer(mint, {
      from,
      to,
      amount: new Prisma.Decimal('0.10000001'),
      description: "'; DROP TABLE wallets; --",
      idempotencyKey: key,
    });

    expect(JSON.parse(JSON.stringify(made))).toEqual({
      id: expect.stringMatching(/^c[0-9a-z]{24}$/),
      type: 'transfer',
      fromId: from,
      toId: to,
      currency: 'AZR',
      amount: '0.10000001',
      stakeId: null,
      holdId: null,
      description: "'; DROP TABLE wallets; --",
      requestKey: key,
      createdAt: clock.now().toISOString(),
    });
    expect([await balanceOf(mint, from), await balanceOf(mint, to)]).toEqual(['0.19999999', '0.10000001']);
  });

  it('take effect once per key when calls race, and all of them get the first answer', async () => {
    const [from, to] = [await givenWallet(mint, '100'), await givenWallet(mint, '0')];
    const request = { from, to, amount: '7', idempotencyKey: fresh('key') };

    const answers = await Promise.all(Array.from({ length: 32 }, (_, n) => transfer(store(n), request)));
    const later = await transfer(mint, { ...request, amount: '7.00' });

    for (const answer of [...answers, later]) expect(answer).toEqual(answers[0]);
    expect(await balanceOf(mint, to)).toBe('7');
  });

  it('reject a key of another body or another operation, also when calls race', async () => {
    const [from, to] = [await givenWallet(mint, '100'), await givenWallet(mint, '0')];
    const idempotencyKey = fresh('key');

    const results = await outcomes(
      Array.from({ length: 16 }, (_, n) =>
        transfer(store(n), { from, to, amount: String(1 + (n % 2)), idempotencyKey }),
      ),
    );

    expect([...results].sort()).toEqual([...Array(8).fill('MINT.KEY_REUSED'), ...Array(8).fill('done')]);
    const many = transferMany(mint, { transfers: [{ from, to, amount: '1' }], idempotencyKey });
    await expect(many).rejects.toMatchObject({
      code: 'MINT.KEY_REUSED',
      meta: { operation: 'transfer', asked: 'transferMany' },
    });
  });

  it('leave the key free when they are rejected', async () => {
    const [from, to] = [await givenWallet(mint, '1'), await givenWallet(mint, '0')];
    const idempotencyKey = fresh('key');
    await expect(transfer(mint, { from, to, amount: '2', idempotencyKey })).rejects.toMatchObject({
      code: 'MINT.INSUFFICIENT_FUNDS',
      meta: { walletId: from, available: '1.00000000', asked: '2' },
    });

    await transfer(mint, { from, to, amount: '1', idempotencyKey });

    expect(await balanceOf(mint, to)).toBe('1');
  });

  it('do not spend held money', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    await givenHold(mint, from, '4');

    await expect(
      transfer(mint, { from, to, amount: '6.00000001', idempotencyKey: fresh('key') }),
    ).rejects.toMatchObject({
      code: 'MINT.INSUFFICIENT_FUNDS',
      meta: { available: '6.00000000' },
    });
    await transfer(mint, { from, to, amount: '6', idempotencyKey: fresh('key') });
  });

  it('spend a balance only once when more transfers race than it covers', async () => {
    const [from, to] = [await givenWallet(mint, '6'), await givenWallet(mint, '0')];

    const results = await outcomes(
      Array.from({ length: 30 }, (_, n) => transfer(store(n), { from, to, amount: '1', idempotencyKey: fresh('key') })),
    );

    expect(results.filter((result) => result === 'done')).toHaveLength(6);
    expect(results.filter((result) => result === 'MINT.INSUFFICIENT_FUNDS')).toHaveLength(24);
    expect([await balanceOf(mint, from), await balanceOf(mint, to)]).toEqual(['0', '6']);
  });

  it('from 50 payers to one merchant all succeed', async () => {
    const merchant = await givenWallet(mint, '0');
    const payers = await Promise.all(Array.from({ length: 50 }, () => givenWallet(mint, '4')));

    const results = await outcomes(
      payers.flatMap((from, n) =>
        Array.from({ length: 4 }, () =>
          transfer(store(n), { from, to: merchant, amount: '1', idempotencyKey: fresh('key') }),
        ),
      ),
    );

    expect(new Set(results)).toEqual(new Set(['done']));
    expect(await balanceOf(mint, merchant)).toBe('200');
  });

  it('in opposite directions never deadlock', async () => {
    const pair = [
      await givenWallet(mint, '1000'),
      await givenWallet(mint, '1000'),
      await givenWallet(mint, '1000'),
    ] as const;
    const before = await countDeadlocks(db(), [mint, ...stores]);

    for (let round = 0; round < 40; round += 1) {
      const calls = Array.from({ length: 24 }, (_, n) => {
        const [from, to, other] = [pair[n % 3], pair[(n + 1 + (n % 2)) % 3], pair[(n + 2 - (n % 2)) % 3]] as string[];
        if (from === undefined || to === undefined || other === undefined) throw new Error('three wallets');
        const idempotencyKey = fresh('key');
        if (n % 4 !== 0) return transfer(store(n), { from, to, amount: '1', idempotencyKey });
        const transfers = [
          { from, to, amount: '1' },
          { from: other, to: from, amount: '1' },
        ];
        return transferMany(store(n), { transfers, idempotencyKey });
      });
      expect(new Set(await outcomes(calls))).toEqual(new Set(['done']));
    }

    expect(await countDeadlocks(db(), [mint, ...stores])).toBe(before);
  });

  it('count deadlocks, so that the tests above can fail', async () => {
    const before = await countDeadlocks(db(), [mint, ...stores]);
    const users = [fresh('user'), fresh('user')];
    const sessions = await Promise.all([store(0).pool.connect(), store(1).pool.connect()]);
    const take = (n: number, user: string | undefined) =>
      sessions[n]?.query("SELECT open_wallet($1, $2, 'AZR')", [fresh('wallet'), user]);

    for (const n of [0, 1]) await sessions[n]?.query('BEGIN');
    await Promise.all([take(0, users[0]), take(1, users[1])]);
    const ends = await Promise.allSettled([take(0, users[1]), take(1, users[0])]);
    for (const session of sessions) {
      await session.query('ROLLBACK');
      session.release();
    }

    expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect((await countDeadlocks(db(), [mint, ...stores])) - before).toBe(1);
  });

  it('never deadlock when an administrator inserts the rows', async () => {
    const [left, right] = [await givenWallet(mint, '1000'), await givenWallet(mint, '1000')];
    const key = fresh('key');
    await db().admin(`INSERT INTO requests (key, operation, body_hash, answer, created_at)
      SELECT '${key}-' || n, 'test', repeat('a', 64), jsonb_build_object('transactionIds', jsonb_build_array('${key}-' || n)),
        database_time()
      FROM generate_series(1, 400) AS n`);
    const insert = (n: number) => {
      const [from, to] = n % 2 === 0 ? [left, right] : [right, left];
      return db().admin(
        `INSERT INTO transactions (id, type, from_id, to_id, amount, request_key, created_at)
         VALUES ($1::text, 'transfer', $2, $3, 1, $1::text, database_time())`,
        [`${key}-${n}`, from, to],
      );
    };

    expect(new Set(await outcomes(Array.from({ length: 400 }, (_, n) => insert(n + 1))))).toEqual(new Set(['done']));
  });
});

describe('transferMany', () => {
  const db = useDatabase('mint');
  let mint: Mint;
  beforeAll(() => {
    mint = openMint({ url: db().url });
  });
  afterEach(async () => {
    expect(await reconcile(mint)).toEqual([]);
  });
  afterAll(async () => {
    await mint.close();
  });

  it('makes all transfers, and returns them in the order of the input', async () => {
    const [a, b, c] = [await givenWallet(mint, '10'), await givenWallet(mint, '0'), await givenWallet(mint, '0')];
    const request = {
      transfers: [
        { from: b, to: c, amount: '7', description: 'spends what the wallet receives in the same call' },
        { from: a, to: b, amount: '10' },
        { from: c, to: a, amount: '0.00000001' },
      ],
      idempotencyKey: fresh('key'),
    };

    const made = await transferMany(mint, request);

    expect(made.map(({ fromId, toId, amount }) => [fromId, toId, amount.toFixed()])).toEqual([
      [b, c, '7'],
      [a, b, '10'],
      [c, a, '0.00000001'],
    ]);
    expect(new Set(made.map(({ requestKey }) => requestKey))).toEqual(new Set([request.idempotencyKey]));
    expect(await Promise.all([a, b, c].map((id) => balanceOf(mint, id)))).toEqual(['0.00000001', '3', '6.99999999']);
    expect(await transferMany(mint, request)).toEqual(made);
    expect(await balanceOf(mint, b)).toBe('3');
  });

  it('takes effect once per key when calls race', async () => {
    const [from, to] = [await givenWallet(mint, '1000'), await givenWallet(mint, '0')];
    const transfers = Array.from({ length: 100 }, () => ({ from, to, amount: '1' }));
    const request = { transfers, idempotencyKey: fresh('key') };

    const answers = await Promise.all(Array.from({ length: 8 }, () => transferMany(mint, request)));

    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await balanceOf(mint, to)).toBe('100');
  });

  it('can move several currencies in one call', async () => {
    const [azr, btc] = [await givenWallet(mint, '1'), await givenWallet(mint, '1', 'BTC')];
    const [azrTo, btcTo] = [await givenWallet(mint, '0'), await givenWallet(mint, '0', 'BTC')];

    await transferMany(mint, {
      transfers: [
        { from: azr, to: azrTo, amount: '1' },
        { from: btc, to: btcTo, amount: '1' },
      ],
      idempotencyKey: fresh('key'),
    });

    expect((await getWallet(mint, { walletId: btcTo })).balance.toFixed()).toBe('1');
  });

  it.each([
    [
      'the last one exceeds the available amount',
      'MINT.INSUFFICIENT_FUNDS',
      ({ b, a }: Three) => ({ from: b, to: a, amount: '2' }),
    ],
    ['a wallet is unknown', 'MINT.WALLET_NOT_FOUND', ({ a }: Three) => ({ from: a, to: 'nobody', amount: '1' })],
    ['a wallet pays itself', 'MINT.SAME_WALLET', ({ a }: Three) => ({ from: a, to: a, amount: '1' })],
    ['currencies differ', 'MINT.CURRENCY_MISMATCH', ({ a, usd }: Three) => ({ from: a, to: usd, amount: '1' })],
    ['the treasury pays', 'MINT.SYSTEM_WALLET', ({ a }: Three) => ({ from: 'treasury-AZR', to: a, amount: '1' })],
    ['an amount is 0', 'MINT.INVALID_INPUT', ({ a, b }: Three) => ({ from: a, to: b, amount: '0' })],
    ['an amount has 9 decimals', 'MONEY.TOO_PRECISE', ({ a, b }: Three) => ({ from: a, to: b, amount: '0.000000001' })],
  ])('makes no transfer when %s', async (_why, code, last) => {
    const [a, b] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const { id: usd } = await givenUsd();
    const before = await dump(db());

    const call = transferMany(mint, {
      transfers: [{ from: a, to: b, amount: '1' }, last({ a, b, usd })],
      idempotencyKey: fresh('key'),
    });

    await expect(call).rejects.toMatchObject({ code });
    expect(await dump(db())).toBe(before);
  });

  it('takes 1 to 1000 transfers', async () => {
    const transfers = Array.from({ length: 1_001 }, () => ({ from: 'a', to: 'b', amount: '1' }));

    for (const some of [[], transfers]) {
      const call = transferMany(mint, { transfers: some, idempotencyKey: fresh('key') });
      await expect(call).rejects.toMatchObject({ code: 'MINT.INVALID_INPUT', meta: { fields: ['transfers'] } });
    }
  });

  interface Three {
    readonly a: string;
    readonly b: string;
    readonly usd: string;
  }

  async function givenUsd() {
    const id = fresh('usd');
    await db().admin(`INSERT INTO wallets (id, user_id, currency) VALUES ('${id}', '${id}', 'USD')`);
    return { id };
  }
});
