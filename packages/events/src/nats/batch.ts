import { type CloudEvent, readCloudEvent } from '@azora/db-core/events';
import type { Broker } from './broker';
import { readDeadLetter } from './dead-letters';
import { isMissing } from './errors';
import type { HeldLanes } from './held-lanes';
import { hashOf, type LaneEvent, MAX_PARKED, type ParkedEvent } from './lanes';
import type { StreamMessage } from './reader';
import { eventStream } from './streams';

/** What a worker does next. */
export interface Batch {
  /** Parked events that are due, each with those of its key that waited behind it, then new events. */
  readonly events: readonly BatchEvent[];
  /** New events whose key has a parked event: they wait behind it. */
  readonly behind: readonly LaneEvent[];
  /** Messages in another format, and parked events that the broker has lost. */
  readonly unreadable: readonly { readonly event: LaneEvent; readonly text: string }[];
  /** Whether nothing was there, not even events of others. */
  readonly isIdle: boolean;
}

export interface BatchEvent {
  readonly event: LaneEvent;
  readonly envelope: CloudEvent;
}

/** Collects at most `most` events of the lanes of a worker. */
export async function collectBatch(
  broker: Broker,
  lanes: HeldLanes,
  types: readonly string[],
  most: number,
): Promise<Batch> {
  const events: BatchEvent[] = [];
  const behind: LaneEvent[] = [];
  const unreadable: { event: LaneEvent; text: string }[] = [];
  const add = (event: LaneEvent, text: string) => {
    try {
      // The number in the stream is the one that a replay names.
      events.push({ event, envelope: { ...readCloudEvent(text), sequence: String(event.sequence) } });
    } catch {
      unreadable.push({ event, text });
    }
  };
  const due = lanes.dueEvents(most);
  const texts = await Promise.all(due.map(({ parked }) => readParked(broker, lanes.consumer, parked)));
  for (const [at, { lane, parked }] of due.entries()) {
    const { source, sequence, key } = parked;
    add({ lane, source, sequence, key, parked }, texts[at] ?? '');
  }
  const dueKeys = new Set(due.map(({ lane, parked }) => `${lane}:${parked.key}`));
  const parkedKeys = new Set(lanes.held().flatMap((lane) => lanes.parkedIn(lane).map(({ key }) => `${lane}:${key}`)));
  const taken = takeNew(lanes, most - due.length);
  for (const { source, sequence, lane, type, text } of taken) {
    if (!lanes.isNext(lane, source, sequence) || !types.includes(type)) continue;
    const key = hashOf(subjectOf(text));
    const event: LaneEvent = { lane, source, sequence, key };
    const name = `${lane}:${key}`;
    if (parkedKeys.has(name) && !dueKeys.has(name)) behind.push(event);
    else add(event, text);
  }
  return { events, behind, unreadable, isIdle: taken.length + due.length === 0 };
}

/** Takes new messages, unless a lane has as many parked events as its record may hold. */
function takeNew(lanes: HeldLanes, most: number): readonly StreamMessage[] {
  const isFull = lanes.held().some((lane) => lanes.parkedIn(lane).length >= MAX_PARKED);
  return isFull || most <= 0 ? [] : lanes.takeMessages(most);
}

/** The key of an event; empty for a message in another format. */
function subjectOf(text: string): string {
  try {
    return readCloudEvent(text).subject;
  } catch {
    return '';
  }
}

async function readParked(broker: Broker, consumer: string, parked: ParkedEvent): Promise<string | undefined> {
  if (parked.isDead) return (await readDeadLetter(broker, consumer, parked))?.event;
  try {
    const message = await broker.streams.streams.getMessage(eventStream(parked.source), { seq: parked.sequence });
    return message?.string();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
