/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { capture, type Mint, openMint, reconcile, release, snapshotMetrics, submitKnowledge } from '../src';
import { fresh, givenHold, givenWallet } from './ledger-given';
import { givenStake, withdraw } from './stakes-given';

const DAY_MS = 86_400_000;

/** Like an administrator who has disabled the triggers of the table. */
const planted = (table: string, change: string, id: string) =>
  `ALTER TABLE ${table} DISABLE TRIGGER USER; UPDATE ${table} SET ${change} WHERE id = '${id}'`;

describe('reconcile reads the times of the ledger and', () => {
  const db = useDatabase('mint');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let mint: Mint;
  const ids: Record<string, string> = {};

  beforeAll(async () => {
    mint = openMint({ url: db().url });
    ids['active'] = (await givenStake(mint)).id;
    ids['withdrawn'] = (await givenStake(mint, { lockDays: 1 })).id;
    const [from, to] = [await givenWallet(mint, '10'), await givenWallet(mint, '0')];
    ids['captured'] = await givenHold(mint, from, '1', to);
    ids['released'] = await givenHold(mint, from, '1', to);
    await clock.move(60_000);
    await capture(mint, { holdId: ids['captured'], idempotencyKey: fresh('key') });
    await release(mint, { holdId: ids['released'], idempotencyKey: fresh('key') });
    const submission = { walletId: to, activity: 'lesson', proof: 'notes', knowledgeScore: '1' } as const;
    ids['mined'] = (await submitKnowledge(mint, { ...submission, idempotencyKey: fresh('key') })).id;
    ids['metrics'] = (await snapshotMetrics(mint)).id;
    await clock.move(2 * DAY_MS);
    await withdraw(mint, ids['withdrawn']);
  });
  beforeEach(() => clock.set(new Date(Date.UTC(2026, 2, 10))));
  afterAll(() => mint.close());

  it('finds nothing in a consistent ledger', async () => {
    expect(await reconcile(mint)).toEqual([]);
  });

  it.each([
    [
      'a stake that starts earlier',
      'stakes',
      "started_at = started_at - interval '1 day'",
      'active',
      'stake.startedAt',
    ],
    [
      'a stake that starts later',
      'stakes',
      "started_at = started_at + interval '1 second'",
      'active',
      'stake.startedAt',
    ],
    [
      'a lock that ends early',
      'stakes',
      "locked_until = started_at + interval '1 second'",
      'active',
      'stake.lockedUntil',
    ],
    ['rewards accrued beyond now', 'stakes', "accrued_until = '2099-01-01'", 'active', 'stake.accruedUntil'],
    ['rewards accrued before the start', 'stakes', "accrued_until = '2025-01-01'", 'active', 'stake.accruedUntil'],
    ['another time of a withdrawal', 'stakes', "withdrawn_at = '2026-03-09'", 'withdrawn', 'stake.withdrawnAt'],
    [
      'a hold of the future',
      'holds',
      "created_at = '2026-03-11', expires_at = '2026-03-12'",
      'captured',
      'hold.createdAt',
    ],
    ['a hold before its request', 'holds', "created_at = '2026-02-28'", 'released', 'hold.createdAt'],
    [
      'another time of a capture',
      'holds',
      "resolved_at = resolved_at + interval '1 second'",
      'captured',
      'hold.resolvedAt',
    ],
    ['a release before the hold', 'holds', "resolved_at = '2026-02-28'", 'released', 'hold.resolvedAt'],
    ['a release in the future', 'holds', "resolved_at = '2099-01-01'", 'released', 'hold.resolvedAt'],
    [
      'a reward on another day',
      'mining_records',
      "created_at = created_at - interval '1 day'",
      'mined',
      'mining.createdAt',
    ],
    ['a submission in the future', 'mining_records', "created_at = '2099-01-01'", 'mined', 'mining.createdAt'],
    ['a decision in the future', 'mining_records', "decided_at = '2099-01-01'", 'mined', 'mining.decidedAt'],
    ['a snapshot of the future', 'economic_metrics', "captured_at = '2026-03-09'", 'metrics', 'metrics.capturedAt'],
    ['a snapshot from the future', 'economic_metrics', "created_at = '2099-01-01'", 'metrics', 'metrics.createdAt'],
  ])('finds %s', async (_what, table, change, name, check) => {
    const subject = ids[name] ?? '';
    const [kept] = await db().admin(`SELECT to_jsonb(t) AS row FROM ${table} AS t WHERE id = '${subject}'`);

    await db().admin(planted(table, change, subject));
    const found = await reconcile(mint);
    const columns = Object.keys(kept?.['row'] as object);
    const [list, values] = [columns.join(', '), columns.map((column) => `r.${column}`).join(', ')];
    await db().admin(
      `UPDATE ${table} SET (${list}) = (SELECT ${values} FROM jsonb_populate_record(NULL::${table}, $1) AS r) WHERE id = $2`,
      [JSON.stringify(kept?.['row']), subject],
    );
    await db().admin(`ALTER TABLE ${table} ENABLE TRIGGER USER`);

    expect(found.map((it) => `${it.check} ${it.subject}`)).toContain(`${check} ${subject}`);
    expect(await reconcile(mint)).toEqual([]);
  });
});
