import { SuiteError } from '@azora/db-core/errors';
import type { ClientBase, QueryResult } from 'pg';
import { HISTORY } from './history';
import { refuseOtherSession } from './lock';
import { withLockRetries } from './lock-retries';
import { runScript } from './script';
import { beginsTransaction, hasConcurrently, inTransaction } from './script-mode';
import { DEFAULT_LOCK_TIMEOUT_MS, RESET, settings } from './session';
import { endsTransaction, type Statement, splitStatements } from './sql';
import { sqlError } from './sql-error';
import type { Check, Step, StepOptions } from './step';

/**
 * CONCURRENTLY waits for older transactions under a lock that blocks neither readers nor writers, and a timeout leaves an
 * invalid index behind. The limit only keeps a forgotten transaction from stopping the runner forever.
 */
const CONCURRENT_LOCK_TIMEOUT_MS = 600_000;

/**
 * Runs one step; false when another runner has done it meanwhile, or when the run was aborted while the step waited for a
 * lock.
 * @throws {SuiteError} `MIGRATION.SQL_FAILED`, `MIGRATION.LOCK_TIMEOUT`, `MIGRATION.HOLDS_TRANSACTION`,
 *   `DATABASE.CONNECTION_LOST`
 */
export async function runStep(client: ClientBase, step: Step, options: StepOptions): Promise<boolean> {
  if (!step.script.transactional) await options.beforeEach?.(client, step.script, step.name);
  try {
    if (!step.script.transactional) return await runStatements(client, step, options);
    return await withLockRetries(
      client,
      () => step,
      options,
      () => runInTransaction(client, step, options),
    );
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

/** The SQL and its history row in one transaction: killed at any moment, both are there or neither. */
async function runInTransaction(client: ClientBase, step: Step, options: StepOptions): Promise<boolean> {
  const failed = failureOf(step);
  const { done, transaction, pid } = await client.query(openTransaction(step, options)).then(lastRow, failed);
  refuseOtherSession(options.session ?? pid ?? 0, pid);
  if (done) {
    await client.query('ROLLBACK');
    return false;
  }
  const check = await runInside(client, step, options, transaction);
  await options.afterEach?.(client, options.isLast ?? true);
  if (check === undefined) {
    await client.query(`${step.finish}; COMMIT`).catch(failed);
    return true;
  }
  await client.query(step.finish).catch(failed);
  await check();
  await client.query('COMMIT').catch(failed);
  return true;
}

/** Runs the SQL of a step in a transaction that is open; returns the check of `beforeEach`. */
async function runInside(
  client: ClientBase,
  step: Step,
  options: StepOptions,
  transaction: string | undefined,
): Promise<Check | undefined> {
  const check = await options.beforeEach?.(client, step.script, step.name);
  const { completed, error } = await runScript(client, step.script.sql);
  if (error !== undefined) throw sqlError({ ...step, error, sentFrom: 0, completed });
  const after = await client
    .query(`${RESET}${settings(options, 'LOCAL')} ${SAME_TRANSACTION}`)
    .then(lastRow, failureOf(step));
  if (after.transaction !== transaction) throw transactionGone(step);
  return check;
}

/**
 * Runs steps in one transaction, each with its check, and rolls all of them back: whatever would stop the run, stops it before a step
 * is committed. Statements that need no transaction run in the form that allows one.
 * @throws {SuiteError} the errors of {@link runStep}; the reason of the signal
 */
export async function rehearseSteps(client: ClientBase, steps: readonly Step[], options: StepOptions): Promise<void> {
  const [first] = steps;
  if (first === undefined) return;
  let current = first;
  const attempt = async () => {
    const opened = await client.query(openTransaction(first, options)).then(lastRow, failureOf(first));
    refuseOtherSession(options.session ?? opened.pid ?? 0, opened.pid);
    for (const step of steps) {
      options.signal?.throwIfAborted();
      current = { ...step, script: inTransaction(step.script) };
      const check = await runInside(client, current, options, opened.transaction);
      await client.query(step.finish).catch(failureOf(step));
      await check?.();
    }
    return true;
  };
  try {
    await withLockRetries(client, () => current, options, attempt);
  } finally {
    await client.query(`ROLLBACK; ${RESET}`).catch(() => undefined);
  }
  options.signal?.throwIfAborted();
}

/** Runs statement by statement, as CREATE INDEX CONCURRENTLY and VACUUM require. */
async function runStatements(client: ClientBase, step: Step, options: StepOptions): Promise<boolean> {
  const failed = failureOf(step);
  const sql = `SELECT ${step.isDone} AS done, pg_backend_pid() AS pid`;
  const { done, pid } = await client.query(sql).then(lastRow, failed);
  refuseOtherSession(options.session ?? pid ?? 0, pid);
  if (done) return false;
  await client.query(`${step.begin}; ${settings(options, 'SESSION')}`).catch(failed);
  let inBlock = false;
  for (const statement of splitStatements(step.script.sql)) {
    // In a block that the file opened, an error aborts the block: a statement cannot be tried again.
    await runAlone(client, step, statement, inBlock ? { ...options, lockRetries: 0 } : options);
    if (endsTransaction(statement)) inBlock = beginsTransaction(statement);
  }
  await client.query(`${RESET} BEGIN; ${settings(options, 'LOCAL')}`).catch(failed);
  await options.afterEach?.(client, options.isLast ?? true);
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
  await withLockRetries(
    client,
    () => step,
    unabortable,
    async () => {
      const { error } = await runScript(client, text);
      if (error !== undefined) throw sqlError({ ...step, error, sentFrom: offset });
      return true;
    },
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
 * advisory lock does not: on the companion, whose connections share one session.
 */
function openTransaction(step: Step, options: StepOptions): string {
  return `
    BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
    ${settings(options, 'LOCAL')}
    LOCK TABLE ${HISTORY} IN SHARE ROW EXCLUSIVE MODE;
    SELECT pg_current_xact_id()::text AS transaction, ${step.isDone} AS done, pg_backend_pid() AS pid`;
}

const SAME_TRANSACTION = 'SELECT pg_current_xact_id()::text AS transaction;';

interface Answer {
  readonly done?: boolean;
  readonly transaction?: string;
  readonly pid?: number;
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
