import type { Notifications } from './client';
import { readInput } from './errors';
import { userInput } from './input';
import { onlyRow } from './rows';

/** All rows about a user, by table, with the names of columns. */
export type PersonExport = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

const TABLES = [
  'notifications',
  'recipients',
  'bulk_reads',
  'deliveries',
  'preferences',
  'delivery_settings',
  'audit_logs',
] as const;

const EXPORT = `SELECT jsonb_build_object(${TABLES.map(
  (table) => `'${table}', (SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM ${table} AS t WHERE t.user_id = $1)`,
).join(', ')}) AS rows`;

/**
 * Everything that is kept about a user, as of one moment.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export async function exportPerson(notifications: Notifications, userId: string): Promise<PersonExport> {
  readInput(userInput, { userId });
  const rows = await notifications.query<{ rows: PersonExport }>({ text: EXPORT, values: [userId] });
  return onlyRow(rows).rows;
}

/**
 * Deletes everything that is kept about a user, in one transaction, and returns the number of notifications. The audit log stays, for
 * security. A second call deletes nothing.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export async function erasePerson(notifications: Notifications, userId: string): Promise<number> {
  readInput(userInput, { userId });
  const rows = await notifications.query<{ erased: number }>({
    text: 'SELECT erase_recipient($1) AS erased',
    values: [userId],
  });
  return onlyRow(rows).erased;
}
