import { createHash } from 'node:crypto';
import type { Store } from '@azora/db-core';

type Pool = Store<unknown, unknown>['pool'];

const CHANNEL = 'debate_stream';

interface Waiter {
  readonly key: string;
  readonly wake: () => void;
}

/**
 * Wakes those who tail the events of a cycle. One connection listens for all of them while somebody waits. Where it cannot listen,
 * as behind a pooler, they wake after the poll interval; a lost connection wakes everybody at once, to look for what it missed.
 */
export class StreamFeed {
  readonly #pool: Pool;
  readonly #pollMs: number;
  readonly #waiters = new Set<Waiter>();
  #tails = 0;
  #listener: Promise<() => void> | undefined;

  constructor(pool: Pool, pollMs: number) {
    this.#pool = pool;
    this.#pollMs = pollMs;
  }

  /** Keeps the connection that listens until the returned function is called. */
  join(): () => void {
    this.#tails += 1;
    return () => {
      this.#tails -= 1;
      if (this.#tails === 0) this.close();
    };
  }

  /** Returns when the connection listens, or cannot. */
  async listen(): Promise<void> {
    this.#listener ??= this.#connect();
    await this.#listener;
  }

  /** Resolves when events of the cycle may have come, or the signal is aborted. Call it before looking for events. */
  changed(
    loopId: string,
    cycle: number,
    signal: AbortSignal | undefined,
  ): { readonly woken: Promise<void>; readonly stop: () => void } {
    const key = createHash('md5').update(`${loopId}/${cycle}`).digest('hex');
    let stop = () => {};
    const woken = new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        this.#waiters.delete(waiter);
        resolve();
      };
      const waiter = { key, wake };
      const timer = setTimeout(wake, this.#pollMs);
      stop = wake;
      this.#waiters.add(waiter);
      signal?.addEventListener('abort', wake, { once: true });
      if (signal?.aborted === true) wake();
    });
    return { woken, stop };
  }

  /** Stops listening and wakes everybody. */
  close(): void {
    const listener = this.#listener;
    this.#listener = undefined;
    void listener?.then((release) => release());
    this.#wake(() => true);
  }

  /** Returns what gives the connection back. */
  async #connect(): Promise<() => void> {
    try {
      const client = await this.#pool.connect();
      let isReleased = false;
      const release = () => {
        if (!isReleased) client.release(true);
        isReleased = true;
      };
      client.on('notification', ({ payload }) => this.#wake(({ key }) => key === payload));
      client.on('error', () => {
        if (!isReleased) this.#listener = undefined;
        release();
        this.#wake(() => true);
      });
      await client.query(`LISTEN ${CHANNEL}`).catch((error: unknown) => {
        release();
        throw error;
      });
      return release;
    } catch {
      // The caller's own statements report what is wrong with the database. Until the next look, the tails poll.
      this.#listener = undefined;
      return () => undefined;
    }
  }

  #wake(isMeant: (waiter: Waiter) => boolean): void {
    for (const waiter of [...this.#waiters]) if (isMeant(waiter)) waiter.wake();
  }
}
