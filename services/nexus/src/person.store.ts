import { newId } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import type { Nexus } from './client';
import { readInput } from './errors';
import { onlyRow } from './rows';

/** All rows about a person, by the name of their list, with the names of columns. */
export type PersonExport = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

/** How many rows were deleted. */
export interface Erasure {
  readonly profiles: number;
  readonly interactions: number;
  readonly recommendations: number;
  /** Entries of the audit log, which stay. */
  readonly retained: number;
}

/**
 * Everything that is kept about a person, as of one moment.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function exportPerson(nexus: Nexus, userId: string): Promise<PersonExport> {
  const values = [readInput(idInput, userId)];
  return onlyRow(await nexus.query<{ rows: PersonExport }>({ text: 'SELECT export_person($1) AS rows', values })).rows;
}

/**
 * Deletes everything about a person in one transaction, with the person's part in what is recommended to others. The audit log stays,
 * for security. A second call deletes nothing.
 * @throws {SuiteError} `NEXUS.INVALID_INPUT`
 */
export async function erasePerson(nexus: Nexus, userId: string): Promise<Erasure> {
  const values = [readInput(idInput, userId), newId()];
  return onlyRow(await nexus.query<{ erasure: Erasure }>({ text: 'SELECT erase_person($1, $2) AS erasure', values }))
    .erasure;
}
