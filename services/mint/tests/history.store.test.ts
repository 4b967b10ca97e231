/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { balanceAt, history, mint as issue, type Mint, openMint, transfer } from '../src';
import { fresh, givenWallet } from './ledger-given';

const at = (minute: number) => new Date(Date.UTC(2026, 2, 1, 12, minute));

describe('the history of a wallet', () => {
  const db = useDatabase('mint');
  const clock = useTestClock(db, at(0).toISOString());
  let mint: Mint;
  beforeAll(() => {
    mint = openMint({ url: db().url });
  });
  afterAll(() => mint.close());

  async function givenHistory() {
    await clock.set(at(0));
    const [wallet, other] = [await givenWallet(mint, '100'), await givenWallet(mint, '100')];
    for (let n = 1; n <= 10; n += 1) {
      // Two transactions have the same time, and the clock goes back.
      await clock.set(at(n === 10 ? 5 : Math.ceil(n / 2)));
      const [from, to] = n % 2 === 0 ? [wallet, other] : [other, wallet];
      await transfer(mint, { from, to, amount: String(n), idempotencyKey: fresh('key') });
    }
    await clock.set(at(1));
    await issue(mint, { to: wallet, amount: '0.5', type: 'reward', idempotencyKey: fresh('key') });
    await clock.set(at(30));
    return { wallet, other };
  }

  it('lists the newest first, in pages that neither skip nor repeat a transaction', async () => {
    const { wallet } = await givenHistory();
    const whole = await history(mint, { walletId: wallet });

    const pages: string[][] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page = await history(mint, { walletId: wallet, limit: 5, ...(cursor === undefined ? {} : { cursor }) });
      pages.push(page.transactions.map(({ id }) => id));
      cursor = page.nextCursor;
    }

    expect(pages.map((page) => page.length)).toEqual([5, 5, 2]);
    expect(pages.flat()).toEqual(whole.transactions.map(({ id }) => id));
    expect(whole.nextCursor).toBeNull();
    const times = whole.transactions.map(({ createdAt }) => createdAt.getTime());
    expect(times).toEqual([...times].sort((left, right) => right - left));
  });

  it('continues after a page that ends between rows of the same millisecond', async () => {
    const wallet = await givenWallet(mint, '0');
    await db().admin(`INSERT INTO requests (key, operation, body_hash, answer)
        VALUES ('micro', 'test', repeat('a', 64), '{"transactionIds": []}');
      INSERT INTO transactions (id, type, from_id, to_id, amount, request_key, created_at)
        SELECT 'micro-' || n, 'mint', 'treasury-AZR', '${wallet}', n, 'micro',
          timestamptz '2026-03-01T12:00:00.001Z' + n * interval '1 microsecond'
        FROM generate_series(1, 5) AS n`);

    const first = await history(mint, { walletId: wallet, limit: 2 });
    const second = await history(mint, { walletId: wallet, limit: 3, cursor: first.nextCursor ?? '' });

    expect([...first.transactions, ...second.transactions].map(({ id }) => id)).toEqual(
      [5, 4, 3, 2, 1].map((n) => `micro-${n}`),
    );
    expect(second.nextCursor).toBeNull();
  });

  it('can be filtered by type', async () => {
    const { wallet } = await givenHistory();

    const { transactions } = await history(mint, { walletId: wallet, types: ['mint', 'reward'] });

    expect(transactions.map(({ type }) => type)).toEqual(['reward', 'mint']);
  });

  it('is empty for a wallet without transactions, and an error for an unknown wallet', async () => {
    const wallet = await givenWallet(mint, '0');

    expect(await history(mint, { walletId: wallet })).toEqual({ transactions: [], nextCursor: null });
    await expect(history(mint, { walletId: 'nobody' })).rejects.toMatchObject({ code: 'MINT.WALLET_NOT_FOUND' });
    await expect(balanceAt(mint, { walletId: 'nobody', at: clock.now() })).rejects.toMatchObject({
      code: 'MINT.WALLET_NOT_FOUND',
    });
  });

  it.each([
    ['text that is not a cursor', { cursor: 'x' }],
    ['a cursor with SQL', { cursor: Buffer.from("1 ' OR true --").toString('base64url') }],
    ['a cursor before the times of PostgreSQL', { cursor: Buffer.from('-999999999999999999 x').toString('base64url') }],
    ['a limit of 0', { limit: 0 }],
    ['a limit of 201', { limit: 201 }],
    ['an empty list of types', { types: [] }],
    ['an unknown type', { types: ['gift' as 'mint'] }],
  ])('rejects %s', async (_what, input) => {
    const walletId = await givenWallet(mint, '1');

    await expect(history(mint, { walletId, ...input })).rejects.toMatchObject({ code: 'MINT.INVALID_INPUT' });
  });

  it('has the balance at any time, also when clocks went back', async () => {
    const { wallet } = await givenHistory();
    const balances = await Promise.all(
      [-1, 0, 1, 2, 4, 5, 30].map(async (minute) =>
        (await balanceAt(mint, { walletId: wallet, at: at(minute) })).toFixed(),
      ),
    );

    // 100 at minute 0; each minute adds an odd amount and subtracts the next even one; minute 1 adds a reward of 0.5.
    expect(balances).toEqual(['0', '100', '99.5', '98.5', '96.5', '95.5', '95.5']);
    const before = await balanceAt(mint, { walletId: wallet, at: new Date(at(5).getTime() - 1) });
    expect(before.toFixed()).toBe('96.5');
  });

  it('has the past balance of the treasury', async () => {
    expect((await balanceAt(mint, { walletId: 'treasury-USD', at: at(0) })).toFixed()).toBe('0');
  });
});
