import { openAuth } from '@azora/auth';
import { type CloudEvent, defineConsumer, type EventTransaction } from '@azora/db-core/events';
import { openBus, startSaga } from '@azora/db-events';
import { openMint } from '@azora/mint';
import { Pool } from 'pg';
import { openNexus } from '../../../services/nexus/src';
import { openNotifications } from '../../../services/notification/src';
import { type Purchase, purchaseSaga, REQUESTED } from './purchase-saga';

/** The URLs of the app roles; the argument of the process, as JSON. */
export interface EventsJob {
  readonly auth: string;
  readonly nexus: string;
  readonly mint: string;
  readonly notification: string;
}

const RECEIVE = `INSERT INTO receipts AS r (transaction_id) VALUES ($1)
  ON CONFLICT (transaction_id) DO UPDATE SET count = r.count + 1`;

/** Small, so that a process that is killed soon has had some effects before. */
const BATCH = 20;

/** Relays the events of auth and mint, starts a saga for each requested purchase, and writes a receipt for each payment. */
async function main(): Promise<void> {
  const job: EventsJob = JSON.parse(process.argv[3] ?? '');
  const logger = { warn: () => undefined };
  const options = { slowQueryMs: 60_000, logger };
  const [auth, nexus] = [openAuth({ ...options, url: job.auth }), openNexus({ ...options, url: job.nexus })];
  const [mint, notification] = [
    openMint({ ...options, url: job.mint }),
    openNotifications({ ...options, url: job.notification }),
  ];
  const bus = openBus({ url: job.nexus, logger, pollMs: 50 });
  // The consumer only starts the saga; its steps run in other processes.
  const saga = purchaseSaga(mint, new Pool());
  let handled = 0;
  const reportWork = () => {
    handled += 1;
    // The events of the first batch are committed.
    if (handled === BATCH + 1) process.stdout.write('works\n');
  };
  const starter = defineConsumer({
    name: 'nexus.start-purchases',
    types: [REQUESTED],
    handle: async (tx, event: CloudEvent) => {
      reportWork();
      await startSaga(tx, saga, { key: event.subject, input: event.data as Purchase });
    },
  });
  const receiver = defineConsumer({
    name: 'notification.receipts',
    types: ['mint.transaction-posted.v1'],
    handle: async (tx: EventTransaction, event: CloudEvent) => {
      reportWork();
      const { transactionId, transactionType } = event.data as { transactionId: string; transactionType: string };
      if (transactionType === 'transfer') await tx.$queryRawUnsafe(RECEIVE, transactionId);
    },
  });
  const { signal } = new AbortController();
  await Promise.all([
    bus.relay(auth, { service: 'auth', signal }),
    bus.relay(mint, { service: 'mint', signal }),
    bus.subscribe(nexus, starter, { signal, batch: BATCH }),
    bus.subscribe(notification, receiver, { signal, batch: BATCH }),
  ]);
}

main().catch((error) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 1;
});
