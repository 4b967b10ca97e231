import type { BusStatus, ConsumerStatus, SourceStatus } from '../bus';
import { LEASE_MS } from '../relay';
import type { Broker } from './broker';
import { sourcesOf } from './consumers';
import { LANE_LEASE_MS } from './held-lanes';
import { type ConsumerRecord, type LaneState, laneSubject } from './lanes';
import { asToken, brokerTime, listRecords, readRecord, type StateRecord } from './state';
import { ensureStateStream, eventFilter, eventStream, LANES } from './streams';

const PREFIX = 'azora-events-';
const COUNTER_IDLE_NS = 5_000_000_000;

/** Reads how far relays and consumers have come. */
export async function readNatsStatus(broker: Broker): Promise<BusStatus> {
  await ensureStateStream(broker);
  const now = await brokerTime(broker);
  const sources: SourceStatus[] = [];
  for await (const name of broker.streams.streams.names('azora.>')) {
    if (name.startsWith(PREFIX)) sources.push(await sourceStatus(broker, name.slice(PREFIX.length), now));
  }
  const consumers: ConsumerStatus[] = [];
  for (const subject of await listRecords(broker, 'consumer')) {
    const record = await readRecord<ConsumerRecord>(broker, subject);
    if (record !== undefined) consumers.push(await consumerStatus(broker, record.value, now));
  }
  return {
    sources: sources.toSorted((one, other) => one.service.localeCompare(other.service)),
    consumers: consumers.toSorted((one, other) => one.name.localeCompare(other.name)),
  };
}

async function sourceStatus(broker: Broker, service: string, now: Date): Promise<SourceStatus> {
  const { state } = await broker.streams.streams.info(eventStream(service));
  const record = await readRecord<{ readonly owner: string | null }>(broker, `source.${service}`);
  return {
    service,
    isRelayed: record !== undefined && record.value.owner !== null && isFresh(record, now, LEASE_MS),
    relayed: state.last_seq,
    relayedAt: state.last_seq === 0 ? null : new Date(state.last_ts),
  };
}

async function consumerStatus(broker: Broker, consumer: ConsumerRecord, now: Date): Promise<ConsumerStatus> {
  const { name } = consumer;
  const lanes = await Promise.all(
    Array.from({ length: LANES }, (_, lane) => readRecord<LaneState>(broker, laneSubject(name, lane))),
  );
  const owners = lanes.flatMap((record) =>
    record !== undefined && record.value.owner !== null && isFresh(record, now, LANE_LEASE_MS)
      ? [record.value.owner]
      : [],
  );
  const parked = lanes.flatMap((record) => record?.value.parked ?? []);
  const pending = await Promise.all(
    lanes.flatMap((record, lane) =>
      sourcesOf(consumer.types).map((source) => {
        const after = record?.value.positions[source] ?? consumer.start[source] ?? 0;
        return countAfter(broker, source, filterOf(consumer, source, lane), after);
      }),
    ),
  );
  const dead = await listRecords(broker, `dead.${asToken(name)}`);
  return {
    name,
    workers: new Set(owners).size,
    lag: pending.reduce((sum, count) => sum + count, 0),
    parked: parked.length,
    dead: dead.length - parked.filter(({ isDead }) => isDead).length,
  };
}

function isFresh({ time }: StateRecord<unknown>, now: Date, leaseMs: number): boolean {
  return now.getTime() - time.getTime() < leaseMs;
}

/** The subjects of a lane, of all types of the source if the consumer has several. */
function filterOf({ types }: ConsumerRecord, source: string, lane: number): string {
  const filter = eventFilter(
    source,
    types.filter((type) => type.startsWith(`${source}.`)),
  );
  return filter.replace('*', String(lane));
}

async function countAfter(broker: Broker, source: string, filter: string, after: number): Promise<number> {
  const { AckPolicy, DeliverPolicy } = await import('@nats-io/jetstream');
  const stream = eventStream(source);
  const counter = await broker.streams.consumers.add(stream, {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: after + 1,
    filter_subject: filter,
    inactive_threshold: COUNTER_IDLE_NS,
    mem_storage: true,
    num_replicas: 1,
  });
  await broker.streams.consumers.delete(stream, counter.name);
  return counter.num_pending;
}
