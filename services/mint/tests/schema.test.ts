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

  it('changes both balances with each transaction, and held with each hold', async () => {
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
    ['a payment of held money', `${MOVE} ('t', 'transfer', 'ada', 'ben', 50.00000001, 'r')`, 'wallets_balance_check'],
    [
      'burning more than the balance',
      `${MOVE} ('t', 'burn', 'ben', 'treasury-AZR', 0.00000001, 'r')`,
      'wallets_balance_check',
    ],
    ['a hold of more than the balance', `${HOLD} ('h', 'ben', NULL, 1, 'r', '9999-01-01')`, 'wallets_balance_check'],
    ["a person's wallet without the person", "INSERT INTO wallets (id) VALUES ('w')", 'wallets_owner_check'],
    [
      'a treasury with a user',
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
      'a second wallet of a user in a currency',
      "INSERT INTO wallets (id, user_id) VALUES ('second', 'user-ada')",
      'wallets_user_id_currency_key',
    ],
    ['a transaction of 0', `${MOVE} ('t', 'transfer', 'ada', 'ben', 0, 'r')`, 'transactions_amount_check'],
    [
      'a transaction of a negative amount',
      `${MOVE} ('t', 'transfer', 'ada', 'ben', -1, 'r')`,
      'transactions_amount_check',
    ],
    [
      'a transaction that rounds to 0',
      `${MOVE} ('t', 'transfer', 'ada', 'ben', 1e-9, 'r')`,
      'transactions_amount_check',
    ],
    ['a transaction of NaN', `${MOVE} ('t', 'transfer', 'ada', 'ben', 'NaN', 'r')`, 'transactions_amount_check'],
    [
      'a transaction of an unknown request',
      `${MOVE} ('t', 'transfer', 'ada', 'ben', 1, 'none')`,
      'transactions_request_key_fkey',
    ],
    ['the same request twice', request('r'), 'requests_pkey'],
    ['a blank key', request(' '), 'requests_key_check'],
    [
      'a request with a blank operation',
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
    [
      'a transfer from a wallet to itself',
      `${MOVE} ('t', 'transfer', 'ada', 'ada', 1, 'r')`,
      'transactions_distinct_wallets_check',
    ],
    [
      'a transfer between currencies',
      `${MOVE} ('t', 'transfer', 'ada', 'ben-usd', 1, 'r')`,
      'transactions_to_id_currency_fkey',
    ],
    [
      'a transfer from an unknown wallet',
      `${MOVE} ('t', 'transfer', 'nobody', 'ada', 1, 'r')`,
      'transactions_from_id_currency_fkey',
    ],
    [
      'an unstake without a stake',
      `${MOVE} ('t', 'unstake', 'staking-AZR', 'ada', 1, 'r')`,
      'transactions_stake_check',
    ],
    [
      'a stake that is funded twice',
      `${STAKED} ('t', 'stake', 'ada', 'staking-AZR', 'stake', 20, 'r')`,
      'transactions_stake_id_type_key',
    ],
    [
      'a blank description',
      `INSERT INTO transactions (id, type, from_id, to_id, amount, description, request_key)
       VALUES ('t', 'transfer', 'ada', 'ben', 1, ' ', 'r')`,
      'transactions_description_check',
    ],
    ['a hold of 0', `${HOLD} ('h', 'ada', NULL, 0, 'r', '9999-01-01')`, 'holds_amount_check'],
    ['a hold of NaN', `${HOLD} ('h', 'ada', NULL, 'NaN', 'r', '9999-01-01')`, 'holds_amount_check'],
    [
      'a hold for the paying wallet itself',
      `${HOLD} ('h', 'ada', 'ada', 1, 'r', '9999-01-01')`,
      'holds_distinct_wallets_check',
    ],
    [
      'a hold for a wallet in another currency',
      `${HOLD} ('h', 'ada', 'ben-usd', 1, 'r', '9999-01-01')`,
      'holds_to_id_currency_fkey',
    ],
    ['a hold that expires in the past', `${HOLD} ('h', 'ada', NULL, 1, 'r', '2020-01-01')`, 'holds_expires_at_check'],
    ['a hold of an unknown request', `${HOLD} ('h', 'ada', NULL, 1, 'none', '9999-01-01')`, 'holds_request_key_fkey'],
    [
      'a blank description of a hold',
      `INSERT INTO holds (id, wallet_id, amount, request_key, expires_at, description)
       VALUES ('h', 'ada', 1, 'r', '9999-01-01', ' ')`,
      'holds_description_check',
    ],
    ['a stake of 0', `${STAKE} ('s', 'ada', 0, 0.08, now() + interval '1 day')`, 'stakes_amount_check'],
    ['a stake of NaN', `${STAKE} ('s', 'ada', 'NaN', 0.08, now() + interval '1 day')`, 'stakes_numbers_check'],
    ['a rate above 100 %', `${STAKE} ('s', 'ada', 1, 1.01, now() + interval '1 day')`, 'stakes_annual_rate_check'],
    ['a lock that ends before it starts', `${STAKE} ('s', 'ada', 1, 0, '2020-01-01')`, 'stakes_locked_until_check'],
    [
      'a proof that is rewarded twice',
      `${MINED} ('m', 'ada', 'lesson', '${HASH}', 0.9, 'pending', NULL)`,
      'mining_records_wallet_id_activity_proof_hash_key',
    ],
    [
      'a proof hash that is not a hash',
      `${MINED} ('m', 'ada', 'lesson', 'abc', 0.9, 'pending', NULL)`,
      'mining_records_proof_hash_check',
    ],
    [
      'a score above 1',
      `${MINED} ('m', 'ben', 'lesson', '${HASH}', 1.1, 'pending', NULL)`,
      'mining_records_knowledge_score_check',
    ],
    [
      'a difficulty of 0',
      `INSERT INTO mining_records (id, wallet_id, activity, proof_hash, knowledge_score, difficulty)
       VALUES ('m', 'ben', 'lesson', '${HASH}', 0.9, 0)`,
      'mining_records_difficulty_check',
    ],
    [
      'a decision without a time',
      `${MINED} ('m', 'ben', 'lesson', '${HASH}', 0.9, 'rejected', NULL)`,
      'mining_records_decided_at_check',
    ],
    [
      'a reward without a transaction',
      `INSERT INTO mining_records (id, wallet_id, activity, proof_hash, knowledge_score, status, reward, decided_at)
       VALUES ('m', 'ben', 'lesson', '${HASH}', 0.9, 'rewarded', 1, now())`,
      'mining_records_reward_check',
    ],
    [
      'a circulating supply above the total',
      `${METRICS} ('m', now(), 99, 80, 20, 1, 2)`,
      'economic_metrics_supply_check',
    ],
    ['negative counts', `${METRICS} ('m', now(), 100, 80, 20, -1, 2)`, 'economic_metrics_counts_check'],
    [
      'two snapshots of one time',
      `${METRICS} ('m', '2026-01-01T00:00:00Z', 100, 80, 20, 1, 2)`,
      'economic_metrics_captured_at_key',
    ],
    ['metrics of NaN', `${METRICS} ('m', now(), 'NaN', 80, 20, 1, 2)`, 'economic_metrics_numbers_check'],
  ])('rejects %s', async (_what, sql, constraint) => {
    await schemaRefuses(db().admin(sql), constraint);
  });

  it.each([
    ['a balance of NaN', "wallets SET balance = 'NaN' WHERE id = 'ada'", 'wallets_balance_check'],
    ['a treasury with a positive balance', "wallets SET balance = 1 WHERE kind = 'treasury'", 'wallets_balance_check'],
    ['a negative held amount', "wallets SET held = -1 WHERE id = 'ada'", 'wallets_held_check'],
    ['a treasury with a held amount', "wallets SET held = 1 WHERE id = 'treasury-AZR'", 'wallets_held_check'],
    ['negative earnings', "wallets SET earned = -1 WHERE id = 'ada'", 'wallets_earned_check'],
    ['earnings of NaN', "wallets SET earned = 'NaN' WHERE id = 'ada'", 'wallets_earned_check'],
    [
      'money in a closed wallet',
      "wallets SET status = 'closed', closed_at = now() WHERE id = 'ada'",
      'wallets_closed_check',
    ],
    ['a closed wallet without a time', "wallets SET status = 'closed' WHERE id = 'eve'", 'wallets_closed_check'],
    ['an active wallet with a closing time', "wallets SET closed_at = now() WHERE id = 'eve'", 'wallets_closed_check'],
    [
      'a closed treasury',
      "wallets SET status = 'closed', closed_at = now() WHERE id = 'treasury-USD'",
      'wallets_closed_check',
    ],
    [
      'a capture of 0',
      "holds SET status = 'captured', resolved_at = now(), captured_amount = 0",
      'holds_captured_amount_check',
    ],
    [
      'a capture of more than the held amount',
      "holds SET status = 'captured', resolved_at = now(), captured_amount = 31",
      'holds_captured_amount_check',
    ],
    ['a released hold without a time', "holds SET status = 'released'", 'holds_resolved_at_check'],
    [
      'a capture after the expiry',
      "holds SET status = 'captured', resolved_at = expires_at, captured_amount = 1",
      'holds_resolved_at_check',
    ],
    [
      'an expiry before the end of the hold',
      "holds SET status = 'expired', resolved_at = now()",
      'holds_resolved_at_check',
    ],
  ])('rejects %s even with triggers disabled', async (_what, update, constraint) => {
    await schemaRefuses(db().admin(`${UNGUARDED} UPDATE ${update}`), constraint);
  });

  it('accepts one of many equal requests that race', async () => {
    const refused = await refusalsOf(Array.from({ length: 8 }, () => db().admin(request('race'))));

    expect(refused).toEqual(Array(7).fill('requests_pkey'));
  });

  itKeepsAnAuditLog(db);
});
