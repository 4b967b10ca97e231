import { withClient } from '../postgres/connect';
import { readMigrations } from '../postgres/migrations/files';
import { storeFingerprint } from '../postgres/migrations/fingerprint';
import { compareHistory, type MigrationState, readHistory } from '../postgres/migrations/history';
import { migrateDown, migrateUp } from '../postgres/migrations/run';
import { syncGrants, type TableGrants } from '../postgres/roles';
import { grantsOf, readCatalog } from '../suite/catalog';
import { eachService, type RunOptions, type ServiceRow } from './fleet';
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
  targets: readonly Target[],
  options: MigrateOptions,
): Promise<readonly ServiceRow<MigratedService>[]> {
  return eachService(targets, options, async (target, tell) => {
    const migrations = await migrateTargetUp(target, options, tell);
    return { data: { migrations }, detail: describe(migrations, 'applied', 'nothing to apply') };
  });
}

/** Applies what is pending in one database; returns the names. */
export async function migrateTargetUp(
  target: Target,
  options: MigrateOptions,
  tell: (detail: string) => void = () => undefined,
): Promise<readonly string[]> {
  const migrations = await readMigrations(target.service.migrationsPath);
  return withClient(target.admin, (client) => migrateUp(client, migrations, runOptions(target, options, tell)));
}

/** Undoes the newest `steps` migrations of every database. */
export async function migrateFleetDown(
  targets: readonly Target[],
  steps: number,
  options: MigrateOptions,
): Promise<readonly ServiceRow<MigratedService>[]> {
  return eachService(targets, options, async (target, tell) => {
    const files = await readMigrations(target.service.migrationsPath);
    const migrations = await withClient(target.admin, (client) =>
      migrateDown(client, files, { ...runOptions(target, options, tell), steps }),
    );
    return { data: { migrations }, detail: describe(migrations, 'undone', 'nothing to undo') };
  });
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

function runOptions(target: Target, options: MigrateOptions, tell: (detail: string) => void) {
  let grants: Promise<TableGrants> | undefined;
  return {
    lockTimeoutMs: options.lockTimeoutMs,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    onMigration: (name: string) => tell(name),
    // In the migration's transaction, so that no database is ever seen with tables that its store may not read.
    afterEach: async (client: Parameters<typeof storeFingerprint>[0]) => {
      grants ??= readCatalog([target.service], { references: 'unchecked' }).then((it) =>
        grantsOf(it, target.service.name),
      );
      await syncGrants(client, target.role, await grants);
      await storeFingerprint(client);
    },
  };
}

function describe(migrations: readonly string[], verb: string, none: string): string {
  if (migrations.length === 0) return none;
  return `${migrations.length} ${migrations.length === 1 ? 'migration' : 'migrations'} ${verb}`;
}
