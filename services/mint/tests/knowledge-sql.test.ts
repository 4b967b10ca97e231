/** @server any */
import { createHash } from 'node:crypto';
import { useDatabase } from '@azora/db-testkit';
import { submitKnowledge } from '../src';
import { fresh, givenWallet, useMint } from './stakes-given';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

describe('mining records, whichever client writes them', () => {
  const db = useDatabase('mint');
  const given = useMint(db);

  const insert = (id: string, walletId: string, columns: string, values: string) =>
    `INSERT INTO mining_records (id, wallet_id, activity, proof_hash, knowledge_score${columns})
       VALUES ('${id}', '${walletId}', 'lesson', '${sha256(id)}', 0.9${values})`;

  it('are decided once; the error names both statuses', async () => {
    const walletId = await givenWallet(given().mint, '1');
    const id = fresh('pending');
    await db().admin(insert(id, walletId, '', ''));

    await expect(db().admin(`UPDATE mining_records SET knowledge_score = 1 WHERE id = '${id}'`)).rejects.toMatchObject({
      message: 'mining_submission',
    });
    const otherKey = `UPDATE mining_records SET request_key = (SELECT max(key) FROM requests) WHERE id = '${id}'`;
    await expect(db().admin(otherKey)).rejects.toMatchObject({ message: 'mining_submission' });
    await db().admin(`UPDATE mining_records SET status = 'rejected', decided_at = now() WHERE id = '${id}'`);
    const error: { message: string; detail: string } = await db()
      .admin(`UPDATE mining_records SET status = 'pending', decided_at = NULL WHERE id = '${id}'`)
      .then(
        () => ({ message: 'done', detail: '{}' }),
        (reason) => reason,
      );

    expect(error.message).toBe('mining_decided');
    expect(JSON.parse(error.detail)).toEqual({ recordId: id, from: 'rejected', to: 'pending' });
  });

  it('count as mined when they are rewarded by the transaction that paid them', async () => {
    const walletId = await givenWallet(given().mint, '0');
    const [id, key] = [fresh('pending'), fresh('payment')];
    await db().admin(insert(id, walletId, '', ''));
    await db().admin(`INSERT INTO requests (key, operation, body_hash, answer)
        VALUES ('${key}', 'raw', repeat('0', 64), '{"transactionIds": ["${key}"]}')`);
    await db().admin(`INSERT INTO transactions (id, type, from_id, to_id, amount, request_key)
        VALUES ('${key}', 'mining', 'treasury-AZR', '${walletId}', 7, '${key}')`);
    const decide = (reward: number) => `UPDATE mining_records
        SET status = 'rewarded', reward = ${reward}, transaction_id = '${key}', decided_at = now() WHERE id = '${id}'`;

    await expect(db().admin(decide(8))).rejects.toMatchObject({ message: 'mining_unpaid' });
    await db().admin(decide(7));

    const total = await given().mint.prisma.miningTotal.findUnique({ where: { walletId } });
    expect(total?.mined.toFixed()).toBe('7');
  });

  it.each([
    ['a reason without a rejection', ', rejection', ", 'daily_cap'", 'mining_records_rejection_check'],
    [
      'a reward without its transaction',
      ', status, reward, decided_at',
      ", 'rewarded', 1, now()",
      'mining_records_reward_check',
    ],
    ['a difficulty that is NaN', ', difficulty', ", 'NaN'", 'mining_records_numbers_check'],
  ])('cannot have %s', async (_what, columns, values, constraint) => {
    const walletId = await givenWallet(given().mint, '0');

    await expect(db().admin(insert(fresh('raw'), walletId, columns, values))).rejects.toMatchObject({ constraint });
  });

  it('reward a proof once, and nobody can write the totals', async () => {
    const walletId = await givenWallet(given().mint, '0');
    const input = { walletId, activity: 'lesson', proof: 'notes', knowledgeScore: '1' } as const;
    const { id, proofHash } = await submitKnowledge(given().mint, { ...input, idempotencyKey: fresh('submission') });

    await expect(
      submitKnowledge(given().mint, { ...input, idempotencyKey: fresh('submission') }),
    ).rejects.toMatchObject({ code: 'MINT.PROOF_REWARDED', meta: { recordId: id } });
    await expect(
      db().admin(insert(fresh('raw'), walletId, '', '').replace(/'[0-9a-f]{64}'/, `'${proofHash}'`)),
    ).rejects.toMatchObject({ constraint: 'mining_records_wallet_id_activity_proof_hash_key' });
    for (const sql of ['UPDATE mining_totals SET mined = 1', 'DELETE FROM mining_totals', 'TRUNCATE mining_totals']) {
      await expect(db().admin(sql)).rejects.toMatchObject({ code: '23001' });
      await expect(db().app(sql)).rejects.toMatchObject({ code: '42501' });
    }
    await expect(db().app('UPDATE mining_records SET reward = 9')).rejects.toMatchObject({ code: '42501' });
    await expect(db().admin('DELETE FROM mining_records')).rejects.toMatchObject({ code: '23001' });
  });
});
