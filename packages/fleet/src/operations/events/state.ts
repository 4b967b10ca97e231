import type { ClientBase } from 'pg';
import {
  type EventConsumer,
  type EventSource,
  readConsumers,
  readSources,
  STILL_SECONDS,
} from '../../postgres/events/log';
import { type OutboxState, readOutboxState } from '../../postgres/events/outbox';
import { eachService, type RunOptions, toSuiteError } from '../fleet';
import type { Target } from '../targets';
import { readBroker, usesBroker, withBroker } from './broker';
import { connectDirectly, type EventPlace, LOG_SERVICE, notMigrated, withLog } from './log-target';

/** The outbox of one service, and its relay. */
export interface SourceState {
  readonly service: string;
  /** Null if the outbox could not be read. */
  readonly outbox: OutboxState | null;
  /** Whether a relay has the lease. */
  readonly isRelayed: boolean;
  /** How long ago the lease of a relay ended that did not give it back. */
  readonly lapsedSeconds: number | null;
  /** Events that were ever relayed. */
  readonly relayed: number;
  readonly relayedAt: Date | null;
  /** How long ago that was, by the clock of the log; null if never. */
  readonly relayedAgoSeconds: number | null;
  /** Whether events wait although a relay had the time to move them. Without a consumer, and before the first relay, they may wait. */
  readonly standsStill: boolean;
  readonly error: StateError | null;
}

/** A consumer, and whether events wait for it although no worker has their lanes. */
export interface ConsumerState extends EventConsumer {
  readonly standsStill: boolean;
}

export interface EventsState {
  readonly sources: readonly SourceState[];
  readonly consumers: readonly ConsumerState[];
  /** The broker that carries the events, with the error if it could not be read; null for the log in nexus. */
  readonly broker: { readonly error: StateError | null } | null;
}

/** Why something could not be read. */
export interface StateError {
  readonly code: string;
  readonly message: string;
  readonly next: string | null;
}

/**
 * Reads the event log or the broker, and the outboxes of these services. The entry of an outbox that cannot be read contains the
 * error.
 * @throws {SuiteError} `EVENTS.NO_LOG`, `EVENTS.NOT_MIGRATED`, `EVENTS.BROKER_…`, `SERVER.…`
 * @throws the reason of the signal when it was aborted
 */
export async function readEvents(
  place: EventPlace,
  services: readonly string[],
  options: RunOptions,
): Promise<EventsState> {
  const { fleet, environment, connect } = place;
  const read = async (client: ClientBase) => ({
    sources: await readSources(client),
    consumers: await readConsumers(client),
  });
  const isBroker = usesBroker(environment);
  const log = isBroker ? await withBroker(environment, readBroker) : await withLog(fleet, read, connect);
  const targets = fleet.filter(({ service }) => services.includes(service.name));
  return {
    sources: await readOutboxes(targets, log, { ...options, ...(connect && { connect }) }),
    consumers: log.consumers.map((it) => ({ ...it, standsStill: (it.idleSeconds ?? 0) > STILL_SECONDS })),
    broker: isBroker ? { error: null } : null,
  };
}

/**
 * Like {@link readEvents}, for a report about more than events: null if there is no log, or if it cannot be read, which the report
 * says about the database of nexus itself. A broker that cannot be read is an error in the state.
 */
export async function findEvents(place: EventPlace, options: RunOptions): Promise<EventsState | null> {
  const { fleet, environment } = place;
  const isBroker = usesBroker(environment);
  if (!isBroker && !fleet.some(({ service }) => service.name === LOG_SERVICE)) return null;
  const services = fleet.map(({ service }) => service.name);
  return readEvents(place, services, options).catch((error: unknown) => {
    options.signal?.throwIfAborted();
    const { code, message, next = null } = toSuiteError(error);
    if (isBroker) return { sources: [], consumers: [], broker: { error: { code, message, next } } };
    if (code === 'EVENTS.NOT_MIGRATED' || /^(SERVER|DATABASE)\./.test(code)) return null;
    throw error;
  });
}

/** Whether an outbox or a consumer stands still, or an outbox or the broker could not be read. */
export function needsOperator({ sources, consumers, broker }: EventsState): boolean {
  if (broker?.error) return true;
  return sources.some((it) => it.standsStill || it.error !== null) || consumers.some((it) => it.standsStill);
}

async function readOutboxes(
  targets: readonly Target[],
  { sources, consumers }: { readonly sources: readonly EventSource[]; readonly consumers: readonly EventConsumer[] },
  { signal, connect = connectDirectly }: RunOptions & Pick<EventPlace, 'connect'>,
): Promise<readonly SourceState[]> {
  const rows = await eachService(targets, { signal }, async (target) => {
    const source = sources.find(({ service }) => service === target.service.name);
    const outbox = await connect(target, (client) => readOutboxState(client, source));
    if (outbox === undefined) throw notMigrated(target);
    return { data: { outbox, source }, detail: '' };
  });
  signal?.throwIfAborted();
  return rows.flatMap((row): SourceState[] => {
    const hasConsumers = consumers.length > 0;
    if (row.state === 'done') return [sourceState(row.service, row.data.source, row.data.outbox, hasConsumers)];
    if (row.state !== 'failed') return [];
    const { code, message, next = null } = toSuiteError(row.error);
    const source = sources.find(({ service }) => service === row.service);
    return [{ ...sourceState(row.service, source, null, hasConsumers), error: { code, message, next } }];
  });
}

function sourceState(
  service: string,
  source: EventSource | undefined,
  outbox: OutboxState | null,
  hasConsumers: boolean,
): SourceState {
  const {
    isRelayed = false,
    lapsedSeconds = null,
    relayed = 0,
    relayedAt = null,
    relayedAgoSeconds = null,
  } = source ?? {};
  const isAwaited = hasConsumers || source !== undefined;
  const standsStill = isAwaited && (outbox?.oldestSeconds ?? 0) > STILL_SECONDS;
  const last = { relayedAt, relayedAgoSeconds };
  return { service, outbox, isRelayed, lapsedSeconds, relayed, ...last, standsStill, error: null };
}
