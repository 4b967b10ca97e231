import { databaseFault, SuiteError } from '@azora/db-core';
import type { ClientBase } from 'pg';

/**
 * The advisory lock under which a database is migrated. It is the number that Prisma's engine takes, so that
 * `prisma migrate deploy` and this runner exclude each other. Locks are per database: services do not collide.
 */
const MIGRATION_LOCK = 72707369;

const LOCK_NOT_AVAILABLE = '55P03';

export interface LockOptions {
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
  const tried = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1) AS locked', [MIGRATION_LOCK]);
  if (tried.rows[0]?.locked !== true) await waitForLock(client, lockTimeoutMs, onWait);
  try {
    return await work();
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]).catch(() => undefined);
  }
}

async function waitForLock(client: ClientBase, lockTimeoutMs: number, onWait: LockOptions['onWait']): Promise<void> {
  onWait?.(await holderOf(client));
  try {
    await client.query("SELECT set_config('lock_timeout', $1, false)", [String(lockTimeoutMs)]);
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
  } catch (error) {
    if (databaseFault(error)?.sqlState !== LOCK_NOT_AVAILABLE) throw error;
    throw new SuiteError('MIGRATION.LOCKED', 'Another session is migrating this database', {
      why: `The lock is held by ${await holderOf(client)}.`,
      next: 'Wait for it and run again, allow more with --lock-timeout, or end that session',
    });
  } finally {
    await client.query('RESET lock_timeout').catch(() => undefined);
  }
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
