import type { Finding } from '../../postgres/doctor/check';
import { STILL_SECONDS } from '../../postgres/events/log';
import { durationText } from '../../system/quantities';
import { countOf } from '../fleet';
import { LOG_SERVICE } from './log-target';
import type { ConsumerState, EventsState, SourceState, StateError } from './state';

/** A finding about events, with the service in whose database it is. */
export interface EventFinding extends Finding {
  readonly service: string;
}

/** A consumer with workers that is further behind has more events than it can handle, or a handler that hangs. */
const LATE_SECONDS = 3_600;
/** Events that nobody waits for may stay in an outbox, but only a relay deletes them. */
const MANY_EVENTS = 100_000;
const RELAY = 'Run "npx azora-db events relay", or start the process that relays';

/**
 * The problems of relays and consumers; none if there is no event log. At a broker, the service of a consumer has its problems.
 * @param services those that are examined; the first one has the problem of a broker that does not answer
 */
export function examineEvents(state: EventsState | null, services: readonly string[]): readonly EventFinding[] {
  if (state === null) return [];
  const { sources, consumers, broker } = state;
  const placeOf = ({ name }: ConsumerState) => (broker === null ? LOG_SERVICE : (name.split('.')[0] ?? name));
  return [
    ...(broker?.error ? unreadable(services, broker.error) : []),
    ...sources.flatMap(examineSource),
    ...consumers.flatMap((consumer) => examineConsumer(consumer, placeOf(consumer))),
  ];
}

function unreadable(services: readonly string[], error: StateError): readonly EventFinding[] {
  const [service] = services;
  const next = error.next ?? 'Check that the server of AZORA_BUS_URL runs with JetStream';
  const found = {
    check: 'event-broker',
    level: 'warning',
    object: 'AZORA_BUS_URL',
    message: error.message,
    next,
  } as const;
  return service === undefined ? [] : [{ service, ...found }];
}

function examineSource({
  service,
  outbox,
  isRelayed,
  lapsedSeconds,
  standsStill,
}: SourceState): readonly EventFinding[] {
  if (standsStill && outbox !== null) {
    const waiting = `${countOf(outbox.waiting, 'event')}, the oldest published ${ageText(outbox.oldestSeconds)} ago`;
    const found = { service, check: 'event-relay', level: 'warning', object: 'outbox' } as const;
    if (!isRelayed) return [{ ...found, message: `has ${waiting}, and no relay runs`, next: RELAY }];
    const next = 'Read the log of the process that relays';
    return [{ ...found, message: `has ${waiting}, although a relay has the lease`, next }];
  }
  if (outbox !== null && outbox.waiting > MANY_EVENTS && !isRelayed) {
    const message = `has ${countOf(outbox.waiting, 'event')}, and nothing deletes them before a relay runs`;
    return [{ service, check: 'event-relay', level: 'note', object: 'outbox', message, next: RELAY }];
  }
  if (lapsedSeconds === null || lapsedSeconds <= STILL_SECONDS) return [];
  const message = `lost its relay ${ageText(lapsedSeconds)} ago: the lease ended, and nobody has renewed or taken it`;
  return [{ service, check: 'event-lease', level: 'warning', object: 'outbox', message, next: RELAY }];
}

function examineConsumer(consumer: ConsumerState, service: string): readonly EventFinding[] {
  const { name, workers, lostWorkers, standsStill, idleSeconds, lagSeconds, dead, heldEvents } = consumer;
  const warning = { service, level: 'warning', object: name } as const;
  const start = 'Start the service that runs it';
  const found: EventFinding[] = [];
  if (standsStill) {
    const message = `stands still: events have waited for a worker for ${ageText(idleSeconds)}`;
    const next = workers === 0 ? start : 'Read the logs of its workers';
    found.push({ ...warning, check: 'event-consumer', message, next });
  } else if (workers > 0 && (lagSeconds ?? 0) > LATE_SECONDS) {
    const message = `is late: its oldest event has waited for ${ageText(lagSeconds)}, although it has ${countOf(workers, 'worker')}`;
    const next = 'Run "npx azora-db events status" to see its lag, and start more workers';
    found.push({ ...warning, check: 'event-lag', message, next });
  } else if (workers === 0 && lostWorkers > 0) {
    const message = `lost ${countOf(lostWorkers, 'worker')}: no process has renewed or given back the lease`;
    found.push({ ...warning, check: 'event-lease', message, next: start });
  }
  if (dead > 0) {
    const next = `Run "npx azora-db events dead list ${name}", then retry or discard them`;
    found.push({ ...warning, check: 'event-dead-letters', message: `has ${countOf(dead, 'dead letter')}`, next });
  }
  if (heldEvents > 0) {
    const message = `has no worker, and the log cannot delete ${countOf(heldEvents, 'old event')} before the consumer has handled them`;
    const next = `${start}, or run "npx azora-db events forget ${name}" if it is gone`;
    found.push({ ...warning, check: 'event-retention', message, next });
  }
  return found;
}

function ageText(seconds: number | null): string {
  return durationText(Math.max(0, seconds ?? 0) * 1_000);
}
