import { type DatabaseUrl, type Environment, parseDatabaseUrl, SuiteError } from '@azora/db-core';
import type { Bus, BusOptions } from './bus';
import { openPostgresBus } from './postgres/postgres-bus';

const DEFAULT_POLL_MS = 500;

/**
 * Opens the bus.
 * @throws {SuiteError} `CONFIG.NO_URL`, `CONFIG.BAD_URL`
 */
export function openBus({ url, logger = console, pollMs = DEFAULT_POLL_MS }: BusOptions = {}): Bus {
  return openPostgresBus(busUrl(url, process.env), { logger, pollMs });
}

function busUrl(given: string | undefined, environment: Environment): DatabaseUrl {
  if (given !== undefined) return parseDatabaseUrl(given, 'url');
  for (const source of ['AZORA_BUS_URL', 'NEXUS_DATABASE_URL']) {
    const text = environment[source];
    if (text !== undefined && text !== '') return parseDatabaseUrl(text, source);
  }
  throw new SuiteError('CONFIG.NO_URL', 'No URL for the event bus', {
    kind: 'configuration',
    why: 'No url was passed, and neither AZORA_BUS_URL nor NEXUS_DATABASE_URL is set.',
    next: 'Pass { url }, or set AZORA_BUS_URL to the output of "npx azora-db url nexus"',
  });
}
