import os from 'node:os';
import type { Client } from 'pg';

/** More than one session works where there is that much to copy. */
const LARGE_BYTES = 16 * 1024 * 1024;
const SESSIONS = Math.min(4, Math.max(2, os.availableParallelism()));

/** How many sessions are worth their start for tables of these sizes. */
export function sessionsFor(sizes: readonly number[]): number {
  return Math.max(1, Math.min(SESSIONS, sizes.filter((bytes) => bytes >= LARGE_BYTES).length));
}

/**
 * Each item by the session that is free, in their order. After one has failed no further item is begun, and it is over
 * when all sessions have ended: one that went on would write into what is being removed.
 */
export async function shareOut<Item>(
  items: readonly Item[],
  sessions: readonly ((work: (client: Client) => Promise<void>) => Promise<void>)[],
  signal: AbortSignal | undefined,
  work: (client: Client, item: Item) => Promise<void>,
): Promise<void> {
  const queue = [...items];
  const run = async (client: Client): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      signal?.throwIfAborted();
      await work(client, item);
    }
  };
  const ends = sessions.map((session) =>
    session(run).catch((error: unknown) => {
      queue.length = 0;
      throw error;
    }),
  );
  for (const end of await Promise.allSettled(ends)) if (end.status === 'rejected') throw end.reason;
}
