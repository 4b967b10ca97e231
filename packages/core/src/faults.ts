import { causesOf, type DatabaseFault, databaseFault, SuiteError } from './errors';

/** The errors of a store by the name of the constraint, or of the rule of our own SQL, that refused. */
export type FaultTable = Readonly<Record<string, (facts: DatabaseFault['facts']) => SuiteError>>;

/**
 * What was thrown, as the suite's error: by its constraint where the table has it, else `DATABASE.FAILED` with its SQLSTATE,
 * `DATABASE.CONNECTION_LOST`, `DATABASE.NO_CONNECTION` or `DATABASE.TRANSACTION_TIMEOUT`. What is no database's error stays what it is. A driver's own message is left out, for it
 * may carry values of rows.
 */
export function storeError(error: unknown, faults: FaultTable): unknown {
  if (error instanceof SuiteError) return error;
  if (isTimedOut(error)) return transactionTimedOut(error);
  if (hasNoConnection(error)) return noConnection(error);
  if (isConnectionLoss(error)) return connectionLost(error);
  const fault = databaseFault(error);
  if (fault === undefined) return error;
  const known = fault.constraint === undefined ? undefined : faults[fault.constraint];
  if (known !== undefined) return known(fault.facts);
  return new SuiteError('DATABASE.FAILED', 'PostgreSQL refused the statement', {
    why: `It answered SQLSTATE ${fault.sqlState}${fault.constraint === undefined ? '' : ` for ${fault.constraint}`}.`,
    meta: { sqlState: fault.sqlState, ...(fault.constraint === undefined ? {} : { constraint: fault.constraint }) },
  });
}

function connectionLost(cause: unknown): SuiteError {
  return new SuiteError('DATABASE.CONNECTION_LOST', 'The database did not answer', {
    why: 'The connection was lost, or the statement took longer than it may; whether it took effect is not known.',
    next: 'Call again; what takes an idempotency key takes effect once, however often it is called with that key',
    cause,
  });
}

function transactionTimedOut(cause: unknown): SuiteError {
  return new SuiteError('DATABASE.TRANSACTION_TIMEOUT', 'The transaction took longer than it may', {
    why: 'Nothing of it stays.',
    next: 'Call again; when it happens often, look for who holds the rows, or allow more with pool.statementTimeoutMs',
    cause,
  });
}

/** Prisma's code for a transaction that did not begin, or did not end, in time. */
function isTimedOut(error: unknown): boolean {
  return [...causesOf(error)].some(({ code }) => code === 'P2028');
}

function noConnection(cause: unknown): SuiteError {
  return new SuiteError('DATABASE.NO_CONNECTION', 'No connection was to be had in time', {
    why: 'All of the pool were in use, or the server did not answer; nothing was sent.',
    next: 'Call again; when it happens often, allow more with pool.max',
    cause,
  });
}

/** What the pool says of it, by its message only. */
function hasNoConnection(error: unknown): boolean {
  return [...causesOf(error)].some(({ message }) => /timeout exceeded when trying to connect/.test(message));
}

const SOCKET_CODES = ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT'];
/** Prisma's codes of the same. */
const LOST_CODES = ['P1001', 'P1017'];
/** What `pg` says by its message only, and a socket's file that is not there. */
const LOST_MESSAGE =
  /^Connection terminated|^Client has encountered a connection error|^Query read timeout|^connect ENOENT/;
/** The classes «connection exception» and «operator intervention», of which 57014 is the end of one statement only. */
const LOST_STATE = /^(08|57P)/;

/** Whether an error, or what caused it, is that the session ended or could not begin. */
export function isConnectionLoss(error: unknown): boolean {
  if (LOST_STATE.test(databaseFault(error)?.sqlState ?? '')) return true;
  return [...causesOf(error)].some(
    ({ code, message }) => [...SOCKET_CODES, ...LOST_CODES].includes(code) || LOST_MESSAGE.test(message),
  );
}
