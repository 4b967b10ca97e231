import { setTimeout as sleep } from 'node:timers/promises';
import { SuiteError } from '@azora/db-core';
import type { ClientBase } from 'pg';

/**
 * The advisory lock under which a database is migrated. It is the number that Prisma's engine takes, so that
 * `prisma migrate deploy` and this runner exclude each other. Locks are per database: services do not collide.
 */
export const MIGRATION_LOCK = 72707369;

const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 200;

export interface LockOptions {
  /** How long a runner waits for another one, and a statement for a lock. */
  readonly lockTimeoutMs: number;
  /** Told once when somebody else holds the lock. */
  readonly onWait?: ((holder: string) => void) | undefined;
}

/**
 * Runs `work` as the only migration runner of the database. The lock is the session's: it goes when the process dies.
 * @throws {SuiteError} `MIGRATION.LOCKED` naming the holder, after `lockTimeoutMs`
 */
export async function withMigrationLock<Result>(
  client: ClientBase,
  { lockTimeoutMs, onWait }: LockOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  if (!(await tryLock(client))) {
    onWait?.(await holderOf(client));
    await waitForLock(client, lockTimeoutMs);
  }
  try {
    return await work();
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]).catch(() => undefined);
  }
}

/**
 * Asks again and again. A statement that waits in pg_advisory_lock() holds a snapshot, and a CREATE INDEX CONCURRENTLY of the
 * runner that has the lock waits for every older snapshot: each would wait for the other.
 */
async function waitForLock(client: ClientBase, lockTimeoutMs: number): Promise<void> {
  const deadline = performance.now() + lockTimeoutMs;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    const left = deadline - performance.now();
    if (left <= 0) break;
    await sleep(Math.min(left, pause * (0.5 + Math.random())));
    if (await tryLock(client)) return;
  }
  throw new SuiteError('MIGRATION.LOCKED', 'Another session is migrating this database', {
    why: `The lock is held by ${await holderOf(client)}.`,
    next: 'Wait for it and run again, allow more with --lock-timeout, or end that session',
  });
}

async function tryLock(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1) AS locked', [
    MIGRATION_LOCK,
  ]);
  return rows[0]?.locked === true;
}

async function holderOf(client: ClientBase): Promise<string> {
  const { rows } = await client.query<{ pid: number; application: string; since: string }>(
    `SELECT activity.pid, activity.application_name AS application,
            to_char(activity.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') AS since
     FROM pg_locks JOIN pg_stat_activity activity USING (pid)
     WHERE locktype = 'advisory' AND classid = 0 AND objid = $1 AND objsubid = 1 AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    [MIGRATION_LOCK],
  );
  const [holder] = rows;
  if (holder === undefined) return 'a session that has just ended';
  return `process ${holder.pid} (${holder.application || 'no name'}, connected since ${holder.since})`;
}
