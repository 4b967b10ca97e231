import { SuiteError } from '@azora/db-core';
import { toCloudEvent } from '@azora/db-core/events';
import type { MsgHdrs } from '@nats-io/transport-node';
import type { OutboxEvent } from '../outbox/read';
import { type Cursor, partOf } from '../outbox/snapshot';
import { type EventLog, LEASE_MS } from '../relay';
import type { Broker, BrokerConnection } from './broker';
import { brokerError, isMissing, isWrongSequence } from './errors';
import { pruneEvents } from './retention';
import { LeaseWatch, readRecord, writeRecord } from './state';
import { ensureEventStream, ensureStateStream, eventStream, eventSubject } from './streams';

/** Which relay has a source. */
interface SourceRecord {
  readonly owner: string | null;
}

/** The headers of an event that hold the cursor of its relay. */
const HEADER = {
  identity: 'Azora-Identity',
  seen: 'Azora-Seen',
  tick: 'Azora-Tick',
  tickPosition: 'Azora-Tick-Position',
} as const;

/** The bytes of the events that are on their way to the broker at the same time. */
const WINDOW_BYTES = 4_194_304;
const WINDOW_EVENTS = 500;
/** What an event has beside its texts: the names of attributes and headers, ids, numbers, and the frame on disk. */
const ENVELOPE_BYTES = 1_000;

/**
 * The log in a stream of JetStream, one for each source. Each event is published on the condition that the stream ends with the
 * event before it. So an event that is lost or refused keeps all later ones out, and so does another relay. The headers of an
 * event hold the cursor: cursor and event are one message.
 */
export function natsLog(connection: BrokerConnection): EventLog {
  const log = new StreamLog(connection);
  const translated =
    <Arguments extends readonly unknown[], Result>(work: (...values: Arguments) => Promise<Result>) =>
    (...values: Arguments): Promise<Result> =>
      work(...values).catch((error: unknown): never => {
        throw brokerError(error);
      });
  return {
    claim: translated((source, owner, identity) => log.claim(source, owner, identity)),
    renew: translated(async (source, owner, identity) => (await log.claim(source, owner, identity)) !== undefined),
    append: translated((source, _owner, cursor, events) => log.append(source, cursor, events)),
    release: translated((source, owner) => log.release(source, owner)),
    prune: translated(() => log.prune()),
  };
}

/** The end of a stream, as its relay knows it. */
interface StreamEnd {
  readonly identity: string;
  readonly sequence: number;
  readonly cursor: Cursor;
}

class StreamLog {
  readonly #connection: BrokerConnection;
  readonly #watch = new LeaseWatch(LEASE_MS);
  #source: string | undefined;
  /** Unknown before the first claim and after a failed append. */
  #end: StreamEnd | undefined;

  constructor(connection: BrokerConnection) {
    this.#connection = connection;
  }

  async claim(source: string, owner: string, identity: string): Promise<Cursor | undefined> {
    const broker = await this.#connection.open();
    if (this.#source === undefined) {
      await ensureStateStream(broker);
      await ensureEventStream(broker, source);
      this.#source = source;
    }
    const record = await readRecord<SourceRecord>(broker, `source.${source}`);
    const isOthers = record !== undefined && record.value.owner !== null && record.value.owner !== owner;
    if (isOthers && !this.#watch.hasLapsed(record.sequence)) return undefined;
    const held: SourceRecord = { owner };
    if ((await writeRecord(broker, `source.${source}`, held, record?.sequence ?? 0)) === undefined) return undefined;
    // A relay that renews its lease knows the end. If it read the end again, it would take over events of another relay.
    if (this.#end?.identity !== identity) this.#end = await readEnd(broker, source, identity);
    return this.#end.cursor;
  }

  async append(source: string, cursor: Cursor, events: readonly OutboxEvent[]): Promise<void> {
    const end = this.#end;
    if (end === undefined) throw leaseLost(source);
    this.#end = undefined;
    const broker = await this.#connection.open();
    const foreign = events.find(({ type }) => !type.startsWith(`${source}.`));
    const own = foreign === undefined ? events : events.slice(0, events.indexOf(foreign));
    const messages = own.map((event, at) => ({
      event,
      cursor: at === events.length - 1 ? cursor : cursorAt(end.cursor, cursor, event.position),
    }));
    const { headers } = await import('@nats-io/transport-node');
    let { sequence } = end;
    for (const window of windowsOf(messages)) {
      const fitting = await fittingPart(broker, source, window);
      sequence = await publishWindow(broker, source, fitting, sequence, (at) => headersOf(headers(), end.identity, at));
      if (fitting.length < window.length) throw streamFull(source);
    }
    if (foreign !== undefined) throw foreignType(source, foreign);
    this.#end = { identity: end.identity, sequence, cursor };
  }

  async release(source: string, owner: string): Promise<void> {
    const broker = await this.#connection.open();
    const record = await readRecord<SourceRecord>(broker, `source.${source}`);
    if (record?.value.owner !== owner) return;
    const free: SourceRecord = { owner: null };
    await writeRecord(broker, `source.${source}`, free, record.sequence);
  }

  async prune(): Promise<boolean> {
    if (this.#source !== undefined) await pruneEvents(await this.#connection.open(), this.#source);
    return false;
  }
}

interface Message {
  readonly event: OutboxEvent;
  /** The cursor when this event was published and none after it. */
  readonly cursor: Cursor;
}

/** The cursor in the middle of a batch. */
function cursorAt(before: Cursor, after: Cursor, position: string): Cursor {
  const snapshot = after.tick ?? after.seen;
  // A backlog that is read again has not reached the old position: the relay has kept the old cursor.
  if (snapshot === null || after === before) return before;
  return partOf(before, snapshot, position);
}

/** Divides messages into parts that are on their way at the same time. */
function* windowsOf(messages: readonly Message[]): Generator<readonly Message[]> {
  let window: Message[] = [];
  let bytes = 0;
  for (const message of messages) {
    bytes += message.event.payload.length;
    if (window.length === WINDOW_EVENTS || (window.length > 0 && bytes > WINDOW_BYTES)) {
      yield window;
      window = [];
      bytes = message.event.payload.length;
    }
    window.push(message);
  }
  if (window.length > 0) yield window;
}

/**
 * The events at the beginning of a window for which the stream has room. The broker must not find out itself: nats-server 2.9
 * compares less than the size on disk with `max_bytes`, accepts the event, and then deletes the oldest one.
 */
async function fittingPart(broker: Broker, source: string, window: readonly Message[]): Promise<readonly Message[]> {
  const { config, state } = await broker.streams.streams.info(eventStream(source));
  if (config.max_bytes <= 0) return window;
  let room = config.max_bytes - state.bytes;
  const tooMany = window.findIndex((message) => {
    room -= sizeAtMost(message);
    return room < 0;
  });
  return tooMany === -1 ? window : window.slice(0, tooMany);
}

/** More bytes than a message has on the disk of the broker. JSON writes a character of the key as six bytes at most, twice. */
function sizeAtMost({ event, cursor }: Message): number {
  const { payload, key, type } = event;
  const { seen, tick } = cursor;
  const texts = Buffer.byteLength(payload) + 12 * Buffer.byteLength(key) + 3 * type.length;
  return texts + (seen?.length ?? 0) + (tick?.length ?? 0) + ENVELOPE_BYTES;
}

/** Publishes events behind the message with the number `end`, and returns the number of the last one. */
async function publishWindow(
  broker: Broker,
  source: string,
  window: readonly Message[],
  end: number,
  headersFor: (cursor: Cursor) => MsgHdrs,
): Promise<number> {
  let [sequence, rest] = [end, window];
  while (rest.length > 0) {
    const base = sequence;
    const answers = await Promise.allSettled(
      rest.map(({ event, cursor }, at) =>
        broker.publisher.publish(eventSubject(source, event.key, event.type), envelope(source, event, base + at + 1), {
          msgID: event.id,
          headers: headersFor(cursor),
          expect: { lastSequence: base + at },
        }),
      ),
    );
    const failed = answers.findIndex(({ status }) => status === 'rejected');
    const stored = failed === -1 ? answers : answers.slice(0, failed);
    const values = stored.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
    sequence = values.filter(({ duplicate }) => !duplicate).at(-1)?.seq ?? sequence;
    if (failed === -1) return sequence;
    const { reason } = answers[failed] as PromiseRejectedResult;
    // The stream has an event already, for example of an outbox that was restored: it does not grow, and the next number is not
    // the expected one.
    const hasDuplicates = values.some(({ duplicate }) => duplicate);
    if (!isWrongSequence(reason)) throw reason;
    if (!hasDuplicates) throw leaseLost(source);
    rest = rest.slice(failed);
  }
  return sequence;
}

function envelope(source: string, event: OutboxEvent, sequence: number): string {
  const { id, type, key, payload, traceParent, time } = event;
  const data: unknown = JSON.parse(payload);
  return JSON.stringify(
    toCloudEvent({
      id,
      source,
      type,
      key,
      data,
      traceParent,
      time: new Date(time).toISOString(),
      position: String(sequence),
    }),
  );
}

function headersOf(headers: MsgHdrs, identity: string, { seen, tick, tickPosition }: Cursor): MsgHdrs {
  headers.set('Content-Type', 'application/cloudevents+json');
  headers.set(HEADER.identity, identity);
  if (seen !== null) headers.set(HEADER.seen, seen);
  if (tick !== null) headers.set(HEADER.tick, tick);
  if (tickPosition !== null) headers.set(HEADER.tickPosition, tickPosition);
  return headers;
}

/** The cursor that the last event of a stream holds, with the outbox that it is of; all null without an event. */
export interface OutboxCursor extends Cursor {
  readonly identity: string | null;
}

/** Reads the cursor of the relay of a source. */
export async function readCursor(broker: Broker, source: string): Promise<OutboxCursor> {
  const wanted = { last_by_subj: `azora.${source}.>` };
  const last = await broker.streams.streams.getMessage(eventStream(source), wanted).catch((error) => {
    if (isMissing(error)) return null;
    throw error;
  });
  const read = (header: string) => last?.header.get(header) || null;
  return {
    identity: read(HEADER.identity),
    seen: read(HEADER.seen),
    tick: read(HEADER.tick),
    tickPosition: read(HEADER.tickPosition),
  };
}

/** Reads the last event of a stream. If the outbox is another one, it is read from its beginning. */
async function readEnd(broker: Broker, source: string, identity: string): Promise<StreamEnd> {
  const { state } = await broker.streams.streams.info(eventStream(source));
  const { identity: known, ...found } = await readCursor(broker, source);
  const cursor: Cursor = known === identity ? found : { seen: null, tick: null, tickPosition: null };
  // If another relay has appended between the two reads, the older number keeps this one from appending.
  return { identity, sequence: state.last_seq, cursor };
}

function leaseLost(source: string): SuiteError {
  return new SuiteError('EVENTS.LEASE_LOST', `Another relay has taken the outbox of ${source}`, {
    why: 'The stream of the source has events that this relay did not publish.',
    next: 'Let the other relay work; this one waits until the lease is free',
    meta: { source },
  });
}

function streamFull(source: string): SuiteError {
  return new SuiteError('EVENTS.BROKER_FULL', 'The broker cannot store more events', {
    why: `The stream ${eventStream(source)} has reached its max_bytes. Events stay in their outbox until it has room.`,
    next: 'Raise max_bytes of the stream with "nats stream edit"',
    meta: { source },
  });
}

function foreignType(source: string, { id, type }: OutboxEvent): SuiteError {
  return new SuiteError('EVENTS.FOREIGN_TYPE', `The outbox of ${source} holds an event of the type ${type}`, {
    kind: 'bug',
    why: `The type belongs to another service, whose stream only that service's relay may extend. The relay stops in front of the event.`,
    next: `Declare the type in ${source}, and delete the event ${id} from the outbox`,
    meta: { source, type, id },
  });
}
