import { useDatabase } from '@azora/db-testkit';
import { getStake } from '../src';
import { givenStake, givenWallet, useMint, withdraw } from './stakes-given';

const DAY = 86_400;

describe('stakes, whichever client writes them', () => {
  const db = useDatabase('mint');
  const given = useMint(db);

  it.each([
    'UPDATE stakes SET rewards_earned = 1',
    'UPDATE stakes SET accrued_until = now()',
    "UPDATE stakes SET status = 'withdrawn', withdrawn_at = locked_until",
    'DELETE FROM stakes',
    'UPDATE mining_totals SET mined = 1',
  ])('cannot be changed by the app role: %s', async (sql) => {
    await expect(db().app(sql)).rejects.toMatchObject({ code: '42501' });
  });

  it.each([
    ['stake_untransacted', 'SET rewards_earned = 1'],
    ['stake_untransacted', "SET status = 'withdrawn', withdrawn_at = locked_until"],
    ['stake_terms', 'SET amount = amount + 1'],
    ['stake_terms', 'SET annual_rate = 1'],
    ['stake_terms', "SET locked_until = started_at + interval '1 second'"],
    ['stake_terms', "SET started_at = started_at - interval '1 year'"],
    ['stake_terms', "SET accrued_until = accrued_until - interval '1 microsecond'"],
    ['stake_terms', "SET wallet_id = 'staking-AZR'"],
  ])('have the rule %s even for an administrator: %s', async (rule, change) => {
    const { id } = await givenStake(given().mint);

    await expect(db().admin(`UPDATE stakes ${change} WHERE id = '${id}'`)).rejects.toMatchObject({
      code: 'AZ001',
      message: rule,
    });
  });

  it('cannot become active again; the error names both statuses', async () => {
    const { id } = await givenStake(given().mint);
    await given().at(30 * DAY);
    await withdraw(given().mint, id);

    await expect(
      db().admin(`UPDATE stakes SET status = 'active', withdrawn_at = NULL WHERE id = '${id}'`),
    ).rejects.toMatchObject({
      message: 'stake_withdrawn',
      detail: expect.stringMatching(/"to": "active".*"from": "withdrawn"|"from": "withdrawn".*"to": "active"/),
    });
    await expect(db().admin(`DELETE FROM stakes WHERE id = '${id}'`)).rejects.toMatchObject({ code: '23001' });
  });

  it('compute accrued rewards themselves, whatever a client writes', async () => {
    const { id } = await givenStake(given().mint, { annualRate: '0.365' });

    await db().admin(
      `UPDATE stakes SET accrued_until = started_at + interval '1 day', rewards_accrued = 99 WHERE id = '${id}'`,
    );

    expect((await getStake(given().mint, { stakeId: id })).rewardsAccrued.toFixed()).toBe('1');
  });

  it('cannot be created without funding, as withdrawn or as paid, and start without accrued rewards', async () => {
    const walletId = await givenWallet(given().mint, '100');
    const insert = (id: string, columns: string, values: string) =>
      `INSERT INTO stakes (id, wallet_id, amount, annual_rate, locked_until${columns})
         VALUES ('${id}', '${walletId}', 10, 0.5, now() + interval '1 day'${values})`;

    await expect(db().admin(insert('alone', '', ''))).rejects.toMatchObject({ message: 'stake_unfunded' });
    await expect(db().admin(insert('paid', ', rewards_earned', ', 1'))).rejects.toMatchObject({
      message: 'stake_birth',
    });
    await expect(
      db().admin(insert('gone', ', status, withdrawn_at', ", 'withdrawn', now() + interval '2 days'")),
    ).rejects.toMatchObject({ message: 'stake_birth' });
    await expect(db().admin(insert('nan', '', '').replace('10,', "'NaN',"))).rejects.toMatchObject({
      constraint: 'stakes_numbers_check',
    });
    await db().admin(`BEGIN;
        ${insert('whole', ', accrued_until, rewards_accrued', ", now() + interval '9 years', 99")};
        INSERT INTO requests (key, operation, body_hash, answer)
          VALUES ('raw-stake', 'stake', repeat('0', 64), '{"transactionIds": ["raw-stake"]}');
        INSERT INTO transactions (id, type, from_id, to_id, amount, stake_id, request_key)
          VALUES ('raw-stake', 'stake', '${walletId}', 'staking-AZR', 10, 'whole', 'raw-stake');
        COMMIT`);
    const whole = await getStake(given().mint, { stakeId: 'whole' });
    expect([whole.accruedUntil, whole.rewardsAccrued.toFixed()]).toEqual([whole.startedAt, '0']);
  });

  it('pay no unaccrued reward and no early withdrawal, whichever client inserts the transaction', async () => {
    const { id, walletId } = await givenStake(given().mint);
    const insert = (key: string, type: string, from: string, amount: number) => `BEGIN;
        INSERT INTO requests (key, operation, body_hash, answer)
          VALUES ('${key}', 'raw', repeat('0', 64), '{"transactionIds": ["${key}"]}');
        INSERT INTO transactions (id, type, from_id, to_id, amount, stake_id, request_key, created_at)
          VALUES ('${key}', '${type}', '${from}', '${walletId}', ${amount}, '${id}', '${key}', '2026-01-31T13:00:00Z');
        COMMIT`;
    const refusal = async (sql: string) => {
      const error: unknown = await db()
        .admin(sql)
        .catch((reason: unknown) => reason);
      await db().admin('ROLLBACK');
      return error;
    };

    expect(await refusal(insert('raw-reward', 'staking_reward', 'treasury-AZR', 1))).toMatchObject({
      message: 'rewards_not_accrued',
    });
    expect(await refusal(insert('raw-unstake', 'unstake', 'staking-AZR', 1_000))).toMatchObject({
      constraint: 'stakes_lock_kept_check',
    });
  });
});
