import { runSagas } from '@azora/db-events';
import { openMint } from '@azora/mint';
import { Pool } from 'pg';
import { openNexus } from '../../../services/nexus/src';
import { type Point, purchaseSaga } from './purchase-saga';

/** What a worker in a process of its own is to do; the argument of the process, as JSON. */
export interface SagaJob {
  readonly nexus: string;
  readonly mint: string;
  readonly shop: string;
  readonly leaseMs: number;
  readonly concurrency: number;
  /** The point at which a saga stops for ever, by its key. The process prints each such key. */
  readonly stops: Readonly<Record<string, Point>>;
}

async function main(): Promise<void> {
  const job: SagaJob = JSON.parse(process.argv[3] ?? '');
  const nexus = openNexus({ url: job.nexus, slowQueryMs: 60_000 });
  const mint = openMint({ url: job.mint, slowQueryMs: 60_000 });
  const shop = new Pool({ connectionString: job.shop, max: 10 });
  // A connection that is cut while it is idle.
  shop.on('error', () => undefined);
  let points = 0;
  const saga = purchaseSaga(mint, shop, async (key, point) => {
    points += 1;
    // More than all the steps that run at a time, so some are recorded.
    if (points === 4 * job.concurrency) process.stdout.write('works\n');
    if (job.stops[key] !== point) return;
    process.stdout.write(`${key}\n`);
    await new Promise(() => {});
  });
  const stopping = new AbortController();
  process.on('SIGTERM', () => stopping.abort());
  await runSagas(nexus, [saga], {
    signal: stopping.signal,
    leaseMs: job.leaseMs,
    concurrency: job.concurrency,
    pollMs: 50,
    logger: { warn: () => undefined },
  });
  await Promise.all([nexus.close(), mint.close(), shop.end()]);
}

main().catch((error) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 1;
});
