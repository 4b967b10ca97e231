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
import { type Connect, connectDirectly, LOG_SERVICE, notMigrated, withLog } from './log-target';

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
  /** Whether events wait although a relay had the time to move them. */
  readonly standsStill: boolean;
  readonly error: { readonly code: string; readonly message: string; readonly next: string | null } | null;
}

/** A consumer, and whether events wait for it although no worker has their lanes. */
export interface ConsumerState extends EventConsumer {
  readonly standsStill: boolean;
}

export interface EventsState {
  readonly sources: readonly SourceState[];
  readonly consumers: readonly ConsumerState[];
}

export interface EventsStateOptions extends RunOptions {
  readonly connect?: Connect;
}

/**
 * Reads the event log, and the outboxes of these services. The entry of an outbox that cannot be read contains the error.
 * @param fleet the databases, including the one with the log
 * @throws {SuiteError} `EVENTS.NO_LOG`, `EVENTS.NOT_MIGRATED`, `SERVER.…`
 * @throws the reason of the signal when it was aborted
 */
export async function readEvents(
  fleet: readonly Target[],
  services: readonly string[],
  options: EventsStateOptions,
): Promise<EventsState> {
  const read = async (client: ClientBase) => ({
    sources: await readSources(client),
    consumers: await readConsumers(client),
  });
  const log = await withLog(fleet, read, options.connect);
  const targets = fleet.filter(({ service }) => services.includes(service.name));
  return {
    sources: await readOutboxes(targets, log.sources, options),
    consumers: log.consumers.map((it) => ({ ...it, standsStill: (it.idleSeconds ?? 0) > STILL_SECONDS })),
  };
}

/**
 * Like {@link readEvents}, for a report about more than events: null if there is no log, or if it cannot be read, which the report
 * says about the database of nexus itself.
 */
export async function findEvents(
  fleet: readonly Target[],
  { signal, connect = connectDirectly }: EventsStateOptions,
): Promise<EventsState | null> {
  if (!fleet.some(({ service }) => service.name === LOG_SERVICE)) return null;
  const services = fleet.map(({ service }) => service.name);
  return readEvents(fleet, services, { signal, connect }).catch((error: unknown) => {
    const { code } = toSuiteError(error);
    if (code === 'EVENTS.NOT_MIGRATED' || /^(SERVER|DATABASE)\./.test(code)) return null;
    throw error;
  });
}

/** Whether an outbox or a consumer stands still, or an outbox could not be read. */
export function needsOperator({ sources, consumers }: EventsState): boolean {
  return sources.some((it) => it.standsStill || it.error !== null) || consumers.some((it) => it.standsStill);
}

async function readOutboxes(
  targets: readonly Target[],
  sources: readonly EventSource[],
  { signal, connect = connectDirectly }: EventsStateOptions,
): Promise<readonly SourceState[]> {
  const rows = await eachService(targets, { signal }, async (target) => {
    const source = sources.find(({ service }) => service === target.service.name);
    const outbox = await connect(target, (client) => readOutboxState(client, source));
    if (outbox === undefined) throw notMigrated(target);
    return { data: { outbox, source }, detail: '' };
  });
  signal?.throwIfAborted();
  return rows.flatMap((row): SourceState[] => {
    if (row.state === 'done') return [sourceState(row.service, row.data.source, row.data.outbox)];
    if (row.state !== 'failed') return [];
    const { code, message, next = null } = toSuiteError(row.error);
    const source = sources.find(({ service }) => service === row.service);
    return [{ ...sourceState(row.service, source, null), error: { code, message, next } }];
  });
}

function sourceState(service: string, source: EventSource | undefined, outbox: OutboxState | null): SourceState {
  const { isRelayed = false, lapsedSeconds = null, relayed = 0, relayedAt = null } = source ?? {};
  const standsStill = (outbox?.oldestSeconds ?? 0) > STILL_SECONDS;
  return { service, outbox, isRelayed, lapsedSeconds, relayed, relayedAt, standsStill, error: null };
}
