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
  type Step,
  withClient,
} from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { refuseDataLoss, throwDataLoss } from '../../postgres/analysis/losses';
import { countOf, doneRows, eachService, type RunOptions, type ServiceRow } from '../fleet';
import type { Target } from '../targets';
import { type Destination, depthOf, withService } from './destination';
import { refuseInvalidIndexes } from './invalid-index';
import { planTarget } from './plan';

export interface MigrateOptions extends RunOptions {
  /** How long a run waits for another run on the same database; 10,000 by default. */
  readonly runnerTimeoutMs?: number | undefined;
  /** PostgreSQL's lock_timeout while a migration runs; 5,000 by default. */
  readonly lockTimeoutMs?: number | undefined;
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
    const applied = await migrateUp(client, migrations, { ...runOptions(target, options, onProgress), to });
    await throwIfCut(client, migrations, options.signal, (state) => planUp(migrations, state, to));
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
  /** Whether existing rows and values may be removed. */
  readonly acceptDataLoss: boolean;
  /** Called before the first migration runs, with the databases that would lose rows or values, if there are any. */
  readonly confirmLosses?: (targets: readonly Target[]) => Promise<void>;
}

/**
 * Reverts the newest migrations of every database. All databases are checked first: if one of them cannot be reverted, or
 * would lose rows that were not accepted, no database is changed, and the other rows are `not-started`.
 * @throws {SuiteError} per service: `MIGRATION.DATA_LOSS` before anything runs, or in the transaction of a step whose tables
 *   received rows in the meantime
 */
export async function migrateFleetDown(
  destinations: readonly Destination[],
  { steps, acceptDataLoss, confirmLosses }: DownRequest,
  options: MigrateOptions,
): Promise<readonly ServiceRow<MigratedService>[]> {
  const planned = await eachService(destinations.map(withService), { signal: options.signal }, async (destination) => {
    const losses = await plannedLosses(destination, steps, acceptDataLoss);
    return { data: { target: destination.target, losses }, detail: '' };
  });
  if (planned.some(({ state }) => state !== 'done')) return planned.map(notReverted);
  const losing = doneRows(planned).flatMap(({ data }) => (data.losses > 0 ? [data.target] : []));
  if (losing.length > 0) await confirmLosses?.(losing);
  return eachService(destinations.map(withService), options, async (destination, onProgress) => {
    const { target, to } = destination;
    const files = await readMigrations(target.service.migrationsPath);
    const run = { ...runOptions(target, options, onProgress), ...depthOf(to, steps) };
    const migrations = await withClient(target.admin, async (client) => {
      const reverted = await migrateDown(client, files, acceptDataLoss ? run : { ...run, beforeEach: refuseDataLoss });
      const left = depthOf(to, steps === undefined ? undefined : steps - reverted.length);
      await throwIfCut(client, files, options.signal, (state) => planDown(files, state, left));
      return reverted;
    });
    return { data: { migrations }, detail: summaryOf(migrations, 'reverted', 'nothing to revert') };
  });
}

/**
 * The number of losses of rows or values that the steps of one database would cause.
 * @throws {SuiteError} the errors with which the run would refuse to begin; `MIGRATION.DATA_LOSS` unless losses are accepted
 */
async function plannedLosses(
  destination: Destination,
  steps: number | undefined,
  acceptDataLoss: boolean,
): Promise<number> {
  let count = 0;
  for (const { file, losses } of await planTarget(destination, { down: true, steps })) {
    const hit = losses.filter((loss) => loss.hit);
    if (!acceptDataLoss) throwDataLoss(file, hit);
    count += hit.length;
  }
  return count;
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
  { runnerTimeoutMs, lockTimeoutMs, signal }: MigrateOptions,
  onProgress: (detail: string) => void,
) {
  return {
    service: target.service.name,
    runnerTimeoutMs,
    lockTimeoutMs,
    signal,
    onMigration: onProgress,
    onWait: onProgress,
    afterEach: afterMigration(target),
  };
}

/** The app role's rights and the fingerprint of the catalog, in the transaction of each migration. */
export function afterMigration({ role, service }: Target): (client: ClientBase) => Promise<void> {
  return grantsAndFingerprint(role, service.schemaPath);
}

function summaryOf(migrations: readonly string[], verb: string, none: string): string {
  return migrations.length === 0 ? none : `${countOf(migrations.length, 'migration')} ${verb}`;
}
