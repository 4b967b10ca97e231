import { useDatabase } from '@azora/db-testkit';
import { Pool } from 'pg';

const HASH = 'a'.repeat(64);
const MINT = 'INSERT INTO transactions (id, type, to_id, amount, idempotency_key) VALUES';
const STAKE = 'INSERT INTO stakes (id, wallet_id, amount, annual_rate, locked_until) VALUES';
const METRICS = `INSERT INTO economic_metrics
  (id, captured_at, total_supply, circulating_supply, staked_supply, active_wallets, transaction_count) VALUES`;
const MINED =
  'INSERT INTO mining_records (id, wallet_id, activity, proof_hash, knowledge_score, status, decided_at) VALUES';

describe('the mint schema', () => {
  const db = useDatabase('mint');

  beforeAll(async () => {
    await db().app(`INSERT INTO wallets (id, user_id, currency, balance) VALUES
      ('ada', 'user-ada', 'AZR', 80), ('ben', 'user-ben', 'AZR', 0), ('ben-usd', 'user-ben', 'USD', 0)`);
    await db().app("INSERT INTO wallets (id, kind, currency) VALUES ('treasury', 'treasury', 'AZR')");
    await db().app(`${STAKE} ('stake', 'ada', 20, 0.08, now() + interval '1 day')`);
    await db().app(`${MINT} ('welcome', 'mint', 'ada', 100, 'welcome')`);
    await db().app(`INSERT INTO transactions (id, type, from_id, stake_id, amount, idempotency_key)
      VALUES ('staked', 'stake', 'ada', 'stake', 20, 'staked')`);
    await db().app(`${MINED} ('mined', 'ada', 'lesson', '${HASH}', 0.9, 'pending', NULL)`);
    await db().app(`${METRICS} ('first', '2026-01-01T00:00:00Z', 100, 80, 20, 1, 2)`);
  });

  it.each([
    ['a balance below zero', "UPDATE wallets SET balance = -0.00000001 WHERE id = 'ada'", 'wallets_balance_check'],
    ['negative earnings', "UPDATE wallets SET earned = -1 WHERE id = 'ada'", 'wallets_earned_check'],
    [
      "a person's wallet without the person",
      "UPDATE wallets SET user_id = NULL WHERE id = 'ada'",
      'wallets_owner_check',
    ],
    ['a treasury that is somebody', "UPDATE wallets SET user_id = 'x' WHERE id = 'treasury'", 'wallets_owner_check'],
    [
      'a second treasury of a currency',
      "INSERT INTO wallets (id, kind, currency) VALUES ('second', 'treasury', 'AZR')",
      'wallets_treasury_currency_key',
    ],
    [
      'a second wallet of a person in a currency',
      "INSERT INTO wallets (id, user_id) VALUES ('second', 'user-ada')",
      'wallets_user_id_currency_key',
    ],
    ['a transaction of nothing', `${MINT} ('t', 'mint', 'ada', 0, 't')`, 'transactions_amount_check'],
    ['the same request twice', `${MINT} ('t', 'mint', 'ada', 100, 'welcome')`, 'transactions_idempotency_key_key'],
    ['a blank idempotency key', `${MINT} ('t', 'mint', 'ada', 1, ' ')`, 'transactions_idempotency_key_check'],
    ['a transfer from nowhere', `${MINT} ('t', 'transfer', 'ada', 1, 't')`, 'transactions_sides_check'],
    ['a burn into a wallet', `${MINT} ('t', 'burn', 'ada', 1, 't')`, 'transactions_sides_check'],
    ['an unstake without its stake', `${MINT} ('t', 'unstake', 'ada', 1, 't')`, 'transactions_stake_check'],
    [
      'issuance that takes from a wallet',
      `INSERT INTO transactions (id, type, from_id, to_id, amount, idempotency_key)
       VALUES ('t', 'mint', 'ben', 'ada', 1, 't')`,
      'transactions_sides_check',
    ],
    [
      'a transfer to oneself',
      `INSERT INTO transactions (id, type, from_id, to_id, amount, idempotency_key)
       VALUES ('t', 'transfer', 'ada', 'ada', 1, 't')`,
      'transactions_distinct_wallets_check',
    ],
    [
      'a transfer between currencies',
      `INSERT INTO transactions (id, type, from_id, to_id, amount, idempotency_key)
       VALUES ('t', 'transfer', 'ada', 'ben-usd', 1, 't')`,
      'transactions_to_id_currency_fkey',
    ],
    [
      'a stake that is filled twice',
      `INSERT INTO transactions (id, type, from_id, stake_id, amount, idempotency_key)
       VALUES ('t', 'stake', 'ada', 'stake', 20, 't')`,
      'transactions_stake_id_type_key',
    ],
    [
      'a blank description',
      `INSERT INTO transactions (id, type, to_id, amount, description, idempotency_key)
       VALUES ('t', 'mint', 'ada', 1, ' ', 't')`,
      'transactions_description_check',
    ],
    ['a stake of nothing', `${STAKE} ('s', 'ada', 0, 0.08, now() + interval '1 day')`, 'stakes_amount_check'],
    ['a rate above 100 %', `${STAKE} ('s', 'ada', 1, 1.01, now() + interval '1 day')`, 'stakes_annual_rate_check'],
    ['a lock that ends before it starts', `${STAKE} ('s', 'ada', 1, 0, '2020-01-01')`, 'stakes_locked_until_check'],
    ['negative rewards', "UPDATE stakes SET rewards_earned = -1 WHERE id = 'stake'", 'stakes_rewards_earned_check'],
    ['a withdrawal without its time', "UPDATE stakes SET status = 'withdrawn'", 'stakes_withdrawn_at_check'],
    [
      'a withdrawal before the lock ends',
      "UPDATE stakes SET status = 'withdrawn', withdrawn_at = now()",
      'stakes_lock_kept_check',
    ],
    [
      'one proof paid twice',
      `${MINED} ('m', 'ben', 'lesson', '${HASH}', 0.9, 'pending', NULL)`,
      'mining_records_proof_hash_key',
    ],
    [
      'a proof that is no hash',
      `${MINED} ('m', 'ada', 'lesson', 'abc', 0.9, 'pending', NULL)`,
      'mining_records_proof_hash_check',
    ],
    ['a score above 1', 'UPDATE mining_records SET knowledge_score = 1.1', 'mining_records_knowledge_score_check'],
    ['no difficulty', 'UPDATE mining_records SET difficulty = 0', 'mining_records_difficulty_check'],
    ['a decision without its time', "UPDATE mining_records SET status = 'rejected'", 'mining_records_decided_at_check'],
    [
      'a reward without its transaction',
      "UPDATE mining_records SET status = 'rewarded', reward = 1, decided_at = now()",
      'mining_records_reward_check',
    ],
    ['more in circulation than there is', `${METRICS} ('m', now(), 99, 80, 20, 1, 2)`, 'economic_metrics_supply_check'],
    ['negative counts', `${METRICS} ('m', now(), 100, 80, 20, -1, 2)`, 'economic_metrics_counts_check'],
    [
      'two snapshots of one moment',
      `${METRICS} ('m', '2026-01-01T00:00:00Z', 100, 80, 20, 1, 2)`,
      'economic_metrics_captured_at_key',
    ],
    [
      'the deletion of a wallet that moved money',
      "DELETE FROM wallets WHERE id = 'ada'",
      expect.stringMatching(/_fkey$/),
    ],
  ])('refuses %s', async (_what, sql, constraint) => {
    await expect(db().app(sql)).rejects.toMatchObject({ constraint });
  });

  it.each([
    "UPDATE transactions SET amount = 1 WHERE id = 'welcome'",
    "DELETE FROM transactions WHERE id = 'welcome'",
    'TRUNCATE transactions CASCADE',
  ])('refuses even an administrator: %s', async (sql) => {
    await expect(db().admin(sql)).rejects.toMatchObject({ code: '23001' });
  });

  it.each(['UPDATE transactions SET amount = 1', 'DELETE FROM economic_metrics'])(
    'gives the app role no right to: %s',
    async (sql) => {
      await expect(db().app(sql)).rejects.toMatchObject({ code: '42501' });
    },
  );

  it('takes one of many equal requests that race', async () => {
    const pool = new Pool({ connectionString: db().url, max: 8 });
    const requests = Array.from({ length: 8 }, (_, n) => pool.query(`${MINT} ('race-${n}', 'mint', 'ben', 1, 'race')`));
    const settled = await Promise.allSettled(requests);
    await pool.end();

    const refused = settled.filter((result) => result.status === 'rejected').map(({ reason }) => reason.constraint);
    expect(refused).toEqual(Array(7).fill('transactions_idempotency_key_key'));
  });
});
