import { randomUUID } from 'node:crypto';
import { quoteLiteral, SuiteError } from '@azora/db-core';
import type { ClientBase, QueryResult } from 'pg';
import type { Migration, Script } from './files';
import { HISTORY } from './history';
import { requireDown } from './refusals';
import { runScript } from './script';
import { sqlError } from './sql-error';
import { splitStatements } from './statements';

export interface StepOptions {
  /** How long a statement may wait for a lock: whoever needs the table waits behind it. */
  readonly lockTimeoutMs: number;
  /** How long a statement may take; what the server has set when it is undefined. */
  readonly statementTimeoutMs?: number | undefined;
  /** Runs before the SQL of each migration, in its transaction where it has one; what it throws stops the run. */
  readonly beforeEach?: ((client: ClientBase, script: Script) => Promise<void>) | undefined;
  /** Runs in the transaction of each migration, after its SQL. */
  readonly afterEach?: ((client: ClientBase) => Promise<void>) | undefined;
}

/** One file to run, and what it makes of the history; the parts are SQL. */
export interface Step {
  readonly name: string;
  readonly script: Script;
  /** Whether the history says already what this step would make it say. */
  readonly isDone: string;
  /** Outside of a transaction: says that it began, so that an interruption shows. */
  readonly begin: string;
  readonly finish: string;
  /** Keeps what went wrong; `undone` says that nothing of it stays. */
  readonly fail: (logs: string, undone: boolean) => string;
}

/** The step that applies a migration. A try that was rolled back as a whole says so, for then no tool asks for a repair. */
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
    fail: (logs, undone) =>
      script.transactional
        ? insert('rolled_back_at, logs', `${undone ? 'now()' : 'NULL'}, ${quoteLiteral(logs)}`)
        : update(`logs = ${quoteLiteral(logs)}`),
  };
}

/**
 * The step that takes a migration back. Its tries go from the history too: of a migration that is not there nothing is told.
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
    fail: (logs, undone) => (undone ? '' : unfinish(logs)),
  };
}

function rowOf(name: string): string {
  return `migration_name = ${quoteLiteral(name)} AND rolled_back_at IS NULL`;
}

/**
 * Runs one step; false when another runner did it meanwhile.
 * @throws {SuiteError} `MIGRATION.SQL_FAILED`, `MIGRATION.CONNECTION_LOST`, `MIGRATION.HOLDS_TRANSACTION`
 */
export async function runStep(client: ClientBase, step: Step, options: StepOptions): Promise<boolean> {
  if (!step.script.transactional) await options.beforeEach?.(client, step.script);
  try {
    return await (step.script.transactional ? runInTransaction : runStatements)(client, step, options);
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    const record = error instanceof SuiteError ? recordOf(step, error) : '';
    // A lost connection takes no record; its transaction is gone with it.
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

/** Statement by statement, as CREATE INDEX CONCURRENTLY and VACUUM need it. */
async function runStatements(client: ClientBase, step: Step, options: StepOptions): Promise<boolean> {
  const failed = failureOf(step);
  const { done } = await client.query(`SELECT ${step.isDone} AS done`).then(lastRow, failed);
  if (done) return false;
  await client.query(`${step.begin}; ${settings(options, 'SESSION')}`).catch(failed);
  for (const { offset, text } of splitStatements(step.script.sql)) {
    const { error } = await runScript(client, text);
    if (error !== undefined) throw sqlError({ ...step, error, sentFrom: offset });
  }
  await client.query(`${RESET} BEGIN; ${settings(options, 'LOCAL')}`).catch(failed);
  await options.afterEach?.(client);
  await client.query(`${step.finish}; COMMIT`).catch(failed);
  return true;
}

/**
 * The advisory lock keeps runners in line; the table's lock decides. It holds where the other does not: on the companion,
 * whose connections are one session, and behind a pooler that gives each transaction another session.
 */
function openTransaction(step: Step, options: StepOptions): string {
  return `
    BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
    ${settings(options, 'LOCAL')}
    LOCK TABLE ${HISTORY} IN SHARE ROW EXCLUSIVE MODE;
    SELECT pg_current_xact_id()::text AS transaction, ${step.isDone} AS done`;
}

/**
 * A server notices that its client was killed when it next reads from it, which may be hours later, and until then it keeps
 * every lock. It can look in between on these systems.
 */
const CONNECTION_CHECK_MS = 2_000;

const SAME_TRANSACTION = 'SELECT pg_current_xact_id()::text AS transaction;';

/** What a migration set for its session would hold for the next one, if both run now; a dump's empty search path does. */
const RESET = 'RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL;';

/** Set again after {@link RESET}, which clears them too. */
function settings({ lockTimeoutMs, statementTimeoutMs }: StepOptions, scope: 'LOCAL' | 'SESSION'): string {
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

/** The last row that several statements in one query gave. */
function lastRow(result: QueryResult<Answer>): Answer {
  const results: readonly QueryResult<Answer>[] = Array.isArray(result) ? result : [result];
  return results.flatMap(({ rows }) => rows).at(-1) ?? {};
}

/** For queries of our own: their errors have no place in the file. */
function failureOf(step: Step): (error: unknown) => never {
  return (error) => {
    throw sqlError({ ...step, error });
  };
}

/** The scan for COMMIT comes first; this is for what it cannot see, such as a server that reads backslashes in strings. */
function transactionGone({ name, script }: Step): SuiteError {
  return new SuiteError('MIGRATION.HOLDS_TRANSACTION', `${name} ended the transaction in which it ran`, {
    kind: 'configuration',
    why: `Part of ${script.file} is committed, and the history does not say so.`,
    next: 'Take COMMIT and ROLLBACK out of the file, and undo by hand what it did',
    meta: { file: script.file },
  });
}
