import { randomUUID } from 'node:crypto';
import { isConnectionError } from '@azora/db-core';
import {
  type Consumer,
  type EventStore,
  type EventTransaction,
  type Handled,
  handleEvents,
} from '@azora/db-core/events';
import type { Pool } from 'pg';
import { InboxPruner } from '../consuming';
import { describeFailure } from '../failure-text';
import { Outage, Pace } from '../pace';
import type { WakeUp } from '../wake-up';
import {
  type Acknowledgement,
  acknowledge,
  type Fetched,
  fetchEvents,
  joinSubscription,
  LANE_LEASE_MS,
  type Lanes,
  leaseLanes,
  leaveSubscription,
  type Worker,
} from './subscription';

const RENEW_MS = LANE_LEASE_MS / 3;
export interface SubscriptionTask<Transaction extends EventTransaction> {
  /** The database of the log. */
  readonly log: Pool;
  readonly store: EventStore<Transaction>;
  readonly consumer: Consumer<Transaction>;
  readonly from: 'start' | 'now';
  /** The most events that are handled in one transaction. The worker has at most the next batch in memory too. */
  readonly batch: number;
  readonly wakeUp: WakeUp;
  /** The longest wait between two looks at the log when nothing wakes the worker. */
  readonly pollMs: number;
  readonly signal: AbortSignal;
  /** Gets the first error of each outage. */
  readonly report: (error: unknown) => void;
  /** Gets each event that failed, with its error. */
  readonly reportFailure: (failure: Handled) => void;
}

/**
 * Handles the events of a consumer until the signal aborts. It then finishes its batch and gives its lanes back. It outlives every
 * loss of a database.
 */
export async function runSubscription<Transaction extends EventTransaction>(
  task: SubscriptionTask<Transaction>,
): Promise<void> {
  const { log, consumer, from, signal } = task;
  const worker: Worker = { subscription: consumer.name, worker: randomUUID(), types: consumer.types };
  const outage = new Outage(task.report);
  let hasJoined = false;
  while (!signal.aborted) {
    try {
      if (!hasJoined) await joinSubscription(log, worker, consumer.maxAttempts, from);
      hasJoined = true;
      await new SubscriptionWorker(task, worker, outage).run();
    } catch (error) {
      await outage.wait(error, signal);
    }
  }
  // Best effort: without it, the lease ends by itself.
  await leaveSubscription(log, worker).catch(() => undefined);
}

/** A worker as long as nothing fails. */
class SubscriptionWorker<Transaction extends EventTransaction> {
  readonly #task: SubscriptionTask<Transaction>;
  readonly #worker: Worker;
  readonly #outage: Outage;
  readonly #inbox: InboxPruner<Transaction>;
  readonly #pace = new Pace();
  #lanes: Lanes = new Map();
  #leasedAt = Number.NEGATIVE_INFINITY;

  constructor(task: SubscriptionTask<Transaction>, worker: Worker, outage: Outage) {
    this.#task = task;
    this.#worker = worker;
    this.#outage = outage;
    this.#inbox = new InboxPruner(task.store);
  }

  /** Returns when the signal aborts. */
  async run(): Promise<void> {
    const { log, batch, wakeUp, signal } = this.#task;
    while (!signal.aborted) {
      const heard = wakeUp.rings();
      if (this.#isLeaseOld()) await this.#claimLanes();
      const last = await this.#processFrom(await fetchEvents(log, this.#worker, batch));
      this.#outage.end();
      // Also while there is work: a busy consumer fills its inbox the most.
      await this.#inbox.prune();
      // Without success, others have not given their lanes back yet, or a newer version of the consumer has them.
      if (last.isUnbalanced && (await this.#claimLanes())) continue;
      if (isEmpty(last)) await this.#idle(heard, last.dueInMs);
      else this.#pace.reset();
    }
  }

  /**
   * Processes a batch, and those that follow while there is a backlog: the next one is fetched, and the last one acknowledged,
   * while one is handled. Returns the last batch.
   */
  async #processFrom(first: Fetched): Promise<Fetched> {
    let fetched = first;
    let acknowledged = Promise.resolve(true);
    for (;;) {
      const next = this.#hasBacklog(fetched) ? this.#fetchBehind(fetched) : undefined;
      const working = [this.#handle(fetched), next, acknowledged] as const;
      // Nothing is left running when one of them fails.
      await Promise.allSettled(working);
      const [outcomes, following, isHeld] = await Promise.all(working);
      acknowledged = this.#acknowledge(outcomes);
      // What failed holds back later events of its key, and a lane of another version was read from another position.
      const isOver = this.#task.signal.aborted || !isHeld || outcomes.failed.length > 0;
      if (following === undefined || isOver) {
        if (!(await acknowledged) || !isHeld) await this.#claimLanes();
        return fetched;
      }
      fetched = following;
    }
  }

  /** Fetches the batch that follows one that is not acknowledged. */
  #fetchBehind({ reached }: Fetched): Promise<Fetched> {
    const { log, batch } = this.#task;
    return fetchEvents(log, this.#worker, batch, { lanes: this.#lanes, reached });
  }

  /** Whether there may be more events than were fetched, and nothing to do before they are fetched. */
  #hasBacklog({ events, behind, isUnbalanced }: Fetched): boolean {
    const isFull = events.length >= this.#task.batch && behind.length === 0 && !events.some(({ isParked }) => isParked);
    return isFull && !isUnbalanced && !this.#isLeaseOld() && !this.#task.signal.aborted;
  }

  #isLeaseOld(): boolean {
    return performance.now() - this.#leasedAt >= RENEW_MS;
  }

  /** Waits until there may be events. */
  async #idle(heard: number, dueInMs: number | null): Promise<void> {
    const { wakeUp, pollMs } = this.#task;
    const longestMs = wakeUp.isListening() ? pollMs : this.#pace.next(pollMs);
    await this.#rest(heard, Math.max(Math.min(longestMs, dueInMs ?? longestMs), 1));
  }

  /** Waits for a notification or for the time, and keeps the lanes meanwhile. */
  async #rest(heard: number, milliseconds: number): Promise<void> {
    const { wakeUp, signal } = this.#task;
    for (let left = milliseconds; left > 0 && wakeUp.rings() === heard && !signal.aborted; left -= RENEW_MS) {
      await wakeUp.wait(heard, Math.min(left, RENEW_MS), signal);
      if (this.#isLeaseOld() && (await this.#claimLanes())) return;
    }
  }

  /** Returns whether the worker has other lanes than before. */
  async #claimLanes(): Promise<boolean> {
    const before = this.#lanes;
    this.#lanes = await leaseLanes(this.#task.log, this.#worker, true);
    this.#leasedAt = performance.now();
    return before.size !== this.#lanes.size || [...before].some(([lane, version]) => this.#lanes.get(lane) !== version);
  }

  /** Handles the events of a batch. Returns its acknowledgement. */
  async #handle({ events, behind, reached }: Fetched): Promise<Outcomes> {
    const { log, store, consumer } = this.#task;
    if (events.length === 0) return { ...NOTHING, behind, reached };
    // A slow batch must not lose its lanes. An error here shows itself in the acknowledgement.
    const renewal = setInterval(() => {
      leaseLanes(log, this.#worker, false).catch(() => undefined);
    }, RENEW_MS);
    try {
      const handled = await handleEvents(
        store,
        consumer,
        events.map(({ event }) => event),
      );
      const failures = handled.filter(({ outcome }) => outcome === 'failed');
      const outage = failures.find(({ error }) => isConnectionError(error));
      // The same events are fetched again. The inbox drops those that had their effect.
      if (outage !== undefined) throw outage.error;
      for (const failure of failures) this.#task.reportFailure(failure);
      return outcomesOf({ events, behind, reached }, handled);
    } finally {
      clearInterval(renewal);
    }
  }

  /** Returns false if the worker no longer has some of its lanes, or a replay has begun. Their events are fetched again. */
  async #acknowledge(outcomes: Outcomes): Promise<boolean> {
    const { done, failed, behind, reached } = outcomes;
    if (reached.size + done.length + failed.length + behind.length === 0) return true;
    const lanes = this.#lanes;
    const held = await acknowledge(this.#task.log, this.#worker, { ...outcomes, lanes });
    this.#outage.end();
    return held.size === lanes.size;
  }
}

/** The outcomes of a batch, as they are acknowledged. */
type Outcomes = Omit<Acknowledgement, 'lanes'>;

const NOTHING = { done: [], failed: [], behind: [] } as const;

function isEmpty({ events, behind }: Batch): boolean {
  return events.length === 0 && behind.length === 0;
}

/** The part of what was fetched that becomes an acknowledgement. */
type Batch = Pick<Fetched, 'events' | 'behind' | 'reached'>;

function outcomesOf({ events, behind, reached }: Batch, handled: readonly Handled[]): Outcomes {
  const done: string[] = [];
  const failed: { readonly position: string; readonly error: string }[] = [];
  const waiting = [...behind];
  for (const [index, { position, isParked }] of events.entries()) {
    const { outcome, error } = handled[index] ?? {};
    if (outcome === 'failed') failed.push({ position, error: describeFailure(error) });
    else if (outcome === 'behind') waiting.push(position);
    // A new event that took effect is in front of the position of its lane.
    else if (isParked) done.push(position);
  }
  return { reached, done, failed, behind: waiting };
}
