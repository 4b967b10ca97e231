import { itKeepsAnAuditLog, refusalsOf, schemaRefuses, useDatabase } from '@azora/db-testkit';
import {
  givenRows,
  HASH,
  HOLD,
  METRICS,
  MINED,
  MOVE,
  REQUEST,
  request,
  STAKE,
  STAKED,
  UNGUARDED,
} from './schema-given';

describe('the mint schema', () => {
  const db = useDatabase('mint');

  beforeAll(() => givenRows(db()));

  it('moves the balances of both wallets with each row, and what is held with each hold', async () => {
    const wallets = await db().app("SELECT id, balance, held FROM wallets WHERE currency = 'AZR' ORDER BY id");

    const zero = '0.00000000';
    expect(wallets).toEqual([
      { id: 'ada', balance: '80.00000000', held: '30.00000000' },
      { id: 'ben', balance: zero, held: zero },
      { id: 'eve', balance: zero, held: zero },
      { id: 'staking-AZR', balance: '20.00000000', held: zero },
      { id: 'treasury-AZR', balance: '-100.00000000', held: zero },
    ]);
  });

  it.each([
    ['paying what is held', `${MOVE} ('t', 'transfer', 'ada', 'ben', 50.00000001, 'r')`, 'wallets_balance_check'],
    [
      'burning what is not there',
      `${MOVE} ('t', 'burn', 'ben', 'treasury-AZR', 0.00000001, 'r')`,
      'wallets_balance_check',
    ],
    ['holding what is not there', `${HOLD} ('h', 'ben', NULL, 1, 'r', '9999-01-01')`, 'wallets_balance_check'],
    ["a person's wallet without the person", "INSERT INTO wallets (id) VALUES ('w')", 'wallets_owner_check'],
    [
      'a treasury that is somebody',
      "INSERT INTO wallets (id, kind, user_id) VALUES ('w', 'treasury', 'x')",
      'wallets_owner_check',
    ],
    [
      'a second treasury of a currency',
      "INSERT INTO wallets (id, kind, currency) VALUES ('second', 'treasury', 'AZR')",
      'wallets_kind_currency_key',
    ],
    [
      'a second staking wallet of a currency',
      "INSERT INTO wallets (id, kind, currency) VALUES ('second', 'staking', 'BTC')",
      'wallets_kind_currency_key',
    ],
    [
      'a second wallet of a person in a currency',
      "INSERT INTO wallets (id, user_id) VALUES ('second', 'user-ada')",
      'wallets_user_id_currency_key',
    ],
    ['a transaction of nothing', `${MOVE} ('t', 'transfer', 'ada', 'ben', 0, 'r')`, 'transactions_amount_check'],
    ['a transaction of less', `${MOVE} ('t', 'transfer', 'ada', 'ben', -1, 'r')`, 'transactions_amount_check'],
    ['a transaction of too little', `${MOVE} ('t', 'transfer', 'ada', 'ben', 1e-9, 'r')`, 'transactions_amount_check'],
    ['a transaction of NaN', `${MOVE} ('t', 'transfer', 'ada', 'ben', 'NaN', 'r')`, 'transactions_amount_check'],
    [
      'a transaction without its request',
      `${MOVE} ('t', 'transfer', 'ada', 'ben', 1, 'none')`,
      'transactions_request_key_fkey',
    ],
    ['the same request twice', request('r'), 'requests_pkey'],
    ['a blank key', request(' '), 'requests_key_check'],
    [
      'a request of no operation',
      `${REQUEST} ('q', ' ', '${HASH}', '{"transactionIds": []}')`,
      'requests_operation_check',
    ],
    [
      'a request without a hash',
      `${REQUEST} ('q', 'test', '${'g'.repeat(64)}', '{"transactionIds": []}')`,
      'requests_body_hash_check',
    ],
    ['an answer that lists no transactions', `${REQUEST} ('q', 'test', '${HASH}', '{}')`, 'requests_answer_check'],
    ['an answer that is a list', `${REQUEST} ('q', 'test', '${HASH}', '[]')`, 'requests_answer_check'],
    ['a transfer to oneself', `${MOVE} ('t', 'transfer', 'ada', 'ada', 1, 'r')`, 'transactions_distinct_wallets_check'],
    [
      'a transfer between currencies',
      `${MOVE} ('t', 'transfer', 'ada', 'ben-usd', 1, 'r')`,
      'transactions_to_id_currency_fkey',
    ],
    [
      'a transfer from nobody',
      `${MOVE} ('t', 'transfer', 'nobody', 'ada', 1, 'r')`,
      'transactions_from_id_currency_fkey',
    ],
    [
      'an unstake without its stake',
      `${MOVE} ('t', 'unstake', 'staking-AZR', 'ada', 1, 'r')`,
      'transactions_stake_check',
    ],
    [
      'a stake that is filled twice',
      `${STAKED} ('t', 'stake', 'ada', 'staking-AZR', 'stake', 20, 'r')`,
      'transactions_stake_id_type_key',
    ],
    [
      'a blank description',
      `INSERT INTO transactions (id, type, from_id, to_id, amount, description, request_key)
       VALUES ('t', 'transfer', 'ada', 'ben', 1, ' ', 'r')`,
      'transactions_description_check',
    ],
    ['a hold of nothing', `${HOLD} ('h', 'ada', NULL, 0, 'r', '9999-01-01')`, 'holds_amount_check'],
    ['a hold of NaN', `${HOLD} ('h', 'ada', NULL, 'NaN', 'r', '9999-01-01')`, 'holds_amount_check'],
    ['a hold for oneself', `${HOLD} ('h', 'ada', 'ada', 1, 'r', '9999-01-01')`, 'holds_distinct_wallets_check'],
    [
      'a hold for another currency',
      `${HOLD} ('h', 'ada', 'ben-usd', 1, 'r', '9999-01-01')`,
      'holds_to_id_currency_fkey',
    ],
    ['a hold that is over', `${HOLD} ('h', 'ada', NULL, 1, 'r', '2020-01-01')`, 'holds_expires_at_check'],
    ['a hold without its request', `${HOLD} ('h', 'ada', NULL, 1, 'none', '9999-01-01')`, 'holds_request_key_fkey'],
    [
      'a blank description of a hold',
      `INSERT INTO holds (id, wallet_id, amount, request_key, expires_at, description)
       VALUES ('h', 'ada', 1, 'r', '9999-01-01', ' ')`,
      'holds_description_check',
    ],
    ['a stake of nothing', `${STAKE} ('s', 'ada', 0, 0.08, now() + interval '1 day')`, 'stakes_amount_check'],
    ['a stake of NaN', `${STAKE} ('s', 'ada', 'NaN', 0.08, now() + interval '1 day')`, 'stakes_numbers_check'],
    ['a rate above 100 %', `${STAKE} ('s', 'ada', 1, 1.01, now() + interval '1 day')`, 'stakes_annual_rate_check'],
    ['a lock that ends before it starts', `${STAKE} ('s', 'ada', 1, 0, '2020-01-01')`, 'stakes_locked_until_check'],
    [
      'one proof paid twice',
      `${MINED} ('m', 'ada', 'lesson', '${HASH}', 0.9, 'pending', NULL)`,
      'mining_records_wallet_id_activity_proof_hash_key',
    ],
    [
      'a proof that is no hash',
      `${MINED} ('m', 'ada', 'lesson', 'abc', 0.9, 'pending', NULL)`,
      'mining_records_proof_hash_check',
    ],
    [
      'a score above 1',
      `${MINED} ('m', 'ben', 'lesson', '${HASH}', 1.1, 'pending', NULL)`,
      'mining_records_knowledge_score_check',
    ],
    [
      'no difficulty',
      `INSERT INTO mining_records (id, wallet_id, activity, proof_hash, knowledge_score, difficulty)
       VALUES ('m', 'ben', 'lesson', '${HASH}', 0.9, 0)`,
      'mining_records_difficulty_check',
    ],
    [
      'a decision without its time',
      `${MINED} ('m', 'ben', 'lesson', '${HASH}', 0.9, 'rejected', NULL)`,
      'mining_records_decided_at_check',
    ],
    [
      'a reward without its transaction',
      `INSERT INTO mining_records (id, wallet_id, activity, proof_hash, knowledge_score, status, reward, decided_at)
       VALUES ('m', 'ben', 'lesson', '${HASH}', 0.9, 'rewarded', 1, now())`,
      'mining_records_reward_check',
    ],
    ['more in circulation than there is', `${METRICS} ('m', now(), 99, 80, 20, 1, 2)`, 'economic_metrics_supply_check'],
    ['negative counts', `${METRICS} ('m', now(), 100, 80, 20, -1, 2)`, 'economic_metrics_counts_check'],
    [
      'two snapshots of one moment',
      `${METRICS} ('m', '2026-01-01T00:00:00Z', 100, 80, 20, 1, 2)`,
      'economic_metrics_captured_at_key',
    ],
    ['metrics of NaN', `${METRICS} ('m', now(), 'NaN', 80, 20, 1, 2)`, 'economic_metrics_numbers_check'],
  ])('refuses %s', async (_what, sql, constraint) => {
    await schemaRefuses(db().app(sql), constraint);
  });

  it.each([
    ['a balance of NaN', "wallets SET balance = 'NaN' WHERE id = 'ada'", 'wallets_balance_check'],
    [
      'a treasury that owes less than nothing',
      "wallets SET balance = 1 WHERE kind = 'treasury'",
      'wallets_balance_check',
    ],
    ['less held than nothing', "wallets SET held = -1 WHERE id = 'ada'", 'wallets_held_check'],
    ['a treasury of which something is held', "wallets SET held = 1 WHERE id = 'treasury-AZR'", 'wallets_held_check'],
    ['negative earnings', "wallets SET earned = -1 WHERE id = 'ada'", 'wallets_earned_check'],
    ['earnings of NaN', "wallets SET earned = 'NaN' WHERE id = 'ada'", 'wallets_earned_check'],
    [
      'money in a closed wallet',
      "wallets SET status = 'closed', closed_at = now() WHERE id = 'ada'",
      'wallets_closed_check',
    ],
    ['a closing without its time', "wallets SET status = 'closed' WHERE id = 'eve'", 'wallets_closed_check'],
    ['a time without its closing', "wallets SET closed_at = now() WHERE id = 'eve'", 'wallets_closed_check'],
    [
      'a closed treasury',
      "wallets SET status = 'closed', closed_at = now() WHERE id = 'treasury-USD'",
      'wallets_closed_check',
    ],
    [
      'a capture of nothing',
      "holds SET status = 'captured', resolved_at = now(), captured_amount = 0",
      'holds_captured_amount_check',
    ],
    [
      'a capture of more than was held',
      "holds SET status = 'captured', resolved_at = now(), captured_amount = 31",
      'holds_captured_amount_check',
    ],
    ['a release without its time', "holds SET status = 'released'", 'holds_resolved_at_check'],
    [
      'a capture after the end',
      "holds SET status = 'captured', resolved_at = expires_at, captured_amount = 1",
      'holds_resolved_at_check',
    ],
    ['an expiry before its time', "holds SET status = 'expired', resolved_at = now()", 'holds_resolved_at_check'],
  ])('refuses %s, whatever triggers are off', async (_what, update, constraint) => {
    await schemaRefuses(db().admin(`${UNGUARDED} UPDATE ${update}`), constraint);
  });

  it('takes one of many equal requests that race', async () => {
    const refused = await refusalsOf(Array.from({ length: 8 }, () => db().app(request('race'))));

    expect(refused).toEqual(Array(7).fill('requests_pkey'));
  });

  itKeepsAnAuditLog(db);
});
