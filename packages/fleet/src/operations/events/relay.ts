import { setTimeout as sleep } from 'node:timers/promises';
import { openPool, POOL_DEFAULTS, type SuiteError } from '@azora/db-core';
import { type Bus, openBus } from '@azora/db-events';
import { withClient } from '@azora/db-migrate';
import type { PasswordOf } from '../../config/credentials';
import { type EventSource, readSources } from '../../postgres/events/log';
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
  const { progress, environment, passwordOf, log, signal } = request;
  const counter = await openCounter(fleet, request);
  const targets = fleet.filter(({ service }) => services.includes(service.name));
  for (const { service } of targets) progress?.({ service: service.name, state: 'queued', detail: '' });
  const busUrl = environment['AZORA_BUS_URL'];
  const bus = openBus({
    url: busUrl === undefined || busUrl === '' ? appUrl(logTarget(fleet), passwordOf).href : busUrl,
    logger: { warn: (message, fields = {}) => log(warningText(message, fields)) },
  });
  const running = new Map(targets.map(({ service }) => [service.name, 0]));
  const ending = new AbortController();
  const watching = watchCounts(running, counter, { progress, signal: AbortSignal.any([signal, ending.signal]) });
  try {
    const ended = await Promise.all(targets.map((target) => relayOne(bus, target, request, running)));
    const counts = await counter.count();
    return ended.map(({ service, error }): ServiceRow<Relayed> => {
      if (error !== undefined) return { service, state: 'failed', error };
      const relayed = counts?.(service) ?? null;
      progress?.({ service, state: 'done', detail: relayedText(relayed) });
      return { service, state: 'done', data: { relayed } };
    });
  } finally {
    ending.abort();
    await watching;
    await Promise.all([counter.close(), bus.close()]);
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
interface Counter {
  count(): Promise<((service: string) => number) | undefined>;
  close(): Promise<void>;
}

async function openCounter(
  fleet: readonly Target[],
  { environment, passwordOf }: Pick<RelayRequest, 'environment' | 'passwordOf'>,
): Promise<Counter> {
  if (usesBroker(environment)) return { count: async () => undefined, close: async () => undefined };
  const numbers = (sources: readonly EventSource[]) =>
    new Map(sources.map(({ service, relayed }) => [service, relayed]));
  const before = numbers(await withLog(fleet, readSources));
  // One session for all counts: connecting for each would cost more than the relays of an idle fleet.
  const pool = openPool(appUrl(logTarget(fleet), passwordOf), { ...POOL_DEFAULTS, max: 1 });
  return {
    count: async () => {
      // The bus reports that the log does not answer.
      const now = await readSources(pool).then(numbers, () => undefined);
      return now && ((service) => (now.get(service) ?? 0) - (before.get(service) ?? 0));
    },
    close: () => pool.end(),
  };
}

/** Reports the counts that have changed, until the signal aborts: a log of an idle fleet gets no lines. */
async function watchCounts(
  shown: Map<string, number>,
  counter: Counter,
  { progress, signal }: Pick<RelayRequest, 'progress' | 'signal'>,
): Promise<void> {
  for (;;) {
    await sleep(WATCH_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const counts = await counter.count();
    if (counts === undefined || signal.aborted) continue;
    for (const [service, before] of shown) {
      const relayed = counts(service);
      if (relayed === before) continue;
      shown.set(service, relayed);
      progress?.({ service, state: 'working', detail: relayedText(relayed) });
    }
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
