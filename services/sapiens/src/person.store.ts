import { idInput } from '@azora/db-core/input';
import type { Sapiens } from './client';
import { readInput } from './errors';

/** Rows by table, with the names of columns. */
export type PersonExport = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

export interface PersonErasure {
  /** 1, or 0 when there is nobody to erase. */
  readonly students: number;
}

/**
 * Everything that this database holds about a user, and the user's entries of the audit log.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function exportPerson(sapiens: Sapiens, userId: string): Promise<PersonExport> {
  const values = [readInput(idInput, userId)];
  const [row] = await sapiens.query<{ exported: PersonExport }>({
    text: 'SELECT export_person($1) AS exported',
    values,
  });
  return row?.exported ?? {};
}

/**
 * Deletes every row of a student in one transaction. Entries of the audit log are retained. A repeated call changes nothing.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function erasePerson(sapiens: Sapiens, userId: string): Promise<PersonErasure> {
  const values = [readInput(idInput, userId)];
  const [row] = await sapiens.query<{ students: number }>({ text: 'SELECT erase_person($1) AS students', values });
  return { students: row?.students ?? 0 };
}
