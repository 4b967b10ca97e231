import { SuiteError } from '@azora/db-core';
import { useDatabase } from '@azora/db-testkit';
import { closeWallet, type Mint, openMint, reconcile, type TransferInput, transfer } from '../src';
import { balanceOf, dump, fresh, givenWallet, outcomes } from './ledger-given';

describe('transfers that are asked for at once', () => {
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

  const request = (from: string, to: string, amount: string): TransferInput => ({
    from,
    to,
    amount,
    idempotencyKey: fresh('key'),
  });

  it('are made by few calls, each under its own key and at its own moment', async () => {
    const wallets = await Promise.all(Array.from({ length: 20 }, () => givenWallet(mint, '100')));
    const query = jest.spyOn(mint, 'query');
    const requests = Array.from({ length: 300 }, (_, n) => ({
      ...request(wallets[n % 20] as string, wallets[(n + 7) % 20] as string, '1'),
      ...(n % 2 === 0 ? { description: `number ${n}` } : {}),
    }));

    const made = await Promise.all(requests.map((one) => transfer(mint, one)));

    expect(made.map(({ requestKey, fromId, toId, description }) => [requestKey, fromId, toId, description])).toEqual(
      requests.map(({ idempotencyKey, from, to, description }) => [idempotencyKey, from, to, description ?? null]),
    );
    expect(query.mock.calls.map(([{ name }]) => name)).toEqual(Array(3).fill('mint.transferGathered'));
    expect(await Promise.all(requests.slice(0, 40).map((one) => transfer(mint, one)))).toEqual(made.slice(0, 40));
    expect(new Set(await Promise.all(wallets.map((id) => balanceOf(mint, id))))).toEqual(new Set(['100']));
  });

  it('are a call each when they come one after the other', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const query = jest.spyOn(mint, 'query');

    for (let n = 0; n < 5; n += 1) await transfer(mint, request(from, to, '1'));

    expect(query.mock.calls.map(([{ name }]) => name)).toEqual(Array(5).fill('mint.transfer'));
  });

  it('succeed and fail each by itself', async () => {
    const [a, b, poor] = [await givenWallet(mint, '10'), await givenWallet(mint, '0'), await givenWallet(mint, '0')];
    const closed = await givenWallet(mint, '0');
    await closeWallet(mint, { walletId: closed });
    const btc = await givenWallet(mint, '5', 'BTC');
    const twice = request(a, b, '1');

    const results = await outcomes(
      [
        request(a, b, '2'),
        request(poor, b, '1'),
        request(a, 'nobody', '1'),
        request(a, closed, '1'),
        request(a, a, '1'),
        request(a, btc, '1'),
        request('treasury-AZR', a, '1'),
        twice,
        twice,
        { ...twice, amount: '3' },
        request(b, a, '0.5'),
      ].map((one) => transfer(mint, one)),
    );

    expect(results.slice(0, 7)).toEqual([
      'done',
      'MINT.INSUFFICIENT_FUNDS',
      'MINT.WALLET_NOT_FOUND',
      'MINT.WALLET_CLOSED',
      'MINT.SAME_WALLET',
      'MINT.CURRENCY_MISMATCH',
      'MINT.SYSTEM_WALLET',
    ]);
    expect([...results.slice(7, 10)].sort()).toEqual(expect.arrayContaining(['MINT.KEY_REUSED', 'done']));
    expect(results.slice(7, 10).filter((it) => it === 'done' || it === 'MINT.KEY_REUSED')).toHaveLength(3);
  });

  it('spend what is there, in whatever order, and not what the others bring', async () => {
    const [a, b] = [await givenWallet(mint, '0'), await givenWallet(mint, '0')];
    const [payer, payee] = [await givenWallet(mint, '6'), await givenWallet(mint, '0')];
    const once = Array.from({ length: 10 }, () => request(payer, payee, '1'));

    const circle = await outcomes([request(a, b, '5'), request(b, a, '5')].map((one) => transfer(mint, one)));
    const results = await outcomes(once.map((one) => transfer(mint, one)));

    expect(circle).toEqual(['MINT.INSUFFICIENT_FUNDS', 'MINT.INSUFFICIENT_FUNDS']);
    expect(results.filter((it) => it === 'done')).toHaveLength(6);
    expect(results.filter((it) => it === 'MINT.INSUFFICIENT_FUNDS')).toHaveLength(4);
    expect([await balanceOf(mint, payer), await balanceOf(mint, payee)]).toEqual(['0', '6']);
  });

  it('do not wait for a wallet that one of them needs and somebody else holds', async () => {
    const [stuck, from] = [await givenWallet(mint, '10'), await givenWallet(mint, '10')];
    const [to, elsewhere] = [await givenWallet(mint, '0'), await givenWallet(mint, '0')];
    const other = await mint.pool.connect();
    await other.query('BEGIN');
    const unfinished = [fresh('key'), 'a'.repeat(64), fresh('id'), stuck, await givenWallet(mint, '0')];
    await other.query('SELECT transfer_money($1, $2, $3, $4, $5, 1, NULL, now())', unfinished);
    const waiting = Array.from({ length: 3 }, () => transfer(mint, request(stuck, elsewhere, '1')));
    let isDone = false;
    void Promise.allSettled(waiting).then(() => {
      isDone = true;
    });

    for (let n = 0; n < 10; n += 1) await transfer(mint, request(from, to, '1'));

    expect(isDone).toBe(false);
    await other.query('ROLLBACK');
    other.release();
    expect(await outcomes(waiting)).toEqual(['done', 'done', 'done']);
    expect([await balanceOf(mint, to), await balanceOf(mint, elsewhere)]).toEqual(['10', '3']);
  });

  it('all end with the connection, and none is sent again unasked', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const lost = new SuiteError('DATABASE.CONNECTION_LOST', 'gone');
    const query = jest.spyOn(mint, 'query').mockRejectedValue(lost);

    const calls = [request(from, to, '1'), request(from, to, '2')].map((one) => transfer(mint, one));

    expect(await outcomes(calls)).toEqual(['DATABASE.CONNECTION_LOST', 'DATABASE.CONNECTION_LOST']);
    expect(query).toHaveBeenCalledTimes(1);
  });

  it.each([
    ['an amount of nothing', `ARRAY[1, 0]`, `ARRAY['$a', '$a']`],
    ['an amount that is too fine', `ARRAY[1, 0.000000001]`, `ARRAY['$a', '$a']`],
    ['NaN', `ARRAY[1, 'NaN'::numeric]`, `ARRAY['$a', '$a']`],
    ['no amount', `ARRAY[1, NULL]`, `ARRAY['$a', '$a']`],
    ['more than is there', `ARRAY[6, 5]`, `ARRAY['$a', '$a']`],
    ['a payer that is nobody', `ARRAY[1, 1]`, `ARRAY['$a', NULL]`],
  ])('are refused by the database as a whole with %s', async (_what, amounts, payers) => {
    const [a, b] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const [first, second] = [fresh('key'), fresh('key')];
    const before = await dump(db());

    const call = db().app(`SELECT transfer_gathered(
      ARRAY['${first}', '${second}'], ARRAY[repeat('a', 64), repeat('b', 64)], ARRAY['${first}', '${second}'],
      ${payers.replaceAll('$a', a)}, ARRAY['${b}', '${b}'], ${amounts}, ARRAY[NULL, NULL], ARRAY[now(), now()])`);

    await expect(call).rejects.toThrow('gathered_transfers');
    expect(await dump(db())).toBe(before);
  });
});
