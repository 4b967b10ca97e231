import { SuiteError } from '@azora/db-core';
import {
  compareCatalogs,
  findMigration,
  insertBaseline,
  type Resolution,
  readHistory,
  readMigrations,
  readObjects,
  refuseHistory,
  resolveMigration,
  withClient,
} from '@azora/db-migrate';
import { withScratchDatabase } from '../postgres/scratch';
import { countOf } from './count';
import { catalogOf } from './drift';
import { afterMigration } from './migrate';
import { scratchPlace, type Target } from './targets';

export type { Resolution };

/** How many differences an error names. */
const SHOWN = 20;

/** Says in a database's history how a migration ended; see {@link resolveMigration}. */
export async function resolveTarget(
  target: Target,
  name: string,
  resolution: Resolution,
  lockTimeoutMs: number,
): Promise<void> {
  const migrations = await readMigrations(target.service.migrationsPath);
  await withClient(target.admin, (client) =>
    resolveMigration(client, migrations, name, resolution, { lockTimeoutMs, afterwards: afterMigration(target) }),
  );
}

/**
 * Takes a database into the care of the migrations that is there already: says that all of them up to `to` are applied, after
 * it was seen that they make the same of an empty one. Returns the names.
 * @throws {SuiteError} `MIGRATION.HAS_HISTORY`, `MIGRATION.BASELINE_DIFFERS` naming what differs, `USAGE.UNKNOWN_MIGRATION`
 */
export async function baselineTarget(
  target: Target,
  to: string | undefined,
  lockTimeoutMs: number,
): Promise<readonly string[]> {
  const files = await readMigrations(target.service.migrationsPath);
  if (to !== undefined) findMigration(files, to);
  const migrations = to === undefined ? files : files.filter(({ name }) => name <= to);
  const live = await withClient(target.admin, async (client) => {
    refuseHistory((await readHistory(client)).length);
    return readObjects(client, { grants: false });
  });
  const expected = await withScratchDatabase(scratchPlace(target), (url) => catalogOf(url, migrations));
  const changes = compareCatalogs(expected, live);
  if (changes.length > 0) {
    const shown = changes.slice(0, SHOWN).map(({ kind, object, change }) => `${kind} ${object} is ${change}`);
    throw new SuiteError('MIGRATION.BASELINE_DIFFERS', `${target.database} is not what the migrations make`, {
      why: `${countOf(changes.length, 'difference')}: ${shown.join('; ')}${changes.length > SHOWN ? '; …' : ''}.`,
      next: 'Change the database or the migrations until they agree, or name an earlier migration with --to',
      meta: { changes },
    });
  }
  const options = { lockTimeoutMs, afterwards: afterMigration(target) };
  await withClient(target.admin, (client) => insertBaseline(client, migrations, options));
  return migrations.map(({ name }) => name);
}
