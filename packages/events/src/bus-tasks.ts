import { SuiteError } from '@azora/db-core';
import type { Pool } from 'pg';

/** The relays and subscriptions of a bus that are running. */
export class BusTasks {
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<void>>();
  #closed: Promise<void> | undefined;

  /**
   * Runs until the caller's signal or `close`, and is waited for by `close`.
   * @throws {SuiteError} `EVENTS.BUS_CLOSED`
   */
  run(signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.reject(busClosed());
    const task = work(AbortSignal.any([signal, this.#closing.signal])).finally(() => this.#running.delete(task));
    this.#running.add(task);
    return task;
  }

  /** Ends all tasks, waits for them, then closes the connections. Only the first call does something. */
  close(closeConnections: () => Promise<void>): Promise<void> {
    this.#closed ??= (async () => {
      this.#closing.abort();
      await Promise.allSettled(this.#running);
      await closeConnections();
    })();
    return this.#closed;
  }
}

/** The connection of a store's pool, for a connection beside the pool. */
export function connectionOf(pool: Pool): { readonly connectionString?: string } {
  const { connectionString } = pool.options;
  return connectionString === undefined ? {} : { connectionString };
}

function busClosed(): SuiteError {
  return new SuiteError('EVENTS.BUS_CLOSED', 'The bus is closed', {
    kind: 'usage',
    why: 'Its close() was called.',
    next: 'Open another bus, or call close() after the last call has returned',
  });
}
