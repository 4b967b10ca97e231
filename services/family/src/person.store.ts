import { idInput } from '@azora/db-core/input';
import type { Family } from './client';
import { readInput } from './errors';
import { onlyRow } from './rows';

/** All rows about a person, by the name of their list, with the names of columns. */
export type PersonExport = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

/** How many rows were deleted. */
export interface Erasure {
  readonly conversations: number;
  readonly messages: number;
  readonly interactions: number;
}

/**
 * Everything that is kept about a person, as of one moment.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`
 */
export async function exportPerson(family: Family, userId: string): Promise<PersonExport> {
  const values = [readInput(idInput, userId)];
  return onlyRow(await family.query<{ rows: PersonExport }>({ text: 'SELECT export_person($1) AS rows', values })).rows;
}

/**
 * Deletes the conversations, messages, words, interactions and affinities of a person in one transaction. The audit log is retained. A
 * second call deletes nothing.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`
 */
export async function erasePerson(family: Family, userId: string): Promise<Erasure> {
  const values = [readInput(idInput, userId)];
  return onlyRow(await family.query<{ erasure: Erasure }>({ text: 'SELECT erase_person($1) AS erasure', values }))
    .erasure;
}
