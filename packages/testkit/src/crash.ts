import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { TestDatabase } from './database';

const POLL_MS = 5;

/**
 * Makes a call while the given statement holds its locks, and ends the session of the call (`pg_terminate_backend`) when it waits for
 * one of them: in the middle of its transaction. `LOCK TABLE outbox`, for example, lets a call do everything but publish. Returns the
 * error of the call; undefined if it did not wait and succeeded.
 */
export async function endSessionInside(db: TestDatabase, lock: string, call: () => Promise<unknown>): Promise<unknown> {
  const holder = new Client({ connectionString: db.target.admin.href });
  await holder.connect();
  try {
    await holder.query('BEGIN');
    await holder.query(lock);
    const { rows } = await holder.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    let isOver = false;
    const outcome = call()
      .then(
        () => undefined,
        (error) => error,
      )
      .finally(() => {
        isOver = true;
      });
    // On another connection: within a transaction, PostgreSQL shows the sessions as they were at its first look.
    const END = 'SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))';
    while (!isOver && (await db.admin(END, [rows[0]?.pid])).length === 0) await sleep(POLL_MS);
    return await outcome;
  } finally {
    await holder.end();
  }
}
