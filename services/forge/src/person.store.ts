import { idInput } from '@azora/db-core/input';
import type { Forge } from './client';
import { readInput } from './errors';
import { onlyRow } from './rows';

/** All rows about a person, by the name of their list, with the names of columns. */
export type PersonExport = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

export interface Erasure {
  /** Deleted rows: the skill profile and drafts of jobs. */
  readonly deleted: number;
  /** Rows that lost text or the person's id: jobs, applications, milestones and ratings. */
  readonly anonymised: number;
  /** Contracts that are kept, with their disputes, for the statutory period. */
  readonly retained: number;
  /** Contracts of these that still run: a call after their end erases the rest of the text. */
  readonly running: number;
}

/**
 * Everything that is kept about a person, as of one moment.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`
 */
export async function exportPerson(forge: Forge, userId: string): Promise<PersonExport> {
  const values = [readInput(idInput, userId)];
  return onlyRow(await forge.query<{ rows: PersonExport }>({ text: 'SELECT export_person($1) AS rows', values })).rows;
}

/**
 * Erases a person in one transaction, as the annotations of the schema say. Open jobs are canceled and undecided applications
 * withdrawn. A second call changes nothing, unless a contract has ended meanwhile.
 * @throws {SuiteError} `FORGE.INVALID_INPUT`
 */
export async function erasePerson(forge: Forge, userId: string): Promise<Erasure> {
  const values = [readInput(idInput, userId)];
  return onlyRow(await forge.query<{ erasure: Erasure }>({ text: 'SELECT erase_person($1) AS erasure', values }))
    .erasure;
}
