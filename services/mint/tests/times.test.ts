/** @server any */
import { useDatabase } from '@azora/db-testkit';
import { givenRows, HASH, HOLD, METRICS, STAKE } from './schema-given';

const NO_TIMES = ['infinity', '-infinity', '1999-12-31T23:59:59Z', '10000-01-01T00:00:00Z'];

describe('a time of the ledger', () => {
  const db = useDatabase('mint');
  beforeAll(() => givenRows(db()));

  it.each([
    ['wallets', (time: string) => `INSERT INTO wallets (id, user_id, created_at) VALUES ('w', 'w', '${time}')`],
    ['wallets', (time: string) => `INSERT INTO wallets (id, user_id, updated_at) VALUES ('w', 'w', '${time}')`],
    [
      'requests',
      (time: string) => `INSERT INTO requests (key, operation, body_hash, answer, created_at)
        VALUES ('q', 'test', '${HASH}', '{"transactionIds": []}', '${time}')`,
    ],
    [
      'transactions',
      (time: string) => `INSERT INTO transactions (id, type, from_id, to_id, amount, request_key, created_at)
        VALUES ('t', 'transfer', 'ada', 'ben', 1, 'r', '${time}')`,
    ],
    [
      'mining_records',
      (time: string) => `INSERT INTO mining_records (id, wallet_id, activity, proof_hash, knowledge_score, created_at)
        VALUES ('m', 'ben', 'lesson', '${HASH}', 1, '${time}')`,
    ],
    ['economic_metrics', (time: string) => `${METRICS} ('e', '${time}', 100, 80, 20, 1, 2)`],
  ])('of %s lies in the years 2000 to 9999', async (table, insert) => {
    for (const time of NO_TIMES)
      await expect(db().admin(insert(time))).rejects.toMatchObject({ constraint: `${table}_times_check` });
  });

  it('that ends a hold or a lock is finite', async () => {
    const [expiring, locked] = [
      `${HOLD} ('h', 'ada', 'ben', 1, 'r', 'infinity')`,
      `${STAKE} ('s', 'ada', 2, 0, 'infinity')`,
    ];

    await expect(db().admin(expiring)).rejects.toMatchObject({ constraint: 'holds_times_check' });
    await expect(db().admin(locked)).rejects.toMatchObject({ constraint: 'stakes_times_check' });
  });
});
