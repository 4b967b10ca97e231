import { idInput } from '@azora/db-core/input';
import type { Stories } from './client';
import { readInput } from './errors';
import { onlyRow } from './rows';

/** All rows about a person, by the name of their list, with the names of columns. */
export type PersonExport = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

export interface Erasure {
  /** Stories that lost the person and every text. */
  readonly stories: number;
  /** Stories of these that had not ended and were canceled. */
  readonly cancelled: number;
}

/**
 * Everything that is kept about a person, as of one moment: the person's stories with their steps, tasks and attempts, and the audit log.
 * @throws {SuiteError} `STORY.INVALID_INPUT`
 */
export async function exportPerson(stories: Stories, userId: string): Promise<PersonExport> {
  const values = [readInput(idInput, userId)];
  return onlyRow(await stories.queryLong<{ rows: PersonExport }>({ text: 'SELECT export_person($1) AS rows', values }))
    .rows;
}

/**
 * Erases a person in one transaction: the person's stories are canceled unless they have ended, and lose the person, their texts, paths,
 * issue, conversation and results. The audit log is retained. A second call changes nothing.
 * @throws {SuiteError} `STORY.INVALID_INPUT`
 */
export async function erasePerson(stories: Stories, userId: string): Promise<Erasure> {
  const values = [readInput(idInput, userId)];
  return onlyRow(await stories.queryLong<{ erasure: Erasure }>({ text: 'SELECT erase_person($1) AS erasure', values }))
    .erasure;
}
