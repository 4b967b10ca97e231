/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  accrueRewards,
  capture,
  claimRewards,
  mint as issue,
  type Mint,
  openMint,
  reconcile,
  stake,
  transfer,
} from '../src';
import { fresh, givenHold, givenWallet } from './ledger-given';

/** Like an administrator who has disabled the triggers of the table. */
const unguarded = (table: string, sql: string) => `BEGIN; ALTER TABLE ${table} DISABLE TRIGGER ALL; ${sql};
  ALTER TABLE ${table} ENABLE TRIGGER ALL; COMMIT`;

describe('reconcile', () => {
  const db = useDatabase('mint');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let mint: Mint;
  let [payer, receiver, holdId, openHoldId, stakeId] = ['', '', '', '', ''];

  beforeAll(async () => {
    mint = openMint({ url: db().url });
    [payer, receiver] = [await givenWallet(mint, '100'), await givenWallet(mint, '5')];
    await issue(mint, { to: payer, amount: '10', type: 'reward', idempotencyKey: 'reward' });
    await transfer(mint, { from: payer, to: receiver, amount: '1', idempotencyKey: 'transfer' });
    holdId = await givenHold(mint, payer, '8', receiver);
    openHoldId = await givenHold(mint, payer, '2', receiver);
    await capture(mint, { holdId, amount: '7', idempotencyKey: 'capture' });
    ({ id: stakeId } = await stake(mint, {
      walletId: payer,
      amount: '50',
      lockDays: 365,
      annualRate: '0.1',
      idempotencyKey: fresh('stake'),
    }));
    await clock.set('2026-09-01T12:00:00Z');
    await accrueRewards(mint);
    await claimRewards(mint, { stakeId, idempotencyKey: fresh('claim') });
  });
  beforeEach(() => clock.set('2026-09-01T12:00:00Z'));
  afterAll(() => mint.close());

  const differences = async () =>
    (await reconcile(mint)).map(({ check, subject, difference }) => `${check} ${subject} ${difference.toFixed()}`);

  it('finds nothing in a consistent ledger', async () => {
    expect(await reconcile(mint)).toEqual([]);
  });

  it('may take longer than other statements of the app role', async () => {
    const number = `FUNCTION last_number() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER
      SET search_path TO pg_catalog, public, pg_temp AS`;
    const patient = openMint({ url: db().url, pool: { statementTimeoutMs: 120_000 } });
    // Below the numbers of the wallets, there is a difference.
    await db().admin(`CREATE OR REPLACE ${number} $$ SELECT CASE
      WHEN current_setting('statement_timeout') = '2min' AND coalesce(current_setting('transaction_timeout', true), '2min') = '2min'
      THEN last_value ELSE 0 END FROM public.ledger_seq $$`);

    expect(await reconcile(patient)).toEqual([]);
    expect(await reconcile(mint)).toHaveLength(1);
    const { rows } = await patient.pool.query("SELECT current_setting('statement_timeout') AS limit");
    expect(rows).not.toEqual([{ limit: '2min' }]);

    await db().admin(`CREATE OR REPLACE ${number} $$ SELECT last_value FROM public.ledger_seq $$`);
    await patient.close();
  });

  it('compares with one number of the sequence, which moves while others write', async () => {
    const number = `FUNCTION last_number() RETURNS bigint STABLE SECURITY DEFINER
      SET search_path TO pg_catalog, public, pg_temp`;
    // Each call returns another number, as if others had written between two calls.
    await db().admin(`CREATE OR REPLACE ${number} LANGUAGE plpgsql AS $$ BEGIN
      PERFORM set_config('azt.calls', (coalesce(nullif(current_setting('azt.calls', true), ''), '0')::int + 1)::text, true);
      RETURN (SELECT last_value + current_setting('azt.calls')::int FROM public.ledger_seq);
    END $$`);

    const found = await reconcile(mint);

    await db().admin(`CREATE OR REPLACE ${number} LANGUAGE sql AS $$ SELECT last_value FROM public.ledger_seq $$`);
    expect(found).toEqual([]);
  });

  it.each([
    [
      'a balance that was raised',
      'wallets',
      () => `UPDATE wallets SET balance = balance + 1 WHERE id = '${payer}'`,
      () => ['currency.sum AZR 1', `wallet.balance ${payer} 1`],
    ],
    [
      'money that was moved without a transaction',
      'wallets',
      () => `UPDATE wallets SET balance = balance + CASE id WHEN '${payer}' THEN -2 ELSE 2 END
      WHERE id IN ('${payer}', '${receiver}')`,
      () => [payer, receiver].sort().map((id) => `wallet.balance ${id} ${id === payer ? '-2' : '2'}`),
    ],
    [
      'a changed held amount',
      'wallets',
      () => `UPDATE wallets SET held = 1.5 WHERE id = '${payer}'`,
      () => [`wallet.held ${payer} -0.5`],
    ],
    [
      'a changed earned amount',
      'wallets',
      () => `UPDATE wallets SET earned = earned + 1 WHERE id = '${receiver}'`,
      () => [`wallet.earned ${receiver} 1`],
    ],
    [
      'a deleted transaction',
      'transactions',
      () => `DELETE FROM transactions WHERE request_key = 'transfer'`,
      () => [
        expect.stringMatching(/^event.transaction .+ -1$/),
        'request.transactions transfer -1',
        'request.unused transfer -1',
        expect.stringMatching(/^transaction.missing .+ -1$/),
        ...[payer, receiver].sort().map((id) => `wallet.balance ${id} ${id === payer ? '-1' : '1'}`),
        ...[payer, receiver].sort().map((id) => `wallet.chain ${id} -1`),
        ...[payer, receiver].sort().map((id) => `wallet.entries ${id} 1`),
      ],
    ],
    [
      'a changed transaction',
      'transactions',
      () => `UPDATE transactions SET amount = 2 WHERE request_key = 'transfer'`,
      () => [
        expect.stringMatching(/^event.transaction .+ -1$/),
        expect.stringMatching(/^transaction.hash .+ -1$/),
        ...[payer, receiver].sort().map((id) => `wallet.balance ${id} ${id === payer ? '1' : '-1'}`),
      ],
    ],
    [
      'a changed capture',
      'holds',
      () => `UPDATE holds SET captured_amount = 6 WHERE id = '${holdId}'`,
      () => [`hold.captured ${holdId} -1`, `hold.resolution ${holdId} -1`],
    ],
    [
      'a deleted hold',
      'holds',
      () => `DELETE FROM holds WHERE id = '${openHoldId}'`,
      () => [
        `hold.missing ${openHoldId} -1`,
        expect.stringMatching(/^request\.hold hold-\d+ -1$/),
        expect.stringMatching(/^request\.unused hold-\d+ -1$/),
        `wallet.chain ${payer} -1`,
        `wallet.entries ${payer} 1`,
        `wallet.held ${payer} 2`,
      ],
    ],
    [
      'a stake that was enlarged',
      'stakes',
      () => `UPDATE stakes SET amount = 60 WHERE id = '${stakeId}'`,
      () => [
        expect.stringMatching(`^stake.accrued ${stakeId} -`),
        `stake.amount ${stakeId} 10`,
        `stake.hash ${stakeId} -1`,
        'staking.balance staking-AZR -10',
      ],
    ],
    [
      'rewards without a transaction',
      'stakes',
      () => `UPDATE stakes SET rewards_earned = rewards_earned + 1 WHERE id = '${stakeId}'`,
      () => [`stake.rewards ${stakeId} 1`, `stake.state ${stakeId} -1`],
    ],
  ])('finds %s and the difference', async (_what, table, sql, expected) => {
    const undo = `CREATE TABLE kept AS TABLE ${table}`;
    await db().admin(undo);

    await db().admin(unguarded(table, sql()));
    const found = await differences();
    const columns = await db().admin(`SELECT string_agg(quote_ident(attname), ', ') AS list FROM pg_attribute
      WHERE attrelid = '${table}'::regclass AND attnum > 0 AND NOT attisdropped`);
    await db().admin(
      unguarded(table, `DELETE FROM ${table}; INSERT INTO ${table} SELECT ${columns[0]?.['list']} FROM kept`),
    );
    await db().admin('DROP TABLE kept');

    expect(found).toEqual(expected());
    expect(await reconcile(mint)).toEqual([]);
  });

  it('returns the expected and the stored value', async () => {
    await db().admin(unguarded('wallets', `UPDATE wallets SET held = 3 WHERE id = '${payer}'`));

    const found = JSON.parse(JSON.stringify(await reconcile(mint)));
    await db().admin(unguarded('wallets', `UPDATE wallets SET held = 2 WHERE id = '${payer}'`));

    expect(found).toEqual([{ check: 'wallet.held', subject: payer, expected: '2', found: '3', difference: '1' }]);
  });

  it('finds nothing while others write', async () => {
    const writers = Array.from({ length: 60 }, () =>
      transfer(mint, { from: payer, to: receiver, amount: '0.00000001', idempotencyKey: fresh('key') }),
    );
    const readings = await Promise.all(Array.from({ length: 10 }, () => reconcile(mint)));
    await Promise.all(writers);

    expect(readings.flat()).toEqual([]);
  });
});
