import { createHash } from 'node:crypto';
import type { ClientBase } from 'pg';
import type { Migration } from './files';

/** A row of Prisma's history table. */
export interface HistoryRow {
  readonly id: string;
  readonly name: string;
  readonly checksum: string;
  readonly finished: boolean;
  /** It left nothing behind, or was said to. */
  readonly rolledBack: boolean;
  readonly logs: string | null;
}

/** How a service's files and its database's history compare; names, oldest first. */
export interface MigrationState {
  readonly applied: readonly string[];
  readonly pending: readonly string[];
  /** Pending ones that were tried, with what went wrong the last time. */
  readonly failed: readonly { readonly name: string; readonly error: string }[];
  /** Begun, not finished and not rolled back: part of them may be there. */
  readonly unfinished: readonly string[];
  /** Applied, and the file was changed since. */
  readonly edited: readonly string[];
  /** Applied, and there is no file any more. */
  readonly missing: readonly string[];
  /** Pending, and older than one that is applied. */
  readonly outOfOrder: readonly string[];
}

/** Named with its schema, for a migration may have changed the search path. */
export const HISTORY = 'public._prisma_migrations';

const UNDEFINED_TABLE = '42P01';

/**
 * Prisma's own table, as its engine creates it. Two sessions that create it at once would collide in spite of IF NOT EXISTS;
 * the lock, of no meaning otherwise, is this transaction's.
 */
export const CREATE_HISTORY = `
  SELECT pg_advisory_xact_lock(hashtext('${HISTORY}'));
  CREATE TABLE IF NOT EXISTS ${HISTORY} (
    id                  VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum            VARCHAR(64) NOT NULL,
    finished_at         TIMESTAMPTZ,
    migration_name      VARCHAR(255) NOT NULL,
    logs                TEXT,
    rolled_back_at      TIMESTAMPTZ,
    started_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0
  )`;

/** Reads the history in one round trip, oldest first; no table is an empty history. Not for use inside a transaction. */
export async function readHistory(client: ClientBase): Promise<readonly HistoryRow[]> {
  try {
    const { rows } = await client.query<HistoryRow>(`
      SELECT id, migration_name AS name, checksum, finished_at IS NOT NULL AS finished,
             rolled_back_at IS NOT NULL AS "rolledBack", logs
      FROM ${HISTORY} ORDER BY migration_name COLLATE "C", started_at`);
    return rows;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === UNDEFINED_TABLE) return [];
    throw error;
  }
}

/** Compares files and history; neither is changed. */
export function compareHistory(migrations: readonly Migration[], rows: readonly HistoryRow[]): MigrationState {
  const files = new Map(migrations.map((migration) => [migration.name, migration]));
  const finished = new Map(rows.filter((row) => row.finished && !row.rolledBack).map((row) => [row.name, row]));
  const stuck = rows.filter((row) => !row.finished && !row.rolledBack);
  const tried = rows.filter((row) => !row.finished && !finished.has(row.name) && files.has(row.name));
  // The newest try of each name; rows come oldest first.
  const failed = new Map([...stuck, ...tried].map(({ name, logs }) => [name, { name, error: logs ?? INTERRUPTED }]));
  const pending = migrations.map(({ name }) => name).filter((name) => !finished.has(name));
  const applied = [...finished.keys()];
  const newest = applied.at(-1) ?? '';
  return {
    applied,
    pending,
    failed: [...failed.values()].sort((left, right) => (left.name < right.name ? -1 : 1)),
    unfinished: [...new Set(stuck.map(({ name }) => name))],
    edited: [...finished.values()].filter((row) => isEdited(files.get(row.name), row)).map(({ name }) => name),
    missing: applied.filter((name) => !files.has(name)),
    outOfOrder: pending.filter((name) => name < newest),
  };
}

const INTERRUPTED = 'it was interrupted';

/** Git may have changed the ends of lines between the machine that applied it and this one; Prisma overlooks that too. */
function isEdited(migration: Migration | undefined, { checksum }: HistoryRow): boolean {
  if (migration === undefined || migration.checksum === checksum) return false;
  const unix = migration.sql.replaceAll('\r\n', '\n');
  return ![unix, unix.replaceAll('\n', '\r\n')].some(
    (sql) => createHash('sha256').update(sql).digest('hex') === checksum,
  );
}
