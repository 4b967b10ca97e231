import { type DatabaseUrl, type Logger, openPool, POOL_DEFAULTS, storeError } from '@azora/db-core';
import type { Bus, BusStatus } from '../bus';
import { BusTasks, connectionOf } from '../bus-tasks';
import { factsOf } from '../failure-text';
import { runRelay } from '../relay';
import { openWakeUp, type WakeUp } from '../wake-up';
import { postgresLog } from './event-log';
import { readStatus } from './status';
import { runSubscription } from './subscribe';

const DEFAULT_BATCH = 500;
/** Longer than the time between two renewals of a lease, so that idle relays need not connect for each. */
const IDLE_TIMEOUT_MS = 60_000;

interface Settings {
  readonly logger: Logger;
  readonly pollMs: number;
}

/** Opens the bus whose log is in the database of nexus. */
export function openPostgresBus(url: DatabaseUrl, { logger, pollMs }: Settings): Bus {
  const pool = openPool(url, { ...POOL_DEFAULTS, idleTimeoutMs: IDLE_TIMEOUT_MS });
  const log = postgresLog(pool);
  const tasks = new BusTasks();
  let eventsWakeUp: WakeUp | undefined;

  return {
    relay: (store, { service, signal }) =>
      tasks.run(signal, async (either) => {
        const wakeUp = openWakeUp(connectionOf(store.pool), 'outbox');
        const report = (error: unknown) =>
          logger.warn('the relay of an outbox waits until the databases answer', { service, ...factsOf(error) });
        try {
          const task = { source: service, outbox: store.pool, log, wakeUp, pollMs, report };
          await runRelay({ ...task, signal: either });
        } finally {
          await wakeUp.close();
        }
      }),
    subscribe: (store, consumer, { signal, batch = DEFAULT_BATCH, from = 'start' }) =>
      tasks.run(signal, (either) => {
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
              ...factsOf(error),
            }),
        });
      }),
    status: (): Promise<BusStatus> =>
      readStatus(pool).catch((error: unknown): never => {
        throw storeError(error, {});
      }),
    close: () =>
      tasks.close(async () => {
        await eventsWakeUp?.close();
        await pool.end();
      }),
  };
}
