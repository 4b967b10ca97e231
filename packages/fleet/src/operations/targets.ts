import { type DatabaseUrl, parseDatabaseUrl, SuiteError, withUrlParts } from '@azora/db-core';
import { readHistory, withClient } from '@azora/db-migrate';
import type { PasswordOf } from '../config/credentials';
import type { Service } from '../config/registry';
import { appRole, type Settings } from '../config/settings';
import { companionAdvice, findMissingExtensions, installAdvice, missingExtension } from '../postgres/databases';
import type { ScratchPlace } from '../postgres/scratch';
import type { Environment } from '../system/child-environment';
import { type FailedRow, toSuiteError } from './fleet';

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
 * @throws {SuiteError} `SERVER.MISSING_EXTENSION` for a service that the settings require; `EMBEDDED.…`, `COMPANION.…`;
 * the reason of the signal when it was aborted
 */
export async function openTargets(
  settings: Settings,
  services: readonly Service[],
  onProgress: (line: string) => void = () => undefined,
  signal?: AbortSignal,
): Promise<readonly Target[]> {
  const { targets, leftOut } = await openFleet(settings, services, onProgress, signal);
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
  signal?: AbortSignal,
): Promise<Fleet> {
  const { targets, leftOut, lacking } = await locateFleet(settings, services, onProgress, signal);
  const [first] = lacking;
  if (first !== undefined) throw missingExtension(first.service, first.missing);
  return { targets, leftOut };
}

/**
 * Locates each service's database like {@link openFleet}. A service that cannot be located, because its companion does not
 * start or its server lacks an extension, is returned as a failed row, so that it does not prevent work on the others.
 * @throws {SuiteError} `EMBEDDED.…`
 */
export async function openAvailable(
  settings: Settings,
  services: readonly Service[],
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<Fleet & { readonly unavailable: readonly FailedRow[] }> {
  try {
    return { ...(await openFleet(settings, services, onProgress, signal)), unavailable: [] };
  } catch (error) {
    if (!(error instanceof SuiteError) || !/^(COMPANION|SERVER)\./.test(error.code) || services.length === 1)
      throw error;
  }
  const [fleets, unavailable]: [Fleet[], FailedRow[]] = [[], []];
  for (const service of services) {
    try {
      fleets.push(await openFleet(settings, [service], onProgress, signal));
    } catch (error) {
      signal.throwIfAborted();
      unavailable.push({ service: service.name, state: 'failed', error: toSuiteError(error) });
    }
  }
  return {
    targets: fleets.flatMap(({ targets }) => targets),
    leftOut: fleets.flatMap(({ leftOut }) => leftOut),
    unavailable,
  };
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
  signal?: AbortSignal,
): Promise<LocatedFleet> {
  const base = needsEmbedded(settings, services) ? await embeddedUrl(settings, onProgress, signal) : settings.serverUrl;
  const located = await Promise.all(services.map((service) => openTarget(settings, service, base, signal)));
  signal?.throwIfAborted();
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

async function embeddedUrl(
  { home, environment }: Settings,
  onProgress: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<DatabaseUrl> {
  const { startEmbedded } = await import('../postgres/embedded/server.js');
  const { url } = await startEmbedded({ home, environment, onProgress, signal });
  return url;
}

async function openTarget(
  settings: Settings,
  service: Service,
  base: DatabaseUrl | undefined,
  signal: AbortSignal | undefined,
): Promise<Target> {
  if (await isOnCompanion(settings, service)) {
    const { home, environment } = settings;
    const { database, role } = namesOf(settings, service);
    const { startCompanion } = await import('../postgres/companion/server.js');
    const { url } = await startCompanion({ home, environment, service: service.name, database, signal });
    return { service, server: 'companion', database, admin: url, maintenance: url, role, environment };
  }
  const target = locate(settings, service, base);
  if (target === undefined) throw new Error(`no server for ${service.name}`);
  return target;
}

/** The database on an ordinary or embedded server; undefined when neither a variable nor `base` names the server. */
function locate(settings: Settings, service: Service, base: DatabaseUrl | undefined): Target | undefined {
  const { database, role } = namesOf(settings, service);
  const { environment } = settings;
  const own = settings.serviceUrls.get(service.name);
  if (own !== undefined) {
    const admin = own.database === '' ? withUrlParts(own, { database }) : own;
    const maintenance = withUrlParts(own, { database: 'postgres' });
    return { service, server: 'ordinary', database: admin.database, admin, maintenance, role, environment };
  }
  if (base === undefined) return undefined;
  const server = settings.serverUrl === undefined ? 'embedded' : 'ordinary';
  const maintenance = base.database === '' ? withUrlParts(base, { database: 'postgres' }) : base;
  return { service, server, database, admin: withUrlParts(base, { database }), maintenance, role, environment };
}

function namesOf({ prefix }: Settings, service: Service): Pick<Target, 'database' | 'role'> {
  return {
    database: `${prefix}${service.databaseSuffix}`,
    role: appRole(prefix, service.name),
  };
}

/** A server that holds databases of services. */
export interface FleetServer {
  readonly maintenance: DatabaseUrl;
  /** The services by the names of their databases. */
  readonly databases: ReadonlyMap<string, string>;
  /** The databases, and the administrator's URLs for them, by the names of the studio's roles. */
  readonly studioRoles: ReadonlyMap<string, { readonly database: string; readonly admin: DatabaseUrl }>;
}

/**
 * The servers of the targets, companions excepted, each with the databases of all services that are on it: also of services
 * without a target.
 */
export function serversOf(
  settings: Settings,
  allServices: readonly Service[],
  targets: readonly Target[],
): readonly FleetServer[] {
  const shared = targets.find(
    ({ server, service }) => server !== 'companion' && !settings.serviceUrls.has(service.name),
  );
  const located = allServices.flatMap((service) => {
    const known = targets.find((target) => target.service.name === service.name);
    const target = known ?? locate(settings, service, shared?.maintenance);
    return target === undefined || target.server === 'companion' ? [] : [target];
  });
  const places = new Map(
    targets.filter(({ server }) => server !== 'companion').map(({ maintenance }) => [maintenance.href, maintenance]),
  );
  return [...places.values()].map((maintenance) => {
    const there = located.filter((target) => target.maintenance.href === maintenance.href);
    return {
      maintenance,
      databases: new Map(there.map(({ database, service }) => [database, service.name])),
      studioRoles: new Map(there.map((target) => [studioRole(target), target])),
    };
  });
}

/** The name of the studio's role for one service. */
export function studioRole({ role }: Pick<Target, 'role'>): string {
  return role.replace(/_app$/, '_studio');
}

/** The server of a database in words, with its address: `the server db.example.com:5432`. */
export function serverName({ server, admin }: Target): string {
  if (server === 'companion') return 'the companion of this checkout';
  const host = admin.host.includes(':') ? `[${admin.host}]` : admin.host;
  const address = admin.host.startsWith('/') ? `at the socket ${admin.host}` : `${host}:${admin.port}`;
  return server === 'embedded' ? `the embedded server ${address}` : `the server ${address}`;
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
