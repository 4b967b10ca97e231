import { createHash } from 'node:crypto';
import type { ClientBase } from 'pg';
import type { Migration } from './files';

/** A row of Prisma's history table. */
export interface HistoryRow {
  readonly id: string;
  readonly name: string;
  readonly checksum: string;
  readonly finished: boolean;
  /** The attempt left nothing behind, or a person recorded that it did not. */
  readonly rolledBack: boolean;
  readonly logs: string | null;
}

/** The difference between a service's files and its database's history; names, oldest first. */
export interface MigrationState {
  readonly applied: readonly string[];
  readonly pending: readonly string[];
  /** Pending migrations whose last attempt failed, with its error. */
  readonly failed: readonly { readonly name: string; readonly error: string }[];
  /** Begun, not finished and not rolled back: a part may be applied. */
  readonly unfinished: readonly string[];
  /** Applied, and the file changed afterwards. */
  readonly edited: readonly string[];
  /** Applied, and the file is gone. */
  readonly missing: readonly string[];
  /** Those of them that are newer than every file: newer code has migrated the database. */
  readonly newer: readonly string[];
  /** Those of them whose content is a pending migration: the folder was renamed. */
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
  /** Pending, and older than an applied migration. */
  readonly outOfOrder: readonly string[];
  /** Migrations that count as applied because all migrations that they replace are applied; the history lacks their row. */
  readonly recognized: readonly string[];
  /** Pending migrations that replace applied ones; `lacking` names the replaced migrations that are not applied. */
  readonly partlySquashed: readonly { readonly name: string; readonly lacking: readonly string[] }[];
}

/** Includes the schema, because a migration may have changed the search path. */
export const HISTORY = 'public._prisma_migrations';

const UNDEFINED_TABLE = '42P01';

/**
 * Prisma's own table, as Prisma's engine creates it. Two sessions that create it at the same time collide in spite of
 * IF NOT EXISTS; the lock, which lasts for this transaction, prevents that.
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

/** Reads the history in one round trip, oldest first; empty when there is no table. Not for use inside a transaction. */
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

/** Whether a row stands for an applied migration, and not for an attempt that failed or was undone. */
export function isApplied({ finished, rolledBack }: HistoryRow): boolean {
  return finished && !rolledBack;
}

/** Compares files and history without changing either. */
export function compareHistory(migrations: readonly Migration[], rows: readonly HistoryRow[]): MigrationState {
  const files = new Map(migrations.map((migration) => [migration.name, migration]));
  const finished = new Map(rows.filter(isApplied).map((row) => [row.name, row]));
  const stuck = rows.filter((row) => !row.finished && !row.rolledBack);
  const tried = rows.filter((row) => !row.finished && !finished.has(row.name) && files.has(row.name));
  // The newest attempt of each name; rows come oldest first.
  const failed = new Map([...stuck, ...tried].map(({ name, logs }) => [name, { name, error: logs ?? INTERRUPTED }]));
  const { recognized, partlySquashed, newestSquash } = compareSquashes(migrations, finished);
  // A squash replaces everything before it, and an earlier squash may have replaced migrations that it does not name.
  const kept = [...finished.keys()].filter((name) => files.has(name) || name > newestSquash);
  const applied = [...kept, ...recognized].sort();
  const isPending = ({ name }: Migration) => !finished.has(name) && !recognized.includes(name);
  const pending = migrations.filter(isPending).map(({ name }) => name);
  const newest = applied.at(-1) ?? '';
  const newestFile = migrations.at(-1)?.name ?? '';
  const missing = kept.filter((name) => !files.has(name));
  const twinOf = (name: string) =>
    migrations.find((migration) => migration.checksum === finished.get(name)?.checksum && isPending(migration))?.name;
  return {
    applied,
    pending,
    failed: [...failed.values()].sort((left, right) => (left.name < right.name ? -1 : 1)),
    unfinished: [...new Set(stuck.map(({ name }) => name))],
    edited: [...finished.values()].filter((row) => isEdited(files.get(row.name), row)).map(({ name }) => name),
    missing,
    newer: missing.filter((name) => name > newestFile),
    renamed: missing.flatMap((name) => {
      const to = twinOf(name);
      return to === undefined ? [] : [{ from: name, to }];
    }),
    outOfOrder: pending.filter((name) => name < newest),
    recognized,
    partlySquashed,
  };
}

/** The migrations that replace others, by how much of what they replace is applied. */
function compareSquashes(migrations: readonly Migration[], finished: ReadonlyMap<string, HistoryRow>) {
  const squashes = migrations.filter(({ name, squashes }) => squashes.length > 0 && !finished.has(name));
  const compared = squashes.map(({ name, squashes }) => ({
    name,
    lacking: squashes.filter((old) => !finished.has(old)),
    count: squashes.length,
  }));
  const recognized = compared.filter(({ lacking }) => lacking.length === 0).map(({ name }) => name);
  const partlySquashed = compared.filter(({ lacking, count }) => lacking.length > 0 && lacking.length < count);
  const isDone = ({ name, squashes }: Migration) =>
    squashes.length > 0 && (finished.has(name) || recognized.includes(name));
  return { recognized, partlySquashed, newestSquash: migrations.findLast(isDone)?.name ?? '' };
}

const INTERRUPTED = 'interrupted';

/** Git may have changed the line endings between the machine that applied the file and this one. Prisma ignores that too. */
function isEdited(migration: Migration | undefined, { checksum }: HistoryRow): boolean {
  if (migration === undefined || migration.checksum === checksum) return false;
  const unix = migration.sql.replaceAll('\r\n', '\n');
  return ![unix, unix.replaceAll('\n', '\r\n')].some(
    (sql) => createHash('sha256').update(sql).digest('hex') === checksum,
  );
}
