import { createHash } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import { DatabaseError, type Pool, type QueryResultRow } from 'pg';
import type { ConstraintErrors } from './database-errors';
import { SuiteError } from './errors';
import { EVENT_CONSTRAINT_ERRORS } from './events/constraint-errors';
import { openPool, POOL_DEFAULTS, type PoolOptions } from './pool';
import { retryTransaction } from './retry';
import { isTransactionCut, storeClosed, storeError, transactionTimedOut } from './store-errors';
import { type ExtensibleClient, type Translate, translatedClient } from './translated-client';
import { type DatabaseUrl, parseDatabaseUrl } from './url';

declare const inside: unique symbol;

/** A client inside a transaction. Only `store.transaction` makes one, so passing a plain client does not compile. */
export type Inside<Client> = Client & { readonly [inside]: true };

/** Receives what an operator should see. `console` is one. */
export interface Logger {
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface StoreOptions {
  /** The connection URL of the app role; `<SERVICE>_DATABASE_URL` of the environment when absent. */
  readonly url?: string;
  readonly pool?: PoolOptions;
  readonly logger?: Logger;
  /** Statements that take longer are logged; `AZORA_SLOW_QUERY_MS` of the environment when absent, else 500. */
  readonly slowQueryMs?: number;
}

/** SQL with its parameters, $1 and on. */
export interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** A service's open database. */
export interface Store<Client, TransactionClient> {
  /** The generated client, for plain reads. Its errors are the store's, as those of `query` and `transaction`. */
  readonly prisma: Client;
  readonly pool: Pool;
  /**
   * Runs one statement as a transaction of its own, prepared once per connection, and returns its rows. Retries after a
   * deadlock or serialization failure. What the database rejects is thrown as the store's error.
   */
  query<Row extends QueryResultRow>(statement: Statement): Promise<readonly Row[]>;
  /**
   * Runs a statement that may read whole tables, as `query` does, but under the limit of the options (`pool.statementTimeoutMs`)
   * also if the app role has a lower one.
   */
  queryLong<Row extends QueryResultRow>(statement: Statement): Promise<readonly Row[]>;
  /** Runs `work` in one transaction, retried after a deadlock or serialization failure. An error it throws rolls back. */
  transaction<Result>(work: (tx: Inside<TransactionClient>) => Promise<Result>): Promise<Result>;
  /**
   * Closes every connection after its running statement. Calls that wait for a connection, open transactions and later
   * calls throw `DATABASE.CLOSED`. A second call does nothing.
   */
  close(): Promise<void>;
}

/** The options that `openStore` passes to the constructor of a generated client. */
export interface PrismaOptions {
  readonly adapter: PrismaPg;
  readonly log: [{ readonly emit: 'event'; readonly level: 'query' }];
  /** No stack and no source text for every call, which the default collects for its messages. */
  readonly errorFormat: 'minimal';
}

interface QueryEvent {
  readonly query: string;
  readonly duration: number;
}

/** The part of every generated client that a store uses. */
export interface GeneratedClient<TransactionClient> extends ExtensibleClient {
  $transaction<Result>(
    work: (tx: TransactionClient) => Promise<Result>,
    options: { readonly maxWait: number; readonly timeout: number },
  ): Promise<Result>;
  $on(event: 'query', report: (event: QueryEvent) => void): unknown;
  $disconnect(): Promise<void>;
}

/** Variables as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_SLOW_QUERY_MS = 500;

/**
 * Opens a service's database. Nothing connects before the first query.
 * @throws {SuiteError} `CONFIG.NO_URL`, `CONFIG.BAD_URL`, `CONFIG.BAD_NUMBER`
 */
export function openStore<TransactionClient, Client extends GeneratedClient<TransactionClient>>(
  service: string,
  createClient: (options: PrismaOptions) => Client,
  options: StoreOptions,
  environment: Environment,
  constraintErrors: ConstraintErrors = {},
): Store<Client, TransactionClient> {
  const url = storeUrl(service, options.url, environment);
  const limits = { ...POOL_DEFAULTS, ...options.pool };
  const pool = openPool(url, limits);
  const client = createClient({
    adapter: new PrismaPg(pool),
    log: [{ emit: 'event', level: 'query' }],
    errorFormat: 'minimal',
  });
  const report = slowQueryReport(service, options, environment);
  client.$on('query', report);
  let closing: Promise<void> | undefined;
  const errors = { ...EVENT_CONSTRAINT_ERRORS, ...constraintErrors };
  const translate: Translate = (error, statement) =>
    closing !== undefined && isTransactionCut(error)
      ? storeClosed(error, statement)
      : storeError(error, errors, statement);
  const prisma = translatedClient(client, translate);
  const translated = <Result>(work: () => Promise<Result>, text?: string) =>
    retryTransaction(work).catch((error: unknown): never => {
      throw translate(error, text === undefined ? undefined : labelOf(text));
    });
  return {
    prisma,
    pool,
    query: <Row extends QueryResultRow>(statement: Statement) =>
      translated(() => runStatement<Row>(pool, statement, report), statement.text),
    queryLong: <Row extends QueryResultRow>(statement: Statement) =>
      translated(() => runLong<Row>(pool, statement, { limitMs: limits.statementTimeoutMs, report }), statement.text),
    transaction: (work) =>
      // The only place that gives the brand: this client is inside a transaction.
      translated(() =>
        prisma.$transaction((tx) => withinLimit(work(tx as Inside<TransactionClient>), limits.statementTimeoutMs), {
          // Prisma's defaults, 2 and 5 seconds, are below the limit of one statement.
          maxWait: limits.connectTimeoutMs,
          timeout: limits.statementTimeoutMs,
        }),
      ),
    close: () => (closing ??= Promise.all([pool.end(), prisma.$disconnect()]).then(() => undefined)),
  };
}

/**
 * Waits for the work of a transaction as long as the transaction may take. Prisma ends a transaction that takes longer, and waits for
 * the work all the same: forever, if the work waits for an answer that does not come.
 */
function withinLimit<Result>(work: Promise<Result>, limitMs: number): Promise<Result> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(transactionTimedOut(new Error('The work of the transaction did not end'), undefined));
    const timer = setTimeout(giveUp, limitMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

async function runStatement<Row extends QueryResultRow>(
  pool: Pool,
  { text, values }: Statement,
  report: Report,
): Promise<readonly Row[]> {
  const client = await pool.connect();
  const started = performance.now();
  let isStale = false;
  try {
    const { rows } = await client
      .query<Row>({ name: preparedName(text), text, values: [...values] })
      .catch((error: unknown) => {
        if (!isStalePlan(error)) throw error;
        isStale = true;
        return client.query<Row>({ text, values: [...values] });
      });
    report({ query: text, duration: performance.now() - started });
    // The connection would reject the prepared statement for as long as it lives.
    client.release(isStale);
    return rows;
  } catch (error) {
    // A rejected statement leaves its connection usable; the pool's own query() would discard it.
    client.release(!isRejection(error));
    throw error;
  }
}

/** Older servers have no limit of a transaction. The settings end with the transaction, so that a pooled session has its own again. */
const RAISE_LIMITS = `SELECT set_config(name, $1, true) FROM pg_settings WHERE name IN ('statement_timeout', 'transaction_timeout')`;

async function runLong<Row extends QueryResultRow>(
  pool: Pool,
  { text, values }: Statement,
  { limitMs, report }: { readonly limitMs: number; readonly report: Report },
): Promise<readonly Row[]> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query(RAISE_LIMITS, [String(limitMs)]);
    const started = performance.now();
    const { rows } = await client.query<Row>({ text, values: [...values] });
    report({ query: text, duration: performance.now() - started });
    await client.query('COMMIT');
    client.release();
    return rows;
  } catch (error) {
    // Ends the transaction with its session, whatever state it is in.
    client.release(true);
    throw error;
  }
}

/** The names of the newest texts. A store has few texts, but nothing prevents a caller from building many. */
const preparedNames = new Map<string, string>();
const MAX_PREPARED_NAMES = 1_000;

/** One text has one name and one name one text: PostgreSQL rejects a second text under a name that a connection knows. */
function preparedName(text: string): string {
  const known = preparedNames.get(text);
  if (known !== undefined) return known;
  if (preparedNames.size === MAX_PREPARED_NAMES) preparedNames.clear();
  const name = `azora_${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
  preparedNames.set(text, name);
  return name;
}

/** What a statement is about, for errors and logs: the first function or table that its text names. */
function labelOf(text: string): string | undefined {
  return (/(?<!\bextract\(\w+ |\bDISTINCT )\b(?:FROM|INTO|UPDATE|CALL)\s+([a-z_][a-z0-9_]*)/.exec(text) ??
    /\bSELECT\s+([a-z_][a-z0-9_]*)\(/.exec(text))?.[1];
}

/** A migration changed the columns of a prepared statement. PostgreSQL says so before it runs anything. */
function isStalePlan(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === '0A000' && error.routine === 'RevalidateCachedQuery';
}

/** Whether PostgreSQL answered with a severity that keeps the session alive. */
function isRejection(error: unknown): boolean {
  return error instanceof DatabaseError && error.severity === 'ERROR';
}

function storeUrl(service: string, given: string | undefined, environment: Environment): DatabaseUrl {
  if (given !== undefined) return parseDatabaseUrl(given, 'url');
  const variable = `${service.toUpperCase()}_DATABASE_URL`;
  const found = environment[variable];
  if (found !== undefined) return parseDatabaseUrl(found, variable);
  throw new SuiteError('CONFIG.NO_URL', `No URL for the ${service} database`, {
    kind: 'configuration',
    why: `No url was passed, and ${variable} is not set.`,
    next: `Pass { url }, or set ${variable} to the output of "npx azora-db url ${service}"`,
    meta: { service, variable },
  });
}

type Report = (event: QueryEvent) => void;

function slowQueryReport(
  service: string,
  { logger = console, slowQueryMs }: StoreOptions,
  environment: Environment,
): Report {
  const limitMs = slowQueryMs ?? readSlowQueryMs(environment);
  return ({ query, duration }) => {
    // Without the parameters, which are people's data.
    if (duration >= limitMs) logger.warn('slow query', { service, durationMs: Math.round(duration), query });
  };
}

function readSlowQueryMs(environment: Environment): number {
  const text = environment['AZORA_SLOW_QUERY_MS'];
  if (text === undefined || text === '') return DEFAULT_SLOW_QUERY_MS;
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw new SuiteError('CONFIG.BAD_NUMBER', 'AZORA_SLOW_QUERY_MS is not a number of milliseconds', {
    kind: 'configuration',
    next: 'Set it to a number such as 500, or remove it',
    meta: { variable: 'AZORA_SLOW_QUERY_MS' },
  });
}
