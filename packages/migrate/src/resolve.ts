import { randomUUID } from 'node:crypto';
import { SuiteError } from '@azora/db-core/errors';
import type { ClientBase } from 'pg';
import type { Migration } from './files';
import {
  CREATE_HISTORY,
  compareHistory,
  HISTORY,
  type HistoryRow,
  isApplied,
  type MigrationState,
  readHistory,
} from './history';
import { type RunnerLockOptions, withMigrationLock } from './lock';
import { refuseSearchPath } from './search-path';

export type Resolution = 'applied' | 'rolled-back' | 'renamed';

export interface ResolveOptions extends RunnerLockOptions {
  /** Runs in the transaction that changes the history, as after a migration. */
  readonly afterwards: (client: ClientBase) => Promise<void>;
}

/**
 * Records in the history how an unfinished migration ended: `applied` when a person completed it, `rolled-back` when a
 * person undid it. A pending migration can also be recorded as applied. `renamed` gives the row of an applied migration the new name
 * of its folder, which is recognized by its content. Nothing else in the database changes.
 * @throws {SuiteError} `USAGE.NOTHING_TO_RESOLVE`, `USAGE.UNKNOWN_MIGRATION`, `MIGRATION.LOCKED`
 */
export async function resolveMigration(
  client: ClientBase,
  migrations: readonly Migration[],
  name: string,
  resolution: Resolution,
  options: ResolveOptions,
): Promise<void> {
  const migration = findMigration(migrations, name);
  await withMigrationLock(client, options, () =>
    inTransaction(client, async () => {
      await client.query(CREATE_HISTORY);
      await record(client, compareHistory(migrations, await readHistory(client)), migration, resolution);
      await options.afterwards(client);
    }),
  );
}

async function record(
  client: ClientBase,
  state: MigrationState,
  migration: Migration,
  resolution: Resolution,
): Promise<void> {
  const { name } = migration;
  if (resolution === 'renamed') {
    const renamed = state.renamed.find(({ to }) => to === name);
    if (renamed === undefined) throw notRenamed(name);
    return rename(client, renamed);
  }
  if (state.unfinished.includes(name)) return finish(client, migration, resolution);
  if (resolution !== 'applied' || !state.pending.includes(name)) {
    throw nothingToResolve(name, state.applied.includes(name));
  }
  return insertApplied(client, [migration]);
}

/** @throws {SuiteError} `USAGE.UNKNOWN_MIGRATION` */
export function findMigration(migrations: readonly Migration[], name: string): Migration {
  const found = migrations.find((migration) => migration.name === name);
  if (found !== undefined) return found;
  throw new SuiteError('USAGE.UNKNOWN_MIGRATION', `There is no migration ${name}`, {
    kind: 'usage',
    next: 'Use the full name, as "npx azora-db migrate status" shows it',
  });
}

/**
 * Records migrations as applied whose objects another tool made, and removes the rows of failed attempts to apply them.
 * @throws {SuiteError} `MIGRATION.HAS_HISTORY` when the history has applied migrations, `MIGRATION.SEARCH_PATH`
 */
export async function insertBaseline(
  client: ClientBase,
  migrations: readonly Migration[],
  options: ResolveOptions,
): Promise<void> {
  await withMigrationLock(client, options, () =>
    inTransaction(client, async () => {
      await client.query(CREATE_HISTORY);
      refuseHistory(await readHistory(client));
      await refuseSearchPath(client);
      await client.query(`DELETE FROM ${HISTORY}`);
      await insertApplied(client, migrations);
      await options.afterwards(client);
    }),
  );
}

/** Rejects a baseline for a database that was migrated before. Failed attempts do not count: they left nothing to keep. */
export function refuseHistory(history: readonly HistoryRow[]): void {
  const applied = history.filter(isApplied).length;
  if (applied === 0) return;
  throw new SuiteError('MIGRATION.HAS_HISTORY', 'The database already has a migration history', {
    kind: 'usage',
    why: `_prisma_migrations lists ${applied} applied ${applied === 1 ? 'migration' : 'migrations'}.`,
    next: 'Run "npx azora-db migrate up"; "npx azora-db migrate status" shows a migration that did not finish',
  });
}

/** A migration whose down.sql was interrupted had finished before, so `started_at` is kept. */
async function finish(client: ClientBase, { name, checksum }: Migration, resolution: Resolution): Promise<void> {
  const change =
    resolution === 'applied'
      ? `finished_at = clock_timestamp(), applied_steps_count = 1, checksum = $2`
      : 'rolled_back_at = clock_timestamp()';
  await client.query(
    `UPDATE ${HISTORY} SET ${change} WHERE migration_name = $1 AND finished_at IS NULL AND rolled_back_at IS NULL`,
    resolution === 'applied' ? [name, checksum] : [name],
  );
}

async function rename(client: ClientBase, { from, to }: { readonly from: string; readonly to: string }): Promise<void> {
  await client.query(`UPDATE ${HISTORY} SET migration_name = $2 WHERE migration_name = $1`, [from, to]);
}

/** Adds finished rows to the history. */
export async function insertApplied(client: ClientBase, migrations: readonly Migration[]): Promise<void> {
  for (const { name, checksum } of migrations) {
    await client.query(
      `INSERT INTO ${HISTORY} (id, checksum, migration_name, started_at, finished_at) VALUES ($1, $2, $3, now(), now())`,
      [randomUUID(), checksum, name],
    );
  }
}

function notRenamed(name: string): SuiteError {
  return new SuiteError('USAGE.NOTHING_TO_RESOLVE', `${name} is not an applied migration under a new name`, {
    kind: 'usage',
    why: 'No applied migration without a folder has the content of its migration.sql.',
    next: 'Run "npx azora-db migrate status" to see which applied migrations have no folder',
  });
}

function nothingToResolve(name: string, isApplied: boolean): SuiteError {
  return new SuiteError('USAGE.NOTHING_TO_RESOLVE', `${name} does not need to be resolved`, {
    kind: 'usage',
    why: `In this database it is ${isApplied ? 'applied' : 'not applied'}.`,
  });
}

async function inTransaction(client: ClientBase, work: () => Promise<void>): Promise<void> {
  await client.query('BEGIN');
  try {
    await work();
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
