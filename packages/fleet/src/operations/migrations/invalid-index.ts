import { SuiteError } from '@azora/db-core';

/**
 * Rejects a database with an index whose build failed: a unique index in this state guards nothing.
 * @throws {SuiteError} `MIGRATION.INVALID_INDEX`
 */
export function refuseInvalidIndexes(indexes: readonly string[]): void {
  const [first] = indexes;
  if (first === undefined) return;
  const what = indexes.length === 1 ? `The index ${first} is` : `The indexes ${indexes.join(', ')} are`;
  throw new SuiteError('MIGRATION.INVALID_INDEX', `${what} invalid`, {
    why: 'A build with CONCURRENTLY failed. Every write maintains the index, no query uses it, and it enforces nothing.',
    next: `Correct the cause, then run "REINDEX INDEX CONCURRENTLY ${first}", or drop the index if no migration makes it`,
    meta: { indexes },
  });
}
