import { quoteIdentifier } from '@azora/db-core';
import { isOwnRelation, withClient } from '@azora/db-migrate';
import type { Settings } from '../config/settings';
import { dropDatabase } from '../postgres/databases';
import { eachService, type RunOptions, type ServiceRow } from './fleet';
import type { Target } from './targets';

/** Drops every service's database with all its rows. The app roles stay: other databases may know them. */
export async function dropDatabases(
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
 * Removes every row of every table and keeps the tables. Append-only tables are emptied too: their triggers are off
 * inside the one transaction that does it.
 */
export async function truncateDatabases(
  targets: readonly Target[],
  options: RunOptions,
): Promise<readonly ServiceRow<undefined>[]> {
  return eachService(targets, options, async (target) => {
    await withClient(target.admin, async (client) => {
      const { rows } = await client.query<{ name: string }>(
        `SELECT relname::text AS name FROM pg_class
         WHERE relkind = 'r' AND ${isOwnRelation('pg_class')}`,
      );
      if (rows.length === 0) return;
      const names = rows.map(({ name }) => quoteIdentifier(name));
      const eachTable = (action: string) =>
        names.map((name) => `ALTER TABLE ${name} ${action} TRIGGER USER;`).join('\n');
      await client.query(`
        BEGIN;
        ${eachTable('DISABLE')}
        TRUNCATE ${names.join(', ')} RESTART IDENTITY;
        ${eachTable('ENABLE')}
        COMMIT;`);
    });
    return { data: undefined, detail: 'emptied' };
  });
}
