import { type Environment, parseDatabaseUrl, SuiteError } from '@azora/db-core';
import type { Bus, BusOptions } from './bus';
import { isBrokerUrl, parseBrokerUrl } from './nats/broker-url';
import { openNatsBus } from './nats/nats-bus';
import { busOptions, readOptions, relayOptions, subscribeOptions } from './options';
import { openPostgresBus } from './postgres/postgres-bus';

const DEFAULT_POLL_MS = 500;

/**
 * Opens the bus: over NATS JetStream for a `nats://` or `tls://` URL, else in the database of nexus.
 * @throws {SuiteError} `CONFIG.NO_URL`, `CONFIG.BAD_URL`, `EVENTS.INVALID_INPUT`
 */
export function openBus({ url, logger = console, pollMs = DEFAULT_POLL_MS }: BusOptions = {}): Bus {
  readOptions(busOptions, { pollMs });
  const [text, source] = busUrl(url, process.env);
  const settings = { logger, pollMs };
  const bus = isBrokerUrl(text)
    ? openNatsBus(parseBrokerUrl(text, source), settings)
    : openPostgresBus(parseDatabaseUrl(text, source), settings);
  return {
    ...bus,
    relay: async (store, options) => {
      readOptions(relayOptions, options);
      await bus.relay(store, options);
    },
    subscribe: async (store, consumer, options) => {
      readOptions(subscribeOptions, options);
      await bus.subscribe(store, consumer, options);
    },
  };
}

/** The URL of the bus and its source. */
function busUrl(given: string | undefined, environment: Environment): readonly [text: string, source: string] {
  if (given !== undefined) return [given, 'url'];
  for (const source of ['AZORA_BUS_URL', 'NEXUS_DATABASE_URL']) {
    const text = environment[source];
    if (text !== undefined && text !== '') return [text, source];
  }
  throw new SuiteError('CONFIG.NO_URL', 'No URL for the event bus', {
    kind: 'configuration',
    why: 'No url was passed, and neither AZORA_BUS_URL nor NEXUS_DATABASE_URL is set.',
    next: 'Pass { url }, or set AZORA_BUS_URL to the output of "npx azora-db url nexus"',
  });
}
