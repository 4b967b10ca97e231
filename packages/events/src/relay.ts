import { randomUUID } from 'node:crypto';
import { SuiteError } from '@azora/db-core';
import type { Pool } from 'pg';
import { isOnDisk, isQuiet, type OutboxEvent, type OutboxRead, readBacklog, readOutbox } from './outbox/read';
import { adoptOutbox, pruneOutbox, runningTransactions, setAsleep } from './outbox/relay-row';
import { type Cursor, partOf } from './outbox/snapshot';
import { Chore, Outage, Pace, waitFor } from './pace';
import type { WakeUp } from './wake-up';

/** Where relays append events. Each transport has one. */
export interface EventLog {
  /**
   * Makes `owner` the relay of a source, or renews its lease. Returns the cursor, which is empty if the identity
   * of the outbox has changed; undefined while another relay has the lease.
   */
  claim(source: string, owner: string, identity: string): Promise<Cursor | undefined>;
  /** Renews the lease of `owner`. Returns false while another relay has the lease. */
  renew(source: string, owner: string, identity: string): Promise<boolean>;
  /**
   * Appends events in their order and remembers the cursor, both or neither.
   * @throws {SuiteError} `EVENTS.LEASE_LOST` if another relay has taken the source
   */
  append(source: string, owner: string, cursor: Cursor, events: readonly OutboxEvent[]): Promise<void>;
  /** Gives the lease back. */
  release(source: string, owner: string): Promise<void>;
  /** Deletes events that nobody needs any more, a bounded number. Returns whether there are more. */
  prune(): Promise<boolean>;
}

/** How long a relay has a source without a sign of life. */
export const LEASE_MS = 30_000;
const RENEW_MS = LEASE_MS / 3;
/** How often a relay without the lease asks for it. */
const STANDBY_MS = 1_000;
const PRUNE_MS = 600_000;
/** The pause before more old events are deleted: what a busy outbox publishes in the meantime is less than one turn deletes. */
const PRUNE_AGAIN_MS = 500;

/** The most events in one append, and the least that make a backlog. */
const BATCH = 500;
/** A backlog is sorted anew after this time: the app role's transactions end after a minute. */
const BACKLOG_MS = 15_000;

/** The time between two reads of a busy outbox. */
const GATHER_MS = 5;
/** Without work for this long, the relay falls asleep. While it is not surely asleep, it reads at least this often. */
const AWAKE_POLL_MS = 500;
/** A relay that is surely asleep and hears notifications looks this many times more rarely. */
const ASLEEP_FACTOR = 30;
/** Notifications cost the writers more than polling costs the relay once this many reads in a row find events. */
const BUSY_READS = 3;

export interface RelayTask {
  readonly source: string;
  /** The pool of the service's store. */
  readonly outbox: Pool;
  readonly log: EventLog;
  readonly wakeUp: WakeUp;
  /** The longest wait between two reads when nothing wakes the relay. */
  readonly pollMs: number;
  readonly signal: AbortSignal;
  /** Gets the first error of each outage. */
  readonly report: (error: unknown) => void;
}

/**
 * Relays the events of an outbox until the signal aborts. It then finishes its batch and gives the lease back. While another
 * relay has the source, it waits. It outlives every loss of a database.
 */
export async function runRelay(task: RelayTask): Promise<void> {
  const { source, outbox, log, signal } = task;
  const owner = randomUUID();
  const outage = new Outage(task.report);
  while (!signal.aborted) {
    try {
      const identity = await adoptOutbox(outbox);
      const cursor = await log.claim(source, owner, identity);
      outage.end();
      if (cursor === undefined) await waitFor(STANDBY_MS, signal);
      else await new Relay(task, owner, identity, cursor).run();
    } catch (error) {
      if (signal.aborted || (error instanceof SuiteError && error.code === 'EVENTS.LEASE_LOST')) continue;
      await outage.wait(error, signal);
    }
  }
  // Best effort: without it, the lease ends by itself. The pool may give a connection that has just been lost, but not twice.
  const release = () => log.release(source, owner);
  await release()
    .catch(release)
    .catch(() => undefined);
}

/** The relay of one source as long as it has the lease and nothing fails. */
class Relay {
  readonly #task: RelayTask;
  readonly #owner: string;
  readonly #identity: string;
  readonly #pace = new Pace();
  #cursor: Cursor;
  #renewedAt = performance.now();
  readonly #pruning = new Chore(PRUNE_MS, PRUNE_AGAIN_MS);
  /** How many reads in a row have found events. */
  #busyReads = 0;
  /** Transactions that may publish without waking the relay; undefined while it is awake. */
  #unheard: ReadonlySet<string> | undefined;
  /** The notifications that the last read came after. */
  #heard: number | undefined;

  constructor(task: RelayTask, owner: string, identity: string, cursor: Cursor) {
    this.#task = task;
    this.#owner = owner;
    this.#identity = identity;
    this.#cursor = cursor;
  }

  /** Returns when the signal aborts or the lease is lost. */
  async run(): Promise<void> {
    const { outbox, signal, wakeUp } = this.#task;
    await setAsleep(outbox, false);
    while (!signal.aborted && (await this.#keepLease())) {
      const heard = wakeUp.rings();
      const found = (await this.#sleepsOn(heard)) ? 0 : await this.#relayOnce();
      this.#heard = heard;
      if (found > 0) await this.#stayAwake();
      if (found === 0) await this.#rest(heard, await this.#waitMs());
      // A busy outbox fills meanwhile, so that an append has more than one event.
      else if (found < BATCH) await waitFor(GATHER_MS, signal);
      await this.#prune();
    }
  }

  /** Whether the relay is surely asleep, was not woken since its last read, and has nothing to read. */
  async #sleepsOn(heard: number): Promise<boolean> {
    const isUndisturbed = this.#unheard?.size === 0 && this.#heard === heard;
    return isUndisturbed && (await isQuiet(this.#task.wakeUp, this.#cursor));
  }

  /** Relays what the outbox has. Returns the number of events. */
  async #relayOnce(): Promise<number> {
    const { outbox } = this.#task;
    const read = await readOutbox(outbox, this.#cursor, BATCH + 1);
    const { snapshot, events } = read;
    if (events.length > BATCH) {
      await this.#relayBacklog();
      return events.length;
    }
    const cursor: Cursor = { seen: snapshot, tick: null, tickPosition: null };
    if (events.length > 0) {
      await this.#waitForDisk(read);
      await this.#append(cursor, events);
    }
    // Without events, the old cursor is as good as one that is not safe.
    if (events.length > 0 || read.isFlushed) this.#cursor = cursor;
    return events.length;
  }

  /**
   * Waits until no crash of the server can undo what a snapshot sees, and give the ids of undone transactions to others, which the
   * snapshot would hide. Commits are on disk already, unless they were asynchronous.
   */
  async #waitForDisk({ isFlushed, written }: OutboxRead): Promise<void> {
    const { outbox, signal } = this.#task;
    // The next commit of any session writes it.
    const pace = new Pace(1);
    for (let isSafe = isFlushed; !isSafe && !signal.aborted; isSafe = await isOnDisk(outbox, written)) {
      await waitFor(pace.next(AWAKE_POLL_MS), signal);
    }
    signal.throwIfAborted();
  }

  async #relayBacklog(): Promise<void> {
    const { outbox, signal } = this.#task;
    const started = performance.now();
    let isSafe = false;
    for await (const read of readBacklog(outbox, this.#cursor, BATCH)) {
      const { snapshot, events, isLast } = read;
      if (!isSafe) await this.#waitForDisk(read);
      isSafe = true;
      const cursor = isLast
        ? { seen: snapshot, tick: null, tickPosition: null }
        : partOf(this.#cursor, snapshot, events.at(-1)?.position ?? '0');
      await this.#append(cursor, events);
      this.#cursor = cursor;
      await this.#prune();
      if (signal.aborted || performance.now() - started > BACKLOG_MS) return;
    }
  }

  async #append(cursor: Cursor, events: readonly OutboxEvent[]): Promise<void> {
    const { source, log } = this.#task;
    await log.append(source, this.#owner, cursor, events);
    this.#renewedAt = performance.now();
  }

  /** Waits for a notification or for the time, and keeps the lease meanwhile. */
  async #rest(heard: number, milliseconds: number): Promise<void> {
    const { wakeUp, signal } = this.#task;
    for (let left = milliseconds; left > 0 && wakeUp.rings() === heard && !signal.aborted; left -= RENEW_MS) {
      await wakeUp.wait(heard, Math.min(left, RENEW_MS), signal);
      if (!(await this.#keepLease())) return;
    }
  }

  /** Renews the lease when a third of it is over. Returns false if another relay has the source. */
  async #keepLease(): Promise<boolean> {
    if (performance.now() - this.#renewedAt < RENEW_MS) return true;
    const { source, log } = this.#task;
    if (!(await log.renew(source, this.#owner, this.#identity))) return false;
    this.#renewedAt = performance.now();
    return true;
  }

  async #stayAwake(): Promise<void> {
    this.#busyReads += 1;
    this.#pace.reset();
    if (this.#unheard === undefined || this.#busyReads < BUSY_READS) return;
    await setAsleep(this.#task.outbox, false);
    this.#unheard = undefined;
  }

  /** Falls asleep after some time without work, and returns how long to wait before the next read. */
  async #waitMs(): Promise<number> {
    const { outbox, wakeUp, pollMs } = this.#task;
    const awakeMs = Math.min(AWAKE_POLL_MS, pollMs);
    const isSlow = this.#pace.isSlow(awakeMs);
    const waitMs = this.#pace.next(awakeMs);
    if (!isSlow) return waitMs;
    this.#busyReads = 0;
    if (!wakeUp.isListening()) return pollMs;
    if (this.#unheard === undefined) {
      await setAsleep(outbox, true);
      this.#unheard = await runningTransactions(outbox);
      return 0;
    }
    if (this.#unheard.size === 0) return pollMs * ASLEEP_FACTOR;
    const running = await runningTransactions(outbox);
    this.#unheard = new Set([...this.#unheard].filter((id) => running.has(id)));
    // The last of them may have published after the read.
    return this.#unheard.size === 0 ? 0 : waitMs;
  }

  async #prune(): Promise<void> {
    await this.#pruning.doIfDue(async () => {
      const hasMore = await pruneOutbox(this.#task.outbox, this.#cursor.seen);
      // Only a read advances the cursor, and with it what the next call deletes.
      this.#heard = undefined;
      return (await this.#task.log.prune()) || hasMore;
    });
  }
}
