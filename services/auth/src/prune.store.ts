import { z } from 'zod';
import type { Auth } from './client';
import { readInput } from './errors';

/**
 * The `@retain` annotations of the schema, in days after `expires_at`, by table. Tokens come before their sessions.
 */
const RETAINED_DAYS = {
  tokens: 90,
  sessions: 90,
  org_invitations: 90,
  one_time_codes: 1,
  token_blacklist: 1,
  sign_in_sources: 1,
  message_limits: 1,
} as const;

type Table = keyof typeof RETAINED_DAYS;

export interface PruneExpiredInput {
  /** The most rows that one statement deletes; 1000 by default. */
  readonly batchSize?: number;
  /** The most statements per table; the remaining rows wait for the next call. */
  readonly maxBatches?: number;
}

/** The number of deleted rows by table. */
export type Pruned = Readonly<Record<Table, number>>;

const pruneExpiredInput = z.strictObject({
  batchSize: z.int().min(1).max(10_000).default(1_000),
  maxBatches: z.int().min(1).max(1_000_000).default(1_000),
});

/**
 * Deletes rows that expired before their retention period, in small transactions that hold their locks only briefly.
 * Concurrent calls share the work. Only the administrator can prune the audit log.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`
 */
export async function pruneExpired(auth: Auth, input: PruneExpiredInput = {}): Promise<Pruned> {
  const { batchSize, maxBatches } = readInput(pruneExpiredInput, input);
  const pruned = {
    tokens: 0,
    sessions: 0,
    org_invitations: 0,
    one_time_codes: 0,
    token_blacklist: 0,
    sign_in_sources: 0,
    message_limits: 0,
  };
  for (const table of Object.keys(RETAINED_DAYS) as Table[]) {
    for (let batch = 0; batch < maxBatches; batch += 1) {
      const deleted = await deleteBatch(auth, table, batchSize);
      pruned[table] += deleted;
      if (deleted < batchSize) break;
    }
  }
  return pruned;
}

async function deleteBatch(auth: Auth, table: Table, batchSize: number): Promise<number> {
  const [row] = await auth.query<{ deleted: number }>({
    text: `WITH old AS (
        SELECT ctid FROM ${table} WHERE expires_at < (SELECT database_time() - $1::int * interval '1 day')
        ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
      ), gone AS (DELETE FROM ${table} WHERE ctid IN (SELECT ctid FROM old) RETURNING 1)
      SELECT count(*)::int AS deleted FROM gone`,
    values: [RETAINED_DAYS[table], batchSize],
  });
  return row?.deleted ?? 0;
}
