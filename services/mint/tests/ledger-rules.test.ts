import { useDatabase } from '@azora/db-testkit';
import { givenRows, HOLD, MOVE, STAKE, STAKED } from './schema-given';

describe('the rules of the ledger', () => {
  const db = useDatabase('mint');
  beforeAll(() => givenRows(db()));

  it.each([
    ['a transfer out of the treasury', `${MOVE} ('t', 'transfer', 'treasury-AZR', 'ada', 1, 'r')`, 'transaction_sides'],
    ['a mint out of a wallet', `${MOVE} ('t', 'mint', 'ada', 'ben', 1, 'r')`, 'transaction_sides'],
    [
      'a mint from the treasury to itself',
      `${MOVE} ('t', 'mint', 'treasury-AZR', 'treasury-AZR', 1, 'r')`,
      'transaction_sides',
    ],
    ['a reward out of a wallet', `${MOVE} ('t', 'reward', 'ada', 'ben', 1, 'r')`, 'transaction_sides'],
    ['a burn into a wallet', `${MOVE} ('t', 'burn', 'ada', 'ben', 1, 'r')`, 'transaction_sides'],
    [
      'a statement with one wrong transaction',
      `${MOVE} ('t', 'transfer', 'ada', 'ben', 1, 'r'), ('u', 'mint', 'ada', 'ben', 1, 'r')`,
      'transaction_sides',
    ],
    [
      'a stake that is funded with less than its amount',
      `${STAKE} ('s', 'ada', 2, 0, '9999-01-01');
      ${STAKED} ('t', 'stake', 'ada', 'staking-AZR', 's', 1, 'r')`,
      'transaction_stake',
    ],
    [
      "a stake that is funded with another user's money",
      `${STAKE} ('s', 'eve', 2, 0, '9999-01-01');
      ${STAKED} ('t', 'stake', 'ada', 'staking-AZR', 's', 2, 'r')`,
      'transaction_stake',
    ],
    [
      'a capture without a captured hold',
      `INSERT INTO transactions (id, type, from_id, to_id, amount, hold_id, request_key)
      VALUES ('t', 'transfer', 'ada', 'ben', 30, 'hold', 'r')`,
      'transaction_hold',
    ],
    [
      'a hold that is created as captured',
      `INSERT INTO holds (id, wallet_id, amount, request_key, expires_at, status)
      VALUES ('h', 'ada', 1, 'r', '9999-01-01', 'captured')`,
      'hold_resolved',
    ],
    [
      'a hold of the treasury',
      `${HOLD} ('h', 'treasury-AZR', NULL, 1, 'r', '9999-01-01')`,
      expect.stringContaining('wallets_held_check'),
    ],
    ['a hold for the treasury', `${HOLD} ('h', 'ada', 'treasury-AZR', 1, 'r', '9999-01-01')`, 'system_wallet'],
  ])('reject %s', async (_what, sql, message) => {
    await expect(db().admin(sql)).rejects.toMatchObject({ message });
  });

  it.each([
    "UPDATE transactions SET amount = 1 WHERE id = 'welcome'",
    "DELETE FROM transactions WHERE id = 'welcome'",
    'TRUNCATE transactions CASCADE',
    "UPDATE requests SET body_hash = repeat('b', 64)",
    "DELETE FROM requests WHERE key = 'r'",
    'TRUNCATE requests CASCADE',
    'DELETE FROM holds',
    'TRUNCATE holds CASCADE',
    'UPDATE holds SET amount = 1',
    'TRUNCATE wallets CASCADE',
    'DELETE FROM wallet_openings',
    'TRUNCATE wallet_openings',
    'UPDATE wallet_openings SET created_at = now()',
    "UPDATE wallets SET balance = balance + 1 WHERE id = 'ada'",
    "UPDATE wallets SET balance = 1e9 WHERE id = 'ada'",
    "UPDATE wallets SET held = 0 WHERE id = 'ada'",
    "UPDATE wallets SET earned = 1 WHERE id = 'ada'",
    "UPDATE wallets SET user_id = 'user-eve' WHERE id = 'ada'",
    "UPDATE wallets SET currency = 'BTC' WHERE id = 'eve'",
    "UPDATE wallets SET kind = 'staking' WHERE id = 'treasury-USD'",
    "UPDATE wallets SET id = 'mallory' WHERE id = 'eve'",
    "INSERT INTO wallets (id, user_id, balance) VALUES ('rich', 'rich', 1)",
    "INSERT INTO wallets (id, user_id, earned) VALUES ('rich', 'rich', 1)",
    "INSERT INTO wallets (id, user_id, held) VALUES ('rich', 'rich', 1)",
    "INSERT INTO wallets (id, user_id, status, closed_at) VALUES ('shut', 'shut', 'closed', now())",
  ])('reject even an administrator: %s', async (sql) => {
    const before = await db().admin('SELECT id, balance, held FROM wallets ORDER BY id');

    await expect(db().admin(sql)).rejects.toMatchObject({ code: expect.stringMatching(/^(23001|AZ001)$/) });

    expect(await db().admin('SELECT id, balance, held FROM wallets ORDER BY id')).toEqual(before);
  });

  it.each(['ada', 'staking-ETH'])('reject the deletion of a wallet, with transactions and without: %s', async (id) => {
    await expect(db().admin('DELETE FROM wallets WHERE id = $1', [id])).rejects.toMatchObject({
      constraint: expect.stringMatching(/_fkey$/),
    });
  });

  it('name both statuses of an invalid transition', async () => {
    await db().admin(`${HOLD} ('done', 'ada', NULL, 1, 'r', '9999-01-01');
      UPDATE holds SET status = 'released', resolved_at = now() WHERE id = 'done'`);

    await expect(
      db().admin("UPDATE holds SET status = 'held', resolved_at = NULL WHERE id = 'done'"),
    ).rejects.toMatchObject({
      message: 'hold_resolved',
      detail: expect.stringMatching(/"from": "released"/),
    });
    await expect(
      db().admin("UPDATE wallets SET status = 'closed', closed_at = now() WHERE id = 'ada'"),
    ).rejects.toMatchObject({ message: 'wallet_not_empty' });
  });
});
