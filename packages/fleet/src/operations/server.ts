import { redactUrl } from '@azora/db-core';
import type { Service } from '../config/registry';
import type { Settings } from '../config/settings';

/** A server that the suite runs itself. */
export interface ServerState {
  readonly name: string;
  readonly state: 'running' | 'stopped' | 'absent';
  readonly pid: number | null;
  /** The address without a password. */
  readonly address: string | null;
}

const EMBEDDED = 'embedded';

/** Starts the embedded server, and a companion for each service that needs an extension which it lacks. */
export async function startServers(
  settings: Settings,
  services: readonly Service[],
  onProgress: (line: string) => void,
  signal?: AbortSignal,
): Promise<readonly ServerState[]> {
  const { startEmbedded } = await import('../postgres/embedded/server.js');
  const { startCompanion } = await import('../postgres/companion/server.js');
  const { home, environment } = settings;
  const { url, pid } = await startEmbedded({ home, environment, onProgress, signal });
  const companions = await Promise.all(
    (await companionServices(services)).map(async (service): Promise<ServerState> => {
      const database = `${settings.prefix}${service.databaseSuffix}`;
      const started = await startCompanion({ home, environment, service: service.name, database, signal });
      return running(companionName(service), started.pid, redactUrl(started.url));
    }),
  );
  return [running(EMBEDDED, pid, redactUrl(url)), ...companions];
}

/** Stops all running servers, companions first, and returns their names. */
export async function stopServers(settings: Settings, services: readonly Service[]): Promise<readonly string[]> {
  const { stopEmbedded } = await import('../postgres/embedded/server.js');
  const { stopCompanion } = await import('../postgres/companion/server.js');
  const stopped: string[] = [];
  for (const service of await companionServices(services)) {
    if (await stopCompanion({ home: settings.home, service: service.name })) stopped.push(companionName(service));
  }
  if (await stopEmbedded({ home: settings.home })) stopped.push(EMBEDDED);
  return stopped;
}

/** Reads the state of the servers without starting any. */
export async function readServers(settings: Settings, services: readonly Service[]): Promise<readonly ServerState[]> {
  const { embeddedState } = await import('../postgres/embedded/server.js');
  const { companionState } = await import('../postgres/companion/server.js');
  const embedded = await embeddedState({ home: settings.home });
  const companions = await Promise.all(
    (await companionServices(services)).map(async (service): Promise<ServerState> => {
      const found = await companionState({ home: settings.home, service: service.name });
      return { name: companionName(service), state: found.state, pid: found.pid ?? null, address: null };
    }),
  );
  const address = embedded.port === undefined ? null : `127.0.0.1:${embedded.port}`;
  return [{ name: EMBEDDED, state: embedded.state, pid: embedded.pid ?? null, address }, ...companions];
}

async function companionServices(services: readonly Service[]): Promise<readonly Service[]> {
  const { embeddedOffers } = await import('../postgres/embedded/binaries.js');
  return services.filter((service) => !service.extensions.every(embeddedOffers));
}

function companionName(service: Service): string {
  return `companion of ${service.name}`;
}

function running(name: string, pid: number, address: string): ServerState {
  return { name, state: 'running', pid, address };
}
