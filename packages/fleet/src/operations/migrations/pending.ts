import { SuiteError } from '@azora/db-core';
import { compareHistory, readHistory, readMigrations, withClient } from '@azora/db-migrate';
import { eachService, type RunOptions, type ServiceRow } from '../fleet';
import type { Target } from '../targets';

/** Checks that each database has all of its migrations. The row of a database that is behind, or missing, is `failed`. */
export async function checkMigrated(
  targets: readonly Target[],
  { signal }: RunOptions,
): Promise<readonly ServiceRow<{ readonly target: Target }>[]> {
  return eachService(targets, { signal }, async (target) => {
    const files = await readMigrations(target.service.migrationsPath);
    const { pending } = compareHistory(files, await withClient(target.admin, readHistory));
    if (pending.length > 0) throw pendingMigrations(target.database, pending);
    return { data: { target }, detail: '' };
  });
}

function pendingMigrations(database: string, pending: readonly string[]): SuiteError {
  const names =
    pending.length === 1 ? `the migration ${pending[0]}` : `${pending.length} migrations, from ${pending[0]}`;
  return new SuiteError('MIGRATION.PENDING', `${database} lacks ${names}`, {
    kind: 'configuration',
    why: 'The code of this checkout needs the newest schema.',
    next: 'Run "npx azora-db migrate up"',
    meta: { database, pending },
  });
}
