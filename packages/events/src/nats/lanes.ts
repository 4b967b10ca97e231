import { createHash } from 'node:crypto';
import type { Handled } from '@azora/db-core/events';
import { asToken } from './state';

/** What the broker knows of a consumer. */
export interface ConsumerRecord {
  readonly name: string;
  readonly types: readonly string[];
  readonly maxAttempts: number;
  /** The position in each stream in front of the first event. */
  readonly start: Readonly<Record<string, number>>;
}

/** A lane of a consumer: who has it, and how far it has come. One record, so that all of it changes together. */
export interface LaneState {
  readonly owner: string | null;
  /** By source, the number of the last event that was handled or parked. */
  readonly positions: Readonly<Record<string, number>>;
  /** In the order of their turns. */
  readonly parked: readonly ParkedEvent[];
}

/** An event that failed, or that waits behind one of its key that failed. */
export interface ParkedEvent {
  readonly source: string;
  readonly sequence: number;
  /** A hash of the key. */
  readonly key: string;
  readonly attempts: number;
  readonly isWaiting: boolean;
  /** The delay before the next attempt, from the time of the record. */
  readonly delayMs: number;
  /** Whether it was a dead letter, which holds its text. */
  readonly isDead?: true;
}

/** An event in the hands of a worker. */
export interface LaneEvent {
  readonly lane: number;
  readonly source: string;
  readonly sequence: number;
  readonly key: string;
  /** Absent for a new event. */
  readonly parked?: ParkedEvent;
}

/** What became of an event of a lane. */
export interface Outcome {
  readonly event: LaneEvent;
  readonly outcome: Handled['outcome'];
}

/** A lane after a batch, and the events that have had their last attempt. */
export interface Settled {
  readonly parked: readonly ParkedEvent[];
  readonly dead: readonly LaneEvent[];
  /** Dead letters that took effect after all. */
  readonly revived: readonly LaneEvent[];
}

/** A lane with this many parked events gets no new ones. */
export const MAX_PARKED = 2_000;
const LONGEST_DELAY_MS = 600_000;
const KEY_HASH_LENGTH = 16;

export function consumerSubject(name: string): string {
  return `consumer.${asToken(name)}`;
}

export function laneSubject(name: string, lane: number): string {
  return `lane.${asToken(name)}.${lane}`;
}

/** Where the dead letters of a consumer are. */
export function deadSubject(name: string, source: string, sequence: number): string {
  return `dead.${asToken(name)}.${source}.${sequence}`;
}

/** Parked events are recognized by the hash of their key, which is short however long the key is. */
export function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex').slice(0, KEY_HASH_LENGTH);
}

/** Identifies an event of a consumer. */
export function eventName({ source, sequence }: { readonly source: string; readonly sequence: number }): string {
  return `${source}:${sequence}`;
}

/**
 * Applies the outcomes of a batch to the parked events of a lane. A failed event gets a random delay, up to a limit that doubles
 * with each attempt. After its last attempt the next event of its key is due at once.
 */
export function settleLane(parked: readonly ParkedEvent[], outcomes: readonly Outcome[], maxAttempts: number): Settled {
  const open = new Map(parked.map((event) => [eventName(event), event]));
  const dead: LaneEvent[] = [];
  const revived: LaneEvent[] = [];
  for (const { event, outcome } of outcomes) {
    const name = eventName(event);
    const { source, sequence, key } = event;
    const before = event.parked ?? { source, sequence, key, attempts: 0, isWaiting: true, delayMs: 0 };
    if (outcome === 'behind') open.set(name, { ...before, isWaiting: true, delayMs: 0 });
    else if (outcome !== 'failed') {
      open.delete(name);
      if (before.isDead) revived.push(event);
    } else if (before.attempts + 1 >= maxAttempts) {
      open.delete(name);
      dead.push(event);
    } else {
      const attempts = before.attempts + 1;
      open.set(name, { ...before, attempts, isWaiting: false, delayMs: delayOf(attempts) });
    }
  }
  return { parked: withoutLeaderless([...open.values()]), dead, revived };
}

function delayOf(attempts: number): number {
  return Math.round(Math.random() * Math.min(2 ** Math.min(attempts, 20) * 1_000, LONGEST_DELAY_MS));
}

/** The first parked event of each key waits for nothing any more. */
function withoutLeaderless(parked: readonly ParkedEvent[]): readonly ParkedEvent[] {
  const led = new Set<string>();
  return parked.map((event) => {
    const isFirst = !led.has(event.key);
    led.add(event.key);
    return isFirst && event.isWaiting ? { ...event, isWaiting: false } : event;
  });
}
