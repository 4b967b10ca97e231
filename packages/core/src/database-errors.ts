import { isRecord, type SuiteError } from './errors';

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
  for (const found of chainOf(error)) {
    const state = found['originalCode'] ?? found['code'];
    if (typeof state === 'string' && isSqlState(state, found)) {
      if (state === OWN_SQLSTATE) {
        const rule = String(found['message']);
        return { sqlState: state, message: rule, constraint: rule, facts: factsOf(found['detail']) };
      }
      const original = String(found['originalMessage'] ?? found['message'] ?? '');
      const constraint = constraintOf(found['constraint']) ?? quotedConstraint(state, original);
      return { sqlState: state, message: withoutValues(state, original), constraint, facts: {} };
    }
  }
  return undefined;
}

/** An error, then what caused it, and so on. Read by shape, for an error may come from another realm. */
function* chainOf(error: unknown): Generator<Readonly<Record<string, unknown>>> {
  for (let found = error, depth = 0; isRecord(found) && depth < 6; depth += 1) {
    yield found;
    const meta = found['meta'];
    found = isRecord(meta) && meta['driverAdapterError'] !== undefined ? meta['driverAdapterError'] : found['cause'];
  }
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

/**
 * Prisma's driver keeps the names of unique and foreign keys only. The messages of check_violation and exclusion_violation
 * end with the name of the constraint, in the quotes of the server's language.
 */
function quotedConstraint(sqlState: string, message: string): string | undefined {
  return /^(23514|23P01)$/.test(sqlState) ? /["»«„“]([^"»«„“”]+)["«»“”]$/.exec(message)?.[1] : undefined;
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

/** Walks an error and its causes: the code of each, or the kind that Prisma's driver gives it, or '', and its message. */
export function* causesOf(error: unknown): Generator<Cause> {
  for (const found of chainOf(error)) {
    yield {
      code: String(found['code'] ?? found['kind'] ?? ''),
      message: String(found['message'] ?? ''),
      isConnecting: found['isConnecting'] === true,
    };
  }
}

export interface Cause {
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

/** Errors of `connect` and of the lookup before it, and what Prisma and its driver call them. */
const NOT_SENT_CODES = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN'],
  ...['EADDRNOTAVAIL', 'P1000', 'P1001', 'P1002', 'P1003', 'P1010', 'P1011', 'P2024', 'P2037'],
  ...['DatabaseNotReachable', 'TlsConnectionError'],
]);
/** Shown by `pg` in the message only; the last is a socket's file that does not exist. */
const NOT_SENT_MESSAGE =
  /^timeout exceeded when trying to connect|^Connection terminated due to connection timeout|^timeout expired|^Client has encountered a connection error|^Client was closed|^connect E/;
/** cannot_connect_now, too_many_connections, invalid_authorization, invalid_catalog_name: the session never began. */
const NOT_SENT_STATE = /^(57P03|53300|28...|3D000|08001|08004)$/;
const UNKNOWN_CODES = new Set([
  ...['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'P1008', 'P1017', 'ConnectionClosed', 'SocketTimeout'],
]);
const UNKNOWN_MESSAGE = /^Connection terminated|^Query read timeout/;
/** Connection exception, and operator intervention without 57014, which ends one statement only. */
const UNKNOWN_STATE = /^(08...|57P..|25P03)$/;

export function connectionFailure(error: unknown): ConnectionFailure | undefined {
  const state = findDatabaseError(error)?.sqlState ?? '';
  const causes = [...causesOf(error)];
  const has = (codes: ReadonlySet<string>, text: RegExp) =>
    causes.some(({ code, message }) => codes.has(code) || text.test(message));
  if (causes.some(({ isConnecting }) => isConnecting)) return 'not-sent';
  if (NOT_SENT_STATE.test(state) || has(NOT_SENT_CODES, NOT_SENT_MESSAGE)) return 'not-sent';
  return UNKNOWN_STATE.test(state) || has(UNKNOWN_CODES, UNKNOWN_MESSAGE) ? 'unknown' : undefined;
}

/** Node's codes for a certificate that it does not accept and for a handshake that fails, and what Prisma calls them. */
const TLS_CODE = /CERT|SIGNATURE|^ERR_TLS|^ERR_SSL|^EPROTO$|^P1011$|^TlsConnectionError$/;
export const NO_TLS = 'The server does not support SSL connections';

/** Whether no encrypted connection could be made. */
export function isTlsFailure(error: unknown): boolean {
  return [...causesOf(error)].some(({ code, message }) => TLS_CODE.test(code) || message === NO_TLS);
}

/** Whether an error, or a cause of it, is that the session ended or could not begin. */
export function isConnectionLoss(error: unknown): boolean {
  return connectionFailure(error) !== undefined;
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
  const causes = [...causesOf(error)];
  const code = found?.sqlState ?? causes.find((cause) => cause.code !== '')?.code ?? '';
  const driver = found === undefined ? original : (databaseRecord(error) ?? original);
  const safe = SAFE_FIELDS.flatMap((field) => (driver[field] === undefined ? [] : [[field, driver[field]] as const]));
  // The driver's own words about a connection hold no values.
  const lost = causes.find(({ message: text }) => NOT_SENT_MESSAGE.test(text) || UNKNOWN_MESSAGE.test(text));
  // Prisma's messages quote the arguments of the call.
  const prisma = isPrismaError(error) ? (lost?.message ?? `Prisma error ${code}`.trimEnd()) : undefined;
  const message = found?.message ?? prisma ?? String(original['message'] ?? error);
  const cause = Object.assign(new Error(message), { code }, Object.fromEntries(safe));
  const frames = typeof original['stack'] === 'string' ? original['stack'].match(/^ {4}at .*$/gm) : null;
  cause.stack = [`Error: ${message}`, ...(frames ?? [])].join('\n');
  return cause;
}

/** Whether Prisma made the error itself. It also sets `clientVersion` on errors of the driver, which it passes on. */
export function isPrismaError(error: unknown): boolean {
  return isRecord(error) && /^PrismaClient/.test(String(error['name']));
}

function databaseRecord(error: unknown): Readonly<Record<string, unknown>> | undefined {
  return [...chainOf(error)].find((found) => (found['originalCode'] ?? found['severity']) !== undefined);
}
