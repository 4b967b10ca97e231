import type { Bell } from '../bell';
import type { Broker } from './broker';
import { hasTypes, sourcesOf } from './consumers';
import {
  type ConsumerRecord,
  consumerSubject,
  eventName,
  type LaneState,
  laneSubject,
  type ParkedEvent,
} from './lanes';
import { Peers } from './peers';
import { type StreamMessage, StreamReader } from './reader';
import { LeaseWatch, readRecord, writeRecord } from './state';
import { LANES } from './streams';

/** How long a worker has its lanes without a sign of life: then others handle their events. */
export const LANE_LEASE_MS = 30_000;
export const RENEW_MS = LANE_LEASE_MS / 3;
/** How often a worker asks for lanes that others still have. */
const STANDBY_MS = 1_000;

/** Another worker, or an operator, has changed the record of a lane. The worker begins again with what the records say. */
export class LanesLost extends Error {}

/** An operator has removed the consumer. The worker joins again, as a new consumer. */
export class ConsumerForgotten extends LanesLost {}

export interface LaneWorker {
  readonly consumer: { readonly name: string; readonly types: readonly string[] };
  readonly worker: string;
  /** The most messages that it holds of each source. */
  readonly most: number;
}

interface Held {
  readonly sequence: number;
  readonly state: LaneState;
}

/** The lanes of a worker, and what it reads of them. */
export class HeldLanes {
  readonly consumer: string;
  readonly #broker: Broker;
  readonly #worker: string;
  readonly #types: readonly string[];
  readonly #most: number;
  readonly #bell: Bell;
  readonly #peers: Peers;
  readonly #lanes = new Map<number, Held>();
  readonly #watches = Array.from({ length: LANES }, () => new LeaseWatch(LANE_LEASE_MS));
  readonly #due = new Map<string, number>();
  #readers: StreamReader[] = [];
  #balancedAt = Number.NEGATIVE_INFINITY;
  /** Whether others have lanes that are this worker's share. */
  #isWaiting = false;
  #renewing: Promise<void> = Promise.resolve();

  constructor(broker: Broker, { consumer, worker, most }: LaneWorker, bell: Bell) {
    this.consumer = consumer.name;
    this.#broker = broker;
    this.#worker = worker;
    this.#types = consumer.types;
    this.#most = most;
    this.#bell = bell;
    this.#peers = new Peers(broker, { consumer: consumer.name, worker, types: consumer.types }, LANE_LEASE_MS, bell);
  }

  held(): readonly number[] {
    return [...this.#lanes.keys()];
  }

  parkedIn(lane: number): readonly ParkedEvent[] {
    return this.#lanes.get(lane)?.state.parked ?? [];
  }

  /** Whether the worker has the lane, and the lane has not passed the event yet. */
  isNext(lane: number, source: string, sequence: number): boolean {
    const held = this.#lanes.get(lane);
    return held !== undefined && sequence > (held.state.positions[source] ?? 0);
  }

  /** Takes at most `most` messages of all sources. */
  takeMessages(most: number): readonly StreamMessage[] {
    const taken: StreamMessage[] = [];
    for (const reader of this.#readers) taken.push(...reader.take(most - taken.length));
    // Another source comes first the next time.
    this.#readers.push(...this.#readers.splice(0, 1));
    return taken;
  }

  /** Parked events whose delay is over, each with those of its key. */
  dueEvents(most: number): readonly { readonly lane: number; readonly parked: ParkedEvent }[] {
    const now = performance.now();
    const events: { readonly lane: number; readonly parked: ParkedEvent }[] = [];
    for (const lane of this.held()) {
      const parked = this.parkedIn(lane);
      const isDue = (event: ParkedEvent) => !event.isWaiting && (this.#due.get(nameOf(event)) ?? 0) <= now;
      for (const { key } of parked.filter(isDue)) {
        const ofKey = parked.filter((event) => event.key === key);
        events.push(...ofKey.slice(0, Math.max(most - events.length, 0)).map((event) => ({ lane, parked: event })));
      }
    }
    return events;
  }

  /** How long the worker may wait unless the bell rings. */
  waitMs(): number {
    const now = performance.now();
    const renewAt = this.#balancedAt + (this.#isWaiting ? STANDBY_MS : RENEW_MS);
    return Math.min(renewAt, ...this.#due.values()) - now;
  }

  /**
   * Takes this worker's share of the lanes and gives back what is not in it. Renews the leases when a third is over. Does nothing
   * while the workers stay the same.
   * @throws {LanesLost}, {@link ConsumerForgotten}
   */
  async balance(): Promise<void> {
    if (this.#peers.mustReload) throw new LanesLost();
    const isDue = performance.now() - this.#balancedAt >= (this.#isWaiting ? STANDBY_MS : RENEW_MS);
    if (!this.#peers.hasNews && !isDue) return;
    this.#peers.hasNews = false;
    await this.#renewing;
    const record = await readRecord<ConsumerRecord>(this.#broker, consumerSubject(this.consumer));
    if (record === undefined) throw new ConsumerForgotten();
    // A newer version of the consumer has the lanes.
    const isCurrent = hasTypes(record.value, this.#types);
    const live = this.#peers.live();
    const share = allLanes().filter((lane) => isCurrent && live[lane % live.length] === this.#worker);
    const before = this.held().join();
    for (const reader of this.#readers) await reader.skipOthers();
    const excess = this.held().filter((lane) => !share.includes(lane));
    await this.#writeAll(excess, (state) => ({ ...state, owner: null }));
    for (const lane of excess) this.#lanes.delete(lane);
    await this.#writeAll(this.held(), (state) => state);
    const missing = share.filter((lane) => !this.#lanes.has(lane));
    await Promise.all(missing.map((lane) => this.#take(lane, record.value.start)));
    this.#isWaiting = share.some((lane) => !this.#lanes.has(lane));
    this.#balancedAt = performance.now();
    this.#planParked();
    if (excess.length > 0) this.#peers.tell('free');
    if (this.held().join() !== before) await this.#openReaders();
  }

  /** Renews the leases beside a slow batch. */
  renewSoon(): void {
    this.#renewing = this.#renewing
      .then(() => this.#writeAll(this.held(), (state) => state, false))
      // An error shows itself in the acknowledgement.
      .catch(() => undefined);
  }

  /**
   * Records that everything that was taken is handled or parked.
   * @throws {LanesLost} if another worker or an operator has written one of the lanes
   */
  async write(settled: readonly { readonly lane: number; readonly parked: readonly ParkedEvent[] }[]): Promise<void> {
    await this.#renewing;
    const parked = new Map(settled.map((one) => [one.lane, one.parked]));
    await this.#writeAll([...parked.keys()], (state, lane) => ({ ...state, parked: parked.get(lane) ?? [] }));
    this.#planParked();
  }

  /** Gives all lanes back. */
  async release(): Promise<void> {
    await this.#renewing;
    await this.#writeAll(this.held(), (state) => ({ ...state, owner: null })).catch(() => undefined);
    this.#lanes.clear();
  }

  async close(): Promise<void> {
    this.#peers.close();
    await this.#closeReaders();
  }

  async #take(lane: number, start: Readonly<Record<string, number>>): Promise<void> {
    const subject = laneSubject(this.consumer, lane);
    const record = await readRecord<LaneState>(this.#broker, subject);
    const owner = record?.value.owner ?? null;
    if (record !== undefined && owner !== null && owner !== this.#worker) {
      if (!this.#watches[lane]?.hasLapsed(record.sequence)) return;
    }
    const state: LaneState = {
      owner: this.#worker,
      positions: { ...start, ...record?.value.positions },
      parked: record?.value.parked ?? [],
    };
    const sequence = await writeRecord(this.#broker, subject, state, record?.sequence ?? 0);
    if (sequence !== undefined) this.#lanes.set(lane, { sequence, state });
  }

  async #writeAll(
    lanes: readonly number[],
    change: (state: LaneState, lane: number) => LaneState,
    hasHandled = true,
  ): Promise<void> {
    const results = await Promise.all(
      lanes.map(async (lane) => {
        const held = this.#lanes.get(lane);
        if (held === undefined) return true;
        const positions = hasHandled ? this.#reached(held.state) : held.state.positions;
        const state = change({ ...held.state, positions }, lane);
        const sequence = await writeRecord(this.#broker, laneSubject(this.consumer, lane), state, held.sequence);
        if (sequence !== undefined) this.#lanes.set(lane, { sequence, state });
        return sequence !== undefined;
      }),
    );
    if (results.includes(false)) throw new LanesLost();
  }

  /** The positions of a lane when all that was taken is handled. */
  #reached({ positions }: LaneState): Readonly<Record<string, number>> {
    const reached = this.#readers.map(({ source, reached: at }) => [source, Math.max(at, positions[source] ?? 0)]);
    return { ...positions, ...Object.fromEntries(reached) };
  }

  /** Starts the delays of parked events that have none yet. */
  #planParked(): void {
    const now = performance.now();
    const before = new Map(this.#due);
    this.#due.clear();
    for (const event of this.held().flatMap((lane) => this.parkedIn(lane))) {
      if (!event.isWaiting) this.#due.set(nameOf(event), before.get(nameOf(event)) ?? now + event.delayMs);
    }
  }

  async #openReaders(): Promise<void> {
    await this.#closeReaders();
    const lanes = [...this.#lanes.values()];
    if (lanes.length === 0) return;
    for (const source of sourcesOf(this.#types)) {
      const after = Math.min(...lanes.map(({ state }) => state.positions[source] ?? 0));
      const types = this.#types.filter((type) => type.startsWith(`${source}.`));
      const reader = await StreamReader.open(this.#broker, { source, types, after, most: this.#most }, this.#bell);
      this.#readers.push(reader);
    }
  }

  async #closeReaders(): Promise<void> {
    const readers = this.#readers;
    this.#readers = [];
    await Promise.all(readers.map((reader) => reader.close()));
  }
}

function allLanes(): readonly number[] {
  return Array.from({ length: LANES }, (_, lane) => lane);
}

/** Each attempt has a delay of its own. */
function nameOf(event: ParkedEvent): string {
  return `${eventName(event)}#${event.attempts}`;
}
