/** @server any */
import type { SuiteError } from '@azora/db-core';
import { useDatabase } from '@azora/db-testkit';
import fc from 'fast-check';
import { closeWallet, mint as issue, type Mint, openMint, reconcile, type TransferInput, transfer } from '../src';
import { balanceOf, fresh, givenHold, givenStores, givenWallet, outcomes } from './ledger-given';

describe('concurrent transfers', () => {
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

  /** The SQL functions that the store calls from here on, in order. */
  function watchCalls(): () => readonly (string | undefined)[] {
    const query = jest.spyOn(mint, 'query');
    return () => query.mock.calls.map(([{ text }]) => /transfer_\w+/.exec(text)?.[0]);
  }

  it('share few statements, each under its own key and with its own description', async () => {
    const wallets = await Promise.all(Array.from({ length: 20 }, () => givenWallet(mint, '100')));
    const calls = watchCalls();
    const requests = Array.from({ length: 300 }, (_, n) => ({
      ...request(wallets[n % 20] as string, wallets[(n + 7) % 20] as string, '1'),
      ...(n % 2 === 0 ? { description: `number ${n}` } : {}),
    }));

    const made = await Promise.all(requests.map((one) => transfer(mint, one)));

    expect(made.map(({ requestKey, fromId, toId, description }) => [requestKey, fromId, toId, description])).toEqual(
      requests.map(({ idempotencyKey, from, to, description }) => [idempotencyKey, from, to, description ?? null]),
    );
    // On a busy machine a batch that waits too long for a lock is followed by single transfers.
    expect(calls().filter((call) => call === 'transfer_each')).toHaveLength(3);
    expect(await Promise.all(requests.slice(0, 40).map((one) => transfer(mint, one)))).toEqual(made.slice(0, 40));
    expect(new Set(await Promise.all(wallets.map((id) => balanceOf(mint, id))))).toEqual(new Set(['100']));
  });

  it('share nothing between two stores', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const other = openMint({ url: db().url });
    const calls = watchCalls();

    await Promise.all([mint, other].map((store) => transfer(store, request(from, to, '1'))));

    expect(mint.gatherer).not.toBe(other.gatherer);
    expect(calls()).toEqual(['transfer_money']);
    await other.close();
  });

  it('run a statement each when they come one after the other', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const calls = watchCalls();

    for (let n = 0; n < 5; n += 1) await transfer(mint, request(from, to, '1'));

    expect(calls()).toEqual(Array(5).fill('transfer_money'));
  });

  it('are made by one statement although some of them are rejected', async () => {
    const [from, to, poor] = [
      await givenWallet(mint, '100'),
      await givenWallet(mint, '0'),
      await givenWallet(mint, '0'),
    ];
    const calls = watchCalls();

    const results = await outcomes(
      Array.from({ length: 100 }, (_, n) => transfer(mint, request(n % 10 === 3 ? poor : from, to, '1'))),
    );

    expect(results).toEqual(results.map((_, n) => (n % 10 === 3 ? 'MINT.INSUFFICIENT_FUNDS' : 'done')));
    expect(calls()).toEqual(['transfer_each']);
    expect(await balanceOf(mint, to)).toBe('90');
  });

  it('leave the keys of rejected transfers free, and repeat the answers of the others', async () => {
    const [from, to] = [await givenWallet(mint, '5'), await givenWallet(mint, '0')];
    const [first, tooMuch] = [request(from, to, '4'), request(from, to, '3')];
    const made = await Promise.all([transfer(mint, first), transfer(mint, tooMuch).catch(({ code }) => code)]);
    await issue(mint, { to: from, amount: '2', idempotencyKey: fresh('key') });
    const calls = watchCalls();

    const again = await Promise.all([first, tooMuch].map((one) => transfer(mint, one)));

    expect(made).toEqual([expect.anything(), 'MINT.INSUFFICIENT_FUNDS']);
    expect(again[0]).toEqual(made[0]);
    expect(again[1]).toMatchObject({ requestKey: tooMuch.idempotencyKey });
    expect(calls()).toEqual(['transfer_each']);
    expect([await balanceOf(mint, from), await balanceOf(mint, to)]).toEqual(['0', '7']);
  });

  it('are rejected with the same error as alone', async () => {
    const [a, b] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const [closed, closedToo] = [await givenWallet(mint, '0'), await givenWallet(mint, '0')];
    for (const walletId of [closed, closedToo]) await closeWallet(mint, { walletId });
    const btc = await givenWallet(mint, '5', 'BTC');
    const [held, usedKey, holdKey] = [await givenWallet(mint, '10'), fresh('key'), fresh('hold')];
    await givenHold(mint, held, '4');
    await transfer(mint, { from: a, to: b, amount: '1', idempotencyKey: usedKey });
    await issue(mint, { to: a, amount: '1', idempotencyKey: holdKey });
    const rejected: readonly TransferInput[] = [
      request(b, a, '1.00000001'),
      request(held, a, '6.5'),
      request(a, 'nobody', '1'),
      request('nobody', a, '1'),
      request('nobody', 'no-one', '1'),
      request(a, closed, '1'),
      request(closed, a, '1'),
      request(closed, closedToo, '1'),
      request(closedToo, closed, '1'),
      request(closed, 'nobody', '1'),
      request('treasury-AZR', closed, '1'),
      request(a, a, '1'),
      request('nobody', 'nobody', '1'),
      request(a, btc, '1'),
      request('treasury-AZR', btc, '1'),
      request('treasury-AZR', a, '1'),
      request(a, 'staking-AZR', '1'),
      request('treasury-AZR', 'staking-AZR', '1'),
      { ...request(a, b, '2'), idempotencyKey: usedKey },
      { ...request(b, 'nobody', '1'), idempotencyKey: holdKey },
    ];
    const shown = (error: SuiteError) => ({ ...error, message: error.message });
    const alone: unknown[] = [];
    for (const one of rejected) alone.push(await transfer(mint, one).catch(shown));
    const calls = watchCalls();

    const together = await Promise.all(rejected.map((one) => transfer(mint, one).catch(shown)));

    expect(together).toEqual(alone);
    expect([...new Set(alone.map((error) => (error as SuiteError).code))].sort()).toEqual([
      ...['MINT.CURRENCY_MISMATCH', 'MINT.INSUFFICIENT_FUNDS', 'MINT.KEY_REUSED', 'MINT.SAME_WALLET'],
      ...['MINT.SYSTEM_WALLET', 'MINT.WALLET_CLOSED', 'MINT.WALLET_NOT_FOUND'],
    ]);
    expect(calls()).toEqual(['transfer_each']);
  });

  it('return one answer per key within a batch, and reject other input under it', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const [twice, poor] = [request(from, to, '1'), request(to, from, '50')];

    const results = await Promise.allSettled(
      [twice, twice, { ...twice, amount: '3' }, poor, { ...poor, amount: '0.5' }].map((one) => transfer(mint, one)),
    );

    const codes = results.map((it) => (it.status === 'fulfilled' ? it.value.id : it.reason.code));
    expect(codes).toEqual([codes[0], codes[0], 'MINT.KEY_REUSED', 'MINT.INSUFFICIENT_FUNDS', expect.any(String)]);
    expect([await balanceOf(mint, from), await balanceOf(mint, to)]).toEqual(['9.5', '0.5']);
  });

  it('spend a balance in the order in which they were requested', async () => {
    const [payer, payee] = [await givenWallet(mint, '6'), await givenWallet(mint, '0')];
    const [p, q] = [await givenWallet(mint, '5'), await givenWallet(mint, '5')];
    const [a, b] = [await givenWallet(mint, '0'), await givenWallet(mint, '0')];
    const shown = (error: SuiteError) => [error.code, error.meta['available'], error.meta['asked']];

    const results = await Promise.all(
      [
        ...['4', '5', '1', '1', '0.00000001'].map((amount) => request(payer, payee, amount)),
        // Each wallet receives before it spends again: both second payments are covered, in this order only.
        ...[request(p, q, '5'), request(q, p, '5'), request(p, payee, '5'), request(q, payee, '5')],
        ...[request(a, b, '5'), request(b, a, '5')],
      ].map((one) => transfer(mint, one).then(() => 'done', shown)),
    );

    expect(results).toEqual([
      'done',
      ['MINT.INSUFFICIENT_FUNDS', '2.00000000', '5'],
      ...['done', 'done'],
      ['MINT.INSUFFICIENT_FUNDS', '0.00000000', '0.00000001'],
      ...['done', 'done', 'done', 'done'],
      ...Array(2).fill(['MINT.INSUFFICIENT_FUNDS', '0.00000000', '5']),
    ]);
    expect(await balanceOf(mint, payee)).toBe('16');
  });

  it('end as if each were made alone in the order of the batch', async () => {
    const wallets = await Promise.all(['3', '0', '7', '20'].map((amount) => givenWallet(mint, amount)));
    await givenHold(mint, wallets[2] as string, '2');
    const parties = fc.constantFrom(...wallets, 'nobody', 'treasury-AZR');
    const amounts = fc.constantFrom('1', '2', '3.5', '4', '6', '10', '0', 'NaN');
    const batches = fc.array(fc.record({ from: parties, to: parties, amount: amounts }), {
      minLength: 2,
      maxLength: 25,
    });
    const client = await mint.pool.connect();

    await fc.assert(
      fc.asyncProperty(batches, async (batch) => {
        const keys = batch.map(() => fresh('key'));
        await client.query('BEGIN');
        const [alone, aloneBalances] = [await oneByOne(batch, keys), await balances()];
        await client.query('ROLLBACK; BEGIN');
        const { rows } = await client.query(
          `SELECT rule, facts, (made).amount FROM unnest($1::text[]) WITH ORDINALITY AS asked (asked_key, place)
           JOIN transfer_each($1, array_fill(repeat('a', 64), ARRAY[cardinality($1)]), $1, $2, $3, $4,
             array_fill(NULL::text, ARRAY[cardinality($1)])) ON key = asked_key
           ORDER BY place`,
          [keys, batch.map(({ from }) => from), batch.map(({ to }) => to), batch.map(({ amount }) => amount)],
        );
        const togetherBalances = await balances();
        const found = await client.query('SELECT count(*)::int AS kept FROM requests WHERE key = ANY ($1)', [keys]);
        await client.query('ROLLBACK');

        expect(rows).toEqual(alone);
        expect(togetherBalances).toEqual(aloneBalances);
        expect(found.rows[0].kept).toBe(alone.filter(({ rule }) => rule === null).length);
      }),
      { numRuns: 60 },
    );
    client.release();

    async function oneByOne(batch: readonly { from: string; to: string; amount: string }[], keys: readonly string[]) {
      const results: { rule: string | null; facts: unknown; amount: string | null }[] = [];
      for (const [place, { from, to, amount }] of batch.entries()) {
        await client.query('SAVEPOINT one');
        try {
          const text = "SELECT amount FROM transfer_money($1, repeat('a', 64), $1, $2, $3, $4, NULL)";
          const { rows } = await client.query(text, [keys[place], from, to, amount]);
          results.push({ rule: null, facts: null, amount: rows[0].amount });
        } catch (error) {
          const { code, message, detail } = error as { code: string; message: string; detail: string };
          expect(code).toBe('AZ001');
          await client.query('ROLLBACK TO one');
          results.push({ rule: message, facts: JSON.parse(detail), amount: null });
        }
      }
      return results;
    }
    async function balances() {
      return (await client.query('SELECT id, balance FROM wallets ORDER BY id')).rows;
    }
  });

  it('of several stores never overdraw a wallet that others fill and empty meanwhile, and never deadlock', async () => {
    const stores = givenStores(db(), 4);
    const [poor, rich] = [await givenWallet(mint, '3'), await givenWallet(mint, '1000')];
    const others = await Promise.all([1, 2, 3].map(() => givenWallet(mint, '20')));
    const spend = stores.flatMap((store, s) =>
      Array.from({ length: 150 }, (_, n) => {
        const other = others[(n + s) % 3] as string;
        const pairs = [
          [poor, other, '2'],
          [rich, poor, '1'],
          [other, rich, '1'],
          [other, poor, '0.5'],
        ] as const;
        const [from, to, amount] = pairs[(n * 7 + s) % 4] as (typeof pairs)[number];
        return { store, input: request(from, to, amount) };
      }),
    );

    const results = await outcomes(spend.map(({ store, input }) => transfer(store, input)));

    expect(new Set(results)).toEqual(new Set(['done', 'MINT.INSUFFICIENT_FUNDS']));
    const kept = await db().admin('SELECT key FROM requests');
    const keys = new Set(kept.map(({ key }) => key));
    expect(spend.filter(({ input }, n) => keys.has(input.idempotencyKey) !== (results[n] === 'done'))).toEqual([]);
    // A repeat of a transfer that was made has its answer, through every store.
    const done = spend.filter((_, n) => results[n] === 'done').slice(0, 20);
    const repeats = await Promise.all(done.flatMap(({ input }) => stores.map((store) => transfer(store, input))));
    expect(new Set(repeats.map(({ id }) => id)).size).toBe(done.length);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('take effect once per key when several stores send them in batches at once', async () => {
    const stores = givenStores(db(), 4);
    const [from, to] = [await givenWallet(mint, '60'), await givenWallet(mint, '0')];
    const requests = Array.from({ length: 40 }, () => request(from, to, '2'));

    const results = await Promise.all(
      stores.map((store) => Promise.allSettled(requests.map((one) => transfer(store, one)))),
    );

    const ids = requests.map((_, n) => new Set(results.flatMap((ofStore) => idOf(ofStore[n]) ?? [])));
    expect(ids.filter(({ size }) => size > 1)).toEqual([]);
    expect(ids.filter(({ size }) => size === 1)).toHaveLength(30);
    expect([await balanceOf(mint, from), await balanceOf(mint, to)]).toEqual(['0', '60']);
    await Promise.all(stores.map((store) => store.close()));

    function idOf(result: PromiseSettledResult<{ id: string }> | undefined): string | undefined {
      if (result?.status === 'fulfilled') return result.value.id;
      expect(result?.reason.code).toBe('MINT.INSUFFICIENT_FUNDS');
      return undefined;
    }
  });

  it.each([
    ['an amount of 0', 'ARRAY[1, 0]', `ARRAY['$a', '$a']`, 'amount_invalid'],
    ['an amount with 9 decimals', 'ARRAY[1, 0.000000001]', `ARRAY['$a', '$a']`, 'amount_invalid'],
    ['an amount of NaN', `ARRAY[1, 'NaN'::numeric]`, `ARRAY['$a', '$a']`, 'amount_invalid'],
    ['an amount of infinity', `ARRAY[1, 'Infinity'::numeric]`, `ARRAY['$a', '$a']`, 'amount_invalid'],
    ['no amount', 'ARRAY[1, NULL]', `ARRAY['$a', '$a']`, 'amount_invalid'],
    ['more than the balance', 'ARRAY[6, 5]', `ARRAY['$a', '$a']`, 'insufficient_funds'],
    ['no payer', 'ARRAY[1, 1]', `ARRAY['$a', NULL]`, 'wallet_not_found'],
  ])('are rejected individually by the database with %s', async (_what, amounts, payers, rule) => {
    const [a, b] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const [first, second] = [fresh('key'), fresh('key')];

    const rows = await db().app(`SELECT key, rule, (made).to_id FROM transfer_each(
      ARRAY['${first}', '${second}'], ARRAY[repeat('a', 64), repeat('b', 64)], ARRAY['${first}', '${second}'],
      ${payers.replaceAll('$a', a)}, ARRAY['${b}', '${b}'], ${amounts}, ARRAY[NULL, NULL])`);

    expect(rows).toEqual([
      { key: first, rule: null, to_id: b },
      { key: second, rule, to_id: null },
    ]);
    expect(await db().admin(`SELECT key FROM requests WHERE key IN ('${first}', '${second}')`)).toEqual([
      { key: first },
    ]);
  });
});
