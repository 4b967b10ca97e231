import type { Broker } from './broker';
import { deadSubject, type LaneEvent } from './lanes';
import { asToken, deleteRecord, listRecords, putRecord, readRecord, type StateRecord } from './state';

/** An event that a consumer has given up. */
export interface DeadLetter {
  readonly consumer: string;
  readonly source: string;
  /** The number of the event in the stream of its source. */
  readonly sequence: number;
  readonly lane: number;
  /** The hash of the key of the event. */
  readonly key: string;
  /** The JSON of the CloudEvent; empty if the broker has lost it. */
  readonly event: string;
  readonly attempts: number;
  readonly error: string;
  /** When the last attempt failed, by the clock of the broker. */
  readonly failedAt: Date;
}

interface DeadEvent {
  readonly event: LaneEvent;
  readonly text?: string;
  readonly error?: string;
  readonly attempts?: number;
}

/** Writes dead letters to `azora-state.dead.<consumer>.<source>.<number>`. */
export async function putDeadLetters(broker: Broker, consumer: string, dead: readonly DeadEvent[]): Promise<void> {
  for (const { event, text = '', error = '', attempts = 0 } of dead) {
    const { source, sequence, lane, key } = event;
    const letter: Omit<DeadLetter, 'failedAt'> = {
      consumer,
      source,
      sequence,
      lane,
      key,
      event: text,
      attempts,
      error,
    };
    await putRecord(broker, deadSubject(consumer, source, sequence), letter);
  }
}

export async function removeDeadLetters(
  broker: Broker,
  consumer: string,
  events: readonly { readonly source: string; readonly sequence: number }[],
): Promise<void> {
  for (const { source, sequence } of events) await deleteRecord(broker, deadSubject(consumer, source, sequence));
}

export async function readDeadLetter(
  broker: Broker,
  consumer: string,
  { source, sequence }: { readonly source: string; readonly sequence: number },
): Promise<DeadLetter | undefined> {
  return letterOf(await readRecord<Omit<DeadLetter, 'failedAt'>>(broker, deadSubject(consumer, source, sequence)));
}

/** The dead letters of a consumer, by source and number. */
export async function listDeadLetters(broker: Broker, consumer: string): Promise<readonly DeadLetter[]> {
  const subjects = await listRecords(broker, `dead.${asToken(consumer)}`);
  const found = await Promise.all(subjects.map((subject) => readRecord<Omit<DeadLetter, 'failedAt'>>(broker, subject)));
  return found
    .flatMap((record) => letterOf(record) ?? [])
    .toSorted((one, other) => one.source.localeCompare(other.source) || one.sequence - other.sequence);
}

function letterOf(record: StateRecord<Omit<DeadLetter, 'failedAt'>> | undefined): DeadLetter | undefined {
  return record && { ...record.value, failedAt: record.time };
}
