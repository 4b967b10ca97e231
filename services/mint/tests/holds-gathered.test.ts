/** @server any */
import { useDatabase } from '@azora/db-testkit';
import { capture, getHold, hold, type Mint, openMint, reconcile, release } from '../src';
import { balanceOf, fresh, givenHold, givenStores, givenWallet, HOUR_MS, outcomes } from './ledger-given';

describe('concurrent holds and captures of one store', () => {
  const db = useDatabase('mint');
  let mint: Mint;
  beforeEach(() => {
    mint = openMint({ url: db().url });
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    expect(await reconcile(mint)).toEqual([]);
    await mint.close();
  });

  const setAside = (from: string, amount: string, { to, store = mint }: { to?: string; store?: Mint } = {}) =>
    hold(store, {
      from,
      amount,
      expiresIn: HOUR_MS,
      idempotencyKey: fresh('key'),
      ...(to === undefined ? {} : { to }),
    });
  const pay = (holdId: string, { store = mint, ...fields }: { store?: Mint; amount?: string; to?: string } = {}) =>
    capture(store, { holdId, ...fields, idempotencyKey: fresh('key') });

  /** The SQL functions that the store calls from here on, in order. */
  function watchCalls(): () => readonly (string | undefined)[] {
    const query = jest.spyOn(mint, 'query');
    return () => query.mock.calls.map(([{ text }]) => /FROM (\w+)\(/.exec(text)?.[1]);
  }

  it('share one statement for each step, and each has its own result', async () => {
    const [wallets, teacher] = [
      await Promise.all(Array.from({ length: 10 }, () => givenWallet(mint, '100'))),
      await givenWallet(mint, '0'),
    ];
    const calls = watchCalls();

    const holds = await Promise.all(wallets.map((from) => setAside(from, '40', { to: teacher })));
    const paid = await Promise.all(holds.map(({ id }) => pay(id)));

    expect(calls()).toEqual(['hold_each', 'capture_each']);
    expect(holds.map(({ walletId, toId, status }) => [walletId, toId, status])).toEqual(
      wallets.map((id) => [id, teacher, 'held']),
    );
    expect(paid.map(({ fromId, toId, holdId }) => [fromId, toId, holdId])).toEqual(
      holds.map(({ id, walletId }) => [walletId, teacher, id]),
    );
    expect(await balanceOf(mint, teacher)).toBe('400');
  });

  it('fail each with its own error, and the others succeed', async () => {
    const [rich, poor, to] = [
      await givenWallet(mint, '100'),
      await givenWallet(mint, '1'),
      await givenWallet(mint, '0'),
    ];
    const held = await outcomes([
      setAside(rich, '60', { to }),
      setAside(poor, '2', { to }),
      setAside('nobody', '1', { to }),
      setAside(rich, '60', { to }),
      setAside(rich, '40'),
    ]);
    expect(held).toEqual([
      'done',
      'MINT.INSUFFICIENT_FUNDS',
      'MINT.WALLET_NOT_FOUND',
      'MINT.INSUFFICIENT_FUNDS',
      'done',
    ]);

    const other = await givenWallet(mint, '100');
    const [first, second, gone] = [
      await givenHold(mint, other, '10', to),
      await givenHold(mint, other, '10'),
      await givenHold(mint, other, '10', to),
    ];
    await release(mint, { holdId: gone, idempotencyKey: fresh('key') });
    const paid = await outcomes([
      pay(first, { amount: '4' }),
      pay(second),
      pay(gone),
      pay('none'),
      pay(first, { amount: '5' }),
    ]);
    expect(paid).toEqual([
      'done',
      'MINT.HOLD_RECEIVER',
      'MINT.HOLD_RESOLVED',
      'MINT.HOLD_NOT_FOUND',
      'MINT.HOLD_RESOLVED',
    ]);
    expect(await balanceOf(mint, to)).toBe('4');
  });

  it('with one key set money aside once', async () => {
    const from = await givenWallet(mint, '100');
    const order = { from, amount: '60', expiresIn: HOUR_MS, idempotencyKey: fresh('key') };

    const holds = await Promise.all([1, 2, 3].map(() => hold(mint, order)));

    expect(new Set(holds.map(({ id }) => id)).size).toBe(1);
    const reused = await outcomes([hold(mint, { ...order, amount: '1' }), setAside(from, '40')]);
    expect(reused).toEqual(['MINT.KEY_REUSED', 'done']);
  });

  it('pay a hold once, and never set aside more than a wallet has, whichever process asks', async () => {
    const stores = givenStores(db(), 2);
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const storeOf = (n: number) => stores[n % stores.length] as Mint;

    const held = await outcomes(Array.from({ length: 16 }, (_, n) => setAside(from, '1', { to, store: storeOf(n) })));
    const open = await mint.prisma.hold.findMany({ where: { walletId: from }, select: { id: true } });
    const paid = await outcomes(
      [...open, ...open].map(({ id }, n) => pay(id, { store: storeOf(Math.floor(n / open.length)) })),
    );

    expect(held.toSorted()).toEqual([...Array(6).fill('MINT.INSUFFICIENT_FUNDS'), ...Array(10).fill('done')]);
    expect(paid.toSorted()).toEqual([...Array(10).fill('MINT.HOLD_RESOLVED'), ...Array(10).fill('done')]);
    expect([await balanceOf(mint, from), await balanceOf(mint, to)]).toEqual(['0', '10']);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('do not wait for a wallet that another session has locked', async () => {
    const [stuck, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const others = await Promise.all(Array.from({ length: 5 }, () => givenWallet(mint, '10')));
    const session = await mint.pool.connect();
    await session.query('BEGIN');
    const values = [fresh('key'), 'a'.repeat(64), fresh('id'), stuck, to, '1'];
    await session.query('SELECT transfer_money($1, $2, $3, $4, $5, $6, NULL)', values);
    let isDone = false;
    const waiting = setAside(stuck, '1').finally(() => {
      isDone = true;
    });

    const made = await outcomes(others.map((from) => setAside(from, '1')));

    expect([made, isDone]).toEqual([Array(5).fill('done'), false]);
    await session.query('ROLLBACK');
    session.release();
    const { id } = await waiting;
    expect((await getHold(mint, { holdId: id })).status).toBe('held');
  });
});
