import { idInput } from '@azora/db-core/input';
import type { Debate } from './client';
import { readInput } from './errors';
import { valueFor } from './rows';

/** All rows about a person, by the name of their list, with the names of columns. */
export type PersonExport = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

export interface Erasure {
  /** Deleted rows. A webhook goes with its deliveries. */
  readonly shareLinks: number;
  readonly webhooks: number;
  /** Entries of the audit log, which stay for security. */
  readonly retained: number;
}

/**
 * Everything that is kept about a person, as of one moment, without tokens and secrets.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function exportPerson(debate: Debate, userId: string): Promise<PersonExport> {
  return valueFor(debate, 'SELECT export_person($1) AS value', [readInput(idInput, userId)]);
}

/**
 * Erases a person in one transaction, as the annotations of the schema say. A second call deletes nothing.
 * @throws {SuiteError} `DEBATE.INVALID_INPUT`
 */
export async function erasePerson(debate: Debate, userId: string): Promise<Erasure> {
  return valueFor(debate, 'SELECT erase_person($1) AS value', [readInput(idInput, userId)]);
}
