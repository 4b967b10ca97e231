import { useDatabase } from '@azora/db-testkit';
import { verifyAuditChain } from '../src/index';
import { givenChain, useAuth } from './given';

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
    await db().app(
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
