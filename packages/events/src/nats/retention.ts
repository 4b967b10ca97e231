import type { Broker } from './broker';
import { type ConsumerRecord, consumerSubject, type LaneState, laneSubject } from './lanes';
import { brokerTime, listRecords, readRecord } from './state';
import { eventStream, LANES } from './streams';

/** How long a stream keeps events that every consumer has passed. */
export const KEPT_MS = 7 * 24 * 3_600_000;
const CONSUMER_IDLE_NS = 5_000_000_000;

/**
 * Deletes the events of a source that are older than seven days, and that every consumer of the source has passed. The last event
 * stays, because it holds the cursor of the relay.
 */
export async function pruneEvents(broker: Broker, source: string): Promise<void> {
  const name = eventStream(source);
  const { state } = await broker.streams.streams.info(name);
  const old = await lastBefore(broker, name, new Date((await brokerTime(broker)).getTime() - KEPT_MS));
  const passed = await passedByAll(broker, source);
  const last = Math.min(old, passed, state.last_seq - 1);
  if (last >= state.first_seq) await broker.streams.streams.purge(name, { seq: last + 1 });
}

/** The number of the last event that was stored before a time; 0 without one. */
export async function lastBefore(broker: Broker, stream: string, time: Date): Promise<number> {
  const { consumers } = broker.streams;
  const { AckPolicy, DeliverPolicy } = await import('@nats-io/jetstream');
  const created = await consumers.add(stream, {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartTime,
    opt_start_time: time.toISOString(),
    inactive_threshold: CONSUMER_IDLE_NS,
    mem_storage: true,
    num_replicas: 1,
  });
  await consumers.delete(stream, created.name);
  return created.delivered.stream_seq;
}

async function passedByAll(broker: Broker, source: string): Promise<number> {
  let passed = Number.MAX_SAFE_INTEGER;
  for (const subject of await listRecords(broker, 'consumer')) {
    const consumer = await readRecord<ConsumerRecord>(broker, subject);
    if (consumer === undefined || !(source in consumer.value.start)) continue;
    if (consumerSubject(consumer.value.name) !== subject) continue;
    for (const lane of Array.from({ length: LANES }, (_, index) => index)) {
      const record = await readRecord<LaneState>(broker, laneSubject(consumer.value.name, lane));
      const position = record?.value.positions[source] ?? consumer.value.start[source] ?? 0;
      const parked = (record?.value.parked ?? []).filter((event) => event.source === source && !event.isDead);
      passed = Math.min(passed, position, ...parked.map(({ sequence }) => sequence - 1));
    }
  }
  return passed;
}
