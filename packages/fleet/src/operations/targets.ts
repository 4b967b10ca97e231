import { type DatabaseUrl, parseDatabaseUrl, withUrlParts } from '@azora/db-core';
import type { PasswordOf } from '../config/credentials';
import type { Service } from '../config/registry';
import type { Settings } from '../config/settings';
import type { ScratchPlace } from '../postgres/scratch';
import type { Environment } from '../system/child-environment';

/** The location of one service's database. */
export interface Target {
  readonly service: Service;
  /** `companion`: PGlite beside the embedded server, which is one superuser session without roles. */
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

/** Whether any of these services is on the embedded server, because no variable names a server for it. */
export function needsEmbedded(settings: Settings, services: readonly Service[]): boolean {
  return settings.serverUrl === undefined && services.some((service) => !settings.serviceUrls.has(service.name));
}

/**
 * Locates each service's database, and starts the embedded server and the companions that it needs. Changes nothing on
 * other servers.
 * @throws {SuiteError} `EMBEDDED.…`, `COMPANION.…`
 */
export async function openTargets(
  settings: Settings,
  services: readonly Service[],
  onProgress: (line: string) => void = () => undefined,
): Promise<readonly Target[]> {
  const base = needsEmbedded(settings, services) ? await embeddedUrl(settings, onProgress) : settings.serverUrl;
  return Promise.all(services.map((service) => openTarget(settings, service, base)));
}

async function embeddedUrl(settings: Settings, onProgress: (line: string) => void): Promise<DatabaseUrl> {
  const { startEmbedded } = await import('../postgres/embedded/server.js');
  const { url } = await startEmbedded({ home: settings.home, environment: settings.environment, onProgress });
  return url;
}

async function openTarget(settings: Settings, service: Service, base: DatabaseUrl | undefined): Promise<Target> {
  const isCompanion =
    settings.serverUrl === undefined && !settings.serviceUrls.has(service.name) && (await lacksExtension(service));
  if (isCompanion) {
    const { home, environment } = settings;
    const { database, role } = namesOf(settings, service);
    const { startCompanion } = await import('../postgres/companion/server.js');
    const { url } = await startCompanion({ home, environment, service: service.name, database });
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
    role: `${prefix}${service.name.replaceAll('-', '_')}_app`,
  };
}

async function lacksExtension(service: Service): Promise<boolean> {
  if (service.extensions.length === 0) return false;
  const { embeddedOffers } = await import('../postgres/embedded/binaries.js');
  return !service.extensions.every(embeddedOffers);
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
