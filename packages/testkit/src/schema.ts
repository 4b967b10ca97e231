import { quoteIdentifier } from '@azora/db-core';
import type { Query, TestDatabase } from './database';

type Row = Readonly<Record<string, unknown>>;

/** Asserts that the database rejects a statement, and by the constraint (or append-only trigger) of exactly this name. */
export async function schemaRefuses(statement: Promise<unknown>, constraint: string): Promise<void> {
  const outcome = await statement.then(
    () => 'The statement was accepted',
    (error) => error.constraint ?? error,
  );
  expect(outcome).toBe(constraint);
}

/**
 * Waits for statements that started at the same time, each in its own session as in copies of a service, and returns the
 * names of the constraints that rejected some of them.
 */
export async function refusalsOf(statements: readonly Promise<unknown>[]): Promise<readonly unknown[]> {
  const settled = await Promise.allSettled(statements);
  return settled.flatMap((result) => (result.status === 'rejected' ? [result.reason.constraint ?? result.reason] : []));
}

/** Inserts a row and returns it with the values that the database added. */
export function insertRow(query: Query, table: string, row: Row): Promise<readonly Row[]> {
  const names = Object.keys(row).map(quoteIdentifier);
  const places = names.map((_, index) => `$${index + 1}`);
  const sql = `INSERT INTO ${quoteIdentifier(table)} (${names}) VALUES (${places}) RETURNING *`;
  return query(sql, Object.values(row));
}

/**
 * Declares a test, in the surrounding `describe`, that the constraints named here include every CHECK of the schema,
 * except those of the audit log, which {@link itKeepsAnAuditLog} tests, those of the tables of events, which are alike in every
 * service and have tests of their own, and the bounds of times, ids, texts and lists, which `tests/bounds.test.ts` tests.
 */
export function itTestsEveryCheck(database: () => TestDatabase, tested: readonly string[]): void {
  it('has a test for every CHECK constraint', async () => {
    const checks = await database().admin(`
      SELECT conname AS name FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
      WHERE contype = 'c' AND connamespace = 'public'::regnamespace
        AND relname NOT IN ('audit_logs', 'outbox', 'outbox_relay', 'inbox')
        AND conname NOT IN (relname || '_times_check', relname || '_ids_check', relname || '_texts_check')`);

    expect(checks.map(({ name }) => name).filter((name) => !tested.includes(String(name)))).toEqual([]);
  });
}

/** Declares the tests of a service's `audit_logs` in the surrounding `describe`. */
export function itKeepsAnAuditLog(database: () => TestDatabase): void {
  it('accepts audit log entries from the app role, and sets their time', async () => {
    await database().app(`INSERT INTO audit_logs (id, action) VALUES ('kept', 'row.changed')`);

    expect(
      await database().app(`SELECT action, details, created_at <= now() AS past FROM audit_logs WHERE id = 'kept'`),
    ).toEqual([{ action: 'row.changed', details: {}, past: true }]);
  });

  it.each(['2999-01-01', '1970-01-01'])(
    'dates an entry itself that the app role dates %s, and keeps the date of the administrator',
    async (date) => {
      const insert = `INSERT INTO audit_logs (id, action, created_at) VALUES (gen_random_uuid(), 'X', '${date}')
        RETURNING created_at = '${date}' AS given`;
      // The single role of a companion is its administrator.
      const given = await isSuperuser(database());

      expect(await database().app(insert)).toEqual([{ given }]);
      expect(await database().admin(insert)).toEqual([{ given: true }]);
    },
  );

  it.each(['infinity', '-infinity', '10000-01-01'])(
    'rejects, even from the administrator, the date %s',
    async (date) => {
      const insert = `INSERT INTO audit_logs (id, action, created_at) VALUES (gen_random_uuid(), 'X', '${date}')`;

      await schemaRefuses(database().admin(insert), 'audit_logs_times_check');
      // The database dates an entry of the app role, except on a companion.
      if (await isSuperuser(database())) return;
      expect(await database().app(`${insert} RETURNING created_at <= clock_timestamp() AS past`)).toEqual([
        { past: true },
      ]);
    },
  );

  it.each([
    ['action', `INSERT INTO audit_logs (id, action) VALUES ('x', ' ')`],
    ['details', `INSERT INTO audit_logs (id, action, details) VALUES ('x', 'y', '[]')`],
  ])('rejects an audit log entry with an invalid %s', async (column, sql) => {
    await schemaRefuses(database().app(sql), `audit_logs_${column}_check`);
  });

  it.each([`UPDATE audit_logs SET action = 'nothing'`, 'DELETE FROM audit_logs', 'TRUNCATE audit_logs'])(
    'rejects, even from the administrator: %s',
    async (sql) => {
      await schemaRefuses(database().admin(sql), 'audit_logs_append_only');
      // The single role of a companion is a superuser, so only the trigger protects the table there.
      const code = (await isSuperuser(database())) ? '23001' : '42501';
      await expect(database().app(sql)).rejects.toMatchObject({ code });
    },
  );
}

/** Whether the app role is a superuser, as the single role of a companion is. */
async function isSuperuser(database: TestDatabase): Promise<boolean> {
  const [role] = await database.app(`SELECT current_setting('is_superuser') AS super`);
  return role?.['super'] === 'on';
}
