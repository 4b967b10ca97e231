import { IS_USER_SCHEMA, MIGRATION_LOCK } from '@azora/db-migrate';
import { defineCheck } from './check';

/** A session as findings describe it. Without the right to see it, only its pid is known. */
interface SessionRow {
  readonly pid: number;
  readonly application: string | null;
  readonly address: string | null;
  readonly state: string | null;
  /** When the session connected. */
  readonly since: string | null;
}

const SESSION = `activity.application_name AS application, host(activity.client_addr) AS address, activity.state,
  to_char(activity.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') AS since`;

const THIS_DATABASE = '(SELECT oid FROM pg_database WHERE datname = current_database())';

/** Finds the session that holds the migration lock. */
export const checkMigrationLock = defineCheck<SessionRow>({
  sql: `SELECT DISTINCT held.pid, ${SESSION}
        FROM pg_locks held LEFT JOIN pg_stat_activity activity ON activity.pid = held.pid
        WHERE locktype = 'advisory' AND classid = 0 AND objid = ${MIGRATION_LOCK} AND objsubid = 1 AND granted
          AND database = ${THIS_DATABASE}`,
  judge: (rows) =>
    rows.map((row) => ({
      check: 'migration-lock',
      level: 'warning',
      object: `process ${row.pid}`,
      message: `holds the migration lock (${describe(row)}), so no migration can run`,
      next: `Wait if it is migrating; otherwise ${terminate(row.pid)}`,
    })),
});

interface TransactionRow extends SessionRow {
  readonly seconds: number;
  readonly idle: boolean;
}

/** Finds sessions that are idle in a transaction, and the oldest transaction if it keeps VACUUM from removing rows. */
export const checkTransactions = defineCheck<TransactionRow>({
  sql: ({ limits }) => `
    WITH transaction AS (
      SELECT *, state LIKE 'idle in transaction%' AND state_change < clock_timestamp() - ${interval(limits.idleInTransactionMs)}
        AS idle
      FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
        AND xact_start IS NOT NULL)
    SELECT activity.pid, ${SESSION}, activity.idle,
           extract(epoch FROM clock_timestamp() - CASE WHEN idle THEN state_change ELSE xact_start END)::int AS seconds
    FROM transaction activity
    WHERE idle OR (xact_start < clock_timestamp() - ${interval(limits.transactionMs)}
                   AND xact_start = (SELECT min(xact_start) FROM transaction))
    ORDER BY pid`,
  judge: (rows) =>
    rows.map((row) => ({
      check: row.idle ? 'idle-in-transaction' : 'old-transaction',
      level: 'warning',
      object: `process ${row.pid}`,
      message: `has ${row.idle ? 'been idle in a transaction' : 'had a transaction open'} for ${duration(row.seconds)} (${describe(row)})`,
      next: `Commit or roll back in the application; otherwise ${terminate(row.pid)}`,
    })),
});

interface WaitRow extends SessionRow {
  readonly seconds: number;
  readonly mode: string;
  /** The locked table; null for a lock on a row, a transaction or an advisory lock. */
  readonly relation: string | null;
  /** Zero stands for a prepared transaction. */
  readonly blockers: readonly number[];
}

/** Finds sessions that wait for a lock. pg_locks.waitstart is null for the first instant. */
export const checkWaits = defineCheck<WaitRow>({
  sql: ({ limits }) => `
    SELECT DISTINCT ON (activity.pid) activity.pid, ${SESSION}, waiting.mode, pg_class.oid::regclass::text AS relation,
           extract(epoch FROM clock_timestamp() - waiting.waitstart)::int AS seconds,
           pg_blocking_pids(activity.pid) AS blockers
    FROM pg_stat_activity activity
    JOIN pg_locks waiting ON waiting.pid = activity.pid AND NOT waiting.granted
    LEFT JOIN pg_class ON pg_class.oid = waiting.relation AND waiting.locktype = 'relation'
    WHERE activity.datname = current_database()
      AND waiting.waitstart <= clock_timestamp() - ${interval(limits.lockWaitMs)}
    ORDER BY activity.pid`,
  judge: (rows) =>
    rows.map((row) => ({
      check: 'lock-wait',
      level: 'warning',
      object: `process ${row.pid}`,
      message: `has waited ${duration(row.seconds)} for a ${row.mode}${row.relation === null ? '' : ` on ${row.relation}`} behind ${blockersText(row.blockers)} (${describe(row)})`,
      next: `Find the blocking session in pg_stat_activity, and if it is stuck, ${freeing(row.blockers)}`,
    })),
});

interface PreparedRow {
  readonly gid: string;
  readonly owner: string;
  readonly seconds: number;
}

/** Finds forgotten prepared transactions, which hold their locks even across a restart. */
export const checkPrepared = defineCheck<PreparedRow>({
  sql: ({ limits }) => `
    SELECT gid, owner::text, extract(epoch FROM clock_timestamp() - prepared)::int AS seconds
    FROM pg_prepared_xacts
    WHERE database = current_database() AND prepared <= clock_timestamp() - ${interval(limits.preparedMs)} ORDER BY gid`,
  judge: (rows) =>
    rows.map(({ gid, owner, seconds }) => ({
      check: 'prepared-transaction',
      level: 'warning',
      object: gid,
      message: `was prepared ${duration(seconds)} ago by ${owner} and holds its locks until it ends`,
      next: `COMMIT PREPARED '${gid}' or ROLLBACK PREPARED '${gid}'`,
    })),
});

interface ExclusiveRow extends SessionRow {
  readonly relation: string;
}

/** Finds the sessions whose locks kept the doctor from reading the tables. */
export const checkExclusiveLocks = defineCheck<ExclusiveRow>({
  sql: `SELECT held.pid, ${SESSION}, min(pg_class.oid::regclass::text) AS relation
        FROM pg_locks held
        JOIN pg_class ON pg_class.oid = held.relation
        JOIN pg_namespace ON pg_namespace.oid = relnamespace AND ${IS_USER_SCHEMA}
        LEFT JOIN pg_stat_activity activity ON activity.pid = held.pid
        WHERE held.granted AND held.database = ${THIS_DATABASE}
          AND held.mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock')
        GROUP BY held.pid, 2, 3, 4, 5 ORDER BY held.pid`,
  judge: (rows) => {
    const holders = rows.map((row) => `process ${row.pid} on ${row.relation} (${describe(row)})`);
    return [
      {
        check: 'locked-out',
        level: 'warning',
        object: 'tables and indexes',
        message: `could not be examined: locks are held by ${holders.join(', ') || 'a session that has just ended'}`,
        next: 'Wait until the locks are released, and run the doctor again',
      },
    ];
  },
});

function describe({ application, address, state, since }: SessionRow): string {
  const parts = [application || 'no application name', `from ${address ?? 'this machine'}`];
  if (state !== null) parts.push(state);
  if (since !== null) parts.push(`connected since ${since}`);
  return parts.join(', ');
}

function blockersText(blockers: readonly number[]): string {
  return (
    blockers.map((pid) => (pid === 0 ? 'a prepared transaction' : `process ${pid}`)).join(', ') ||
    'a session that has just ended'
  );
}

function freeing(blockers: readonly number[]): string {
  const sessions = blockers.filter((pid) => pid !== 0);
  return sessions.length === 0 ? 'ROLLBACK PREPARED' : sessions.map(terminate).join('; ');
}

function terminate(pid: number): string {
  return `SELECT pg_terminate_backend(${pid})`;
}

function interval(milliseconds: number): string {
  return `interval '${Math.round(milliseconds)} milliseconds'`;
}

/** Seconds in the largest unit that leaves a number of at least one. */
function duration(seconds: number): string {
  const [size, unit] = seconds >= 3_600 ? [3_600, 'h'] : seconds >= 60 ? [60, 'min'] : [1, 's'];
  return `${Math.floor(seconds / Number(size))} ${unit}`;
}
