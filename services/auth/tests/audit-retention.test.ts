/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { verifyAuditChain } from '../src/index';
import { DAY_MS, givenChain, useAuth } from './given';

describe('pruning of the audit log', () => {
  const db = useDatabase('auth');
  const open = useAuth(db);

  // The counts below include the chains of every test.
  beforeEach(() => db().admin('SELECT prune_audit_log(1000)'));

  it('prunes the oldest entries first and keeps the chain intact', async () => {
    const userId = await givenChain(db(), 4, 100);
    const { head } = await verifyAuditChain(open(), { userId });
    await db().app("INSERT INTO audit_log (id, user_id, action) VALUES ($1 || '-new', $1, 'X')", [userId]);
    // An old event that was logged after a recent one stays until the recent one is pruned.
    await db().admin(
      "INSERT INTO audit_log (id, user_id, action, timestamp) VALUES ($1 || '-late', $1, 'X', now() - interval '99 days')",
      [userId],
    );

    expect(await db().admin('SELECT prune_audit_log(3) AS pruned')).toEqual([{ pruned: 3 }]);
    expect(await verifyAuditChain(open(), { userId })).toMatchObject({ ok: true, checked: 3, head: { seq: 6n } });
    expect(await db().admin('SELECT prune_audit_log(1000) AS pruned')).toEqual([{ pruned: 1 }]);
    expect(await db().admin('SELECT prune_audit_log(1000) AS pruned')).toEqual([{ pruned: 0 }]);
    const seqs = 'SELECT array_agg(seq::int ORDER BY seq) AS seqs FROM audit_log WHERE user_id = $1';
    expect(await db().admin(seqs, [userId])).toEqual([{ seqs: [5, 6] }]);
    if (head === null) throw new Error('the chain has no head');
    expect(await verifyAuditChain(open(), { userId, expected: head })).toMatchObject({ ok: true });
    const older = { ...head, seq: head.seq - 1n };
    expect((await verifyAuditChain(open(), { userId, expected: older })).differences.map(({ kind }) => kind)).toEqual([
      'expected_pruned',
    ]);
    const forged = { ...head, hash: 'f'.repeat(64) };
    expect((await verifyAuditChain(open(), { userId, expected: forged })).ok).toBe(false);
  });

  it('continues the chain after all of its entries were pruned', async () => {
    const userId = await givenChain(db(), 3, 100);
    await db().admin('SELECT prune_audit_log(1000)');
    expect(await verifyAuditChain(open(), { userId })).toMatchObject({ ok: true, checked: 0, head: { seq: 3n } });
    await db().app("INSERT INTO audit_log (id, user_id, action) VALUES ($1 || '-next', $1, 'X')", [userId]);

    expect(await verifyAuditChain(open(), { userId })).toMatchObject({ ok: true, checked: 1, head: { seq: 4n } });
  });

  it.each(['seq = 2', 'seq > 1', 'seq = 1 OR seq = 3'])(
    'rejects a deletion by the administrator that leaves a gap: %s',
    async (which) => {
      const userId = await givenChain(db(), 4, 100);

      await expect(
        db().admin(`DELETE FROM audit_log WHERE user_id = '${userId}' AND (${which})`),
      ).rejects.toMatchObject({
        code: '23001',
        constraint: 'audit_log_deletion_leaves_gap',
      });
      expect(await verifyAuditChain(open(), { userId })).toMatchObject({ ok: true, checked: 4 });
    },
  );

  it.each([
    "UPDATE audit_log SET action = 'X'",
    'DELETE FROM audit_log',
    'TRUNCATE audit_log',
    'SELECT prune_audit_log(10)',
    "INSERT INTO audit_chains VALUES ('x', 1, repeat('0', 64), 0, repeat('0', 64))",
    'UPDATE audit_chains SET last_seq = 0',
    'DELETE FROM audit_chains',
    'TRUNCATE audit_chains',
    'ALTER TABLE audit_log DISABLE TRIGGER ALL',
    'SET session_replication_role = replica',
    'DROP TRIGGER zz_audit_log_chain ON audit_log',
    'CREATE OR REPLACE FUNCTION audit_entry_hash(audit_log) RETURNS text LANGUAGE sql AS $$ SELECT $$',
    'CREATE TEMP TABLE audit_chains (account text)',
  ])('rejects the app role: %s', async (sql) => {
    await givenChain(db(), 1, 100);
    await expect(db().app(sql)).rejects.toMatchObject({ code: '42501' });
  });
});

describe('pruning of entries with a date in the future', () => {
  const db = useDatabase('auth');
  const open = useAuth(db);
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  /** Adds entries of that age in days by the administrator; a negative age is in the future. */
  const givenAges = async (...ages: readonly number[]) => {
    const userId = await givenChain(db(), 0);
    for (const age of ages) {
      await db().admin(
        `INSERT INTO audit_log (id, user_id, action, timestamp)
         VALUES (gen_random_uuid(), $1, 'X', database_time() - $2 * interval '1 day')`,
        [userId, age],
      );
    }
    return userId;
  };
  const prune = async (times: number) => {
    for (let n = 0; n < times; n += 1) await db().admin('SELECT prune_audit_log(1)');
  };
  const FUTURE = -365_000;

  it.each([
    ['before old entries', [FUTURE, 100, 99], 0],
    ['between old and recent entries', [100, FUTURE, 10], 2],
    ['after old entries', [100, 99, FUTURE], 1],
    ['among old and recent entries', [100, FUTURE, 99, FUTURE, 5, FUTURE], 3],
    ['alone', [FUTURE], 1],
  ])('takes the old entries now, and all 90 days after the newest entry: %s', async (_where, ages, left) => {
    const userId = await givenAges(...ages);
    await prune(ages.length);
    expect(await verifyAuditChain(open(), { userId })).toMatchObject({ ok: true, checked: left });

    await clock.move(89 * DAY_MS);
    await prune(ages.length);
    expect(await verifyAuditChain(open(), { userId })).toMatchObject({ ok: true, checked: expect.any(Number) });
    await clock.move(DAY_MS);
    await prune(ages.length);
    expect(await verifyAuditChain(open(), { userId })).toMatchObject({ ok: true, checked: 0 });
  });

  it('rejects the deletion of an entry whose age is not known', async () => {
    const userId = await givenAges(FUTURE, 10);

    await expect(
      db().admin(`DELETE FROM audit_log WHERE user_id = '${userId}' AND timestamp > database_time()`),
    ).rejects.toMatchObject({ code: '23001', constraint: 'audit_log_deletion_leaves_gap' });
  });
});
