import { SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { PasswordOf } from '../config/credentials';
import { createDatabase, requireExtensions } from '../postgres/databases';
import {
  closeMaintenanceDatabases,
  createRole,
  restrictDatabase,
  setPassword,
  withRightsLock,
} from '../postgres/roles';
import { appUrl, type Target } from './targets';

export interface Provisioned {
  readonly createdDatabase: boolean;
  readonly createdRole: boolean;
}

const INVALID_PASSWORD = '28P01';

/**
 * Makes the service's database and app role exist, only that role able to connect, with the checkout's password.
 * Safe to run again and by several processes at once.
 * @throws {SuiteError} `SERVER.…`
 */
export async function provision(target: Target, passwordOf: PasswordOf): Promise<Provisioned> {
  const { service, database, role } = target;
  const made = await withClient(target.maintenance, async (client) => {
    await requireExtensions(client, service.name, service.extensions);
    const createdRole = await createRole(client, role, passwordOf(role));
    const createdDatabase = target.server !== 'companion' && (await createDatabase(client, database));
    if (target.server === 'embedded') await withRightsLock(client, () => closeMaintenanceDatabases(client));
    return { createdRole, createdDatabase };
  });
  if (target.server === 'companion') return made;
  await withClient(target.admin, (client) => withRightsLock(client, () => restrictDatabase(client, database, role)));
  if (!made.createdRole) await ensurePassword(target, passwordOf);
  return made;
}

/** A role that is older than this checkout's credentials gets the password that they give. */
async function ensurePassword(target: Target, passwordOf: PasswordOf): Promise<void> {
  try {
    await withClient(appUrl(target, passwordOf), async () => undefined);
  } catch (error) {
    if (!(error instanceof SuiteError) || error.meta['sqlState'] !== INVALID_PASSWORD) throw error;
    await withClient(target.maintenance, (client) => setPassword(client, target.role, passwordOf(target.role)));
  }
}
