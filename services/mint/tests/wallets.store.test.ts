/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { closeWallet, findWallet, getWallet, type Mint, openMint, openWallet, release, transfer } from '../src';
import { fresh, givenHold, givenStores, givenWallet, outcomes } from './ledger-given';

describe('wallets', () => {
  const db = useDatabase('mint');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let mint: Mint;
  beforeAll(() => {
    mint = openMint({ url: db().url });
  });
  afterAll(() => mint.close());

  it('are created empty, with the time of the database', async () => {
    const userId = fresh('user');

    const wallet = await openWallet(mint, { userId, currency: 'BTC' });

    expect(JSON.parse(JSON.stringify(wallet))).toEqual({
      id: expect.stringMatching(/^c[0-9a-z]{24}$/),
      kind: 'user',
      userId,
      currency: 'BTC',
      balance: '0',
      held: '0',
      earned: '0',
      status: 'active',
      closedAt: null,
      createdAt: clock.now().toISOString(),
      updatedAt: clock.now().toISOString(),
    });
    expect(await getWallet(mint, { walletId: wallet.id })).toEqual(wallet);
    expect(await findWallet(mint, { userId, currency: 'BTC' })).toEqual(wallet);
    expect(await findWallet(mint, { userId, currency: 'USD' })).toBeNull();
  });

  it('are unique per user and currency when many calls race', async () => {
    const stores = givenStores(db(), 8);
    const userId = fresh('user');

    const wallets = await Promise.all(stores.map((store) => openWallet(store, { userId, currency: 'AZR' })));
    await Promise.all(stores.map((store) => store.close()));

    expect(new Set(wallets.map(({ id }) => id)).size).toBe(1);
  });

  it('can be closed when they are empty, and stay closed', async () => {
    const id = await givenWallet(mint, '0');
    await clock.set('2026-03-02T12:00:00Z');

    const closed = await closeWallet(mint, { walletId: id });
    const again = await closeWallet(mint, { walletId: id });

    expect(closed).toMatchObject({ status: 'closed', closedAt: clock.now() });
    expect(again).toEqual(closed);
    await expect(openWallet(mint, { userId: String(closed.userId), currency: 'AZR' })).rejects.toMatchObject({
      code: 'MINT.WALLET_CLOSED',
    });
    const other = await givenWallet(mint, '5');
    const pay = (from: string, to: string) => transfer(mint, { from, to, amount: '1', idempotencyKey: fresh('key') });
    await expect(pay(other, id)).rejects.toMatchObject({ code: 'MINT.WALLET_CLOSED', meta: { walletId: id } });
    await expect(pay(id, other)).rejects.toMatchObject({ code: 'MINT.WALLET_CLOSED', meta: { walletId: id } });
  });

  it('cannot be closed with a balance, holds or stakes', async () => {
    const rich = await givenWallet(mint, '5');
    const holding = await givenWallet(mint, '5');
    const holdId = await givenHold(mint, holding, '5');
    const staking = await givenWallet(mint, '5');
    await db().admin(`INSERT INTO stakes (id, wallet_id, amount, annual_rate, started_at, locked_until)
        VALUES ('${staking}', '${staking}', 5, 0, '2026-03-01', '9999-01-01');
      INSERT INTO requests (key, operation, body_hash, answer)
        VALUES ('${staking}', 'stake', repeat('a', 64), '{"transactionIds": ["${staking}"]}');
      INSERT INTO transactions (id, type, from_id, to_id, stake_id, amount, request_key)
        VALUES ('${staking}', 'stake', '${staking}', 'staking-AZR', '${staking}', 5, '${staking}')`);

    const notEmpty = (meta: object) => ({ code: 'MINT.WALLET_NOT_EMPTY', meta: expect.objectContaining(meta) });
    await expect(closeWallet(mint, { walletId: rich })).rejects.toMatchObject(notEmpty({ balance: '5.00000000' }));
    await expect(closeWallet(mint, { walletId: holding })).rejects.toMatchObject(notEmpty({ held: '5.00000000' }));
    await expect(closeWallet(mint, { walletId: staking })).rejects.toMatchObject(notEmpty({ activeStakes: 1 }));

    await release(mint, { holdId, idempotencyKey: fresh('key') });
    await expect(closeWallet(mint, { walletId: holding })).rejects.toMatchObject(notEmpty({ held: '0.00000000' }));
  });

  it.each(['treasury-AZR', 'staking-USD'])('of the system cannot be closed: %s', async (walletId) => {
    await expect(closeWallet(mint, { walletId })).rejects.toMatchObject({ code: 'MINT.SYSTEM_WALLET' });
  });

  it('have an error for an unknown id', async () => {
    const walletId = 'nobody';

    await expect(getWallet(mint, { walletId })).rejects.toMatchObject({ code: 'MINT.WALLET_NOT_FOUND' });
    await expect(closeWallet(mint, { walletId })).rejects.toMatchObject({ code: 'MINT.WALLET_NOT_FOUND' });
  });

  it('either close or receive when both race', async () => {
    const stores = givenStores(db(), 2);
    const payer = await givenWallet(mint, '20');
    for (let round = 0; round < 20; round += 1) {
      const target = await givenWallet(mint, '0');
      const [close, pay] = await outcomes([
        closeWallet(stores[0] as Mint, { walletId: target }),
        transfer(stores[1] as Mint, { from: payer, to: target, amount: '1', idempotencyKey: fresh('key') }),
      ]);
      expect([close, pay]).toEqual(
        close === 'done' ? ['done', 'MINT.WALLET_CLOSED'] : ['MINT.WALLET_NOT_EMPTY', 'done'],
      );
    }
    await Promise.all(stores.map((store) => store.close()));
  });
});
