import { randomUUID } from 'node:crypto';
import { isConnectionError } from '@azora/db-core';
import {
  type CloudEvent,
  type Consumer,
  type EventStore,
  type EventTransaction,
  type Handled,
  handleEvents,
} from '@azora/db-core/events';
import { Bell } from '../bell';
import { InboxPruner } from '../consuming';
import { describeFailure } from '../failure-text';
import { Outage } from '../pace';
import { type Batch, collectBatch } from './batch';
import type { Broker, BrokerConnection } from './broker';
import { joinConsumer } from './consumers';
import { putDeadLetters, removeDeadLetters } from './dead-letters';
import { brokerError } from './errors';
import { ConsumerForgotten, HeldLanes, LanesLost, RENEW_MS } from './held-lanes';
import { type Outcome, settleLane } from './lanes';

export interface NatsSubscriptionTask<Transaction extends EventTransaction> {
  readonly connection: BrokerConnection;
  readonly store: EventStore<Transaction>;
  readonly consumer: Consumer<Transaction>;
  readonly from: 'start' | 'now';
  /** The most events that the worker handles in one transaction, and holds of each source. */
  readonly batch: number;
  readonly signal: AbortSignal;
  /** Gets the first error of each outage. */
  readonly report: (error: unknown) => void;
  /** Gets each event that failed, with its error. */
  readonly reportFailure: (failure: Handled) => void;
}

/**
 * Handles the events of a consumer until the signal aborts. It then finishes its batch and gives its lanes back. It outlives every
 * loss of the broker and of the consumer's database.
 */
export async function runNatsSubscription<Transaction extends EventTransaction>(
  task: NatsSubscriptionTask<Transaction>,
): Promise<void> {
  const { connection, consumer, from, signal } = task;
  const worker = randomUUID();
  const outage = new Outage(task.report);
  let hasJoined = false;
  while (!signal.aborted) {
    const bell = new Bell();
    let lanes: HeldLanes | undefined;
    try {
      const broker = await connection.open();
      if (!hasJoined) await joinConsumer(broker, consumer, from);
      hasJoined = true;
      lanes = new HeldLanes(broker, { consumer, worker, most: task.batch }, bell);
      await new NatsWorker(task, broker, lanes, bell, outage).run();
      await lanes.release();
    } catch (error) {
      if (error instanceof ConsumerForgotten) hasJoined = false;
      if (!(error instanceof LanesLost)) await outage.wait(brokerError(error), signal);
    } finally {
      await lanes?.close();
    }
  }
}

/** A worker as long as nothing fails. */
class NatsWorker<Transaction extends EventTransaction> {
  readonly #task: NatsSubscriptionTask<Transaction>;
  readonly #broker: Broker;
  readonly #lanes: HeldLanes;
  readonly #bell: Bell;
  readonly #outage: Outage;
  readonly #inbox: InboxPruner<Transaction>;

  constructor(task: NatsSubscriptionTask<Transaction>, broker: Broker, lanes: HeldLanes, bell: Bell, outage: Outage) {
    this.#task = task;
    this.#broker = broker;
    this.#lanes = lanes;
    this.#bell = bell;
    this.#outage = outage;
    this.#inbox = new InboxPruner(task.store);
  }

  /** Returns when the signal aborts. */
  async run(): Promise<void> {
    const { signal, batch: most, consumer } = this.#task;
    while (!signal.aborted) {
      const heard = this.#bell.rings;
      await this.#lanes.balance();
      const batch = await collectBatch(this.#broker, this.#lanes, consumer.types, most);
      this.#outage.end();
      // Also while there is work: a busy consumer fills its inbox the most.
      await this.#inbox.prune();
      if (batch.isIdle) {
        await this.#bell.wait(heard, Math.max(this.#lanes.waitMs(), 1), signal);
      } else await this.#handle(batch);
    }
  }

  async #handle(batch: Batch): Promise<void> {
    const { store, consumer } = this.#task;
    // A slow batch must not lose its lanes.
    const renewal = setInterval(() => this.#lanes.renewSoon(), RENEW_MS);
    let handled: readonly Handled[];
    try {
      const events = batch.events.map(({ envelope }) => envelope);
      handled = events.length === 0 ? [] : await handleEvents(store, consumer, events);
    } finally {
      clearInterval(renewal);
    }
    const failures = handled.filter(({ outcome }) => outcome === 'failed');
    const outage = failures.find(({ error }) => isConnectionError(error));
    // The same events are read again. The inbox drops those that had their effect.
    if (outage !== undefined) throw outage.error;
    await this.#acknowledge(batch, handled);
    for (const failure of failures) this.#task.reportFailure(failure);
  }

  /** Records what became of a batch, after its transaction has committed. */
  async #acknowledge({ events, behind, unreadable }: Batch, handled: readonly Handled[]): Promise<void> {
    const { consumer } = this.#task;
    const envelopes = new Map<unknown, { readonly text: string; readonly error: string; readonly attempts: number }>();
    const outcomes: Outcome[] = events.map(({ event, envelope }, at) => {
      const { outcome = 'behind', error } = handled[at] ?? {};
      const attempts = (event.parked?.attempts ?? 0) + 1;
      envelopes.set(event, { text: textOf(envelope), error: describeFailure(error), attempts });
      return { event, outcome };
    });
    outcomes.push(...behind.map((event) => ({ event, outcome: 'behind' as const })));
    for (const { event, text } of unreadable) {
      envelopes.set(event, { text, error: 'EVENTS.INVALID_ENVELOPE', attempts: 1 });
    }
    const settled = this.#lanes.held().flatMap((lane) => {
      const own = outcomes.filter(({ event }) => event.lane === lane);
      const broken = unreadable.map(({ event }) => event).filter((event) => event.lane === lane);
      if (own.length + broken.length === 0) return [];
      const { parked, dead, revived } = settleLane(this.#lanes.parkedIn(lane), own, consumer.maxAttempts);
      const isBroken = new Set(broken.map(({ source, sequence }) => `${source}:${sequence}`));
      const left = parked.filter(({ source, sequence }) => !isBroken.has(`${source}:${sequence}`));
      return [{ lane, parked: left, dead: [...dead, ...broken], revived }];
    });
    const dead = settled.flatMap((lane) => lane.dead).map((event) => ({ event, ...envelopes.get(event) }));
    // Before the lane forgets them: if the worker dies in between, they are written again.
    await putDeadLetters(this.#broker, consumer.name, dead);
    await this.#lanes.write(settled);
    await removeDeadLetters(
      this.#broker,
      consumer.name,
      settled.flatMap((lane) => lane.revived),
    );
  }
}

function textOf(event: CloudEvent): string {
  return JSON.stringify(event);
}
