import {
  compareHistory,
  type MigrationState,
  migrateDown,
  migrateUp,
  readHistory,
  readMigrations,
  storeFingerprint,
  withClient,
} from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { refuseDataLoss, throwDataLoss } from '../postgres/analysis/losses';
import { syncGrants, type TableGrants } from '../postgres/roles';
import { readGrants } from '../schema/schema-model';
import { countOf } from './count';
import { type Destination, depthOf, withService } from './destination';
import { eachService, type RunOptions, type ServiceRow } from './fleet';
import { planTarget } from './plan';
import type { Target } from './targets';

export interface MigrateOptions extends RunOptions {
  /** How long a statement may wait for a lock, and a runner for another runner. */
  readonly lockTimeoutMs: number;
}

export const DEFAULT_LOCK_TIMEOUT_MS = 10_000;

export interface MigratedService {
  /** Names, in the order in which they ran. */
  readonly migrations: readonly string[];
}

/** Applies what is pending in every database, in parallel, going on past a failing one. */
export async function migrateFleetUp(
  destinations: readonly Destination[],
  options: MigrateOptions,
): Promise<readonly ServiceRow<MigratedService>[]> {
  return eachService(destinations.map(withService), options, async ({ target, to }, tell) => {
    const migrations = await migrateTargetUp(target, { ...options, to }, tell);
    return { data: { migrations }, detail: describe(migrations, 'applied', 'nothing to apply') };
  });
}

/** Applies what is pending in one database, all of it or to a migration; returns the names. */
export async function migrateTargetUp(
  target: Target,
  { to, ...options }: MigrateOptions & { readonly to?: string | null | undefined },
  tell: (detail: string) => void = () => undefined,
): Promise<readonly string[]> {
  if (to === null) return [];
  const migrations = await readMigrations(target.service.migrationsPath);
  return withClient(target.admin, (client) =>
    migrateUp(client, migrations, { ...runOptions(target, options, tell), to }),
  );
}

/** Down by steps, or to the destination's migration. */
export interface DownRequest {
  readonly steps?: number | undefined;
  /** Whether rows and values that are there may go. */
  readonly acceptDataLoss: boolean;
}

/**
 * Undoes the newest migrations of every database.
 * @throws {SuiteError} per service: `MIGRATION.DATA_LOSS` before anything ran, or in the transaction of a step that met rows
 *   which came in meanwhile
 */
export async function migrateFleetDown(
  destinations: readonly Destination[],
  { steps, acceptDataLoss }: DownRequest,
  options: MigrateOptions,
): Promise<readonly ServiceRow<MigratedService>[]> {
  return eachService(destinations.map(withService), options, async (destination, tell) => {
    const { target, to } = destination;
    if (!acceptDataLoss) await refuseLossesAhead(destination, steps);
    const files = await readMigrations(target.service.migrationsPath);
    const run = { ...runOptions(target, options, tell), ...depthOf(to, steps) };
    const migrations = await withClient(target.admin, (client) =>
      migrateDown(client, files, acceptDataLoss ? run : { ...run, beforeEach: refuseDataLoss }),
    );
    return { data: { migrations }, detail: describe(migrations, 'undone', 'nothing to undo') };
  });
}

/** All steps at once, so that a run of several does not stop half-way where it could have been known. */
async function refuseLossesAhead(destination: Destination, steps: number | undefined): Promise<void> {
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
  return eachService(targets, options, async (target) => {
    const files = await readMigrations(target.service.migrationsPath);
    const rows = await withClient(target.admin, readHistory);
    const state = compareHistory(files, rows);
    return { data: state, detail: `${state.applied.length} applied, ${state.pending.length} pending` };
  });
}

function runOptions(target: Target, { lockTimeoutMs, signal }: MigrateOptions, tell: (detail: string) => void) {
  return {
    lockTimeoutMs,
    ...(signal === undefined ? {} : { signal }),
    onMigration: (name: string) => tell(name),
    onWait: (holder: string) => tell(`waits for ${holder}`),
    afterEach: afterMigration(target),
  };
}

/**
 * What goes into the transaction of each migration: the app role's rights, so that no database is ever seen with tables
 * that its store may not read, and the fingerprint of the catalog.
 */
export function afterMigration(target: Target): (client: ClientBase) => Promise<void> {
  let grants: Promise<TableGrants> | undefined;
  return async (client) => {
    grants ??= readGrants(target.service);
    await syncGrants(client, target.role, await grants);
    await storeFingerprint(client);
  };
}

function describe(migrations: readonly string[], verb: string, none: string): string {
  if (migrations.length === 0) return none;
  return `${countOf(migrations.length, 'migration')} ${verb}`;
}
