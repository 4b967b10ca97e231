/** @server any */
import { useDatabase } from '@azora/db-testkit';
import { burn, closeWallet, getWallet, mint as issue, type Mint, openMint, reconcile } from '../src';
import { balanceOf, fresh, givenHold, givenStores, givenWallet, outcomes } from './ledger-given';

describe('issuance', () => {
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

  const treasury = async (currency: string) => balanceOf(mint, `treasury-${currency}`);

  it('takes money from the treasury of the currency, and burning returns it', async () => {
    const wallet = await givenWallet(mint, '0', 'BTC');

    const made = await issue(mint, { to: wallet, amount: '2.5', idempotencyKey: fresh('key') });
    const reward = await issue(mint, {
      to: wallet,
      amount: '1',
      type: 'reward',
      description: 'Course completion',
      idempotencyKey: fresh('key'),
    });
    const burned = await burn(mint, { from: wallet, amount: '0.5', idempotencyKey: fresh('key') });

    expect(made).toMatchObject({ type: 'mint', fromId: 'treasury-BTC', toId: wallet, currency: 'BTC' });
    expect(reward).toMatchObject({ type: 'reward', fromId: 'treasury-BTC', description: 'Course completion' });
    expect(burned).toMatchObject({ type: 'burn', fromId: wallet, toId: 'treasury-BTC' });
    const { balance, earned } = await getWallet(mint, { walletId: wallet });
    expect([balance.toFixed(), earned.toFixed(), await treasury('BTC')]).toEqual(['3', '1', '-3']);
  });

  it('takes effect once per key when calls race', async () => {
    const wallet = await givenWallet(mint, '0');
    const stores = givenStores(db(), 4);
    const request = { to: wallet, amount: '10', idempotencyKey: fresh('key') };

    const answers = await Promise.all(Array.from({ length: 16 }, (_, n) => issue(stores[n % 4] as Mint, request)));
    await Promise.all(stores.map((store) => store.close()));

    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await balanceOf(mint, wallet)).toBe('10');
    const others = await outcomes([
      issue(mint, { ...request, type: 'reward' }),
      issue(mint, { ...request, amount: '11' }),
      burn(mint, { from: wallet, amount: '10', idempotencyKey: request.idempotencyKey }),
    ]);
    expect(others).toEqual(Array(3).fill('MINT.KEY_REUSED'));
  });

  it('never burns more than the available amount', async () => {
    const wallet = await givenWallet(mint, '10');
    await givenHold(mint, wallet, '4');

    const results = await outcomes(
      Array.from({ length: 10 }, () => burn(mint, { from: wallet, amount: '1', idempotencyKey: fresh('key') })),
    );

    expect(results.filter((result) => result === 'done')).toHaveLength(6);
    expect(results.filter((result) => result === 'MINT.INSUFFICIENT_FUNDS')).toHaveLength(4);
  });

  it('rejects an amount that exceeds the limit of the wallet or of the treasury', async () => {
    const most = '9999999999.99999999';
    const wallet = await givenWallet(mint, '0', 'BTC');
    const owed = (await getWallet(mint, { walletId: 'treasury-BTC' })).balance.add(most).toFixed();
    await issue(mint, { to: wallet, amount: owed, idempotencyKey: fresh('key') });
    const other = await givenWallet(mint, '0', 'BTC');

    const more = issue(mint, { to: other, amount: '0.00000001', idempotencyKey: fresh('key') });
    await expect(more).rejects.toMatchObject({ code: 'MINT.BALANCE_LIMIT', meta: { walletId: 'treasury-BTC' } });

    await burn(mint, { from: wallet, amount: owed, idempotencyKey: fresh('key') });
    const rows = `INSERT INTO requests (key, operation, body_hash, answer)
        VALUES ('k', 'x', repeat('a', 64), '{"transactionIds": ["l", "m"]}');
      INSERT INTO transactions (id, type, from_id, to_id, currency, amount, request_key) VALUES
        ('l', 'mint', 'treasury-BTC', '${wallet}', 'BTC', ${most}, 'k'), ('m', 'mint', 'treasury-BTC', '${wallet}', 'BTC', 1, 'k')`;
    await expect(db().admin(rows)).rejects.toMatchObject({ message: 'balance_limit' });
  });

  it.each([
    ['an unknown wallet', 'nobody', 'MINT.WALLET_NOT_FOUND'],
    ['the treasury', 'treasury-AZR', 'MINT.SYSTEM_WALLET'],
    ['the staking wallet', 'staking-AZR', 'MINT.SYSTEM_WALLET'],
  ])('rejects %s', async (_who, id, code) => {
    const rest = { amount: '1', idempotencyKey: fresh('key') };

    await expect(issue(mint, { to: id, ...rest })).rejects.toMatchObject({ code });
    await expect(burn(mint, { from: id, ...rest })).rejects.toMatchObject({ code });
  });

  it('rejects a closed wallet', async () => {
    const id = await givenWallet(mint, '0');
    await closeWallet(mint, { walletId: id });

    const call = issue(mint, { to: id, amount: '1', idempotencyKey: fresh('key') });

    await expect(call).rejects.toMatchObject({ code: 'MINT.WALLET_CLOSED' });
  });
});
