import { randomUUID } from 'node:crypto';
import { type Environment, SuiteError } from '@azora/db-core';
import { type Broker, brokerConnection } from './broker';
import { parseBrokerUrl } from './broker-url';
import { sourcesOf } from './consumers';
import { type DeadLetter, listDeadLetters, readDeadLetter, removeDeadLetters } from './dead-letters';
import { brokerError } from './errors';
import { LANE_LEASE_MS } from './held-lanes';
import { type ConsumerRecord, consumerSubject, eventName, type LaneState, laneSubject } from './lanes';
import { noticeSubject } from './peers';
import { KEPT_MS, lastBefore } from './retention';
import { asToken, brokerTime, deleteRecord, listRecords, readRecord, type StateRecord, writeRecord } from './state';
import { type BrokerState, readBrokerState } from './status';
import { countAfter, ensureStateStream, eventFilter, eventStream, LANES } from './streams';

/** As long as inboxes remember events at least. */
const INBOX_KEPT_MS = 30 * 24 * 3_600_000;

/** Where a replay begins: behind a number in the stream of a source, or with the first event that was stored at a time. */
export type ReplayStart = { readonly source: string; readonly position: number } | { readonly time: Date };

/** An event of a consumer, as a dead letter names it. */
export interface EventNumber {
  readonly consumer: string;
  readonly source: string;
  readonly sequence: number;
}

/** What a replay would deliver. */
export interface BrokerReplay {
  /** By source, the number in front of the first event that is delivered again. */
  readonly positions: Readonly<Record<string, number>>;
  /** The events from there to the place that the consumer has reached, of the types that it handles. */
  readonly events: number;
  /** Parked events and dead letters from there on, which the replay forgets and delivers again. */
  readonly forgotten: number;
  /** Whether the broker has deleted events that the start may have meant: those before the positions. */
  readonly isCut: boolean;
  /** Events that are older than 30 days, which the inbox of the consumer may have forgotten. */
  readonly beyondInbox: number;
}

/** What an operator does with the consumers of a broker. The workers notice at once. */
export interface BrokerOperations {
  /** Reads how far relays and consumers have come. */
  readState(): Promise<BrokerState>;
  /**
   * Says what a replay would deliver again; changes nothing.
   * @throws {SuiteError} `EVENTS.UNKNOWN_CONSUMER`, `EVENTS.UNKNOWN_SOURCE`
   */
  planReplay(consumer: string, start: ReplayStart): Promise<BrokerReplay>;
  /**
   * Delivers the events again that follow a position. Parked events and dead letters behind it are forgotten, because they are
   * delivered again too. The inbox of the consumer drops events that had their effect.
   * @throws {SuiteError} `EVENTS.UNKNOWN_CONSUMER`, `EVENTS.UNKNOWN_SOURCE`
   */
  replay(consumer: string, start: ReplayStart): Promise<void>;
  /** Lists the dead letters that nobody has delivered again. */
  deadLetters(consumer: string): Promise<readonly DeadLetter[]>;
  /** Delivers a dead letter again, as if it had never failed. Returns whether there was one. */
  retryDeadLetter(event: EventNumber): Promise<boolean>;
  /** Gives a dead letter up. Returns whether there was one. */
  discardDeadLetter(event: EventNumber): Promise<boolean>;
  /**
   * Removes a consumer with its positions, its parked events and its dead letters. Returns false, and changes nothing, while it has
   * a worker with a lease.
   * @throws {SuiteError} `EVENTS.UNKNOWN_CONSUMER`
   */
  forget(consumer: string): Promise<boolean>;
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
      const broker = await connection.open();
      await ensureStateStream(broker);
      return await work(broker);
    } catch (error) {
      throw brokerError(error);
    }
  };
  return {
    readState: () => withBroker(readBrokerState),
    planReplay: (consumer, start) => withBroker((broker) => planReplay(broker, consumer, start)),
    replay: (consumer, start) => withBroker((broker) => replay(broker, consumer, start)),
    deadLetters: (consumer) => withBroker((broker) => openDeadLetters(broker, consumer)),
    retryDeadLetter: (event) => withBroker((broker) => retry(broker, event)),
    discardDeadLetter: (event) => withBroker((broker) => discard(broker, event)),
    forget: (consumer) => withBroker((broker) => forget(broker, consumer)),
    close: () => connection.close(),
  };
}

/** The positions in front of a start, and what they lead to. */
async function positionsOf(broker: Broker, name: string, start: ReplayStart) {
  const record = await readRecord<ConsumerRecord>(broker, consumerSubject(name));
  if (record === undefined) throw unknownConsumer(name);
  const known = sourcesOf(record.value.types);
  if ('source' in start && !known.includes(start.source)) throw unknownSource(name, start.source, known);
  const positions: Record<string, number> = {};
  const now = await brokerTime(broker);
  // Relays delete nothing that is younger, so a later time is never in front of what they have deleted.
  const recent = new Date(now.getTime() - KEPT_MS);
  let isCut = false;
  for (const source of 'source' in start ? [start.source] : known) {
    const { state } = await broker.streams.streams.info(eventStream(source));
    const position = 'time' in start ? await lastBefore(broker, eventStream(source), start.time) : start.position;
    const deleted = state.first_seq - 1;
    isCut ||= 'time' in start ? deleted > 0 && position <= deleted && start.time < recent : position < deleted;
    positions[source] = Math.min(Math.max(position, state.first_seq - 1, 0), state.last_seq);
  }
  const isReplayed = ({ source, sequence }: { readonly source: string; readonly sequence: number }) =>
    sequence > (positions[source] ?? Number.MAX_SAFE_INTEGER);
  return { consumer: record.value, positions, isCut, isReplayed, now };
}

async function planReplay(broker: Broker, name: string, start: ReplayStart): Promise<BrokerReplay> {
  const { consumer, positions, isCut, isReplayed, now } = await positionsOf(broker, name, start);
  const old = new Date(now.getTime() - INBOX_KEPT_MS);
  const lanes = await Promise.all(
    Array.from({ length: LANES }, (_, lane) => readRecord<LaneState>(broker, laneSubject(name, lane))),
  );
  let [events, beyondInbox] = [0, 0];
  for (const type of consumer.types) {
    const source = type.slice(0, type.indexOf('.'));
    const from = positions[source];
    if (from === undefined) continue;
    const forgettable = await lastBefore(broker, eventStream(source), old);
    for (const [lane, record] of lanes.entries()) {
      const reached = record?.value.positions[source] ?? consumer.start[source] ?? 0;
      const filter = eventFilter(source, [type]).replace('*', String(lane));
      const between = async (to: number) => {
        if (to <= from) return 0;
        const [all, later] = await Promise.all(
          [from, to].map((after) => countAfter(broker, source, { after, filter })),
        );
        return Math.max(0, (all ?? 0) - (later ?? 0));
      };
      events += await between(reached);
      beyondInbox += await between(Math.min(reached, forgettable));
    }
  }
  const parked = lanes.flatMap((record) => record?.value.parked ?? []).filter(isReplayed);
  const dead = (await openDeadLetters(broker, name)).filter(isReplayed);
  return { positions, events, forgotten: parked.length + dead.length, isCut, beyondInbox };
}

async function replay(broker: Broker, name: string, start: ReplayStart): Promise<void> {
  const { consumer, positions, isReplayed } = await positionsOf(broker, name, start);
  for (let lane = 0; lane < LANES; lane += 1) {
    await changeLane(broker, consumer, lane, (state) => ({
      ...state,
      positions: { ...state.positions, ...earlierOf({ ...consumer.start, ...state.positions }, positions) },
      parked: state.parked.filter((event) => !isReplayed(event)),
    }));
  }
  await removeDeadLetters(broker, name, (await listDeadLetters(broker, name)).filter(isReplayed));
  tellWorkers(broker, name);
}

/** By source, the earlier one of two positions: a replay skips nothing that a lane has not come to. */
function earlierOf(
  reached: Readonly<Record<string, number>>,
  positions: Readonly<Record<string, number>>,
): Readonly<Record<string, number>> {
  const sources = Object.entries(positions);
  return Object.fromEntries(sources.map(([source, position]) => [source, Math.min(position, reached[source] ?? 0)]));
}

/** A dead letter that is delivered again stays until it has its effect: its lane knows it. */
async function openDeadLetters(broker: Broker, name: string): Promise<readonly DeadLetter[]> {
  const letters = await listDeadLetters(broker, name);
  const revived = new Set<string>();
  for (const lane of new Set(letters.map((letter) => letter.lane))) {
    const record = await readRecord<LaneState>(broker, laneSubject(name, lane));
    for (const event of record?.value.parked ?? []) if (event.isDead) revived.add(eventName(event));
  }
  return letters.filter((letter) => !revived.has(eventName(letter)));
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

async function forget(broker: Broker, name: string): Promise<boolean> {
  if ((await readRecord(broker, consumerSubject(name))) === undefined) throw unknownConsumer(name);
  const now = await brokerTime(broker);
  const lanes = await Promise.all(
    Array.from({ length: LANES }, (_, lane) => readRecord<LaneState>(broker, laneSubject(name, lane))),
  );
  const isHeld = lanes.some((record) => record?.value.owner && now.getTime() - record.time.getTime() < LANE_LEASE_MS);
  if (isHeld || !(await takeLanes(broker, name, lanes))) return false;
  await removeDeadLetters(broker, name, await listDeadLetters(broker, name));
  // Without this record, workers take no lanes.
  await deleteRecord(broker, consumerSubject(name));
  for (const subject of await listRecords(broker, `lane.${asToken(name)}`)) await deleteRecord(broker, subject);
  tellWorkers(broker, name);
  return true;
}

/** Takes all lanes, so that no worker can begin. Returns false, and gives them back, if a worker takes one of them first. */
async function takeLanes(
  broker: Broker,
  name: string,
  lanes: readonly (StateRecord<LaneState> | undefined)[],
): Promise<boolean> {
  const owner = randomUUID();
  const states = lanes.map((record): LaneState => ({ positions: {}, parked: [], ...record?.value, owner }));
  const taken = await Promise.all(
    states.map((state, lane) => writeRecord(broker, laneSubject(name, lane), state, lanes[lane]?.sequence ?? 0)),
  );
  if (!taken.includes(undefined)) return true;
  await Promise.all(
    taken.map(async (sequence, lane) => {
      if (sequence === undefined) return;
      await writeRecord(broker, laneSubject(name, lane), { ...states[lane], owner: null }, sequence);
    }),
  );
  return false;
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

function unknownSource(consumer: string, source: string, known: readonly string[]): SuiteError {
  return new SuiteError('EVENTS.UNKNOWN_SOURCE', `${consumer} handles no events of ${source}`, {
    kind: 'usage',
    why: `Positions of a broker count the events of one service. The consumer handles events of ${known.join(', ')}.`,
    next: `Name a position such as ${known[0]}:1, or a time`,
    meta: { consumer, source },
  });
}

function unknownConsumer(consumer: string): SuiteError {
  return new SuiteError('EVENTS.UNKNOWN_CONSUMER', `The broker knows no consumer ${consumer}`, {
    kind: 'usage',
    why: 'No worker of the consumer has subscribed yet.',
    next: 'Correct the name, or start a worker of the consumer',
    meta: { consumer },
  });
}
