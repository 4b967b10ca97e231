import type { Logger } from '@azora/db-core';
import type { Bus } from '../bus';
import { BusTasks, connectionOf } from '../bus-tasks';
import { factsOf } from '../failure-text';
import { runRelay } from '../relay';
import { openWakeUp } from '../wake-up';
import { brokerConnection } from './broker';
import type { BrokerUrl } from './broker-url';
import { brokerError } from './errors';
import { natsLog } from './relay-log';
import { readNatsStatus } from './status';
import { runNatsSubscription } from './subscribe';

/** The most events that are handled in one transaction, and held in memory of each source. */
const DEFAULT_BATCH = 500;

interface Settings {
  readonly logger: Logger;
  readonly pollMs: number;
}

/** Opens the bus whose log is in the streams of a NATS server with JetStream. */
export function openNatsBus(url: BrokerUrl, { logger, pollMs }: Settings): Bus {
  const connection = brokerConnection(url);
  const tasks = new BusTasks();
  return {
    relay: (store, { service, signal }) =>
      tasks.run(signal, async (either) => {
        const wakeUp = openWakeUp(connectionOf(store.pool), 'outbox');
        const report = (error: unknown) =>
          logger.warn('the relay of an outbox waits until its database and the broker answer', {
            service,
            ...factsOf(error),
          });
        try {
          const task = { source: service, outbox: store.pool, log: natsLog(connection), wakeUp, pollMs, report };
          await runRelay({ ...task, signal: either });
        } finally {
          await wakeUp.close();
        }
      }),
    subscribe: (store, consumer, { signal, batch = DEFAULT_BATCH, from = 'start' }) =>
      tasks.run(signal, (either) => {
        const about = { consumer: consumer.name };
        return runNatsSubscription({
          ...{ connection, store, consumer, from, batch, signal: either },
          report: (error) =>
            logger.warn('a consumer waits until its database and the broker answer', { ...about, ...factsOf(error) }),
          reportFailure: ({ event, error }) =>
            logger.warn('a consumer failed to handle an event', {
              ...about,
              ...{ type: event.type, id: event.id, sequence: event.sequence },
              ...factsOf(error),
            }),
        });
      }),
    status: async () => {
      try {
        return await readNatsStatus(await connection.open());
      } catch (error) {
        throw brokerError(error);
      }
    },
    close: () => tasks.close(() => connection.close()),
  };
}
