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
  readMigrations,
  readState,
  type Step,
  withClient,
} from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { refuseDataLoss, throwDataLoss } from '../../postgres/analysis/losses';
import { countOf, eachService, type RunOptions, type ServiceRow } from '../fleet';
import type { Target } from '../targets';
import { type Destination, depthOf, withService } from './destination';
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
}

/**
 * Reverts the newest migrations of every database.
 * @throws {SuiteError} per service: `MIGRATION.DATA_LOSS` before anything runs, or in the transaction of a step whose tables
 *   received rows in the meantime
 */
export async function migrateFleetDown(
  destinations: readonly Destination[],
  { steps, acceptDataLoss }: DownRequest,
  options: MigrateOptions,
): Promise<readonly ServiceRow<MigratedService>[]> {
  return eachService(destinations.map(withService), options, async (destination, onProgress) => {
    const { target, to } = destination;
    if (!acceptDataLoss) await refusePlannedLosses(destination, steps);
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

/** Checks all steps before the first one runs, so that a run does not stop half-way for a known reason. */
async function refusePlannedLosses(destination: Destination, steps: number | undefined): Promise<void> {
  for (const { file, losses } of await planTarget(destination, { down: true, steps })) {
    throwDataLoss(
      file,
      losses.filter(({ hit }) => hit),
    );
  }
}

/** Reads which migrations of every database are applied, pending, failed or edited. */
export async function readFleetMigrations(
  targets: readonly Target[],
  options: RunOptions,
): Promise<readonly ServiceRow<MigrationState>[]> {
  const rows = await eachService(targets, options, async (target) => {
    const files = await readMigrations(target.service.migrationsPath);
    const state = compareHistory(files, await withClient(target.admin, readHistory));
    return { data: state, detail: `${state.applied.length} applied, ${state.pending.length} pending` };
  });
  options.signal?.throwIfAborted();
  return rows;
}

/** Whether the service is not exactly at its newest migration. */
export function isBehind(row: ServiceRow<MigrationState>): boolean {
  if (row.state !== 'done') return false;
  const { pending, failed, edited, missing } = row.data;
  return [pending, failed, edited, missing].some((names) => names.length > 0);
}

function runOptions(
  target: Target,
  { runnerTimeoutMs, lockTimeoutMs, signal }: MigrateOptions,
  onProgress: (detail: string) => void,
) {
  return {
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
