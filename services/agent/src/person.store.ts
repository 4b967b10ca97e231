import { idInput } from '@azora/db-core/input';
import type { Agent } from './client';
import { readInput } from './errors';
import { onlyRow } from './rows';

/** All rows about a person, by the name of their list, with the names of columns. */
export type PersonExport = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

export interface Erasure {
  /** Deleted conversations, messages, executions and lines of the chat. */
  readonly deleted: number;
  /** Tasks that lost their text and their creator; those that had not ended are canceled. */
  readonly anonymised: number;
}

/**
 * Everything that is kept about a person, as of one moment.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`
 */
export async function exportPerson(agent: Agent, userId: string): Promise<PersonExport> {
  const values = [readInput(idInput, userId)];
  return onlyRow(await agent.query<{ rows: PersonExport }>({ text: 'SELECT export_person($1) AS rows', values })).rows;
}

/**
 * Erases a person in one transaction, as the annotations of the schema say. The audit log stays, for security. A second call changes
 * nothing.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`
 */
export async function erasePerson(agent: Agent, userId: string): Promise<Erasure> {
  const values = [readInput(idInput, userId)];
  return onlyRow(await agent.query<{ erasure: Erasure }>({ text: 'SELECT erase_person($1) AS erasure', values }))
    .erasure;
}
