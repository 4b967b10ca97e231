import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SuiteError } from '@azora/db-core/errors';
import { quoteLiteral } from '@azora/db-core/quote';
import type { ClientBase, QueryResult } from 'pg';
import type { Migration, Script } from './files';
import { HISTORY } from './history';
import { relationLocks } from './lock';
import { placeOf } from './place';
import { requireDown } from './refusals';
import { runScript } from './script';
import { type Statement, scanSql, splitStatements } from './sql';
import { describeLocks, isLockTimeout, lockTimeoutError, sqlError } from './sql-error';

/**
 * PostgreSQL's lock_timeout for the statements of a migration. It is short because every session that needs the table
 * queues behind a statement that waits for a strong lock.
 */
export const DEFAULT_LOCK_TIMEOUT_MS = 5_000;

/** How often a migration that did not get a lock is tried again. */
const LOCK_RETRIES = 10;

/** The pause before a retry is random, between zero and a limit that doubles from the first to the longest. */
const FIRST_RETRY_PAUSE_MS = 100;
const LONGEST_RETRY_PAUSE_MS = 10_000;

/**
 * CONCURRENTLY waits for older transactions under a lock that blocks neither readers nor writers, and a timeout leaves an
 * invalid index behind. The limit only keeps a forgotten transaction from stopping the runner forever.
 */
const CONCURRENT_LOCK_TIMEOUT_MS = 600_000;

export interface StepOptions {
  /** PostgreSQL's lock_timeout while a migration runs; {@link DEFAULT_LOCK_TIMEOUT_MS} by default. */
  readonly lockTimeoutMs?: number | undefined;
  /** How often a migration is tried again after a lock timeout; 10 by default, 0 for never. */
  readonly lockRetries?: number | undefined;
  /** How long a statement may take; the server's own setting by default. */
  readonly statementTimeoutMs?: number | undefined;
  /** Runs before the SQL of each migration, in its transaction if it has one. An error stops the run. */
  readonly beforeEach?: ((client: ClientBase, script: Script) => Promise<void>) | undefined;
  /** Runs in the transaction of each migration, after its SQL. */
  readonly afterEach?: ((client: ClientBase) => Promise<void>) | undefined;
  /** Receives a sentence each time the run starts to wait for another session. */
  readonly onWait?: ((reason: string) => void) | undefined;
  /** Once aborted, a migration that waits for a lock is not tried again. */
  readonly signal?: AbortSignal | undefined;
}

/** One file to run, and the changes that it makes to the history table, as SQL. */
export interface Step {
  readonly name: string;
  readonly script: Script;
  /** A condition: whether the history table already shows this step as done. */
  readonly isDone: string;
  /** Outside of a transaction: records that the step began, so that an interruption shows. */
  readonly begin: string;
  readonly finish: string;
  /** Records an error; `rolledBack` is true when nothing of the step remains. */
  readonly fail: (logs: string, rolledBack: boolean) => string;
}

/** The step that applies a migration. A failed attempt that was rolled back is recorded as such, so it needs no repair. */
export function stepUp({ name, checksum, ...script }: Migration): Step {
  const id = quoteLiteral(randomUUID());
  const identity = `${id}, ${quoteLiteral(checksum)}, ${quoteLiteral(name)}`;
  const insert = (columns: string, values: string) =>
    `INSERT INTO ${HISTORY} (id, checksum, migration_name, ${columns}) VALUES (${identity}, ${values})`;
  const update = (change: string) => `UPDATE ${HISTORY} SET ${change} WHERE id = ${id}`;
  return {
    name,
    script,
    isDone: `EXISTS (SELECT FROM ${HISTORY} WHERE ${rowOf(name)} AND finished_at IS NOT NULL)`,
    begin: insert('started_at', 'clock_timestamp()'),
    finish: script.transactional
      ? insert('started_at, finished_at, applied_steps_count', 'now(), clock_timestamp(), 1')
      : update('finished_at = clock_timestamp(), applied_steps_count = 1'),
    fail: (logs, rolledBack) =>
      script.transactional
        ? insert('rolled_back_at, logs', `${rolledBack ? 'now()' : 'NULL'}, ${quoteLiteral(logs)}`)
        : update(`logs = ${quoteLiteral(logs)}`),
  };
}

/**
 * The step that reverts a migration. Failed attempts to apply it are removed from the history as well, because the history
 * only describes migrations that are there.
 * @throws {SuiteError} `MIGRATION.IRREVERSIBLE`
 */
export function stepDown(migration: Migration): Step {
  const { name } = migration;
  const script = requireDown(migration);
  const unfinish = (logs: string) =>
    `UPDATE ${HISTORY} SET finished_at = NULL, logs = ${quoteLiteral(logs)} WHERE ${rowOf(name)}`;
  return {
    name,
    script,
    isDone: `NOT EXISTS (SELECT FROM ${HISTORY} WHERE ${rowOf(name)} AND finished_at IS NOT NULL)`,
    begin: unfinish('down.sql was interrupted'),
    finish: `DELETE FROM ${HISTORY} WHERE migration_name = ${quoteLiteral(name)}`,
    fail: (logs, rolledBack) => (rolledBack ? '' : unfinish(logs)),
  };
}

function rowOf(name: string): string {
  return `migration_name = ${quoteLiteral(name)} AND rolled_back_at IS NULL`;
}

/**
 * Runs one step; false when another runner has done it meanwhile, or when the run was aborted while the step waited for a
 * lock.
 * @throws {SuiteError} `MIGRATION.SQL_FAILED`, `MIGRATION.LOCK_TIMEOUT`, `MIGRATION.HOLDS_TRANSACTION`,
 *   `DATABASE.CONNECTION_LOST`
 */
export async function runStep(client: ClientBase, step: Step, options: StepOptions): Promise<boolean> {
  if (!step.script.transactional) await options.beforeEach?.(client, step.script);
  try {
    if (!step.script.transactional) return await runStatements(client, step, options);
    return await withLockRetries(client, step, options, () => runInTransaction(client, step, options));
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    const record = error instanceof SuiteError ? recordOf(step, error) : '';
    // A lost connection takes no record; the transaction is gone with it.
    await client.query(`${RESET} ${record}`).catch(() => undefined);
    throw error;
  }
}

function recordOf(step: Step, { code, message, why = '' }: SuiteError): string {
  return step.fail(`${message}\n${why}`, step.script.transactional && code !== 'MIGRATION.HOLDS_TRANSACTION');
}

/**
 * Runs `attempt` again after a lock timeout, with exponential backoff and full jitter, up to a number of retries. While it
 * pauses it is not in the queue of any lock, so the sessions behind it continue. `attempt` must leave nothing behind when it
 * fails. False when the run was aborted meanwhile.
 * @throws {SuiteError} `MIGRATION.LOCK_TIMEOUT`
 */
async function withLockRetries(
  client: ClientBase,
  step: Step,
  { lockRetries = LOCK_RETRIES, onWait, signal }: StepOptions,
  attempt: () => Promise<boolean>,
): Promise<boolean> {
  for (let retry = 1; ; retry += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      await client.query(`ROLLBACK; ${step.script.transactional ? RESET : ''}`);
      const locks = await relationLocks(client, waitingSql(step.script, error));
      if (retry > lockRetries) throw lockTimeoutError({ ...step, cause: error }, locks, retry);
      onWait?.(`waiting for ${describeLocks(locks)}; retry ${retry} of ${lockRetries}`);
      const limit = Math.min(LONGEST_RETRY_PAUSE_MS, FIRST_RETRY_PAUSE_MS * 2 ** (retry - 1));
      await sleep(Math.random() * limit, undefined, { signal }).catch(() => undefined);
      if (signal?.aborted) return false;
    }
  }
}

/** The statement that did not get its lock; everything that the step locks when the error names no place in the file. */
function waitingSql({ sql }: Script, error: unknown): string {
  const { line, column } = error instanceof SuiteError ? error.meta : {};
  const waiting = splitStatements(sql).find(({ offset }) => {
    const place = placeOf(sql, offset);
    return place.line === line && place.column === column;
  });
  return waiting?.text ?? `${HISTORY} ${sql}`;
}

/** The SQL and its history row in one transaction: killed at any moment, both are there or neither. */
async function runInTransaction(client: ClientBase, step: Step, options: StepOptions): Promise<boolean> {
  const failed = failureOf(step);
  const { done, transaction } = await client.query(openTransaction(step, options)).then(lastRow, failed);
  if (done) {
    await client.query('ROLLBACK');
    return false;
  }
  await options.beforeEach?.(client, step.script);
  const { completed, error } = await runScript(client, step.script.sql);
  if (error !== undefined) throw sqlError({ ...step, error, sentFrom: 0, completed });
  const after = await client.query(`${RESET}${settings(options, 'LOCAL')} ${SAME_TRANSACTION}`).then(lastRow, failed);
  if (after.transaction !== transaction) throw transactionGone(step);
  await options.afterEach?.(client);
  await client.query(`${step.finish}; COMMIT`).catch(failed);
  return true;
}

/** Runs statement by statement, as CREATE INDEX CONCURRENTLY and VACUUM require. */
async function runStatements(client: ClientBase, step: Step, options: StepOptions): Promise<boolean> {
  const failed = failureOf(step);
  const { done } = await client.query(`SELECT ${step.isDone} AS done`).then(lastRow, failed);
  if (done) return false;
  await client.query(`${step.begin}; ${settings(options, 'SESSION')}`).catch(failed);
  for (const statement of splitStatements(step.script.sql)) await runAlone(client, step, statement, options);
  await client.query(`${RESET} BEGIN; ${settings(options, 'LOCAL')}`).catch(failed);
  await options.afterEach?.(client);
  await client.query(`${step.finish}; COMMIT`).catch(failed);
  return true;
}

async function runAlone(client: ClientBase, step: Step, statement: Statement, options: StepOptions): Promise<void> {
  const { offset, text } = statement;
  const isConcurrent = hasConcurrently(text);
  // A file that sets its own lock_timeout keeps it.
  const ownTimeout = /lock_timeout/i.test(step.script.sql);
  const lockTimeoutMs = isConcurrent ? CONCURRENT_LOCK_TIMEOUT_MS : (options.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS);
  if (!ownTimeout) await client.query(`SET lock_timeout = ${Math.round(lockTimeoutMs)}`).catch(failureOf(step));
  // Statements before this one are committed, so an abort may not end the file here: only the retries end.
  const retries = isAtomic(statement) ? options : { ...options, lockRetries: 0 };
  const { signal: _, ...unabortable } = retries;
  await withLockRetries(client, step, unabortable, async () => {
    const { error } = await runScript(client, text);
    if (error !== undefined) throw sqlError({ ...step, error, sentFrom: offset });
    return true;
  });
}

/** As a word of the statement: a comment or string that mentions it changes nothing. */
function hasConcurrently(text: string): boolean {
  return [...scanSql(text)].some(
    ({ kind, start, end }) => kind === 'word' && text.slice(start, end).toLowerCase() === 'concurrently',
  );
}

/** Statements that PostgreSQL runs as one transaction of their own: a failed one leaves nothing behind. */
const ATOMIC_STATEMENTS: ReadonlySet<string> = new Set([
  'alter',
  'comment',
  'create',
  'delete',
  'drop',
  'grant',
  'insert',
  'lock',
  'revoke',
  'truncate',
  'update',
]);

/**
 * Whether a statement outside of a transaction can run again after a lock timeout. CONCURRENTLY leaves an invalid index
 * behind; VACUUM, REINDEX, CLUSTER, CALL and DO may have committed a part.
 */
function isAtomic({ text, words: [first = ''] }: Statement): boolean {
  return ATOMIC_STATEMENTS.has(first) && !hasConcurrently(text);
}

/**
 * The advisory lock keeps runners from working side by side; the lock on the history table decides. It also holds where the
 * advisory lock does not: on the companion, whose connections share one session, and behind a pooler that gives each
 * transaction another session.
 */
function openTransaction(step: Step, options: StepOptions): string {
  return `
    BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
    ${settings(options, 'LOCAL')}
    LOCK TABLE ${HISTORY} IN SHARE ROW EXCLUSIVE MODE;
    SELECT pg_current_xact_id()::text AS transaction, ${step.isDone} AS done`;
}

/**
 * A server notices that its client was killed when it next reads from the connection, which may be hours later, and until
 * then the session keeps its locks. On these systems the server can check in between.
 */
const CONNECTION_CHECK_MS = 2_000;

const SAME_TRANSACTION = 'SELECT pg_current_xact_id()::text AS transaction;';

/** Settings that a migration made for its session would hold for the next migration of the same run. */
const RESET = 'RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL;';

/** Must be applied again after {@link RESET}, which clears these settings too. */
function settings(
  { lockTimeoutMs = DEFAULT_LOCK_TIMEOUT_MS, statementTimeoutMs }: StepOptions,
  scope: 'LOCAL' | 'SESSION',
): string {
  const timeout =
    statementTimeoutMs === undefined ? '' : `SET ${scope} statement_timeout = ${Math.round(statementTimeoutMs)};`;
  return `SET ${scope} lock_timeout = ${Math.round(lockTimeoutMs)}; ${timeout}
    SELECT set_config('client_connection_check_interval', '${CONNECTION_CHECK_MS}', ${scope === 'LOCAL'})
      WHERE version() ~ 'linux|darwin|bsd';`;
}

interface Answer {
  readonly done?: boolean;
  readonly transaction?: string;
}

/** The last row that several statements in one query returned. */
function lastRow(result: QueryResult<Answer>): Answer {
  const results: readonly QueryResult<Answer>[] = Array.isArray(result) ? result : [result];
  return results.flatMap(({ rows }) => rows).at(-1) ?? {};
}

/** For the runner's own queries, whose errors have no place in the file. */
function failureOf(step: Step): (error: unknown) => never {
  return (error) => {
    throw sqlError({ ...step, error });
  };
}

/** The scan for COMMIT comes first; this check finds what the scan cannot see, such as backslashes in strings on some servers. */
function transactionGone({ name, script }: Step): SuiteError {
  return new SuiteError('MIGRATION.HOLDS_TRANSACTION', `${name} ended the transaction in which it ran`, {
    kind: 'configuration',
    why: `Part of ${script.file} is committed, and the history table does not show it.`,
    next: 'Remove COMMIT and ROLLBACK from the file, and undo by hand what the file did',
    meta: { file: script.file },
  });
}
