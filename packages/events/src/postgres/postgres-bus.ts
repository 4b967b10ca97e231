import { type DatabaseUrl, type Logger, openPool, POOL_DEFAULTS, SuiteError, storeError } from '@azora/db-core';
import type { Pool } from 'pg';
import type { Bus, BusStatus } from '../bus';
import { runRelay } from '../relay';
import { openWakeUp, type WakeUp } from '../wake-up';
import { postgresLog } from './event-log';
import { readStatus } from './status';
import { runSubscription } from './subscribe';

const DEFAULT_BATCH = 500;

interface Settings {
  readonly logger: Logger;
  readonly pollMs: number;
}

/** Opens the bus whose log is in the database of nexus. */
export function openPostgresBus(url: DatabaseUrl, { logger, pollMs }: Settings): Bus {
  const pool = openPool(url, POOL_DEFAULTS);
  const closing = new AbortController();
  const running = new Set<Promise<void>>();
  let closed: Promise<void> | undefined;
  let eventsWakeUp: WakeUp | undefined;

  /** Runs until the caller's signal or `close`, and is waited for by `close`. */
  const run = (signal: AbortSignal, work: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    if (closing.signal.aborted) return Promise.reject(busClosed());
    const task = work(AbortSignal.any([signal, closing.signal])).finally(() => running.delete(task));
    running.add(task);
    return task;
  };

  return {
    relay: (store, { service, signal }) =>
      run(signal, async (either) => {
        const wakeUp = openWakeUp(connectionOf(store.pool), 'outbox');
        const report = (error: unknown) =>
          logger.warn('the relay of an outbox waits until the databases answer', { service, ...factsOf(error) });
        try {
          const task = { source: service, outbox: store.pool, log: postgresLog(pool), wakeUp, pollMs, report };
          await runRelay({ ...task, signal: either });
        } finally {
          await wakeUp.close();
        }
      }),
    subscribe: (store, consumer, { signal, batch = DEFAULT_BATCH, from = 'start' }) =>
      run(signal, (either) => {
        eventsWakeUp ??= openWakeUp({ connectionString: url.href }, 'events');
        const about = { consumer: consumer.name };
        return runSubscription({
          ...{ log: pool, store, consumer, from, batch, wakeUp: eventsWakeUp, pollMs, signal: either },
          report: (error) =>
            logger.warn('a consumer waits until the databases answer', { ...about, ...factsOf(error) }),
          reportFailure: ({ event, error }) =>
            logger.warn('a consumer failed to handle an event', {
              ...about,
              ...{ type: event.type, id: event.id, sequence: event.sequence },
              error,
            }),
        });
      }),
    status: (): Promise<BusStatus> =>
      readStatus(pool).catch((error: unknown): never => {
        throw storeError(error, {});
      }),
    close: () =>
      (closed ??= (async () => {
        closing.abort();
        await Promise.allSettled(running);
        await eventsWakeUp?.close();
        await pool.end();
      })()),
  };
}

/** The connection of a store's pool, for a connection beside the pool. */
function connectionOf(pool: Pool): { readonly connectionString?: string } {
  const { connectionString } = pool.options;
  return connectionString === undefined ? {} : { connectionString };
}

/** What the log of the process shows of an error: no values, no URL. */
function factsOf(error: unknown): Readonly<Record<string, unknown>> {
  const found = storeError(error, {});
  if (found instanceof SuiteError) return { code: found.code, message: found.message, why: found.why };
  return { error: found };
}

function busClosed(): SuiteError {
  return new SuiteError('EVENTS.BUS_CLOSED', 'The bus is closed', {
    kind: 'usage',
    why: 'Its close() was called.',
    next: 'Open another bus, or call close() after the last call has returned',
  });
}
