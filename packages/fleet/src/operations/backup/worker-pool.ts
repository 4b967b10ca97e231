import os from 'node:os';
import type { Client } from 'pg';

/** A table of this size is worth another session. */
const LARGE_BYTES = 16 * 1024 * 1024;
const MOST_WORKERS = Math.min(4, Math.max(2, os.availableParallelism()));

/** Runs `work` with a session that it opened, and closes it afterwards. */
export type Worker = (work: (client: Client) => Promise<void>) => Promise<void>;

/** The number of sessions that are worth their start for tables of these sizes. */
export function workersFor(sizes: readonly number[]): number {
  return Math.max(1, Math.min(MOST_WORKERS, sizes.filter((bytes) => bytes >= LARGE_BYTES).length));
}

/**
 * Gives each item, in order, to the next free worker. After a failure no further item is started. The promise settles
 * when all workers have ended, because one that continued would write into files or databases that are being removed.
 */
export async function runInPool<Item>(
  items: readonly Item[],
  workers: readonly Worker[],
  signal: AbortSignal | undefined,
  work: (client: Client, item: Item) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const takeItems = async (client: Client): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      signal?.throwIfAborted();
      await work(client, item);
    }
  };
  const ends = workers.map((worker) =>
    worker(takeItems).catch((error: unknown) => {
      queue.length = 0;
      throw error;
    }),
  );
  for (const end of await Promise.allSettled(ends)) if (end.status === 'rejected') throw end.reason;
}
