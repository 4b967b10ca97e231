import { randomUUID } from 'node:crypto';
import {
  type Consumer,
  type EventStore,
  type EventTransaction,
  type Handled,
  handleEvents,
} from '@azora/db-core/events';
import type { Pool } from 'pg';
import { InboxPruner, isOutage } from '../consuming';
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
  /** The most events that the worker has in memory. */
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
      if (performance.now() - this.#leasedAt >= RENEW_MS) await this.#claimLanes();
      const fetched = await fetchEvents(log, this.#worker, batch);
      const isIdle = await this.#process(fetched);
      this.#outage.end();
      // Also while there is work: a busy consumer fills its inbox the most.
      await this.#inbox.prune();
      // Without success, others have not given their lanes back yet, or a newer version of the consumer has them.
      if (fetched.isUnbalanced && (await this.#claimLanes())) continue;
      if (isIdle) await this.#idle(heard, fetched.dueInMs);
      else this.#pace.reset();
    }
  }

  /** Handles what was fetched. Returns whether there was no event. */
  async #process(fetched: Fetched): Promise<boolean> {
    const isIdle = fetched.events.length === 0 && fetched.behind.length === 0;
    if (!isIdle) await this.#handle(fetched);
    else if (fetched.reached.size > 0) await this.#acknowledge({ ...NOTHING, reached: fetched.reached });
    return isIdle;
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
      if (performance.now() - this.#leasedAt >= RENEW_MS && (await this.#claimLanes())) return;
    }
  }

  /** Returns whether the worker has other lanes than before. */
  async #claimLanes(): Promise<boolean> {
    const before = this.#lanes;
    this.#lanes = await leaseLanes(this.#task.log, this.#worker, true);
    this.#leasedAt = performance.now();
    return before.size !== this.#lanes.size || [...before].some(([lane, version]) => this.#lanes.get(lane) !== version);
  }

  async #handle({ events, behind, reached }: Fetched): Promise<void> {
    const { log, store, consumer } = this.#task;
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
      const outage = failures.find(({ error }) => isOutage(error));
      // The same events are fetched again. The inbox drops those that had their effect.
      if (outage !== undefined) throw outage.error;
      const outcomes = handled.map((one, index) => ({ ...one, fetched: events[index] }));
      const positions = (...wanted: readonly Handled['outcome'][]) =>
        outcomes.flatMap(({ outcome, fetched }) => (fetched && wanted.includes(outcome) ? [fetched] : []));
      await this.#acknowledge({
        reached,
        done: positions('done', 'repeated').flatMap(({ isParked, position }) => (isParked ? [position] : [])),
        failed: outcomes.flatMap(({ outcome, fetched, error }) =>
          fetched && outcome === 'failed' ? [{ position: fetched.position, error: describeFailure(error) }] : [],
        ),
        behind: [...positions('behind').map(({ position }) => position), ...behind],
      });
      for (const failure of failures) this.#task.reportFailure(failure);
    } finally {
      clearInterval(renewal);
    }
  }

  async #acknowledge(acknowledgement: Omit<Acknowledgement, 'lanes'>): Promise<void> {
    const held = await acknowledge(this.#task.log, this.#worker, { ...acknowledgement, lanes: this.#lanes });
    // Another worker has some of the lanes, or a replay has begun: their events are fetched again under the new version.
    if (held.size < this.#lanes.size) await this.#claimLanes();
  }
}

const NOTHING = { done: [], failed: [], behind: [] } as const;
