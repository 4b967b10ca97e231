import { SuiteError } from '@azora/db-core';
import { readHistory, refuseForeignContents, withClient } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import type { PasswordOf } from '../config/credentials';
import { createDatabase, requireExtensions } from '../postgres/databases';
import { restrictDatabase } from '../postgres/rights';
import { findMissingLimits, setRoleLimits } from '../postgres/role-limits';
import { closeMaintenanceDatabases, createRole, setPassword, withRightsLock } from '../postgres/roles';
import { requireUsableServer } from '../postgres/server-requirements';
import { appUrl, type Target } from './targets';

export interface Provisioned {
  readonly createdDatabase: boolean;
  readonly createdRole: boolean;
}

const INVALID_PASSWORD = '28P01';
const INVALID_DATABASE = '55000';

/**
 * Creates the service's database and app role where they are missing. Only this role can connect to the database, with
 * the checkout's password and within the limits of `ROLE_LIMITS`. Safe to run again, and by several processes at once.
 * @throws {SuiteError} `SERVER.…`; `MIGRATION.SCHEMA_NOT_EMPTY` before anything is changed
 */
export async function provision(target: Target, passwordOf: PasswordOf): Promise<Provisioned> {
  await refuseForeignDatabase(target);
  return provisionAdopted(target, passwordOf);
}

/** Provisions a database whose contents are known to be the service's own. @throws {SuiteError} `SERVER.…` */
export async function provisionAdopted(target: Target, passwordOf: PasswordOf): Promise<Provisioned> {
  const { service, database, role } = target;
  const made = await withMaintenance(target, async (client) => {
    await requireUsableServer(client);
    await requireExtensions(client, service.name, service.extensions);
    const createdRole = await createRole(client, role, passwordOf(role));
    const createdDatabase = target.server !== 'companion' && (await createDatabase(client, database));
    if (target.server === 'embedded') await withRightsLock(client, () => closeMaintenanceDatabases(client));
    if (target.server !== 'companion') await ensureLimits(client, target);
    return { createdRole, createdDatabase };
  });
  if (target.server === 'companion') return made;
  await withClient(target.admin, (client) => withRightsLock(client, () => restrictDatabase(client, role)));
  if (!made.createdRole) await ensurePassword(target, passwordOf);
  return made;
}

/** Another product may use the database: its rights must not change before it is known to be the service's. */
async function refuseForeignDatabase({ admin, service }: Target): Promise<void> {
  try {
    await withClient(admin, async (client) => refuseForeignContents(client, await readHistory(client), service.name));
  } catch (error) {
    const isMissing = error instanceof SuiteError && error.code === 'SERVER.NO_DATABASE';
    if (!isMissing && !isIncomplete(error)) throw error;
  }
}

/** Whether the connection failed because a killed server left the database incomplete; it is created again. */
function isIncomplete(error: unknown): boolean {
  return error instanceof SuiteError && error.meta['sqlState'] === INVALID_DATABASE;
}

/** Connects to the database of the administrator's URL, which setup does not create. */
async function withMaintenance<Result>(
  { maintenance }: Target,
  work: (client: ClientBase) => Promise<Result>,
): Promise<Result> {
  try {
    return await withClient(maintenance, work);
  } catch (error) {
    if (!(error instanceof SuiteError) || error.code !== 'SERVER.NO_DATABASE') throw error;
    throw new SuiteError('SERVER.NO_DATABASE', error.message, {
      kind: 'configuration',
      why: `${maintenance.source} must name a database that exists, from which the others are created.`,
      next: `Name the database postgres in ${maintenance.source}, which every server has`,
      meta: error.meta,
    });
  }
}

/** Limits the role's sessions; changes nothing when all limits are set. */
async function ensureLimits(client: ClientBase, { role, database }: Target): Promise<void> {
  if ((await findMissingLimits(client, role, database)).length === 0) return;
  // Read again under the lock: another setup may have set them meanwhile.
  await withRightsLock(client, async () => setRoleLimits(client, await findMissingLimits(client, role, database)));
}

/** Gives a role that is older than this checkout's credentials the password that they define. */
async function ensurePassword(target: Target, passwordOf: PasswordOf): Promise<void> {
  try {
    await withClient(appUrl(target, passwordOf), async () => undefined);
  } catch (error) {
    if (!(error instanceof SuiteError) || error.meta['sqlState'] !== INVALID_PASSWORD) throw error;
    await withClient(target.maintenance, (client) => setPassword(client, target.role, passwordOf(target.role)));
  }
}
