import type { BusStatus, ConsumerStatus, SourceStatus } from '../bus';
import { LEASE_MS } from '../relay';
import type { Broker } from './broker';
import { sourcesOf } from './consumers';
import { LANE_LEASE_MS } from './held-lanes';
import { type ConsumerRecord, type LaneState, laneSubject, type ParkedEvent } from './lanes';
import { type OutboxCursor, readCursor } from './relay-log';
import { lastBefore } from './retention';
import { asToken, brokerTime, listRecords, readRecord, type StateRecord } from './state';
import { countAfter, ensureStateStream, eventFilter, eventStream, LANES, storedAt } from './streams';

const PREFIX = 'azora-events-';
/** A day longer than the streams keep events that every consumer has passed. */
const HELD_MS = 8 * 24 * 3_600_000;

/** What a broker knows of relays and consumers, for an operator. Ages are in seconds by the clock of the broker. */
export interface BrokerState {
  readonly sources: readonly BrokerSource[];
  readonly consumers: readonly BrokerConsumer[];
}

export interface BrokerSource extends SourceStatus, OutboxCursor {
  /** How long ago the lease of a relay ended that did not give it back; null for one that did, or that has the lease. */
  readonly lapsedSeconds: number | null;
  /** How long ago the last event was relayed; null if none was. */
  readonly relayedAgoSeconds: number | null;
}

export interface BrokerConsumer extends ConsumerStatus {
  readonly types: readonly string[];
  readonly maxAttempts: number;
  /** Workers that have not given their lanes back, although their leases have ended. */
  readonly lostWorkers: number;
  /** Of the 16 lanes, those that no worker has a lease for. */
  readonly lanesWithoutWorker: number;
  /** Events that failed and will be tried again, those that wait behind them, and their keys. */
  readonly retries: number;
  readonly waiting: number;
  readonly parkedKeys: number;
  /** The age of the oldest event that was not handled, parked ones included; null without any. */
  readonly lagSeconds: number | null;
  /** How long an event of a lane without a worker has been due; null if none is. */
  readonly idleSeconds: number | null;
  /** Events of more than 8 days ago that the streams keep for this consumer, which has no worker. */
  readonly heldEvents: number;
}

/** Reads how far relays and consumers have come. */
export async function readNatsStatus(broker: Broker): Promise<BusStatus> {
  const { sources, consumers } = await readBrokerState(broker);
  return {
    sources: sources.map(({ service, isRelayed, relayed, relayedAt }) => ({ service, isRelayed, relayed, relayedAt })),
    consumers: consumers.map(({ name, workers, lag, parked, dead }) => ({ name, workers, lag, parked, dead })),
  };
}

/** Like {@link readNatsStatus}, with all that an operator needs. */
export async function readBrokerState(broker: Broker): Promise<BrokerState> {
  await ensureStateStream(broker);
  const now = await brokerTime(broker);
  const sources: BrokerSource[] = [];
  for await (const name of broker.streams.streams.names('azora.>')) {
    if (name.startsWith(PREFIX)) sources.push(await readSource(broker, name.slice(PREFIX.length), now));
  }
  const consumers: BrokerConsumer[] = [];
  for (const subject of await listRecords(broker, 'consumer')) {
    const record = await readRecord<ConsumerRecord>(broker, subject);
    if (record !== undefined) consumers.push(await readConsumer(broker, record.value, now));
  }
  return {
    sources: sources.toSorted((one, other) => one.service.localeCompare(other.service)),
    consumers: consumers.toSorted((one, other) => one.name.localeCompare(other.name)),
  };
}

async function readSource(broker: Broker, service: string, now: Date): Promise<BrokerSource> {
  const { state } = await broker.streams.streams.info(eventStream(service));
  const record = await readRecord<{ readonly owner: string | null }>(broker, `source.${service}`);
  const relayedAt = state.last_seq === 0 ? null : new Date(state.last_ts);
  const lease = record !== undefined && record.value.owner !== null ? leaseOf(record, now, LEASE_MS) : undefined;
  return {
    service,
    isRelayed: lease?.isFresh ?? false,
    lapsedSeconds: lease === undefined || lease.isFresh ? null : lease.lapsedMs / 1_000,
    relayed: state.last_seq,
    relayedAt,
    relayedAgoSeconds: relayedAt && (now.getTime() - relayedAt.getTime()) / 1_000,
    ...(await readCursor(broker, service)),
  };
}

/** A lane, with its first event that was not handled yet of each source and type. */
interface Lane {
  readonly owner: string | null;
  readonly isHeld: boolean;
  readonly positions: Readonly<Record<string, number>>;
  readonly parked: readonly ParkedEvent[];
  /** When parked events began to wait for their delays. */
  readonly since: Date;
  readonly pending: readonly { readonly count: number; readonly since: Date }[];
}

async function readConsumer(broker: Broker, consumer: ConsumerRecord, now: Date): Promise<BrokerConsumer> {
  const { name, types, maxAttempts } = consumer;
  const lanes = await Promise.all(Array.from({ length: LANES }, (_, lane) => readLane(broker, consumer, lane, now)));
  const owners = (held: boolean) => new Set(lanes.flatMap(({ owner, isHeld }) => (isHeld === held && owner) || []));
  const parked = lanes.flatMap((lane) => lane.parked);
  const dead = await listRecords(broker, `dead.${asToken(name)}`);
  const free = lanes.filter(({ isHeld }) => !isHeld);
  const due = free.flatMap((lane) =>
    lane.parked.flatMap(({ isWaiting, delayMs }) => (isWaiting ? [] : [lane.since.getTime() + delayMs])),
  );
  const pending = lanes.flatMap((lane) => lane.pending);
  const workers = owners(true);
  const age = (times: readonly number[]) => {
    const past = times.filter((time) => time <= now.getTime());
    return past.length === 0 ? null : (now.getTime() - Math.min(...past)) / 1_000;
  };
  const timesOf = (found: Lane['pending']) => found.map(({ since }) => since.getTime());
  return {
    ...{ name, types, maxAttempts },
    workers: workers.size,
    lostWorkers: [...owners(false)].filter((owner) => !workers.has(owner)).length,
    lanesWithoutWorker: free.length,
    lag: pending.reduce((sum, { count }) => sum + count, 0),
    lagSeconds: age([...timesOf(pending), ...(await timesOfParked(broker, parked))]),
    idleSeconds: age([...timesOf(free.flatMap((lane) => lane.pending)), ...due]),
    parked: parked.length,
    retries: parked.filter(({ isWaiting }) => !isWaiting).length,
    waiting: parked.filter(({ isWaiting }) => isWaiting).length,
    parkedKeys: new Set(parked.map(({ source, key }) => `${source}:${key}`)).size,
    dead: dead.length - parked.filter(({ isDead }) => isDead).length,
    heldEvents: workers.size > 0 ? 0 : await countHeld(broker, consumer, lanes, now),
  };
}

async function readLane(broker: Broker, consumer: ConsumerRecord, lane: number, now: Date): Promise<Lane> {
  const record = await readRecord<LaneState>(broker, laneSubject(consumer.name, lane));
  const { owner, positions, parked } = record?.value ?? { owner: null, positions: {}, parked: [] };
  const reached = { ...consumer.start, ...positions };
  const pending = await Promise.all(
    consumer.types.map(async (type) => {
      const source = type.slice(0, type.indexOf('.'));
      const filter = eventFilter(source, [type]).replace('*', String(lane));
      const after = reached[source] ?? 0;
      const since = await storedAt(broker, source, { after, filter });
      return since === undefined ? [] : [{ since, count: await countAfter(broker, source, { after, filter }) }];
    }),
  );
  return {
    owner,
    isHeld: record !== undefined && owner !== null && leaseOf(record, now, LANE_LEASE_MS).isFresh,
    positions: reached,
    parked,
    since: record?.time ?? now,
    pending: pending.flat(),
  };
}

/** When the oldest parked event of each source was stored. */
async function timesOfParked(broker: Broker, parked: readonly ParkedEvent[]): Promise<readonly number[]> {
  const sources = [...new Set(parked.map(({ source }) => source))];
  const times = await Promise.all(
    sources.map((source) => {
      const first = Math.min(...parked.filter((it) => it.source === source).map(({ sequence }) => sequence));
      return storedAt(broker, source, { after: first - 1, filter: `azora.${source}.>` });
    }),
  );
  return times.flatMap((time) => time?.getTime() ?? []);
}

async function countHeld(broker: Broker, consumer: ConsumerRecord, lanes: readonly Lane[], now: Date): Promise<number> {
  let held = 0;
  for (const source of sourcesOf(consumer.types)) {
    const { state } = await broker.streams.streams.info(eventStream(source));
    const old = await lastBefore(broker, eventStream(source), new Date(now.getTime() - HELD_MS));
    const passed = Math.min(...lanes.map(({ positions }) => positions[source] ?? 0));
    held += Math.max(0, old - Math.max(passed, state.first_seq - 1));
  }
  return held;
}

function leaseOf({ time }: StateRecord<unknown>, now: Date, leaseMs: number) {
  const lapsedMs = now.getTime() - time.getTime() - leaseMs;
  return { isFresh: lapsedMs < 0, lapsedMs };
}
