import { isOwnRelation, withClient } from '@azora/db-migrate';
import type { Settings } from '../config/settings';
import { dropDatabase } from '../postgres/databases';
import { doneRows, eachService, type RunOptions, type ServiceRow } from './fleet';
import type { MigrateOptions } from './migrations/migrate';
import { type SetUpService, type SetupInput, setUpDatabases } from './setup';
import { openTargets, type Target } from './targets';

/** Drops every database, and creates and migrates those that were dropped. One row per service, failures first. */
export async function resetFleet(
  input: SetupInput,
  options: MigrateOptions & { readonly log: (line: string) => void },
): Promise<readonly ServiceRow<SetUpService | undefined>[]> {
  const targets = await openTargets(input.settings, input.services, options.log, options.signal);
  const dropped = await dropDatabases(targets, input.settings, options);
  const services = input.services.filter(({ name }) => doneRows(dropped).some((row) => row.service === name));
  // Locates the databases again, because a removed companion must be started again.
  const { rows } = await setUpDatabases({ ...input, services }, options);
  return [...dropped.filter((row) => row.state !== 'done'), ...rows];
}

/** Drops every service's database with all rows. The app roles stay, because other databases may refer to them. */
async function dropDatabases(
  targets: readonly Target[],
  settings: Settings,
  options: RunOptions,
): Promise<readonly ServiceRow<undefined>[]> {
  return eachService(targets, options, async (target) => {
    if (target.server === 'companion') {
      const { removeCompanion } = await import('../postgres/companion/server.js');
      await removeCompanion({ home: settings.home, service: target.service.name });
    } else {
      await withClient(target.maintenance, (client) => dropDatabase(client, target.database));
    }
    return { data: undefined, detail: 'dropped' };
  });
}

/**
 * Removes every row of every table and keeps the tables. Also empties append-only tables: their triggers are disabled
 * within the transaction.
 */
export async function truncateDatabases(
  targets: readonly Target[],
  options: RunOptions,
): Promise<readonly ServiceRow<undefined>[]> {
  return eachService(targets, options, async (target) => {
    await withClient(target.admin, async (client) => {
      const { rows } = await client.query<{ name: string }>(
        `SELECT oid::regclass::text AS name FROM pg_class
         WHERE relkind IN ('r', 'p') AND NOT relispartition AND ${isOwnRelation('pg_class')}`,
      );
      if (rows.length === 0) return;
      const names = rows.map(({ name }) => name);
      const eachTable = (action: string) =>
        names.map((name) => `ALTER TABLE ${name} ${action} TRIGGER USER;`).join('\n');
      await client.query(`
        BEGIN; SET LOCAL lock_timeout = '5s';
        ${eachTable('DISABLE')}
        TRUNCATE ${names.join(', ')} RESTART IDENTITY;
        ${eachTable('ENABLE')}
        COMMIT;`);
    });
    return { data: undefined, detail: 'emptied' };
  });
}
