import {
  type ConstraintErrors,
  causesOf,
  connectionFailure,
  type DatabaseErrorFacts,
  findDatabaseError,
  isTlsFailure,
  redactedCause,
} from './database-errors';
import { SuiteError } from './errors';
import { type PrismaMeaning, prismaMeaning, prismaSentence } from './prisma-errors';

/**
 * Turns what a store's statement threw into the suite's error: by its constraint where the store has one, else
 * - nothing was sent: `DATABASE.CLOSED`, `DATABASE.ACCESS_DENIED`, `DATABASE.TLS_FAILED`, `DATABASE.NO_CONNECTION`,
 *   `DATABASE.INVALID_QUERY`, `DATABASE.TRANSACTION_ENDED`
 * - rolled back: `DATABASE.TIMEOUT`, `DATABASE.TRANSACTION_TIMEOUT`, `DATABASE.NOT_FOUND`, `DATABASE.FAILED`
 * - the outcome is unknown: `DATABASE.CONNECTION_LOST`; the statement ran: `DATABASE.UNREADABLE_RESULT`
 *
 * An error that came neither from the database nor from Prisma stays what it is.
 */
export function storeError(error: unknown, constraintErrors: ConstraintErrors, statement?: string): unknown {
  if (error instanceof SuiteError) return error;
  if (isClosed(error)) return storeClosed(error, statement);
  const found = findDatabaseError(error);
  const known = found?.constraint === undefined ? undefined : constraintErrors[found.constraint];
  if (found !== undefined && known !== undefined) return known(found.facts);
  const failure = connectionFailure(error);
  if (failure === 'not-sent') return notConnected(error, found?.sqlState, statement);
  if (failure === 'unknown') return connectionLost(error, statement);
  if (found !== undefined) return rejected(error, found, statement);
  const prisma = prismaMeaning(error);
  return prisma === undefined ? error : PRISMA_ERRORS[prisma.meaning](error, statement, prisma.code);
}

/** What pg says of a pool that was ended. */
export const POOL_ENDED = 'Cannot use a pool after calling end on the pool';

function isClosed(error: unknown): boolean {
  return [...causesOf(error)].some(({ message }) => message === POOL_ENDED);
}

/** Whether a transaction ended early, or did not begin: what happens to a transaction when its store is closed. */
export function isTransactionCut(error: unknown): boolean {
  const meaning = prismaMeaning(error)?.meaning;
  return meaning === 'ended' || meaning === 'not-started';
}

/** The error of a call that was waiting when the store was closed, or came later. */
export function storeClosed(error: unknown, statement?: string): SuiteError {
  return new SuiteError('DATABASE.CLOSED', 'The store is closed', {
    kind: 'usage',
    why: 'Its close() was called. Nothing was committed.',
    next: 'Open another store, or call close() after the last call has returned',
    meta: { outcome: 'not-sent', ...named(statement) },
    cause: redactedCause(error),
  });
}

/** No statement reached the database, or nothing is known of the last one. */
const CONNECTION_ERRORS = [
  'DATABASE.ACCESS_DENIED',
  'DATABASE.CLOSED',
  'DATABASE.CONNECTION_LOST',
  'DATABASE.NO_CONNECTION',
  'DATABASE.TLS_FAILED',
];

/** Whether an error of a store says that its connection failed, and nothing about the statement. */
export function isConnectionError(error: unknown): boolean {
  return error instanceof SuiteError && CONNECTION_ERRORS.includes(error.code);
}

const INSUFFICIENT_PRIVILEGE = '42501';
const QUERY_CANCELED = '57014';
const LOCK_NOT_AVAILABLE = '55P03';
const TRANSACTION_TIMEOUT = '25P04';

/** A wrong user, password or database, or a role that may not connect to the database. */
const ACCESS_DENIED_STATE = /^(28...|3D000)$/;
/** The same in Prisma's codes, and what pg says when the server asks for a password and the URL has none. */
const ACCESS_DENIED_CODE = /^P1000$|^P1003$|^P1010$/;
const NO_PASSWORD = 'client password must be a';

function notConnected(error: unknown, sqlState: string | undefined, statement: string | undefined): SuiteError {
  const meta = { outcome: 'not-sent', ...(sqlState === undefined ? {} : { sqlState }), ...named(statement) };
  if (isAccessDenied(error, sqlState)) {
    return new SuiteError('DATABASE.ACCESS_DENIED', 'The server refused the connection', {
      kind: 'configuration',
      why: sqlState === undefined ? 'Nothing was sent.' : `SQLSTATE ${sqlState}. Nothing was sent.`,
      next: 'Check the user, the password and the database of the URL',
      meta,
      cause: redactedCause(error),
    });
  }
  if (isTlsFailure(error)) {
    return new SuiteError('DATABASE.TLS_FAILED', 'No encrypted connection to the server was possible', {
      kind: 'configuration',
      why: 'The server does not support TLS, or its certificate was not accepted. Nothing was sent.',
      next: 'Check sslmode and sslrootcert of the URL, and the certificate of the server',
      meta,
      cause: redactedCause(error),
    });
  }
  return noConnection(error, statement);
}

function isAccessDenied(error: unknown, sqlState = ''): boolean {
  if (ACCESS_DENIED_STATE.test(sqlState) || sqlState === INSUFFICIENT_PRIVILEGE) return true;
  return [...causesOf(error)].some(
    ({ code, message }) => ACCESS_DENIED_CODE.test(code) || message.includes(NO_PASSWORD),
  );
}

function noConnection(error: unknown, statement: string | undefined): SuiteError {
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

/** PostgreSQL answered. */
function rejected(error: unknown, found: DatabaseErrorFacts, statement: string | undefined): SuiteError {
  const { sqlState, constraint } = found;
  if (sqlState === QUERY_CANCELED || sqlState === LOCK_NOT_AVAILABLE) return timedOut(error, sqlState, statement);
  if (sqlState === TRANSACTION_TIMEOUT) return transactionTimedOut(error, statement);
  return new SuiteError('DATABASE.FAILED', 'PostgreSQL rejected the statement', {
    why: `SQLSTATE ${sqlState}${constraint === undefined ? '' : `, constraint ${constraint}`}.`,
    meta: { sqlState, ...(constraint === undefined ? {} : { constraint }), ...named(statement) },
    cause: redactedCause(error),
  });
}

function timedOut(error: unknown, sqlState: string, statement: string | undefined): SuiteError {
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

/** The error of a transaction that took longer than its limit. */
export function transactionTimedOut(error: unknown, statement: string | undefined): SuiteError {
  return new SuiteError('DATABASE.TRANSACTION_TIMEOUT', 'The transaction took longer than its limit', {
    why: 'It was rolled back.',
    next: 'Call again. If it happens often, find what holds the rows, or raise pool.statementTimeoutMs',
    meta: named(statement),
    cause: redactedCause(error),
  });
}

type PrismaErrorOf = (error: unknown, statement: string | undefined, code: string) => SuiteError;

const PRISMA_ERRORS: Readonly<Record<PrismaMeaning, PrismaErrorOf>> = {
  'not-started': noConnection,
  expired: transactionTimedOut,
  ended: (error, statement) =>
    new SuiteError('DATABASE.TRANSACTION_ENDED', 'The transaction has ended', {
      kind: 'usage',
      why: 'The client of a transaction was used after the transaction. Nothing was sent.',
      next: 'Await every call inside of the function that transaction() receives',
      meta: { outcome: 'not-sent', ...named(statement) },
      cause: redactedCause(error),
    }),
  'not-found': (error, statement) =>
    new SuiteError('DATABASE.NOT_FOUND', 'A row that the call needs does not exist', {
      why: prismaSentence(error),
      next: 'Check the id. To get null instead of an error, use findUnique or findFirst',
      meta: named(statement),
      cause: redactedCause(error),
    }),
  invalid: (error, statement, code) =>
    new SuiteError('DATABASE.INVALID_QUERY', 'Prisma rejected the arguments of the call', {
      kind: 'usage',
      why: `${code === '' && isArgumentError(error) ? prismaSentence(error) : 'It could not compile the query.'} Nothing was sent.`,
      next: 'Correct the arguments of the call; a check of the types finds most of them',
      meta: { outcome: 'not-sent', ...prismaCode(code), ...named(statement) },
      cause: redactedCause(error),
    }),
  unreadable: (error, statement, code) =>
    new SuiteError('DATABASE.UNREADABLE_RESULT', 'The result of the statement cannot be read', {
      kind: 'bug',
      why: 'A column has a type or a value that the generated client cannot represent. The statement was executed.',
      next: 'Cast the column to text, or compare the schema with the database: npx azora-db migrate drift',
      meta: { ...prismaCode(code), ...named(statement) },
      cause: redactedCause(error),
    }),
  failed: (error, statement, code) =>
    new SuiteError('DATABASE.FAILED', 'Prisma could not run the statement', {
      why: `Prisma reports ${code}.`,
      meta: { ...prismaCode(code), ...named(statement) },
      cause: redactedCause(error),
    }),
};

/** An error of the check of arguments, whose last sentence quotes names and no values. */
function isArgumentError(error: unknown): boolean {
  return error instanceof Error && error.name === 'PrismaClientValidationError';
}

function prismaCode(code: string): { readonly prismaCode?: string } {
  return code === '' ? {} : { prismaCode: code };
}

function named(statement: string | undefined): { readonly statement?: string } {
  return statement === undefined ? {} : { statement };
}
