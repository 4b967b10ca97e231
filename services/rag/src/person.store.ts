import { rowIdInput } from '@azora/db-core/input';
import type { Rag } from './client';
import { readInput } from './errors';
import { type Row, rowsFor } from './rows';

/** Everything that this service holds about a person, oldest first. */
export interface PersonExport {
  /** What the person changed by hand. The audit log is retained, so there is nothing to erase. */
  readonly auditLogs: readonly Row[];
}

/**
 * Everything that this service holds about a person.
 * @throws {SuiteError} `RAG.INVALID_INPUT`
 */
export async function exportPerson(rag: Rag, userId: string): Promise<PersonExport> {
  const values = [readInput(rowIdInput, userId)];
  const text = 'SELECT * FROM audit_logs WHERE user_id = $1 ORDER BY created_at, id';
  return { auditLogs: await rowsFor<Row>(rag, text, values) };
}
