import type { Broker } from './broker';
import { isMissing, isWrongSequence } from './errors';
import { STATE_STREAM } from './streams';

/** A record of the state stream: the last message of its subject. */
export interface StateRecord<Value> {
  /** The number of the message. Each write gives a later one, so it fences older writers. */
  readonly sequence: number;
  readonly value: Value;
  /** When the broker stored it, by its clock. */
  readonly time: Date;
}

/** A name such as `family.record` as one token of a subject. */
export function asToken(name: string): string {
  return name.replaceAll('.', '_');
}

/** Reads a record; undefined if it was never written. */
export async function readRecord<Value>(broker: Broker, subject: string): Promise<StateRecord<Value> | undefined> {
  try {
    const message = await broker.streams.streams.getMessage(STATE_STREAM, {
      last_by_subj: `${STATE_STREAM}.${subject}`,
    });
    return message === null ? undefined : { sequence: message.seq, value: message.json() as Value, time: message.time };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/**
 * Writes a record if nobody has written it since `expected`; 0 says that it does not exist. Returns its new number, and undefined
 * if another writer was first.
 */
export async function writeRecord(
  broker: Broker,
  subject: string,
  value: unknown,
  expected: number,
): Promise<number | undefined> {
  try {
    const { seq } = await broker.publisher.publish(`${STATE_STREAM}.${subject}`, JSON.stringify(value), {
      expect: { lastSubjectSequence: expected },
    });
    return seq;
  } catch (error) {
    if (isWrongSequence(error)) return undefined;
    throw error;
  }
}

/** Writes a record whatever it was before. */
export async function putRecord(broker: Broker, subject: string, value: unknown): Promise<number> {
  const { seq } = await broker.publisher.publish(`${STATE_STREAM}.${subject}`, JSON.stringify(value));
  return seq;
}

/** Deletes a record. */
export async function deleteRecord(broker: Broker, subject: string): Promise<void> {
  await broker.streams.streams.purge(STATE_STREAM, { filter: `${STATE_STREAM}.${subject}` });
}

/** The subjects of the records below a subject, such as `consumer`, without the name of the stream. */
export async function listRecords(broker: Broker, under: string): Promise<readonly string[]> {
  const { state } = await broker.streams.streams.info(STATE_STREAM, {
    subjects_filter: `${STATE_STREAM}.${under}.>`,
  });
  return Object.keys(state.subjects ?? {}).map((subject) => subject.slice(STATE_STREAM.length + 1));
}

/** The broker's clock. */
export async function brokerTime(broker: Broker): Promise<Date> {
  await putRecord(broker, 'clock', {});
  const record = await readRecord(broker, 'clock');
  if (record === undefined) throw new Error('A record that was just written is missing');
  return record.time;
}

/**
 * Finds out without a clock that the owner of a record is gone: a waiting process sees the same record for the time of a lease.
 */
export class LeaseWatch {
  readonly #leaseMs: number;
  #sequence = 0;
  #since = 0;

  constructor(leaseMs: number) {
    this.#leaseMs = leaseMs;
  }

  /** Whether the record has not changed for the time of a lease. */
  hasLapsed(sequence: number): boolean {
    if (sequence !== this.#sequence) {
      this.#sequence = sequence;
      this.#since = performance.now();
    }
    return performance.now() - this.#since >= this.#leaseMs;
  }
}
