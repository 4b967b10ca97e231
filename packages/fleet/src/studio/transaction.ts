import { quoteIdentifier, quoteLiteral, SuiteError } from '@azora/db-core';
import { endsTransaction, splitStatements } from '@azora/db-migrate';
import type { PoolClient } from 'pg';
import { accessError, type StudioAccess } from '../operations/studio/access';
import { badRequest } from './errors';
import { isExactText, NOT_EXACT } from './sql-text';
import { runStatement, type Statement, type StatementResult } from './statement';

export interface TimeLimits {
  readonly statementMs: number;
  /** Of the whole request, and longer than `statementMs`, because a statement can lift its own limit. */
  readonly requestMs: number;
}

export const TIME_LIMITS: TimeLimits = { statementMs: 15_000, requestMs: 20_000 };

export interface TransactionRequest {
  readonly access: StudioAccess;
  readonly write: boolean;
  /** Where unqualified names are looked up first. */
  readonly schema: string | undefined;
  /** Aborted when the client disconnects. */
  readonly signal: AbortSignal;
  readonly limits: TimeLimits;
}

export interface Transaction {
  readonly client: PoolClient;
  /** Runs one statement; throws when the statement ended the transaction. */
  readonly run: (statement: Statement) => Promise<StatementResult>;
}

/**
 * Runs `work` in a transaction of its own: READ ONLY and rolled back, unless `write`. The session returns to the pool
 * without any state of the request; a session that was cut off, or may hold state, is closed instead.
 * @throws {SuiteError} `STUDIO.BUSY`, `STUDIO.TOO_LONG`, `STUDIO.ABORTED`, `STUDIO.TRANSACTION_CONTROL`, `STUDIO.TAKEN_OVER`
 */
export async function inTransaction<Result>(
  request: TransactionRequest,
  work: (transaction: Transaction) => Promise<Result>,
): Promise<Result> {
  const { access, write } = request;
  const client = await connect(access);
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(requestLimitMs(request))]);
  let isSpoiled = false;
  const spoil = (): void => {
    isSpoiled = true;
    void access.cutOff(processIdOf(client));
    streamOf(client).destroy();
  };
  const run = async (statement: Statement): Promise<StatementResult> => {
    const result = await runStatement(client, statement);
    if (!hasLeftTransaction(result.tag, client.getTransactionStatus())) return result;
    spoil();
    throw transactionControl();
  };
  client.on('error', ignore);
  signal.addEventListener('abort', spoil, { once: true });
  try {
    signal.throwIfAborted();
    await client.query(beginning(request));
    const result = await work({ client, run });
    if (write) await client.query('COMMIT');
    return result;
  } catch (error) {
    throw signal.aborted && !(error instanceof SuiteError) ? cutOffError(request, error) : error;
  } finally {
    signal.removeEventListener('abort', spoil);
    // The answer does not wait for the clean-up.
    void giveBack(client, access, isSpoiled);
  }
}

/**
 * Rejects SQL that begins or ends a transaction or sets a savepoint: the studio commits an edit together with its entry
 * in the audit log. The SQL is split as the server's scanner does it, so that no comment or quote hides a COMMIT.
 * @throws {SuiteError} `STUDIO.TRANSACTION_CONTROL`, `STUDIO.BAD_REQUEST`
 */
export function refuseTransactionControl(sql: string): void {
  if (!isExactText(sql)) throw badRequest(`The SQL ${NOT_EXACT}.`);
  const isControl = splitStatements(sql).some(
    (statement) => endsTransaction(statement) || SAVEPOINT_WORDS.has(statement.words[0] ?? ''),
  );
  if (isControl) throw transactionControl();
}

const SAVEPOINT_WORDS: ReadonlySet<string> = new Set(['rollback', 'savepoint', 'release']);
/** The server's command tags of such statements: the second check, after the statement ran. */
const CONTROL_TAG = /^(BEGIN|START TRANSACTION|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PREPARE TRANSACTION)/;

function hasLeftTransaction(tag: string, status: string | null): boolean {
  return status !== 'T' || CONTROL_TAG.test(tag);
}

function transactionControl(): SuiteError {
  return new SuiteError('STUDIO.TRANSACTION_CONTROL', 'The studio does not run transaction commands', {
    kind: 'usage',
    why: 'Each request runs in its own transaction, which the studio begins and ends.',
    next: 'Remove the command, or use psql',
  });
}

async function connect(access: StudioAccess): Promise<PoolClient> {
  const pool = await access.open();
  try {
    return await pool.connect();
  } catch (error) {
    if (pool.waitingCount + pool.totalCount >= pool.options.max && isPoolTimeout(error)) throw busy();
    throw accessError(error);
  }
}

/** The SELECT comes first: after it the server no longer lets SET TRANSACTION READ WRITE through. */
function beginning({ write, schema, limits }: TransactionRequest): string {
  const path = schema === undefined || schema === 'public' ? '"public"' : `${quoteIdentifier(schema)}, "public"`;
  const mode = write ? 'READ WRITE' : 'READ ONLY';
  // The parsers that judge a statement assume these two settings, and another client of the companion may have changed them.
  return `BEGIN TRANSACTION ${mode}; SET LOCAL client_encoding = 'UTF8'; SET LOCAL standard_conforming_strings = on;
    SET LOCAL statement_timeout = ${limits.statementMs}; SET LOCAL lock_timeout = '5s';
    SET LOCAL idle_in_transaction_session_timeout = ${limits.requestMs};
    SELECT set_config('search_path', ${quoteLiteral(path)}, true)`;
}

/** Settings, locks, cursors and prepared statements of one request must not reach the next one. */
async function giveBack(client: PoolClient, access: StudioAccess, isSpoiled: boolean): Promise<void> {
  let isClean = !isSpoiled && streamOf(client).writable;
  if (isClean) {
    try {
      if (client.getTransactionStatus() !== 'I') await client.query('ROLLBACK');
      // The service's store shares the companion's one session: DISCARD would drop its prepared statements.
      if (access.kind === 'role') await client.query('DISCARD ALL');
    } catch {
      // The session is closed below; the next request gets another one.
      isClean = false;
    }
  }
  client.off('error', ignore);
  if (!isClean) client.on('error', ignore);
  client.release(!isClean);
}

function cutOffError(request: TransactionRequest, cause: unknown): SuiteError {
  const { signal } = request;
  if (signal.aborted) return new SuiteError('STUDIO.ABORTED', 'The client disconnected before the answer', { cause });
  return new SuiteError('STUDIO.TOO_LONG', 'The statement ran too long and was canceled', {
    why: `A request may take ${requestLimitMs(request) / 1000} seconds.`,
    next: 'Narrow the query, or use psql',
    cause,
  });
}

/** PGlite honors no statement_timeout. The companion ends a statement when its client has gone. */
function requestLimitMs({ access, limits }: TransactionRequest): number {
  return access.kind === 'companion' ? limits.statementMs : limits.requestMs;
}

function busy(): SuiteError {
  return new SuiteError('STUDIO.BUSY', 'Too many statements are running on this database', {
    why: 'All sessions of the studio are in use.',
    next: 'Wait for a statement to finish, or cancel one',
  });
}

function isPoolTimeout(error: unknown): boolean {
  return error instanceof Error && /timeout exceeded when trying to connect/.test(error.message);
}

function processIdOf(client: PoolClient): number {
  return (client as unknown as { readonly processID?: number }).processID ?? 0;
}

function streamOf(client: PoolClient): { readonly writable: boolean; destroy(): void } {
  return (client as unknown as { readonly connection: { readonly stream: import('node:stream').Duplex } }).connection
    .stream;
}

function ignore(): void {
  // The running query rejects with the same error.
}
