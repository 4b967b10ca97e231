import { findDatabaseError, SuiteError } from '@azora/db-core';
import { backOff } from 'exponential-backoff';
import type { ClientBase } from 'pg';
import { type DumpedTable, tableList } from './snapshot';

/** A session of its own in one database, which holds the locks of the fence. */
export interface FenceSession {
  readonly client: ClientBase;
  readonly tables: readonly DumpedTable[];
}

/**
 * The limits of the attempts to lock all tables of a database, in turns. They are shorter than PostgreSQL's `deadlock_timeout`
 * (one second): a writer that waits for this session while this session waits for the writer continues before the server
 * would cancel its transaction. An attempt that met such a writer cannot succeed, so most are short; the longest ones wait for
 * transactions that take long.
 */
const ATTEMPT_TIMEOUTS_MS = [60, 125, 250, 500];
const QUERY_CANCELED = '57014';
/** About ten seconds altogether. */
const RETRY = {
  numOfAttempts: 8 * ATTEMPT_TIMEOUTS_MS.length,
  startingDelay: 50,
  maxDelay: 200,
  jitter: 'full',
  // Any other error would repeat itself, and the writers of the other databases would wait for all attempts.
  retry: isTimeout,
} as const;

/**
 * Runs `work` while no transaction writes to any of the databases: transactions that have begun to write are waited for,
 * and new ones wait until `work` is done.
 * @returns the result of `work`, and how long the fence was held
 * @throws {SuiteError} `BACKUP.FENCE_TIMEOUT`, and the errors of `work`
 */
export async function withWriteFence<Result>(
  sessions: readonly FenceSession[],
  work: () => Promise<Result>,
): Promise<{ readonly result: Result; readonly heldMs: number }> {
  let attempts = 0;
  const since = await backOff(() => {
    attempts += 1;
    return raiseAll(sessions, ATTEMPT_TIMEOUTS_MS[(attempts - 1) % ATTEMPT_TIMEOUTS_MS.length] ?? 0);
  }, RETRY).catch(async (error: unknown) => {
    if (!isTimeout(error)) throw error;
    const holders = await Promise.all(sessions.map(({ client, tables }) => findWriters(client, tables)));
    throw fenceTimeout(holders.flat());
  });
  const [done] = await Promise.allSettled([work()]);
  const heldMs = Math.round(performance.now() - since);
  const lowered = await Promise.allSettled(sessions.map(({ client }) => rollback(client)));
  if (done.status === 'rejected') throw done.reason;
  // A session that was lost held no locks from then on, perhaps while `work` ran.
  for (const end of lowered) if (end.status === 'rejected') throw end.reason;
  return { result: done.value, heldMs };
}

/** Locks all databases or none, so that the writers of one do not wait for those of another. Returns since when. */
async function raiseAll(sessions: readonly FenceSession[], timeoutMs: number): Promise<number> {
  const since = performance.now();
  const raised = await Promise.allSettled(sessions.map((session) => raise(session, timeoutMs)));
  if (raised.every((one) => one.status === 'fulfilled' && one.value)) return since;
  await Promise.allSettled(
    sessions.map(({ client }, index) => (raised[index]?.status === 'fulfilled' ? rollback(client) : undefined)),
  );
  for (const one of raised) if (one.status === 'rejected') throw one.reason;
  throw fenceTimeout([]);
}

function isTimeout(error: unknown): boolean {
  return error instanceof SuiteError && error.code === 'BACKUP.FENCE_TIMEOUT';
}

/** @param holders who had written to the tables at the end, if anybody still did */
function fenceTimeout(holders: readonly string[]): SuiteError {
  const named = holders.length === 0 ? '' : ` It waited for ${holders.join(', ')}.`;
  return new SuiteError('BACKUP.FENCE_TIMEOUT', 'Timed out waiting for open write transactions', {
    why: `With --fence, a backup waits until no transaction writes, and one stayed open for too long.${named}`,
    next: 'End that transaction ("npx azora-db migrate doctor" shows how), or back up without --fence',
    meta: { holders },
  });
}

/** The modes of pg_locks that conflict with SHARE (manual, 13.3.1). */
const WRITING = '{RowExclusiveLock,ShareUpdateExclusiveLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}';

/** The sessions and prepared transactions that have written to the tables and not ended. */
export async function findWriters(client: ClientBase, tables: readonly DumpedTable[]): Promise<readonly string[]> {
  const { rows } = await client.query<{ holder: string }>(
    `SELECT DISTINCT coalesce('process ' || held.pid, (
              -- Locks of a prepared transaction belong to no process. One of them is on the transaction itself.
              SELECT 'the prepared transaction ' || quote_literal(gid)
              FROM pg_locks AS own JOIN pg_prepared_xacts ON own.transactionid = transaction
              WHERE own.pid IS NULL AND own.virtualtransaction = held.virtualtransaction), 'a prepared transaction') AS holder
     FROM pg_locks AS held JOIN pg_class ON pg_class.oid = relation JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE locktype = 'relation' AND granted AND mode = ANY ($1) AND held.pid IS DISTINCT FROM pg_backend_pid()
       AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND (nspname, relname) IN (SELECT schema, name FROM jsonb_to_recordset($2) AS listed (schema name, name name))
     ORDER BY 1`,
    [WRITING, JSON.stringify(tables.map(({ schema, name }) => ({ schema, name })))],
  );
  return rows.map(({ holder }) => holder);
}

/** False when a table could not be locked in time. */
async function raise({ client, tables }: FenceSession, timeoutMs: number): Promise<boolean> {
  if (tables.length === 0) return true;
  await client.query(`BEGIN; SET LOCAL statement_timeout = ${timeoutMs}`);
  try {
    await client.query(`LOCK TABLE ${tableList(tables)} IN SHARE MODE`);
    return true;
  } catch (error) {
    if (findDatabaseError(error)?.sqlState !== QUERY_CANCELED) throw error;
    await rollback(client);
    return false;
  }
}

async function rollback(client: ClientBase): Promise<void> {
  await client.query('ROLLBACK');
}
