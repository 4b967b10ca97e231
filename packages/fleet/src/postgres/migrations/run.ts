import { randomUUID } from 'node:crypto';
import { SuiteError } from '@azora/db-core';
import type { ClientBase } from 'pg';
import type { Migration } from './files';
import { CREATE_HISTORY, compareHistory, type MigrationState, readHistory } from './history';
import { type LockOptions, withMigrationLock } from './lock';
import { sqlError } from './sql-error';
import { refuseTransactionStatements, splitStatements } from './statements';

export interface RunOptions extends LockOptions {
  /** Runs in the transaction of each migration, after its SQL. */
  readonly afterEach?: (client: ClientBase) => Promise<void>;
  readonly onMigration?: (name: string) => void;
  /** Once aborted, the migration that runs is finished and no further one begins. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Applies what is pending, each migration and its history row in one transaction; returns the names. One runner at a
 * time; whoever waited finds nothing left to do.
 * @throws {SuiteError} `MIGRATION.EDITED`, `.MISSING`, `.OUT_OF_ORDER`, `.UNFINISHED`, `.LOCKED`, `.SQL_FAILED`,
 *   `.HOLDS_TRANSACTION`, `.CONNECTION_LOST`
 */
export async function migrateUp(
  client: ClientBase,
  migrations: readonly Migration[],
  options: RunOptions,
): Promise<readonly string[]> {
  // Asked without the lock first: with nothing to do, one question is all that a run costs.
  if (pendingOf(migrations, compareHistory(migrations, await readHistory(client))).length === 0) return [];
  return withMigrationLock(client, options, async () => {
    const pending = pendingOf(migrations, compareHistory(migrations, await readHistory(client)));
    await client.query(CREATE_HISTORY);
    for (const [index, migration] of pending.entries()) {
      if (options.signal?.aborted) return pending.slice(0, index).map(({ name }) => name);
      options.onMigration?.(migration.name);
      await (migration.transactional ? applyInTransaction : applyStatements)(client, migration, options);
    }
    return pending.map(({ name }) => name);
  });
}

/**
 * Undoes the newest `steps` applied migrations, newest first, each one's down.sql and the removal of its history row in
 * one transaction; returns the names.
 * @throws {SuiteError} `MIGRATION.IRREVERSIBLE` before anything runs, and what {@link migrateUp} throws
 */
export async function migrateDown(
  client: ClientBase,
  migrations: readonly Migration[],
  options: RunOptions & { readonly steps: number },
): Promise<readonly string[]> {
  return withMigrationLock(client, options, async () => {
    const state = compareHistory(migrations, await readHistory(client));
    refuseTampered(state);
    const newest = state.applied.slice(-options.steps).reverse();
    const plan = newest.flatMap((name) => migrations.filter((migration) => migration.name === name));
    const downs = plan.map((migration) => ({ name: migration.name, ...requireReversible(migration) }));
    for (const [index, down] of downs.entries()) {
      if (options.signal?.aborted) return newest.slice(0, index);
      options.onMigration?.(down.name);
      await undo(client, down, options);
    }
    return newest;
  });
}

function pendingOf(migrations: readonly Migration[], state: MigrationState): readonly Migration[] {
  refuseTampered(state);
  if (state.unfinished.length > 0) {
    throw new SuiteError('MIGRATION.UNFINISHED', `${state.unfinished.join(', ')} began and did not finish`, {
      why: 'It ran outside of a transaction, or by another tool, so part of it may be there.',
      next: 'Look at what it did, complete or undo it, and set finished_at or rolled_back_at of its history row',
      meta: { migrations: state.unfinished },
    });
  }
  if (state.outOfOrder.length > 0) {
    throw new SuiteError('MIGRATION.OUT_OF_ORDER', `${state.outOfOrder.join(', ')} sorts before an applied migration`, {
      why: `The newest applied one is ${state.applied.at(-1)}.`,
      next: 'Give its folder a later timestamp',
      meta: { migrations: state.outOfOrder },
    });
  }
  return migrations.filter(({ name }) => state.pending.includes(name));
}

function refuseTampered({ edited, missing }: MigrationState): void {
  if (edited.length > 0) {
    throw new SuiteError('MIGRATION.EDITED', `${edited.join(', ')} was changed after it was applied`, {
      why: 'Its checksum is not the one in the history.',
      next: 'Take the change back and put it into a new migration',
      meta: { migrations: edited },
    });
  }
  if (missing.length > 0) {
    throw new SuiteError('MIGRATION.MISSING', `${missing.join(', ')} was applied and has no file`, {
      why: 'The history names it.',
      next: 'Restore the folder from version control',
      meta: { migrations: missing },
    });
  }
}

function requireReversible({ name, down }: Migration): { readonly file: string; readonly sql: string } {
  if ('sql' in down) return down;
  throw new SuiteError('MIGRATION.IRREVERSIBLE', `${name} cannot be taken back`, {
    why: `It says: ${down.irreversible}.`,
    next: 'Write a new migration that goes where you want to be',
    meta: { migration: name },
  });
}

async function applyInTransaction(client: ClientBase, migration: Migration, options: RunOptions): Promise<void> {
  await refuseTransactionStatements(migration.sql, migration.file);
  const startedAt = new Date();
  await client.query(beginWithin(options.lockTimeoutMs));
  try {
    await client.query(migration.sql).catch((error: unknown) => {
      throw sqlError(error, migration);
    });
    await client.query(
      `INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, started_at, applied_steps_count)
       VALUES ($1, $2, clock_timestamp(), $3, $4, 1)`,
      [randomUUID(), migration.checksum, migration.name, startedAt],
    );
    await options.afterEach?.(client);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    await recordFailure(client, migration, startedAt, error);
    throw error;
  }
}

/** The row says that it was rolled back, for it was: no tool then asks anybody to resolve it by hand. */
async function recordFailure(client: ClientBase, migration: Migration, startedAt: Date, error: unknown): Promise<void> {
  if (!(error instanceof SuiteError) || error.code !== 'MIGRATION.SQL_FAILED') return;
  await client
    .query(
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, logs, rolled_back_at, started_at)
       VALUES ($1, $2, $3, $4, clock_timestamp(), $5)`,
      [randomUUID(), migration.checksum, migration.name, `${error.message}\n${error.why ?? ''}`, startedAt],
    )
    .catch(() => undefined);
}

/** Outside of a transaction: the history row first, so that an interruption shows, then statement by statement. */
async function applyStatements(client: ClientBase, migration: Migration, options: RunOptions): Promise<void> {
  const statements = await splitStatements(migration);
  const id = randomUUID();
  await client.query('INSERT INTO _prisma_migrations (id, checksum, migration_name) VALUES ($1, $2, $3)', [
    id,
    migration.checksum,
    migration.name,
  ]);
  for (const statement of statements) {
    try {
      await client.query(statement);
    } catch (error) {
      const known = sqlError(error, { ...migration, sql: statement });
      const logs = `${known.message}\n${known.why ?? ''}`;
      await client.query('UPDATE _prisma_migrations SET logs = $2 WHERE id = $1', [id, logs]).catch(() => undefined);
      throw known;
    }
  }
  await client.query('BEGIN');
  await client.query(
    'UPDATE _prisma_migrations SET finished_at = clock_timestamp(), applied_steps_count = 1 WHERE id = $1',
    [id],
  );
  await options.afterEach?.(client);
  await client.query('COMMIT');
}

async function undo(
  client: ClientBase,
  down: { readonly name: string; readonly file: string; readonly sql: string },
  options: RunOptions,
): Promise<void> {
  await refuseTransactionStatements(down.sql, down.file);
  await client.query(beginWithin(options.lockTimeoutMs));
  try {
    await client.query(down.sql).catch((error: unknown) => {
      throw sqlError(error, down);
    });
    await client.query('DELETE FROM _prisma_migrations WHERE migration_name = $1', [down.name]);
    await options.afterEach?.(client);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** A statement that waits for a table lock makes everybody behind it wait too: it gives up instead. */
function beginWithin(lockTimeoutMs: number): string {
  return `BEGIN; SET LOCAL lock_timeout = ${Math.round(lockTimeoutMs)}`;
}
