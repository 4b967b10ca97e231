import { withClient } from '../postgres/connect';
import { syncGrants } from '../postgres/roles';
import { type Catalog, grantsOf } from '../suite/catalog';
import type { PasswordOf } from '../suite/credentials';
import { eachService, type ServiceRow } from './fleet';
import { type MigrateOptions, migrateTargetUp } from './migrate';
import { provision } from './provision';
import type { Target } from './targets';

export interface SetUpService {
  readonly createdDatabase: boolean;
  readonly migrations: readonly string[];
}

/** Creates and migrates every database with its app role; changes nothing where all is there. */
export async function setUpDatabases(
  targets: readonly Target[],
  catalog: Catalog,
  passwordOf: PasswordOf,
  options: MigrateOptions,
): Promise<readonly ServiceRow<SetUpService>[]> {
  return eachService(targets, options, async (target, tell) => {
    const { createdDatabase } = await provision(target, passwordOf);
    if (createdDatabase) tell('created');
    const migrations = await migrateTargetUp(target, options, tell);
    // Grants that were changed in the schema's annotations without a migration.
    const grants = grantsOf(catalog, target.service.name);
    await withClient(target.admin, (client) => syncGrants(client, target.role, grants));
    const what = createdDatabase ? 'created' : 'there';
    return { data: { createdDatabase, migrations }, detail: `${what}, ${migrations.length} migrations applied` };
  });
}
