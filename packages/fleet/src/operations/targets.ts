import { type DatabaseUrl, parseDatabaseUrl, withUrlParts } from '@azora/db-core';
import type { PasswordOf } from '../config/credentials';
import type { Service } from '../config/registry';
import type { Settings } from '../config/settings';
import type { ScratchPlace } from '../postgres/scratch';
import type { Environment } from '../system/child-environment';
import { type FailedRow, toSuiteError } from './fleet';

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

/**
 * Locates the services like {@link openTargets}. A service whose server cannot be started is returned as a failed row, so
 * that it does not prevent work on the others.
 */
export async function openAvailable(
  settings: Settings,
  services: readonly Service[],
  onProgress: (line: string) => void,
): Promise<{ readonly targets: readonly Target[]; readonly unavailable: readonly FailedRow[] }> {
  const targets: Target[] = [];
  const unavailable: FailedRow[] = [];
  const base = needsEmbedded(settings, services) ? await embeddedUrl(settings, onProgress) : settings.serverUrl;
  await Promise.all(
    services.map(async (service) => {
      try {
        targets.push(await openTarget(settings, service, base));
      } catch (error) {
        unavailable.push({ service: service.name, state: 'failed', error: toSuiteError(error) });
      }
    }),
  );
  return {
    targets: services.flatMap(({ name }) => targets.filter(({ service }) => service.name === name)),
    unavailable,
  };
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
  if (base === undefined) throw new Error(`no server for ${service.name}`);
  if (settings.serverUrl === undefined && (await lacksExtension(service))) {
    const { startCompanion } = await import('../postgres/companion/server.js');
    const { url } = await startCompanion({ home: settings.home, environment, service: service.name, database: name });
    return { service, server: 'companion', database: name, admin: url, maintenance: url, role, environment };
  }
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

async function lacksExtension(service: Service): Promise<boolean> {
  if (service.extensions.length === 0) return false;
  const { embeddedOffers } = await import('../postgres/embedded/binaries.js');
  return !service.extensions.every(embeddedOffers);
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
