import { redactUrl } from '@azora/db-core';
import type { Service } from '../config/registry';
import type { Settings } from '../config/settings';
import { isOnCompanion, needsEmbedded } from './targets';

/** A server that the suite runs itself. */
export interface ServerState {
  readonly name: string;
  readonly state: 'running' | 'idle' | 'stopped' | 'absent';
  readonly pid: number | null;
  /** The address without a password. */
  readonly address: string | null;
}

const EMBEDDED = 'embedded';

/** Starts the embedded server if a service is on it, and a companion for each service that is on one. */
export async function startServers(
  settings: Settings,
  services: readonly Service[],
  onProgress: (line: string) => void,
  signal?: AbortSignal,
): Promise<readonly ServerState[]> {
  const { startEmbedded } = await import('../postgres/embedded/server.js');
  const { startCompanion } = await import('../postgres/companion/server.js');
  const { home, environment } = settings;
  const servers: ServerState[] = [];
  if (needsEmbedded(settings, services)) {
    const { url, pid } = await startEmbedded({ home, environment, onProgress, signal });
    servers.push(running(EMBEDDED, pid, redactUrl(url)));
  }
  const companions = await Promise.all(
    (await companionServices(settings, services)).map(async (service): Promise<ServerState> => {
      const database = `${settings.prefix}${service.databaseSuffix}`;
      const started = await startCompanion({ home, environment, service: service.name, database, signal });
      return running(companionName(service), started.pid, redactUrl(started.url));
    }),
  );
  return [...servers, ...companions];
}

/** Stops all running servers of the checkout, companions first, and returns their names. */
export async function stopServers(settings: Settings, services: readonly Service[]): Promise<readonly string[]> {
  const { stopEmbedded } = await import('../postgres/embedded/server.js');
  const { stopCompanion } = await import('../postgres/companion/server.js');
  const stopped: string[] = [];
  // The settings may have changed since a companion was started.
  for (const service of services) {
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
  const expected = await companionServices(settings, services);
  const companions = await Promise.all(
    services.map(async (service): Promise<readonly ServerState[]> => {
      const found = await companionState({ home: settings.home, service: service.name });
      if (found.state === 'absent' && !expected.includes(service)) return [];
      return [{ name: companionName(service), state: found.state, pid: found.pid ?? null, address: null }];
    }),
  );
  const address = embedded.port === undefined ? null : `127.0.0.1:${embedded.port}`;
  return [{ name: EMBEDDED, state: embedded.state, pid: embedded.pid ?? null, address }, ...companions.flat()];
}

async function companionServices(settings: Settings, services: readonly Service[]): Promise<readonly Service[]> {
  const isOn = await Promise.all(services.map((service) => isOnCompanion(settings, service)));
  return services.filter((_, index) => isOn[index]);
}

function companionName(service: Service): string {
  return `companion of ${service.name}`;
}

function running(name: string, pid: number, address: string): ServerState {
  return { name, state: 'running', pid, address };
}
