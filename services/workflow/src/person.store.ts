import { idInput } from '@azora/db-core/input';
import type { Workflows } from './client';
import { readInput } from './errors';
import { onlyRow } from './rows';

/** All rows about a person, by the name of their list, with the names of columns. */
export type PersonExport = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

export interface Erasure {
  /** Workflows that were deleted, with their versions, runs and logs. */
  readonly deleted: number;
  /** Workflows, versions and runs of others that do not name the person any more. */
  readonly anonymised: number;
}

/**
 * Everything that is kept about a person, as of one moment. Of the workflows of others, only what the person did.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`
 */
export async function exportPerson(workflows: Workflows, userId: string): Promise<PersonExport> {
  const values = [readInput(idInput, userId)];
  return onlyRow(
    await workflows.queryLong<{ rows: PersonExport }>({ text: 'SELECT export_person($1) AS rows', values }),
  ).rows;
}

/**
 * Erases a person in one transaction, as the annotations of the schema say; what runs is deleted too. The audit log stays, for security. A
 * second call changes nothing.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`
 */
export async function erasePerson(workflows: Workflows, userId: string): Promise<Erasure> {
  const values = [readInput(idInput, userId)];
  return onlyRow(
    await workflows.queryLong<{ erasure: Erasure }>({ text: 'SELECT erase_person($1) AS erasure', values }),
  ).erasure;
}
