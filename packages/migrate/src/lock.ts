import { setTimeout as sleep } from 'node:timers/promises';
import { SuiteError } from '@azora/db-core/errors';
import type { ClientBase } from 'pg';
import { IS_USER_SCHEMA } from './catalog-scope';

/**
 * The advisory lock under which a database is migrated. Prisma's engine takes the same number, so `prisma migrate deploy`
 * and this runner exclude each other. Advisory locks belong to one database, so services do not collide.
 */
export const MIGRATION_LOCK = 72707369;

/** How long a run waits for another run on the same database, unless the caller sets another limit. */
export const DEFAULT_RUNNER_TIMEOUT_MS = 10_000;

const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 200;

export interface RunnerLockOptions {
  /** How long to wait for another runner of the same database; {@link DEFAULT_RUNNER_TIMEOUT_MS} by default. */
  readonly runnerTimeoutMs?: number | undefined;
  /** Receives a sentence each time the run starts to wait for another session. */
  readonly onWait?: ((reason: string) => void) | undefined;
  /** Once aborted, a run no longer waits for another run. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `work` as the only migration runner of the database. The lock belongs to the session, so it goes away with the
 * process.
 * @throws {SuiteError} `MIGRATION.LOCKED` naming the holder, after `runnerTimeoutMs`; `MIGRATION.POOLED`; the reason of the signal when it was
 *   aborted during the wait
 */
export async function withMigrationLock<Result>(
  client: ClientBase,
  { runnerTimeoutMs = DEFAULT_RUNNER_TIMEOUT_MS, onWait, signal }: RunnerLockOptions,
  work: (session: number) => Promise<Result>,
): Promise<Result> {
  let session = await tryLock(client);
  if (session === undefined) {
    onWait?.(`waiting for another migration run: ${await lockHolder(client)}`);
    session = await waitForLock(client, runnerTimeoutMs, signal);
  }
  try {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    refuseOtherSession(session, rows[0]?.pid);
    return await work(session);
  } finally {
    await unlock(client, session);
  }
}

/**
 * Rejects a connection through a pooler that gives each transaction another session: the lock of the run belongs to one session, and
 * so do the settings of a step.
 * @throws {SuiteError} `MIGRATION.POOLED`
 */
export function refuseOtherSession(expected: number, pid: number | undefined): void {
  if (pid === undefined || pid === expected) return;
  throw new SuiteError('MIGRATION.POOLED', 'The connection changes its session between transactions', {
    kind: 'configuration',
    why: `The process ${expected} of the server has the migration lock, and the process ${pid} answers now, as behind a pooler in transaction mode.`,
    next: 'Use the URL of the server itself, or of a pooler in session mode',
    meta: { sessions: [expected, pid] },
  });
}

/** Behind a pooler, the session that has the lock answers only sometimes. */
const UNLOCK_TRIES = 50;

async function unlock(client: ClientBase, session: number): Promise<void> {
  const text = `SELECT CASE pg_backend_pid() WHEN ${session} THEN pg_advisory_unlock(${MIGRATION_LOCK}) END AS unlocked`;
  for (let tries = 0; tries < UNLOCK_TRIES; tries += 1) {
    const unlocked = await client.query<{ unlocked: boolean | null }>(text).then(
      ({ rows }) => rows[0]?.unlocked ?? null,
      () => false,
    );
    if (unlocked !== null) return;
  }
}

/**
 * Polls for the lock. A statement that waits in pg_advisory_lock() holds a snapshot, and a CREATE INDEX CONCURRENTLY of the
 * runner that has the lock waits for every older snapshot: the two would wait for each other.
 */
async function waitForLock(
  client: ClientBase,
  runnerTimeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  const deadline = performance.now() + runnerTimeoutMs;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    const left = deadline - performance.now();
    if (left <= 0) break;
    await sleep(Math.min(left, pause * (0.5 + Math.random())), undefined, { signal }).catch(() => undefined);
    signal?.throwIfAborted();
    const session = await tryLock(client);
    if (session !== undefined) return session;
  }
  throw new SuiteError('MIGRATION.LOCKED', 'Another session is migrating this database', {
    why: `The migration lock is held by ${await lockHolder(client)}.`,
    next: 'Wait for that session and run again, allow more time (--runner-timeout, or runnerTimeoutMs of migrateOnStart), or end the session',
  });
}

/** The process of the session that has the lock now; undefined when another one has it. */
async function tryLock(client: ClientBase): Promise<number | undefined> {
  const { rows } = await client.query<{ locked: boolean; pid: number }>(
    'SELECT pg_try_advisory_lock($1) AS locked, pg_backend_pid() AS pid',
    [MIGRATION_LOCK],
  );
  return rows[0]?.locked === true ? rows[0].pid : undefined;
}

async function lockHolder(client: ClientBase): Promise<string> {
  const { rows } = await client.query<HoldingSession>(
    `SELECT ${HOLDING_SESSION}
     FROM pg_locks JOIN pg_stat_activity activity USING (pid)
     WHERE locktype = 'advisory' AND classid = 0 AND objid = $1 AND objsubid = 1 AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    [MIGRATION_LOCK],
  );
  return describeHolder(rows[0]);
}

interface HoldingSession {
  readonly pid: number;
  readonly application: string;
  readonly since: string;
}

const HOLDING_SESSION = `activity.pid, activity.application_name AS application,
  to_char(activity.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') AS since`;

function describeHolder(holder: HoldingSession | undefined): string {
  if (holder === undefined) return 'a session that has just ended';
  return `process ${holder.pid} (${holder.application || 'no name'}, connected since ${holder.since})`;
}

/** A lock that another session holds on a table or index. */
export interface RelationLock {
  readonly relation: string;
  /** The session in words. */
  readonly holder: string;
}

/**
 * The locks of other sessions on relations that the SQL names, or on any relation. PostgreSQL's error after a lock timeout names neither the
 * table nor the holder; this finds them afterwards, while the holder still has its locks.
 */
export async function relationLocks(client: ClientBase, sql: string | undefined): Promise<readonly RelationLock[]> {
  const { rows } = await client.query<HoldingSession & { readonly relation: string }>(
    `SELECT DISTINCT relname::text AS relation, ${HOLDING_SESSION}
     FROM pg_locks held
     JOIN pg_class ON pg_class.oid = held.relation
     JOIN pg_namespace ON pg_namespace.oid = relnamespace
     JOIN pg_stat_activity activity ON activity.pid = held.pid
     WHERE held.granted AND held.pid <> pg_backend_pid() AND ${IS_USER_SCHEMA}
       AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
     ORDER BY activity.pid, relation`,
  );
  const names = new Set(sql?.match(/[\p{L}\p{N}_$]+/gu));
  return rows
    .filter(({ relation }) => sql === undefined || names.has(relation))
    .map((row) => ({ relation: row.relation, holder: describeHolder(row) }));
}
