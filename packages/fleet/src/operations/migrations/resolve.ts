import { SuiteError } from '@azora/db-core';
import {
  findMigration,
  insertBaseline,
  type Resolution,
  readHistory,
  readMigrations,
  refuseHistory,
  resolveMigration,
  withClient,
} from '@azora/db-migrate';
import type { PasswordOf } from '../../config/credentials';
import { withScratchDatabase } from '../../postgres/scratch';
import { compareCatalogs, readObjects } from '../../postgres/verify/catalog';
import { countOf } from '../fleet';
import { provisionAdopted } from '../provision';
import { scratchPlace, type Target } from '../targets';
import { catalogOf } from './drift';
import { afterMigration } from './migrate';

export type { Resolution };

/** The number of differences that an error names. */
const SHOWN = 20;

/** Records in a database's history how an unfinished migration ended; see {@link resolveMigration}. */
export async function resolveTarget(
  target: Target,
  name: string,
  resolution: Resolution,
  runnerTimeoutMs: number | undefined,
): Promise<void> {
  const migrations = await readMigrations(target.service.migrationsPath);
  await withClient(target.admin, (client) =>
    resolveMigration(client, migrations, name, resolution, { runnerTimeoutMs, afterwards: afterMigration(target) }),
  );
}

export interface BaselineRequest {
  /** The newest migration that the database has; undefined for all. */
  readonly to?: string | undefined;
  readonly runnerTimeoutMs?: number | undefined;
  readonly passwordOf: PasswordOf;
}

/**
 * Adopts a database that another tool made: records all migrations, or those up to `to`, as applied, if they make the same
 * objects on an empty database, and provisions the app role. Returns the names. A database that differs stays as it is.
 * @throws {SuiteError} `MIGRATION.HAS_HISTORY`, `MIGRATION.BASELINE_DIFFERS` naming what differs, `USAGE.UNKNOWN_MIGRATION`
 */
export async function baselineTarget(
  target: Target,
  { to, runnerTimeoutMs, passwordOf }: BaselineRequest,
): Promise<readonly string[]> {
  const files = await readMigrations(target.service.migrationsPath);
  if (to !== undefined) findMigration(files, to);
  const migrations = to === undefined ? files : files.filter(({ name }) => name <= to);
  const live = await withClient(target.admin, async (client) => {
    refuseHistory(await readHistory(client));
    return readObjects(client, { grants: false });
  });
  const expected = await withScratchDatabase(scratchPlace(target), (url) => catalogOf(url, migrations));
  const changes = compareCatalogs(expected, live);
  if (changes.length > 0) {
    const shown = changes.slice(0, SHOWN).map(({ kind, object, change }) => `${kind} ${object} is ${change}`);
    throw new SuiteError('MIGRATION.BASELINE_DIFFERS', `${target.database} differs from the result of the migrations`, {
      why: `${countOf(changes.length, 'difference')}: ${shown.join('; ')}${changes.length > SHOWN ? '; …' : ''}.`,
      next: 'Change the database or the migrations until they match, or name an earlier migration with --to',
      meta: { changes },
    });
  }
  // The history rows and the rights of the app role are one transaction, so the role must exist.
  await provisionAdopted(target, passwordOf);
  const options = { runnerTimeoutMs, afterwards: afterMigration(target) };
  await withClient(target.admin, (client) => insertBaseline(client, migrations, options));
  return migrations.map(({ name }) => name);
}
