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

const UNDEFINED_TABLE = '42P01';

/** Prisma's own table, as its engine creates it. */
export const CREATE_HISTORY = `
  CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id                  VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum            VARCHAR(64) NOT NULL,
    finished_at         TIMESTAMPTZ,
    migration_name      VARCHAR(255) NOT NULL,
    logs                TEXT,
    rolled_back_at      TIMESTAMPTZ,
    started_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0
  )`;

/** Reads the history in one round trip, oldest first; no table is an empty history. */
export async function readHistory(client: ClientBase): Promise<readonly HistoryRow[]> {
  try {
    const { rows } = await client.query<HistoryRow>(`
      SELECT id, migration_name AS name, checksum, finished_at IS NOT NULL AS finished,
             rolled_back_at IS NOT NULL AS "rolledBack", logs
      FROM _prisma_migrations ORDER BY migration_name, started_at`);
    return rows;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === UNDEFINED_TABLE) return [];
    throw error;
  }
}

/** Compares files and history; neither is changed. */
export function compareHistory(migrations: readonly Migration[], rows: readonly HistoryRow[]): MigrationState {
  const finished = new Map(rows.filter((row) => row.finished && !row.rolledBack).map((row) => [row.name, row]));
  const tried = new Map(rows.filter((row) => !row.finished && !finished.has(row.name)).map((row) => [row.name, row]));
  const files = new Map(migrations.map((migration) => [migration.name, migration]));
  const pending = migrations.map(({ name }) => name).filter((name) => !finished.has(name));
  const applied = [...finished.keys()];
  const newest = applied.at(-1) ?? '';
  return {
    applied,
    pending,
    failed: [...tried.values()].map(({ name, logs }) => ({ name, error: logs ?? 'it was interrupted' })),
    unfinished: [...tried.values()].filter((row) => !row.rolledBack).map(({ name }) => name),
    edited: applied.filter((name) => files.has(name) && files.get(name)?.checksum !== finished.get(name)?.checksum),
    missing: applied.filter((name) => !files.has(name)),
    outOfOrder: pending.filter((name) => name < newest),
  };
}
