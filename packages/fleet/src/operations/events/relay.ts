import { openPool, POOL_DEFAULTS, type SuiteError } from '@azora/db-core';
import { type Bus, openBus } from '@azora/db-events';
import { withClient } from '@azora/db-migrate';
import type { PasswordOf } from '../../config/credentials';
import { readSources } from '../../postgres/events/log';
import { hasOutbox } from '../../postgres/events/outbox';
import type { Environment } from '../../system/child-environment';
import { countOf, type RunOptions, type ServiceRow, toSuiteError } from '../fleet';
import { appUrl, type Target } from '../targets';
import { usesBroker } from './broker';
import { logTarget, notMigrated, withLog } from './log-target';

export interface RelayRequest extends RunOptions {
  readonly signal: AbortSignal;
  readonly passwordOf: PasswordOf;
  readonly environment: Environment;
  readonly log: (line: string) => void;
}

/** What one relay did. */
export interface Relayed {
  /** The events that left the outbox while the command ran, whichever relay moved them; null if it is not known. */
  readonly relayed: number | null;
}

/** A relay reads its outbox in one session, and reports to it in another. */
const SESSIONS = 2;
const WATCH_MS = 2_000;

/**
 * Relays the outboxes of these services as their app roles, until the signal aborts. Each relay then finishes its batch and gives
 * its lease back. A database that is lost is waited for. The row of a service whose outbox cannot be read at the start is `failed`.
 * @param fleet the databases, including the one with the log
 * @throws {SuiteError} `EVENTS.NO_LOG`, `EVENTS.NOT_MIGRATED`, `SERVER.…`, if the log cannot be reached at the start
 */
export async function relayFleet(
  fleet: readonly Target[],
  services: readonly string[],
  request: RelayRequest,
): Promise<readonly ServiceRow<Relayed>[]> {
  const { progress, environment, passwordOf, log } = request;
  const count = await openCounter(fleet, environment);
  const targets = fleet.filter(({ service }) => services.includes(service.name));
  for (const { service } of targets) progress?.({ service: service.name, state: 'queued', detail: '' });
  const busUrl = environment['AZORA_BUS_URL'];
  const bus = openBus({
    url: busUrl === undefined || busUrl === '' ? appUrl(logTarget(fleet), passwordOf).href : busUrl,
    logger: { warn: (message, fields = {}) => log(warningText(message, fields)) },
  });
  const running = new Map(targets.map(({ service }) => [service.name, 0]));
  const watching = setInterval(() => void showCounts(running, count, request), WATCH_MS);
  try {
    const ended = await Promise.all(targets.map((target) => relayOne(bus, target, request, running)));
    const counts = await count();
    return ended.map(({ service, error }): ServiceRow<Relayed> => {
      if (error !== undefined) return { service, state: 'failed', error };
      const relayed = counts?.(service) ?? null;
      progress?.({ service, state: 'done', detail: relayedText(relayed) });
      return { service, state: 'done', data: { relayed } };
    });
  } finally {
    clearInterval(watching);
    await bus.close();
  }
}

/** Relays one outbox until the signal aborts, or returns why it cannot be relayed. */
async function relayOne(
  bus: Bus,
  target: Target,
  { progress, passwordOf, signal }: RelayRequest,
  running: Map<string, number>,
): Promise<{ readonly service: string; readonly error?: SuiteError }> {
  const service = target.service.name;
  progress?.({ service, state: 'started', detail: '' });
  const pool = openPool(appUrl(target, passwordOf), { ...POOL_DEFAULTS, max: SESSIONS });
  try {
    const hasOne = await withClient(target.admin, hasOutbox);
    if (!hasOne) throw notMigrated(target);
    await bus.relay({ pool }, { service, signal });
    return { service };
  } catch (error) {
    const known = toSuiteError(error);
    progress?.({ service, state: 'failed', detail: known.message });
    return { service, error: known };
  } finally {
    running.delete(service);
    await pool.end();
  }
}

/** Reads the number of events that were relayed since the counter was opened; undefined if it is not known. */
type Counter = () => Promise<((service: string) => number) | undefined>;

async function openCounter(fleet: readonly Target[], environment: Environment): Promise<Counter> {
  if (usesBroker(environment)) return async () => undefined;
  const read = async () => {
    const sources = await withLog(fleet, (client) => readSources(client));
    return new Map(sources.map(({ service, relayed }) => [service, relayed]));
  };
  const before = await read();
  return async () => {
    // The bus reports that the log does not answer.
    const now = await read().catch(() => undefined);
    return now && ((service) => (now.get(service) ?? 0) - (before.get(service) ?? 0));
  };
}

/** Reports the counts that have changed: a log of an idle fleet gets no lines. */
async function showCounts(shown: Map<string, number>, count: Counter, { progress, signal }: RelayRequest) {
  const counts = await count();
  if (counts === undefined || signal.aborted) return;
  for (const [service, before] of shown) {
    const relayed = counts(service);
    if (relayed === before) continue;
    shown.set(service, relayed);
    progress?.({ service, state: 'working', detail: relayedText(relayed) });
  }
}

function relayedText(relayed: number | null): string {
  return relayed === null ? '' : `${countOf(relayed, 'event')} relayed`;
}

function warningText(message: string, fields: Readonly<Record<string, unknown>>): string {
  const { service, code, message: reason, why } = fields;
  const where = typeof service === 'string' ? `${service}: ` : '';
  const cause = [reason, why].filter((it) => typeof it === 'string').join('. ');
  return `warning: ${where}${message}${cause === '' ? '' : `: ${cause}`}${typeof code === 'string' ? ` [${code}]` : ''}`;
}
