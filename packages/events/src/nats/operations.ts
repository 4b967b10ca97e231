import { type Environment, SuiteError } from '@azora/db-core';
import { type Broker, brokerConnection } from './broker';
import { parseBrokerUrl } from './broker-url';
import { sourcesOf } from './consumers';
import { type DeadLetter, listDeadLetters, readDeadLetter, removeDeadLetters } from './dead-letters';
import { brokerError } from './errors';
import { type ConsumerRecord, consumerSubject, type LaneState, laneSubject } from './lanes';
import { noticeSubject } from './peers';
import { lastBefore } from './retention';
import { readRecord, writeRecord } from './state';
import { eventStream, LANES } from './streams';

/** Where a replay begins: behind a number in the stream of a source, or with the first event that was stored at a time. */
export type ReplayStart = { readonly source: string; readonly position: number } | { readonly time: Date };

/** An event of a consumer, as a dead letter names it. */
export interface EventNumber {
  readonly consumer: string;
  readonly source: string;
  readonly sequence: number;
}

/** What an operator does with the consumers of a broker. The workers notice at once. */
export interface BrokerOperations {
  /**
   * Delivers the events again that follow a position. Parked events and dead letters behind it are forgotten, because they are
   * delivered again too. The inbox of the consumer drops events that had their effect.
   * @throws {SuiteError} `EVENTS.UNKNOWN_CONSUMER`
   */
  replay(consumer: string, start: ReplayStart): Promise<void>;
  deadLetters(consumer: string): Promise<readonly DeadLetter[]>;
  /** Delivers a dead letter again, as if it had never failed. Returns whether there was one. */
  retryDeadLetter(event: EventNumber): Promise<boolean>;
  /** Gives a dead letter up. Returns whether there was one. */
  discardDeadLetter(event: EventNumber): Promise<boolean>;
  close(): Promise<void>;
}

/**
 * Opens the operations of the broker of `AZORA_BUS_URL`.
 * @throws {SuiteError} `CONFIG.BAD_URL`
 */
export function openBrokerOperations(url?: string, environment: Environment = process.env): BrokerOperations {
  const given = url === undefined ? 'AZORA_BUS_URL' : 'url';
  const connection = brokerConnection(parseBrokerUrl(url ?? environment['AZORA_BUS_URL'] ?? '', given));
  const withBroker = async <Result>(work: (broker: Broker) => Promise<Result>): Promise<Result> => {
    try {
      return await work(await connection.open());
    } catch (error) {
      throw brokerError(error);
    }
  };
  return {
    replay: (consumer, start) => withBroker((broker) => replay(broker, consumer, start)),
    deadLetters: (consumer) => withBroker((broker) => listDeadLetters(broker, consumer)),
    retryDeadLetter: (event) => withBroker((broker) => retry(broker, event)),
    discardDeadLetter: (event) => withBroker((broker) => discard(broker, event)),
    close: () => connection.close(),
  };
}

async function replay(broker: Broker, name: string, start: ReplayStart): Promise<void> {
  const consumer = await readRecord<ConsumerRecord>(broker, consumerSubject(name));
  if (consumer === undefined) throw unknownConsumer(name);
  const wanted: Record<string, number> = {};
  for (const source of 'source' in start ? [start.source] : sourcesOf(consumer.value.types)) {
    const { state } = await broker.streams.streams.info(eventStream(source));
    const position = 'time' in start ? await lastBefore(broker, eventStream(source), start.time) : start.position;
    wanted[source] = Math.min(Math.max(position, 0), state.last_seq);
  }
  const isReplayed = ({ source, sequence }: { readonly source: string; readonly sequence: number }) =>
    sequence > (wanted[source] ?? Number.MAX_SAFE_INTEGER);
  for (let lane = 0; lane < LANES; lane += 1) {
    await changeLane(broker, consumer.value, lane, (state) => ({
      ...state,
      positions: { ...state.positions, ...wanted },
      parked: state.parked.filter((event) => !isReplayed(event)),
    }));
  }
  await removeDeadLetters(broker, name, (await listDeadLetters(broker, name)).filter(isReplayed));
  tellWorkers(broker, name);
}

async function retry(broker: Broker, { consumer, source, sequence }: EventNumber): Promise<boolean> {
  const [letter, record] = await Promise.all([
    readDeadLetter(broker, consumer, { source, sequence }),
    readRecord<ConsumerRecord>(broker, consumerSubject(consumer)),
  ]);
  if (letter === undefined || record === undefined) return false;
  const { key, lane } = letter;
  await changeLane(broker, record.value, lane, (state) => {
    const others = state.parked.filter((event) => event.source !== source || event.sequence !== sequence);
    // Events of its key that are parked now came later: they wait behind it.
    const waiting = others.map((event) => (event.key === key ? { ...event, isWaiting: true, delayMs: 0 } : event));
    const first = { source, sequence, key, attempts: 0, isWaiting: false, delayMs: 0, isDead: true } as const;
    return { ...state, parked: [first, ...waiting] };
  });
  tellWorkers(broker, consumer);
  return true;
}

async function discard(broker: Broker, { consumer, source, sequence }: EventNumber): Promise<boolean> {
  const letter = await readDeadLetter(broker, consumer, { source, sequence });
  if (letter === undefined) return false;
  await removeDeadLetters(broker, consumer, [letter]);
  return true;
}

/** Changes the record of a lane. The worker that has the lane can then acknowledge nothing until it has read the record again. */
async function changeLane(
  broker: Broker,
  { name, start }: ConsumerRecord,
  lane: number,
  change: (state: LaneState) => LaneState,
): Promise<void> {
  const subject = laneSubject(name, lane);
  for (;;) {
    const record = await readRecord<LaneState>(broker, subject);
    const state = record?.value ?? { owner: null, positions: start, parked: [] };
    if ((await writeRecord(broker, subject, change(state), record?.sequence ?? 0)) !== undefined) return;
  }
}

function tellWorkers(broker: Broker, consumer: string): void {
  broker.connection.publish(noticeSubject(consumer), JSON.stringify({ worker: 'operator', types: [], says: 'reload' }));
}

function unknownConsumer(consumer: string): SuiteError {
  return new SuiteError('EVENTS.UNKNOWN_CONSUMER', `The broker knows no consumer ${consumer}`, {
    kind: 'usage',
    why: 'No worker of the consumer has subscribed yet.',
    next: 'Correct the name, or start a worker of the consumer',
    meta: { consumer },
  });
}
