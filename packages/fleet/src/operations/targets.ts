import { type DatabaseUrl, parseDatabaseUrl, SuiteError, withUrlParts } from '@azora/db-core';
import { readHistory, withClient } from '@azora/db-migrate';
import type { PasswordOf } from '../config/credentials';
import type { Service } from '../config/registry';
import type { Settings } from '../config/settings';
import { companionAdvice, findMissingExtensions, installAdvice, missingExtension } from '../postgres/databases';
import type { ScratchPlace } from '../postgres/scratch';
import type { Environment } from '../system/child-environment';

/** The location of one service's database. */
export interface Target {
  readonly service: Service;
  /** `companion`: a PGlite server of the checkout, which is one superuser session without roles. */
  readonly server: 'ordinary' | 'embedded' | 'companion';
  readonly database: string;
  /** The administrator's URL of the service's database. */
  readonly admin: DatabaseUrl;
  /** The administrator's URL of the database from which other databases are created and dropped. */
  readonly maintenance: DatabaseUrl;
  /** The login role of the service's store. */
  readonly role: string;
  /** The environment of the command, for child processes such as a scratch companion. */
  readonly environment?: Environment | undefined;
}

/** A service that a command does not work on, because its server lacks an extension and its database does not exist. */
export interface LeftOut {
  readonly service: string;
  /** The address of the server. */
  readonly server: string;
  readonly missing: readonly string[];
}

/** The databases of a run over the fleet, and the services that it leaves out. */
export interface Fleet {
  readonly targets: readonly Target[];
  readonly leftOut: readonly LeftOut[];
}

/** A fleet in which the services that the settings require are located even if their server lacks an extension. */
export interface LocatedFleet extends Fleet {
  readonly lacking: readonly LeftOut[];
}

/** Whether any of these services is on the embedded server, because no variable names a server for it. */
export function needsEmbedded({ serverUrl, serviceUrls, companions }: Settings, services: readonly Service[]): boolean {
  return serverUrl === undefined && services.some(({ name }) => !serviceUrls.has(name) && !companions.has(name));
}

/** Whether the service is on a companion: `AZORA_COMPANION` names it, or the embedded server lacks an extension. */
export async function isOnCompanion(settings: Settings, { name, extensions }: Service): Promise<boolean> {
  if (settings.companions.has(name)) return true;
  if (settings.serverUrl !== undefined || settings.serviceUrls.has(name) || extensions.length === 0) return false;
  const { embeddedOffers } = await import('../postgres/embedded/binaries.js');
  return !extensions.every(embeddedOffers);
}

/**
 * Locates each service's database like {@link openFleet}, and reports the services that are left out.
 * @throws {SuiteError} `SERVER.MISSING_EXTENSION` for a service that the settings require; `EMBEDDED.…`, `COMPANION.…`
 */
export async function openTargets(
  settings: Settings,
  services: readonly Service[],
  onProgress: (line: string) => void = () => undefined,
): Promise<readonly Target[]> {
  const { targets, leftOut } = await openFleet(settings, services, onProgress);
  for (const it of leftOut) onProgress(leftOutText(it));
  return targets;
}

/**
 * Locates each service's database like {@link locateFleet}.
 * @throws {SuiteError} `SERVER.MISSING_EXTENSION` for a service that the settings require; `EMBEDDED.…`, `COMPANION.…`
 */
export async function openFleet(
  settings: Settings,
  services: readonly Service[],
  onProgress: (line: string) => void = () => undefined,
): Promise<Fleet> {
  const { targets, leftOut, lacking } = await locateFleet(settings, services, onProgress);
  const [first] = lacking;
  if (first !== undefined) throw missingExtension(first.service, first.missing);
  return { targets, leftOut };
}

/**
 * Locates each service's database, and starts the embedded server and the companions that it needs. Changes nothing on
 * other servers. A service is left out when the server of `DATABASE_URL` lacks an extension that it needs, its database
 * was never migrated, and the settings do not require the service.
 * @throws {SuiteError} `EMBEDDED.…`, `COMPANION.…`
 */
export async function locateFleet(
  settings: Settings,
  services: readonly Service[],
  onProgress: (line: string) => void,
): Promise<LocatedFleet> {
  const base = needsEmbedded(settings, services) ? await embeddedUrl(settings, onProgress) : settings.serverUrl;
  const located = await Promise.all(services.map((service) => openTarget(settings, service, base)));
  const found = await Promise.all(located.map((target) => findLacking(settings, target)));
  const lacking = found.filter((it) => it !== undefined);
  const leftOut = lacking.filter(({ service }) => !settings.required.has(service));
  return {
    targets: located.filter(({ service }) => !leftOut.some((it) => it.service === service.name)),
    leftOut,
    lacking: lacking.filter((it) => !leftOut.includes(it)),
  };
}

/** Says that a service is left out, and the ways to include it. */
export function leftOutText({ service, server, missing }: LeftOut): string {
  const ways = [
    `${installAdvice(missing)} and run "npm run db:setup"`,
    ...companionAdvice(service, missing),
    'list the other services in AZORA_SERVICES',
  ];
  return `${service} is left out, because the server ${server} lacks ${missing.join(', ')}. ${ways.join(', or ')}`;
}

/** The extensions that the server of `DATABASE_URL` lacks for a service whose database has no history yet. */
async function findLacking(settings: Settings, target: Target): Promise<LeftOut | undefined> {
  const { service, server, maintenance, admin } = target;
  if (server !== 'ordinary' || settings.serviceUrls.has(service.name) || service.extensions.length === 0) {
    return undefined;
  }
  try {
    const missing = await withClient(maintenance, (client) => findMissingExtensions(client, service.extensions));
    // A database with data is never left out: a backup without it would look complete.
    if (missing.length === 0 || (await isMigrated(admin))) return undefined;
    return { service: service.name, server: `${maintenance.host}:${maintenance.port}`, missing };
  } catch {
    // The command connects again, and reports the error for each service.
    return undefined;
  }
}

async function isMigrated(admin: DatabaseUrl): Promise<boolean> {
  try {
    return await withClient(admin, async (client) => (await readHistory(client)).length > 0);
  } catch (error) {
    if (error instanceof SuiteError && error.code === 'SERVER.NO_DATABASE') return false;
    throw error;
  }
}

async function embeddedUrl(settings: Settings, onProgress: (line: string) => void): Promise<DatabaseUrl> {
  const { startEmbedded } = await import('../postgres/embedded/server.js');
  const { url } = await startEmbedded({ home: settings.home, environment: settings.environment, onProgress });
  return url;
}

async function openTarget(settings: Settings, service: Service, base: DatabaseUrl | undefined): Promise<Target> {
  const name = `${settings.prefix}${service.databaseSuffix}`;
  const role = `${settings.prefix}${service.name.replaceAll('-', '_')}_app`;
  const { environment } = settings;
  const own = settings.serviceUrls.get(service.name);
  if (own !== undefined) {
    const admin = own.database === '' ? withUrlParts(own, { database: name }) : own;
    const maintenance = withUrlParts(own, { database: 'postgres' });
    return { service, server: 'ordinary', database: admin.database, admin, maintenance, role, environment };
  }
  if (await isOnCompanion(settings, service)) {
    const { startCompanion } = await import('../postgres/companion/server.js');
    const { url } = await startCompanion({ home: settings.home, environment, service: service.name, database: name });
    return { service, server: 'companion', database: name, admin: url, maintenance: url, role, environment };
  }
  if (base === undefined) throw new Error(`no server for ${service.name}`);
  const server = settings.serverUrl === undefined ? 'embedded' : 'ordinary';
  const maintenance = base.database === '' ? withUrlParts(base, { database: 'postgres' }) : base;
  return {
    service,
    server,
    database: name,
    admin: withUrlParts(base, { database: name }),
    maintenance,
    role,
    environment,
  };
}

/** The app role's URL, with which the service's store connects. */
export function appUrl(target: Target, passwordOf: PasswordOf): DatabaseUrl {
  if (target.server === 'companion') return target.admin;
  const { href } = withUrlParts(target.admin, { user: target.role, password: passwordOf(target.role) });
  return parseDatabaseUrl(href, `the app role of ${target.service.name}`);
}

/** The location for a scratch database of the service's migrations: the same server, which has the same extensions. */
export function scratchPlace({ service, server, database, maintenance, environment }: Target): ScratchPlace {
  return { service: service.name, server, database, maintenance, environment };
}
