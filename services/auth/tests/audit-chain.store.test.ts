import { useDatabase } from '@azora/db-testkit';
import { verifyAuditChain } from '../src/index';
import { givenChain, outcomes, sha256, useAuth } from './given';

const NOTHING_BEFORE = '0'.repeat(64);

describe('the chain of the audit log', () => {
  const db = useDatabase('auth');
  const open = useAuth(db);
  /** Runs SQL as an administrator who bypasses the triggers. */
  const tamper = async (sql: string) => {
    await db().admin(`SET session_replication_role = replica; ${sql}; SET session_replication_role = DEFAULT`);
  };
  const differencesOf = async (userId: string) => {
    const { differences, ok } = await verifyAuditChain(open(), { userId });
    expect(ok).toBe(differences.length === 0);
    return differences.map(({ kind, seq, toSeq }) => (seq === toSeq ? `${kind} ${seq}` : `${kind} ${seq}-${toSeq}`));
  };

  it('links each entry to the previous one of the same account', async () => {
    const [one, two] = [await givenChain(db(), 3), await givenChain(db(), 1)];
    const rows = await db().admin('SELECT * FROM audit_log WHERE user_id = $1 ORDER BY seq', [one]);

    expect(rows.map(({ seq }) => seq)).toEqual(['1', '2', '3']);
    expect(rows.map((row) => row['previous_hash'])).toEqual([NOTHING_BEFORE, rows[0]?.['hash'], rows[1]?.['hash']]);
    const [second] = await db().admin('SELECT seq, previous_hash FROM audit_log WHERE user_id = $1', [two]);
    expect(second).toEqual({ seq: '1', previous_hash: NOTHING_BEFORE });
    expect(await verifyAuditChain(open(), { userId: one })).toEqual({
      ok: true,
      checked: 3,
      head: { seq: 3n, hash: rows[2]?.['hash'] },
      differences: [],
      differenceCount: 0,
    });
  });

  it('stores a hash that anyone can recompute', async () => {
    const userId = await givenChain(db(), 1);
    const [row] = await db().admin(
      'SELECT *, extract(epoch FROM timestamp)::text AS t, extract(epoch FROM created_at)::text AS c FROM audit_log WHERE user_id = $1',
      [userId],
    );
    const { id, t, c, hash } = row ?? {};

    const text = `[1, "${NOTHING_BEFORE}", "${id}", "${t}", "${userId}", null, "USER_LOGIN", null, null, {"n": 1}, null, null, null, "${c}"]`;
    expect(hash).toBe(sha256(text));
  });

  it('sets the position and the hashes itself, whatever the caller inserts', async () => {
    const userId = await givenChain(db(), 1);
    await db().app(
      "INSERT INTO audit_log (id, user_id, action, seq, hash, previous_hash) VALUES ('forged', $1, 'X', 77, $2, $2)",
      [userId, 'f'.repeat(64)],
    );

    expect(await db().admin("SELECT seq FROM audit_log WHERE id = 'forged'")).toEqual([{ seq: '2' }]);
    expect(await differencesOf(userId)).toEqual([]);
  });

  it('does not move the head for an entry that already exists', async () => {
    const userId = await givenChain(db(), 1);
    const again = `INSERT INTO audit_log (id, user_id, action) VALUES ('${userId}-1', '${userId}', 'X'), ('${userId}-2', '${userId}', 'X') ON CONFLICT DO NOTHING`;
    await db().app(again);
    await db().app(again);

    expect(await verifyAuditChain(open(), { userId })).toMatchObject({ ok: true, checked: 2, head: { seq: 2n } });
  });

  it('stays intact when thirty entries are written concurrently, with no gap for rolled-back entries', async () => {
    const auths = [open(), open()];
    const userId = await givenChain(db(), 0);
    const write = (n: number) =>
      (auths[n % 2] ?? open()).query({
        text: `SELECT write_audit_entry($1, 'RACE', NULL, NULL, '{}', NULL, NULL), 1 / $2::int`,
        values: [userId, n % 3],
      });
    const calls = Array.from({ length: 30 }, (_, n) => write(n));

    expect(await outcomes(calls)).toEqual({ ok: 20, 'DATABASE.FAILED': 10 });
    expect(await verifyAuditChain(open(), { userId })).toMatchObject({ ok: true, checked: 20, head: { seq: 20n } });
  });

  it('detects a change in any column', async () => {
    const columns = await db().admin(
      "SELECT column_name AS name, data_type AS type FROM information_schema.columns WHERE table_name = 'audit_log'",
    );
    const other: Readonly<Record<string, string>> = {
      bigint: '99',
      jsonb: `'{"other": 1}'`,
      'timestamp with time zone': "now() - interval '1 microsecond'",
      character: `repeat('f', 64)`,
    };
    const unseen: unknown[] = [];
    for (const { name, type } of columns) {
      const userId = await givenChain(db(), 3);
      await tamper(
        `UPDATE audit_log SET ${name} = ${other[String(type)] ?? "'other' || md5(random()::text)"} WHERE id = '${userId}-2'`,
      );
      if ((await differencesOf(userId)).length === 0) unseen.push(name);
    }

    expect(columns.length).toBeGreaterThanOrEqual(15);
    expect(unseen).toEqual([]);
  });

  it.each([
    ['a change', `UPDATE audit_log SET details = '{"n": 20}' WHERE id = '?-3'`, ['changed 3']],
    ['text in place of null', `UPDATE audit_log SET org_id = 'null' WHERE id = '?-3'`, ['changed 3']],
    [
      'a change with a recomputed hash',
      `UPDATE audit_log SET action = 'X' WHERE id = '?-3'; UPDATE audit_log SET hash = audit_entry_hash(audit_log) WHERE id = '?-3'`,
      ['unlinked 4'],
    ],
    [
      'a change of the newest entry with a recomputed hash',
      `UPDATE audit_log SET action = 'X' WHERE id = '?-5'; UPDATE audit_log SET hash = audit_entry_hash(audit_log) WHERE id = '?-5'`,
      ['head_differs 5'],
    ],
    ['the deletion of the oldest entry', `DELETE FROM audit_log WHERE id = '?-1'`, ['missing 1']],
    ['the deletion of entries in the middle', `DELETE FROM audit_log WHERE id IN ('?-3', '?-4')`, ['missing 3-4']],
    ['the deletion of the newest entries', `DELETE FROM audit_log WHERE id IN ('?-5', '?-4')`, ['missing 4-5']],
    ['the deletion of all entries', `DELETE FROM audit_log WHERE user_id = '?'`, ['missing 1-5']],
    [
      'a deletion with the later entries moved up',
      `DELETE FROM audit_log WHERE id = '?-2'; UPDATE audit_log SET seq = seq - 1 WHERE user_id = '?' AND seq > 2`,
      ['changed 2', 'unlinked 2', 'changed 3', 'changed 4', 'missing 5'],
    ],
    [
      'two swapped entries',
      `UPDATE audit_log SET seq = 100 WHERE id = '?-2'; UPDATE audit_log SET seq = 2 WHERE id = '?-3'; UPDATE audit_log SET seq = 3 WHERE id = '?-2'`,
      ['changed 2', 'unlinked 2', 'changed 3', 'unlinked 3', 'unlinked 4'],
    ],
    [
      'an entry appended after the head',
      `INSERT INTO audit_log (id, user_id, action, seq, previous_hash, hash) VALUES ('?-x', '?', 'X', 6, repeat('a', 64), repeat('b', 64))`,
      ['changed 6', 'inserted 6', 'unlinked 6'],
    ],
    ['an entry moved to another user', `UPDATE audit_log SET user_id = 'stranger-?' WHERE id = '?-5'`, ['missing 5']],
    ['a changed head', `UPDATE audit_chains SET last_hash = repeat('a', 64) WHERE account = '?'`, ['head_differs 5']],
    ['an outdated head', `UPDATE audit_chains SET last_seq = 4 WHERE account = '?'`, ['inserted 5']],
    [
      'a changed anchor',
      `UPDATE audit_chains SET first_previous_hash = repeat('a', 64) WHERE account = '?'`,
      ['unlinked 1'],
    ],
    ['a missing head', `DELETE FROM audit_chains WHERE account = '?'`, ['head_missing 1-5']],
  ])('detects %s', async (_what, sql, found) => {
    const userId = await givenChain(db(), 5);
    await tamper(sql.replaceAll('?', userId));

    expect(await differencesOf(userId)).toEqual(found);
  });

  it('detects an inserted entry after the unique index was dropped', async () => {
    const userId = await givenChain(db(), 3);
    const [index] = await db().admin("SELECT indexdef FROM pg_indexes WHERE indexname = 'audit_log_chain_key'");
    await db().admin('DROP INDEX audit_log_chain_key');
    await tamper(`INSERT INTO audit_log (id, user_id, action, seq, previous_hash, hash)
      SELECT id || 'x', user_id, 'X', seq, previous_hash, hash FROM audit_log WHERE id = '${userId}-2'`);

    expect(await differencesOf(userId)).toEqual(expect.arrayContaining(['changed 2', 'inserted 2']));
    await tamper(`DELETE FROM audit_log WHERE id = '${userId}-2x'`);
    await db().admin(String(index?.['indexdef']));
  });

  it('detects a rewritten or truncated chain with a head that was kept elsewhere', async () => {
    const rewrite = (userId: string) => `DO $$ DECLARE e audit_log; last text := repeat('0', 64); BEGIN
      FOR e IN SELECT * FROM audit_log WHERE user_id = '${userId}' ORDER BY seq LOOP
        e.action := 'INNOCENT'; e.previous_hash := last; last := audit_entry_hash(e);
        UPDATE audit_log SET action = e.action, previous_hash = e.previous_hash, hash = last WHERE id = e.id;
      END LOOP; UPDATE audit_chains SET last_hash = last WHERE account = '${userId}'; END $$`;
    const cut = (userId: string) => `UPDATE audit_chains SET last_seq = 2,
      last_hash = (SELECT hash FROM audit_log WHERE id = '${userId}-2') WHERE account = '${userId}';
      DELETE FROM audit_log WHERE user_id = '${userId}' AND seq > 2`;
    const kinds: string[][] = [];
    for (const sql of [
      rewrite,
      cut,
      (userId: string) =>
        `${cut(userId)}; DELETE FROM audit_log WHERE user_id = '${userId}'; DELETE FROM audit_chains WHERE account = '${userId}'`,
    ]) {
      const userId = await givenChain(db(), 4);
      const { head } = await verifyAuditChain(open(), { userId });
      if (head === null) throw new Error('the chain has no head');
      await db().app("INSERT INTO audit_log (id, user_id, action) VALUES ($1 || '-later', $1, 'X')", [userId]);
      expect(await verifyAuditChain(open(), { userId, expected: head })).toMatchObject({ ok: true });
      await tamper(sql(userId));
      expect(await verifyAuditChain(open(), { userId })).toMatchObject({ ok: true });
      kinds.push((await verifyAuditChain(open(), { userId, expected: head })).differences.map(({ kind }) => kind));
    }

    expect(kinds).toEqual([['expected_differs'], ['older_than_expected'], ['older_than_expected']]);
  });

  it('verifies all chains at once, and reports which one differs', async () => {
    const userId = await givenChain(db(), 2);
    await db().app("INSERT INTO audit_log (id, action) VALUES ('about-nobody', 'X')");
    await tamper("UPDATE audit_log SET action = 'Y' WHERE id = 'about-nobody'");
    const { differences, checked, head } = await verifyAuditChain(open());

    expect(checked).toBeGreaterThan(3);
    expect(head).toBeNull();
    expect(differences).toContainEqual({ kind: 'changed', userId: null, seq: 1n, toSeq: 1n, entryId: 'about-nobody' });
    expect(differences.filter((it) => it.userId === userId)).toEqual([]);
    expect(await verifyAuditChain(open(), { userId: null })).toMatchObject({
      ok: false,
      checked: 1,
      head: { seq: 1n },
    });
  });

  it('computes the same hashes in any time zone', async () => {
    const userId = await givenChain(db(), 2);
    await db().admin(`SET TimeZone = 'Asia/Kathmandu'; SET DateStyle = 'German'`);
    const [row] = await db().admin(
      'SELECT bool_and(hash = audit_entry_hash(audit_log)) AS same FROM audit_log WHERE user_id = $1',
      [userId],
    );
    await db().admin('RESET TimeZone; RESET DateStyle');

    expect(row).toEqual({ same: true });
  });

  it.each([
    ['an expected head without a user', { expected: { seq: 1n, hash: 'a'.repeat(64) } }],
    ['a malformed hash', { userId: 'x', expected: { seq: 1n, hash: "'; --" } }],
    [
      'a number instead of a bigint as the position',
      { userId: 'x', expected: { seq: 1 as never, hash: 'a'.repeat(64) } },
    ],
    ['SQL for a user', { userId: "' OR true --" }],
    ['a user id of ten megabytes', { userId: 'x'.repeat(10_000_000) }],
  ])('rejects %s', async (_what, input) => {
    await expect(verifyAuditChain(open(), input)).rejects.toMatchObject({ code: 'AUTH.INVALID_INPUT' });
  });
});
