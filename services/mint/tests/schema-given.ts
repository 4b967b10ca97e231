import type { TestDatabase } from '@azora/db-testkit';

export const HASH = 'a'.repeat(64);
export const REQUEST = 'INSERT INTO requests (key, operation, body_hash, answer) VALUES';
export const MOVE = 'INSERT INTO transactions (id, type, from_id, to_id, amount, request_key) VALUES';
export const HOLD = 'INSERT INTO holds (id, wallet_id, to_id, amount, request_key, expires_at) VALUES';
export const STAKE = 'INSERT INTO stakes (id, wallet_id, amount, annual_rate, locked_until) VALUES';
export const STAKED = `INSERT INTO transactions (id, type, from_id, to_id, stake_id, amount, request_key) VALUES`;
export const METRICS = `INSERT INTO economic_metrics
  (id, captured_at, total_supply, circulating_supply, staked_supply, active_wallets, transaction_count) VALUES`;
export const MINED =
  'INSERT INTO mining_records (id, wallet_id, activity, proof_hash, knowledge_score, status, decided_at) VALUES';
/** Disables the triggers; send it together with the statement, in one transaction. */
export const UNGUARDED = 'ALTER TABLE wallets DISABLE TRIGGER USER; ALTER TABLE holds DISABLE TRIGGER USER;';
export const request = (key: string) => `${REQUEST} ('${key}', 'test', '${HASH}', '{"transactionIds": []}');`;

/** Ada has 20 staked and a balance of 80, and holds 30 of it for Ben; Ben's two wallets and Eve's wallet are empty. */
export async function givenRows(db: TestDatabase): Promise<void> {
  await db.admin(`INSERT INTO wallets (id, user_id, currency) VALUES
    ('ada', 'user-ada', 'AZR'), ('ben', 'user-ben', 'AZR'), ('ben-usd', 'user-ben', 'USD'), ('eve', 'user-eve', 'AZR')`);
  await db.admin(`${request('r')} ${MOVE} ('welcome', 'mint', 'treasury-AZR', 'ada', 100, 'r')`);
  await db.admin(`${STAKE} ('stake', 'ada', 20, 0.08, now() + interval '1 day');
    ${STAKED} ('staked', 'stake', 'ada', 'staking-AZR', 'stake', 20, 'r')`);
  await db.admin(`${HOLD} ('hold', 'ada', 'ben', 30, 'r', now() + interval '1 day')`);
  await db.admin(`${MINED} ('mined', 'ada', 'lesson', '${HASH}', 0.9, 'pending', NULL)`);
  await db.admin(`${METRICS} ('first', '2026-01-01T00:00:00Z', 100, 80, 20, 1, 2)`);
}
