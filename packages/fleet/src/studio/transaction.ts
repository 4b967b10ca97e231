import { quoteIdentifier, quoteLiteral, SuiteError } from '@azora/db-core';
import type { PoolClient } from 'pg';
import { accessError } from '../operations/studio/access';
import type { StudioAccess } from '../operations/studio/context';
import { type TimeLimits, transactionSettings } from './limits';
import { runStatement, type Statement, type StatementResult } from './portal';
import { hasLeft, transactionControl } from './transaction-control';

export interface TransactionRequest {
  readonly access: StudioAccess;
  readonly write: boolean;
  /** Where names without a schema are looked up first. */
  readonly schema: string | undefined;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  readonly limits: TimeLimits;
}

export interface Transaction {
  readonly client: PoolClient;
  /** Runs one statement; throws when it ended the transaction. */
  readonly run: (statement: Statement) => Promise<StatementResult>;
}

/**
 * Does `work` in a transaction of its own, which reads only and is rolled back unless `write`. A session goes back to
 * the pool as it came; one that was cut off, or of which that is not sure, is ended.
 */
export async function inTransaction<Result>(
  request: TransactionRequest,
  work: (transaction: Transaction) => Promise<Result>,
): Promise<Result> {
  const { access, write, limits } = request;
  const client = await connect(access);
  const signal = AbortSignal.any([request.signal, AbortSignal.timeout(limits.requestMs)]);
  let isSpoiled = false;
  const spoil = (): void => {
    isSpoiled = true;
    void access.cutOff(processIdOf(client));
    streamOf(client).destroy();
  };
  const run = async (statement: Statement): Promise<StatementResult> => {
    const result = await runStatement(client, statement);
    if (!hasLeft(result.tag, client.getTransactionStatus())) return result;
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
    // Nobody waits for the cleaning; the pool does.
    void giveBack(client, access, isSpoiled);
  }
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

/** The SELECT comes first: after it the server refuses to let the transaction write. */
function beginning({ write, schema, limits }: TransactionRequest): string {
  const path = schema === undefined || schema === 'public' ? '"public"' : `${quoteIdentifier(schema)}, "public"`;
  const mode = write ? 'READ WRITE' : 'READ ONLY';
  return `BEGIN TRANSACTION ${mode}; ${transactionSettings(limits)};
    SELECT set_config('search_path', ${quoteLiteral(path)}, true)`;
}

/** Nothing that a request has set, locked or prepared may meet the next one. */
async function giveBack(client: PoolClient, access: StudioAccess, isSpoiled: boolean): Promise<void> {
  let isClean = !isSpoiled && streamOf(client).writable;
  if (isClean) {
    try {
      if (client.getTransactionStatus() !== 'I') await client.query('ROLLBACK');
      // The companion's one session is shared with the service's store, whose statements this would take away.
      if (access.kind === 'role') await client.query('DISCARD ALL');
    } catch {
      isClean = false;
    }
  }
  client.off('error', ignore);
  if (!isClean) client.on('error', ignore);
  client.release(!isClean);
}

function cutOffError({ signal, limits }: TransactionRequest, cause: unknown): SuiteError {
  if (signal.aborted) return new SuiteError('STUDIO.ABORTED', 'Nobody waits for the answer any more', { cause });
  return new SuiteError('STUDIO.TOO_LONG', 'The statement ran for too long and was cut off', {
    why: `A request may take ${limits.requestMs / 1000} seconds.`,
    next: 'Ask for less, or use psql',
    cause,
  });
}

function busy(): SuiteError {
  return new SuiteError('STUDIO.BUSY', 'Too many statements run on this database', {
    next: 'Wait for one to end, or cancel it',
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
  // The query that ran tells it.
}
