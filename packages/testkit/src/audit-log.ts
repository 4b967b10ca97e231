import type { TestDatabase } from './database';

/** The tests of a service's `audit_logs`, in the surrounding `describe`: who may write it, what, and that it stays. */
export function itKeepsAnAuditLog(database: () => TestDatabase): void {
  it('takes entries of the audit log from the service, with a time', async () => {
    await database().app(`INSERT INTO audit_logs (id, action) VALUES ('kept', 'row.changed')`);

    expect(
      await database().app(`SELECT action, details, created_at <= now() AS past FROM audit_logs WHERE id = 'kept'`),
    ).toEqual([{ action: 'row.changed', details: {}, past: true }]);
  });

  it.each([
    ['action', `INSERT INTO audit_logs (id, action) VALUES ('x', ' ')`],
    ['details', `INSERT INTO audit_logs (id, action, details) VALUES ('x', 'y', '[]')`],
  ])('refuses an entry of the audit log whose %s is wrong', async (rule, sql) => {
    await expect(database().app(sql)).rejects.toMatchObject({ constraint: `audit_logs_${rule}_check` });
  });

  it.each([`UPDATE audit_logs SET action = 'nothing'`, 'DELETE FROM audit_logs', 'TRUNCATE audit_logs'])(
    'refuses to anybody: %s',
    async (sql) => {
      await expect(database().admin(sql)).rejects.toMatchObject({
        code: '23001',
        constraint: 'audit_logs_append_only',
      });
      // A companion has one role, a superuser's, for which there is the trigger alone.
      const [role] = await database().app(`SELECT current_setting('is_superuser') AS super`);
      const code = role?.['super'] === 'on' ? '23001' : '42501';
      await expect(database().app(sql)).rejects.toMatchObject({ code });
    },
  );
}
