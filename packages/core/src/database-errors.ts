import { isRecord, SuiteError } from './errors';

/** The parts of a PostgreSQL error that are safe to show. Its `detail` and `where` quote rows and are left out. */
export interface DatabaseErrorFacts {
  readonly sqlState: string;
  /** PostgreSQL's message, without the values that it quotes. */
  readonly message: string;
  /** The constraint that was violated, or the name of the rule that our own SQL raised. */
  readonly constraint: string | undefined;
  /** The JSON object that our own SQL put into DETAIL. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** A store's errors by the name of the constraint, or of the rule of our own SQL, that was violated. */
export type ConstraintErrors = Readonly<Record<string, (facts: DatabaseErrorFacts['facts']) => SuiteError>>;

/**
 * The SQLSTATE that functions of our migrations raise, with the rule's name as the message (Prisma's driver drops the
 * constraint of an error that it does not know) and facts as JSON in DETAIL. No other software uses the class.
 */
const OWN_SQLSTATE = 'AZ001';

/**
 * Finds PostgreSQL's error in what `pg` or Prisma threw, by shape: Prisma 7 hides it under
 * `meta.driverAdapterError.cause`, and wraps what it does not know in a cause. Undefined for every other error.
 */
export function findDatabaseError(error: unknown): DatabaseErrorFacts | undefined {
  for (let found = error, depth = 0; isRecord(found) && depth < 6; depth += 1) {
    const state = found['originalCode'] ?? found['code'];
    if (typeof state === 'string' && isSqlState(state, found)) {
      if (state === OWN_SQLSTATE) {
        const rule = String(found['message']);
        return { sqlState: state, message: rule, constraint: rule, facts: factsOf(found['detail']) };
      }
      const message = withoutValues(state, String(found['originalMessage'] ?? found['message'] ?? ''));
      return { sqlState: state, message, constraint: constraintOf(found['constraint']), facts: {} };
    }
    const meta = found['meta'];
    found = isRecord(meta) && meta['driverAdapterError'] !== undefined ? meta['driverAdapterError'] : found['cause'];
  }
  return undefined;
}

/** Node's errno codes of five letters (EPERM, EXDEV) and Prisma's own (P1000 and up) have the shape of a SQLSTATE. */
function isSqlState(code: string, error: Readonly<Record<string, unknown>>): boolean {
  if (!/^[0-9A-Z]{5}$/.test(code) || /^P[1-9]\d{3}$/.test(code)) return false;
  return !(/^E[A-Z]{4}$/.test(code) || 'syscall' in error);
}

/**
 * Class 22, data exception, quotes the value that does not fit, which may be a row's; so does the parser of tsquery. The
 * value may itself contain quotes, so everything between the first and the last one goes.
 */
function withoutValues(sqlState: string, message: string): string {
  const quotesValue = sqlState.startsWith('22') || message.startsWith('syntax error in tsquery');
  return quotesValue ? message.replace(/"[\s\S]*"/, '"…"') : message;
}

function constraintOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  return isRecord(value) && typeof value['index'] === 'string' ? value['index'] : undefined;
}

/** A user's own SQL may raise our SQLSTATE with a DETAIL that is not JSON. */
function factsOf(detail: unknown): Readonly<Record<string, unknown>> {
  try {
    const facts: unknown = typeof detail === 'string' ? JSON.parse(detail) : {};
    return isRecord(facts) ? facts : {};
  } catch {
    return {};
  }
}

/** Walks an error and its causes by shape, for an error may come from another realm: its code or '', and its message. */
export function* causesOf(error: unknown): Generator<Cause> {
  for (let found = error, depth = 0; isRecord(found) && depth < 6; depth += 1, found = found['cause']) {
    yield {
      code: String(found['code'] ?? ''),
      message: String(found['message'] ?? ''),
      isConnecting: found['isConnecting'] === true,
    };
  }
}

interface Cause {
  readonly code: string;
  readonly message: string;
  /** Whether the pool could not open the connection, so that nothing was sent. */
  readonly isConnecting: boolean;
}

/**
 * How a connection failed: `not-sent` when the statement never left (nobody listens, no such host, no free connection),
 * `unknown` when the connection ended while the server may have been working on it. Undefined when it did not fail.
 */
export type ConnectionFailure = 'not-sent' | 'unknown';

/** Errors of `connect` and of the lookup before it, and Prisma's code for a server that cannot be reached. */
const NOT_SENT_CODES = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN'],
  ...['EADDRNOTAVAIL', 'P1001'],
]);
/** Shown by `pg` in the message only; the last is a socket's file that does not exist. */
const NOT_SENT_MESSAGE =
  /^timeout exceeded when trying to connect|^Connection terminated due to connection timeout|^timeout expired|^Client has encountered a connection error|^Client was closed|^connect E/;
/** cannot_connect_now, too_many_connections, invalid_authorization, invalid_catalog_name: the session never began. */
const NOT_SENT_STATE = /^(57P03|53300|28...|3D000|08001|08004)$/;
/** A wrong user, password or database. */
const ACCESS_DENIED_STATE = /^(28...|3D000)$/;
const UNKNOWN_CODES = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'P1017']);
const UNKNOWN_MESSAGE = /^Connection terminated|^Query read timeout/;
/** Connection exception, and operator intervention without 57014, which ends one statement only. */
const UNKNOWN_STATE = /^(08...|57P..|25P03)$/;

export function connectionFailure(error: unknown): ConnectionFailure | undefined {
  const state = findDatabaseError(error)?.sqlState ?? '';
  const causes = [...causesOf(error)];
  const has = (codes: ReadonlySet<string>, text: RegExp) =>
    causes.some(({ code, message }) => codes.has(code) || text.test(message));
  if (NOT_SENT_STATE.test(state) || has(NOT_SENT_CODES, NOT_SENT_MESSAGE)) return 'not-sent';
  if (UNKNOWN_STATE.test(state) || has(UNKNOWN_CODES, UNKNOWN_MESSAGE)) {
    return causes.some(({ isConnecting }) => isConnecting) ? 'not-sent' : 'unknown';
  }
  return undefined;
}

/** Whether an error, or a cause of it, is that the session ended or could not begin. */
export function isConnectionLoss(error: unknown): boolean {
  return connectionFailure(error) !== undefined;
}

/**
 * Turns what a store's statement threw into the suite's error: by its constraint where the store has one, else
 * `DATABASE.ACCESS_DENIED` or `DATABASE.NO_CONNECTION` (nothing was sent), `DATABASE.CONNECTION_LOST` (the outcome is unknown), `DATABASE.TIMEOUT`,
 * `DATABASE.TRANSACTION_TIMEOUT` or `DATABASE.FAILED`. An error that did not come from the database stays what it is.
 */
export function storeError(error: unknown, constraintErrors: ConstraintErrors, statement?: string): unknown {
  if (error instanceof SuiteError) return error;
  // Prisma's code for a transaction that did not begin, or did not end, in time.
  const limit = [...causesOf(error)].find(({ code }) => code === 'P2028');
  if (limit?.message.includes('Unable to start a transaction')) return noConnection(error, undefined, statement);
  if (limit !== undefined) return transactionTimedOut(error, statement);
  const found = findDatabaseError(error);
  const known = found?.constraint === undefined ? undefined : constraintErrors[found.constraint];
  if (found !== undefined && known !== undefined) return known(found.facts);
  const failure = connectionFailure(error);
  if (failure === 'not-sent') return noConnection(error, found?.sqlState, statement);
  if (failure === 'unknown') return connectionLost(error, statement);
  if (found === undefined) return error;
  if (found.sqlState === QUERY_CANCELED || found.sqlState === LOCK_NOT_AVAILABLE)
    return timedOut(error, found, statement);
  if (found.sqlState === TRANSACTION_TIMEOUT) return transactionTimedOut(error, statement);
  return databaseFailed(error, found, statement);
}

const QUERY_CANCELED = '57014';
const LOCK_NOT_AVAILABLE = '55P03';
const TRANSACTION_TIMEOUT = '25P04';

function noConnection(error: unknown, sqlState: string | undefined, statement: string | undefined): SuiteError {
  if (sqlState !== undefined && ACCESS_DENIED_STATE.test(sqlState)) {
    return new SuiteError('DATABASE.ACCESS_DENIED', 'The server refused the connection', {
      kind: 'configuration',
      why: `SQLSTATE ${sqlState}. Nothing was sent.`,
      next: 'Check the user, the password and the database of the URL',
      meta: { outcome: 'not-sent', sqlState, ...named(statement) },
      cause: redactedCause(error),
    });
  }
  return new SuiteError('DATABASE.NO_CONNECTION', 'Timed out waiting for a connection, or could not connect', {
    why: 'Every connection of the pool is in use, or the server did not answer. Nothing was sent.',
    next: 'Call again. If it happens often, raise pool.max or check the server',
    meta: { outcome: 'not-sent', ...named(statement) },
    cause: redactedCause(error),
  });
}

function connectionLost(error: unknown, statement: string | undefined): SuiteError {
  return new SuiteError('DATABASE.CONNECTION_LOST', 'The connection to the database was lost', {
    why: 'It ended while the statement was running. The statement may or may not have been committed.',
    next: 'Call again; a call with an idempotency key takes effect once, however often it is repeated',
    meta: { outcome: 'unknown', ...named(statement) },
    cause: redactedCause(error),
  });
}

function timedOut(error: unknown, { sqlState }: DatabaseErrorFacts, statement: string | undefined): SuiteError {
  return new SuiteError('DATABASE.TIMEOUT', 'The statement took longer than its limit', {
    why:
      sqlState === LOCK_NOT_AVAILABLE
        ? 'It waited too long for a lock that another transaction holds. It was rolled back.'
        : 'PostgreSQL canceled it and rolled it back.',
    next: 'Call again. If it happens often, find what holds the rows, or raise pool.statementTimeoutMs',
    meta: { sqlState, ...named(statement) },
    cause: redactedCause(error),
  });
}

function transactionTimedOut(error: unknown, statement: string | undefined): SuiteError {
  return new SuiteError('DATABASE.TRANSACTION_TIMEOUT', 'The transaction took longer than its limit', {
    why: 'It was rolled back.',
    next: 'Call again. If it happens often, find what holds the rows, or raise pool.statementTimeoutMs',
    meta: named(statement),
    cause: redactedCause(error),
  });
}

function databaseFailed(
  error: unknown,
  { sqlState, constraint }: DatabaseErrorFacts,
  statement: string | undefined,
): SuiteError {
  return new SuiteError('DATABASE.FAILED', 'PostgreSQL rejected the statement', {
    why: `SQLSTATE ${sqlState}${constraint === undefined ? '' : `, constraint ${constraint}`}.`,
    meta: { sqlState, ...(constraint === undefined ? {} : { constraint }), ...named(statement) },
    cause: redactedCause(error),
  });
}

function named(statement: string | undefined): { readonly statement?: string } {
  return statement === undefined ? {} : { statement };
}

/** Fields of a PostgreSQL error that never hold a row's value (PostgreSQL manual, §55.8). */
const SAFE_FIELDS = [
  'severity',
  'schema',
  'table',
  'column',
  'dataType',
  'constraint',
  'position',
  'file',
  'line',
  'routine',
];

/**
 * The original error as a cause that can be logged: its stack, its SQLSTATE and the names of what it is about. Its
 * message loses what it quotes; `detail`, `where` and Prisma's copy of the arguments are left out.
 */
export function redactedCause(error: unknown): Error {
  const found = findDatabaseError(error);
  const original = isRecord(error) ? error : {};
  const code = found?.sqlState ?? String(original['code'] ?? '');
  const driver = found === undefined ? original : (databaseRecord(error) ?? original);
  const safe = SAFE_FIELDS.flatMap((field) => (driver[field] === undefined ? [] : [[field, driver[field]] as const]));
  // Prisma's messages quote the arguments of the call.
  const isPrisma = 'clientVersion' in original;
  // The driver's own words about a connection hold no values.
  const lost = [...causesOf(error)].find(
    ({ message: text }) => NOT_SENT_MESSAGE.test(text) || UNKNOWN_MESSAGE.test(text),
  );
  const prisma = isPrisma ? (lost?.message ?? `Prisma error ${code}`) : undefined;
  const message = found?.message ?? prisma ?? String(original['message'] ?? error);
  const cause = Object.assign(new Error(message), { code }, Object.fromEntries(safe));
  const frames = typeof original['stack'] === 'string' ? original['stack'].match(/^ {4}at .*$/gm) : null;
  cause.stack = [`Error: ${message}`, ...(frames ?? [])].join('\n');
  return cause;
}

function databaseRecord(error: unknown): Readonly<Record<string, unknown>> | undefined {
  for (let found = error, depth = 0; isRecord(found) && depth < 6; depth += 1) {
    if ((found['originalCode'] ?? found['severity']) !== undefined) return found;
    const meta = found['meta'];
    found = isRecord(meta) && meta['driverAdapterError'] !== undefined ? meta['driverAdapterError'] : found['cause'];
  }
  return undefined;
}
