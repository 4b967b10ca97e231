/** @server any */
import { SuiteError } from '@azora/db-core';
import { useDatabase } from '@azora/db-testkit';
import { type Mint, openMint, reconcile, type TransferInput, transfer } from '../src';
import { balanceOf, fresh, givenWallet, outcomes } from './ledger-given';

describe('concurrent transfers whose statement waits or fails', () => {
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

  describe('while another session holds a wallet', () => {
    /** Pays from a wallet in a transaction that stays open until its end is called. */
    async function givenOpenPayment(from: string, to: string, amount: string) {
      const other = await mint.pool.connect();
      await other.query('BEGIN');
      const values = [fresh('key'), 'a'.repeat(64), fresh('id'), from, to, amount];
      await other.query('SELECT transfer_money($1, $2, $3, $4, $5, $6, NULL)', values);
      return async (end: 'COMMIT' | 'ROLLBACK') => {
        await other.query(end);
        other.release();
      };
    }

    it('do not wait for it, unless they need it themselves', async () => {
      const [stuck, from] = [await givenWallet(mint, '10'), await givenWallet(mint, '10')];
      const [to, elsewhere] = [await givenWallet(mint, '0'), await givenWallet(mint, '0')];
      const end = await givenOpenPayment(stuck, await givenWallet(mint, '0'), '1');
      const waiting = Array.from({ length: 3 }, () => transfer(mint, request(stuck, elsewhere, '1')));
      let isDone = false;
      void Promise.allSettled(waiting).then(() => {
        isDone = true;
      });

      for (let n = 0; n < 10; n += 1) await transfer(mint, request(from, to, '1'));

      expect(isDone).toBe(false);
      await end('ROLLBACK');
      expect(await outcomes(waiting)).toEqual(['done', 'done', 'done']);
      expect([await balanceOf(mint, to), await balanceOf(mint, elsewhere)]).toEqual(['10', '3']);
    });

    it('wait for it in one connection, however many they are, and all fail when that one waits too long', async () => {
      const [stuck, from] = [await givenWallet(mint, '100'), await givenWallet(mint, '10')];
      const [to, elsewhere] = [await givenWallet(mint, '0'), await givenWallet(mint, '0')];
      const end = await givenOpenPayment(stuck, await givenWallet(mint, '0'), '1');
      const waiting = outcomes(Array.from({ length: 30 }, () => transfer(mint, request(stuck, elsewhere, '1'))));
      await until(() => sessionsIn('transfer_money'));

      await Promise.all(Array.from({ length: 10 }, () => transfer(mint, request(from, to, '1'))));

      expect(await sessionsIn('transfer_')).toHaveLength(1);
      const [waits] = await sessionsIn('transfer_money');
      await db().admin(`SELECT pg_cancel_backend(${waits?.['pid']})`);
      expect(new Set(await waiting)).toEqual(new Set(['DATABASE.TIMEOUT']));
      await end('ROLLBACK');
      await transfer(mint, request(stuck, elsewhere, '1'));
      expect([await balanceOf(mint, to), await balanceOf(mint, elsewhere)]).toEqual(['10', '1']);
    });

    it('are judged again when it commits what they were about to spend', async () => {
      const [payer, payee, rich] = [
        await givenWallet(mint, '10'),
        await givenWallet(mint, '0'),
        await givenWallet(mint, '9'),
      ];
      const [tooMuch, small] = [request(payer, payee, '5'), request(payer, payee, '1')];
      // As long as the test needs to see that it waits.
      await db().admin("ALTER FUNCTION transfer_each SET lock_timeout = '60s'");
      const end = await givenOpenPayment(payer, rich, '8');
      const calls = watchCalls();

      const results = outcomes([tooMuch, small, request(rich, payee, '9')].map((one) => transfer(mint, one)));
      await until(() => sessionsIn('transfer_each'));
      await end('COMMIT');

      expect(await results).toEqual(['MINT.INSUFFICIENT_FUNDS', 'done', 'done']);
      expect(calls()).toEqual(['transfer_each']);
      expect([await balanceOf(mint, payer), await balanceOf(mint, payee)]).toEqual(['1', '10']);
      await db().admin("ALTER FUNCTION transfer_each SET lock_timeout = '100ms'");
    });

    /** The sessions of the store that wait for a lock in a statement that calls the function. */
    const sessionsIn = (name: string) =>
      db().admin(`SELECT DISTINCT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE NOT granted AND datname = current_database() AND query LIKE '%${name}%' AND pid <> pg_backend_pid()`);

    async function until(found: () => Promise<readonly unknown[]>): Promise<void> {
      while ((await found()).length === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  });

  it.each([
    ['whose outcome is unknown', 'DATABASE.CONNECTION_LOST'],
    ['that could not be sent', 'DATABASE.NO_CONNECTION'],
  ])('all fail with the error of a statement %s, and none is sent again', async (_what, code) => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const query = jest.spyOn(mint, 'query').mockRejectedValue(new SuiteError(code, 'gone'));

    const calls = [request(from, to, '1'), request(from, to, '2')].map((one) => transfer(mint, one));

    expect(await outcomes(calls)).toEqual([code, code]);
    expect(query).toHaveBeenCalledTimes(1);
    jest.restoreAllMocks();
    expect(await balanceOf(mint, from)).toBe('10');
  });

  it('of a statement that was rolled back are made one by one', async () => {
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    const query = jest.spyOn(mint, 'query').mockRejectedValueOnce(new SuiteError('DATABASE.TIMEOUT', 'too long'));

    const calls = [request(from, to, '1'), request(from, to, '20')].map((one) => transfer(mint, one));

    expect(await outcomes(calls)).toEqual(['done', 'MINT.INSUFFICIENT_FUNDS']);
    expect(query.mock.calls.map(([{ text }]) => /(transfer|locked)_\w+/.exec(text)?.[0])).toEqual([
      'transfer_each',
      'locked_wallets',
      ...['transfer_money', 'transfer_money'],
    ]);
  });
});
