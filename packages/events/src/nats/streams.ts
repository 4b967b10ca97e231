import { createHash } from 'node:crypto';
import { SuiteError } from '@azora/db-core';
import type { StreamConfig } from '@nats-io/jetstream';
import type { Broker } from './broker';
import { isMissing, isMissingStream, isNameInUse } from './errors';

/** The keys of each source are divided into this many lanes. */
export const LANES = 16;
export const STATE_STREAM = 'azora-state';

const NANOSECONDS = 1_000_000;
const COUNTER_IDLE_NS = 5_000_000_000;
/** How long the broker recognizes an event that is published again. */
const DUPLICATE_WINDOW_MS = 120_000;

/** What the rules of the bus rely on. An operator may choose everything else, such as `max_bytes` and `placement`. */
const REQUIRED = {
  retention: 'limits',
  storage: 'file',
  // A full stream refuses new events instead of dropping old ones.
  discard: 'new',
  max_age: 0,
  max_msgs: -1,
} as const;

/** The stream of the events of a service. Only its relay publishes there. */
export function eventStream(source: string): string {
  return `azora-events-${source}`;
}

/** The subjects of the events of a source, of all types or of one. */
export function eventFilter(source: string, types: readonly string[] = []): string {
  const [only] = types;
  return `azora.${source}.*.${types.length === 1 && only !== undefined ? withoutService(only) : '>'}`;
}

/** The subject of an event. Its type begins with the name of the source. */
export function eventSubject(source: string, key: string, type: string): string {
  return `azora.${source}.${laneOf(key)}.${withoutService(type)}`;
}

/** What a subject says about its event. */
export function readSubject(subject: string): { readonly lane: number; readonly type: string } {
  const [, source = '', lane, ...rest] = subject.split('.');
  return { lane: Number(lane), type: [source, ...rest].join('.') };
}

/** Events of one key are in one lane. */
function laneOf(key: string): number {
  return (createHash('sha256').update(key).digest()[0] ?? 0) % LANES;
}

function withoutService(type: string): string {
  return type.slice(type.indexOf('.') + 1);
}

/** A part of the stream of a source: the events of a filter behind a number. */
export interface StreamPart {
  readonly after: number;
  readonly filter: string;
}

/** When the first event of a part was stored; undefined without one. */
export async function storedAt(
  broker: Broker,
  source: string,
  { after, filter }: StreamPart,
): Promise<Date | undefined> {
  const first = { seq: after + 1, next_by_subj: filter };
  const found = await broker.streams.streams.getMessage(eventStream(source), first).catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw error;
  });
  return found?.time;
}

/** How many events a part has. */
export async function countAfter(broker: Broker, source: string, { after, filter }: StreamPart): Promise<number> {
  const { AckPolicy, DeliverPolicy } = await import('@nats-io/jetstream');
  const counter = await broker.streams.consumers.add(eventStream(source), {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: after + 1,
    filter_subject: filter,
    inactive_threshold: COUNTER_IDLE_NS,
    mem_storage: true,
    num_replicas: 1,
  });
  await broker.streams.consumers.delete(eventStream(source), counter.name);
  return counter.num_pending;
}

/**
 * Creates the stream of a source unless it exists.
 * @throws {SuiteError} `EVENTS.BROKER_STREAM` if it exists with other settings than the bus relies on
 */
export async function ensureEventStream(broker: Broker, source: string): Promise<void> {
  await ensureStream(broker, {
    ...REQUIRED,
    name: eventStream(source),
    subjects: [`azora.${source}.>`],
    max_msgs_per_subject: -1,
    duplicate_window: DUPLICATE_WINDOW_MS * NANOSECONDS,
  });
}

/**
 * Creates the stream of the positions, leases and dead letters unless it exists.
 * @throws {SuiteError} `EVENTS.BROKER_STREAM`
 */
export async function ensureStateStream(broker: Broker): Promise<void> {
  await ensureStream(broker, {
    ...REQUIRED,
    name: STATE_STREAM,
    subjects: [`${STATE_STREAM}.>`],
    max_msgs_per_subject: 1,
    max_bytes: -1,
  });
}

type WantedStream = Partial<StreamConfig> & { readonly name: string };

async function ensureStream(broker: Broker, wanted: WantedStream): Promise<void> {
  const { streams, replicas } = broker;
  const found = await streams.streams.info(wanted.name).catch(async (error: unknown) => {
    if (!isMissingStream(error)) throw error;
    // Another process may create it at the same time.
    return streams.streams.add({ ...wanted, num_replicas: replicas }).catch((failure: unknown) => {
      if (isNameInUse(failure)) return streams.streams.info(wanted.name);
      throw failure;
    });
  });
  const differences = differencesOf(wanted, found.config, replicas);
  if (differences.length === 0) return;
  throw new SuiteError('EVENTS.BROKER_STREAM', `The stream ${wanted.name} of the broker has other settings`, {
    kind: 'configuration',
    why: `${differences.join('; ')}.`,
    next: `Correct the stream ${wanted.name} with "nats stream edit", then start again`,
    meta: { stream: wanted.name },
  });
}

function differencesOf(wanted: WantedStream, found: StreamConfig, replicas: number): readonly string[] {
  const { duplicate_window: window = 0, ...exact } = wanted;
  const differences = Object.entries(exact).flatMap(([name, value]) => {
    const actual = found[name as keyof StreamConfig];
    return isSame(actual, value) ? [] : [`${name} is ${show(actual)} instead of ${show(value)}`];
  });
  if ((found.duplicate_window ?? 0) < window) {
    differences.push(`duplicate_window is less than ${DUPLICATE_WINDOW_MS / 1_000} seconds`);
  }
  if (found.num_replicas < replicas) differences.push(`num_replicas is ${found.num_replicas} instead of ${replicas}`);
  return differences;
}

function isSame(actual: unknown, wanted: unknown): boolean {
  return JSON.stringify(actual) === JSON.stringify(wanted);
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? 'absent';
}
