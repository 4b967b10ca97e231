import { SuiteError } from '@azora/db-core';
import {
  compareHistory,
  afterMigration as grantsAndFingerprint,
  type Migration,
  type MigrationState,
  migrateDown,
  migrateUp,
  planDown,
  planUp,
  readHistory,
  readInvalidIndexes,
  readMigrations,
  readState,
  rehearseDown,
  type Step,
  withClient,
} from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { guardData } from '../../postgres/data-loss/guard';
import { countOf, doneRows, eachService, type RunOptions, type ServiceRow } from '../fleet';
import type { Target } from '../targets';
import { type Destination, depthOf, withService } from './destination';
import { refuseInvalidIndexes } from './invalid-index';

export interface MigrateOptions extends RunOptions {
  /** How long a run waits for another run on the same database; 10,000 by default. */
  readonly runnerTimeoutMs?: number | undefined;
  /** PostgreSQL's lock_timeout while a migration runs; 5,000 by default. */
  readonly lockTimeoutMs?: number | undefined;
  /** PostgreSQL's statement_timeout while a migration runs; 0 (no limit) by default. */
  readonly statementTimeoutMs?: number | undefined;
  /** Whether a run up also applies pending migrations that sort before an applied one. */
  readonly outOfOrder?: boolean | undefined;
}

export interface MigratedService {
  /** Names, in the order in which the migrations ran. */
  readonly migrations: readonly string[];
}

/** Applies the pending migrations of every database, in parallel; a failure does not stop the other databases. */
export async function migrateFleetUp(
  destinations: readonly Destination[],
  options: MigrateOptions,
): Promise<readonly ServiceRow<MigratedService>[]> {
  return eachService(destinations.map(withService), options, async ({ target, to }, onProgress) => {
    const migrations = await migrateTargetUp(target, { ...options, to }, onProgress);
    return { data: { migrations }, detail: summaryOf(migrations, 'applied', 'nothing to apply') };
  });
}

/**
 * Applies the pending migrations of one database, all of them or up to a migration; returns their names.
 * @throws {SuiteError} `MIGRATION.INVALID_INDEX` after the last migration
 * @throws the reason of the signal when it was aborted before the last migration
 */
export async function migrateTargetUp(
  target: Target,
  { to, ...options }: MigrateOptions & { readonly to?: string | null | undefined },
  onProgress: (detail: string) => void = () => undefined,
): Promise<readonly string[]> {
  if (to === null) return [];
  const migrations = await readMigrations(target.service.migrationsPath);
  return withClient(target.admin, async (client) => {
    const applied = await migrateUp(client, migrations, {
      ...runOptions(target, options, onProgress),
      to,
      outOfOrder: options.outOfOrder,
    });
    await throwIfCut(client, migrations, options.signal, (state) =>
      planUp(migrations, state, { to, outOfOrder: options.outOfOrder }),
    );
    refuseInvalidIndexes(await readInvalidIndexes(client));
    return applied;
  });
}

/** An aborted run ends between two migrations. It is complete only if no migration was left for it. */
async function throwIfCut(
  client: ClientBase,
  migrations: readonly Migration[],
  signal: AbortSignal | undefined,
  plan: (state: MigrationState) => readonly Step[],
): Promise<void> {
  if (signal?.aborted && plan(await readState(client, migrations)).length > 0) signal.throwIfAborted();
}

/** Down by steps, or to the destination's migration. */
export interface DownRequest {
  readonly steps?: number | undefined;
  /** Whether data may be removed or changed. */
  readonly acceptDataLoss: boolean;
  /** Called before the first migration runs, with the databases that would lose data, if there are any. */
  readonly confirmLosses?: (targets: readonly Target[]) => Promise<void>;
}

/**
 * Reverts the newest migrations of every database. All databases are rehearsed first, each in a transaction that is rolled back: if one
 * of them cannot be reverted, or would lose data and that was not accepted, no database is changed, and the other rows are
 * `not-started`. One step of one database needs no rehearsal, because the step is checked before it is committed.
 * @throws {SuiteError} per service: `MIGRATION.DATA_LOSS` before anything is committed, or in the transaction of a step whose tables
 *   received rows in the meantime
 */
export async function migrateFleetDown(
  destinations: readonly Destination[],
  { steps, acceptDataLoss, confirmLosses }: DownRequest,
  options: MigrateOptions,
): Promise<readonly ServiceRow<MigratedService>[]> {
  if (acceptDataLoss || destinations.length > 1 || steps !== 1) {
    const rehearsed = await eachService(
      destinations.map(withService),
      { signal: options.signal },
      async (destination) => {
        const isLosing = await rehearse(destination, { steps, acceptDataLoss }, options);
        return { data: { target: destination.target, isLosing }, detail: '' };
      },
    );
    if (rehearsed.some(({ state }) => state !== 'done')) return rehearsed.map(notReverted);
    const losing = doneRows(rehearsed).flatMap(({ data }) => (data.isLosing ? [data.target] : []));
    if (losing.length > 0) await confirmLosses?.(losing);
  }
  return eachService(destinations.map(withService), options, async (destination, onProgress) => {
    const { target, to } = destination;
    const files = await readMigrations(target.service.migrationsPath);
    const run = { ...runOptions(target, options, onProgress), ...depthOf(to, steps) };
    const migrations = await withClient(target.admin, async (client) => {
      const reverted = await migrateDown(client, files, acceptDataLoss ? run : { ...run, beforeEach: guardData });
      const left = depthOf(to, steps === undefined ? undefined : steps - reverted.length);
      await throwIfCut(client, files, options.signal, (state) => planDown(files, state, left));
      return reverted;
    });
    return { data: { migrations }, detail: summaryOf(migrations, 'reverted', 'nothing to revert') };
  });
}

/**
 * Rehearses the steps of one database; true when they would lose data, and that is accepted.
 * @throws {SuiteError} the errors with which the run would stop; `MIGRATION.DATA_LOSS` unless losses are accepted
 */
async function rehearse(
  { target, to }: Destination,
  { steps, acceptDataLoss }: Pick<DownRequest, 'steps' | 'acceptDataLoss'>,
  options: MigrateOptions,
): Promise<boolean> {
  const files = await readMigrations(target.service.migrationsPath);
  const onWait = (detail: string) => options.progress?.({ service: target.service.name, state: 'working', detail });
  const run = { ...runOptions(target, options, onWait), ...depthOf(to, steps), beforeEach: guardData };
  try {
    await rehearseDown(target.admin, files, run);
    return false;
  } catch (error) {
    if (acceptDataLoss && error instanceof SuiteError && error.code === 'MIGRATION.DATA_LOSS') return true;
    throw error;
  }
}

function notReverted(row: ServiceRow<unknown>): ServiceRow<MigratedService> {
  return row.state === 'failed' ? row : { service: row.service, state: 'not-started' };
}

export interface DatabaseState extends MigrationState {
  /** The names of the indexes whose build with CONCURRENTLY failed, as SQL. */
  readonly invalidIndexes: readonly string[];
}

/** Reads which migrations of every database are applied, pending, failed or edited. */
export async function readFleetMigrations(
  targets: readonly Target[],
  options: RunOptions,
): Promise<readonly ServiceRow<DatabaseState>[]> {
  const rows = await eachService(targets, options, async (target) => {
    const files = await readMigrations(target.service.migrationsPath);
    const state = await withClient(target.admin, async (client) => ({
      ...compareHistory(files, await readHistory(client)),
      invalidIndexes: await readInvalidIndexes(client),
    }));
    return { data: state, detail: `${state.applied.length} applied, ${state.pending.length} pending` };
  });
  options.signal?.throwIfAborted();
  return rows;
}

/** Whether the service is not exactly at its newest migration, or has an index whose build failed. */
export function isBehind(row: ServiceRow<DatabaseState>): boolean {
  if (row.state !== 'done') return false;
  const { pending, failed, edited, missing, invalidIndexes } = row.data;
  return [pending, failed, edited, missing, invalidIndexes].some((names) => names.length > 0);
}

function runOptions(
  target: Target,
  { runnerTimeoutMs, lockTimeoutMs, statementTimeoutMs, signal }: MigrateOptions,
  onProgress: (detail: string) => void,
) {
  return {
    service: target.service.name,
    runnerTimeoutMs,
    lockTimeoutMs,
    statementTimeoutMs,
    signal,
    onMigration: onProgress,
    onWait: onProgress,
    afterEach: afterMigration(target),
  };
}

/** The app role's rights and the fingerprint of the catalog, in the transaction of each migration. */
export function afterMigration({ role, service }: Target): (client: ClientBase, isLast?: boolean) => Promise<void> {
  return grantsAndFingerprint(role, service.schemaPath);
}

function summaryOf(migrations: readonly string[], verb: string, none: string): string {
  return migrations.length === 0 ? none : `${countOf(migrations.length, 'migration')} ${verb}`;
}
