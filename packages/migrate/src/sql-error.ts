import { findDatabaseError, isConnectionLoss, redactedCause } from '@azora/db-core/database-errors';
import { SuiteError } from '@azora/db-core/errors';
import { DatabaseError } from 'pg';
import type { Script } from './files';
import type { RelationLock } from './lock';
import { offsetOfCharacter, type Place, placeOf } from './place';
import { splitStatements } from './sql';

/** What failed, and where in the file. */
export interface Failure {
  readonly name: string;
  readonly script: Script;
  readonly error: unknown;
  /** Where the SQL that was sent began in the file; undefined for SQL of the runner itself. */
  readonly sentFrom?: number | undefined;
  /** How many statements of that SQL had completed. */
  readonly completed?: number;
}

const LOCK_NOT_AVAILABLE = '55P03';

const ADVICE: Readonly<Record<string, string>> = {
  '25001': 'Make "-- no-transaction" the first line of the file, and keep other statements out of the file',
  '40P01': 'Run again; another session held a lock that the migration needed',
  '57014': 'Run again, with a longer statement timeout if the statement was not canceled by hand',
};

/** Whether the error, or a cause of it, is that a statement did not get a lock in time. */
export function isLockTimeout(error: unknown): boolean {
  return findDatabaseError(error)?.sqlState === LOCK_NOT_AVAILABLE;
}

/**
 * The error of a file's SQL, with file, line, column and a caret, as compilers print it. PostgreSQL's `detail` and `where`
 * hold values of rows and are left out.
 */
export function sqlError(failure: Failure): SuiteError {
  const { name, script, error } = failure;
  if (!(error instanceof DatabaseError) || error.severity === 'FATAL' || isConnectionLoss(error)) {
    return connectionLost(name, script, error);
  }
  const place = findPlace(failure);
  const at = place === undefined ? script.file : `${script.file}:${place.line}:${place.column}`;
  const excerpt = place === undefined ? '' : `\n${place.excerpt}\n`;
  const { sqlState = error.code ?? '', message = '' } = findDatabaseError(error) ?? {};
  const remains = script.transactional
    ? 'the migration was rolled back'
    : 'earlier statements of the file remain applied';
  return new SuiteError('MIGRATION.SQL_FAILED', `${name} failed: ${message}`, {
    why: `SQLSTATE ${sqlState} at ${at}; ${remains}.${excerpt}`,
    next: ADVICE[sqlState] ?? `Correct ${script.file} and run again`,
    meta: { file: script.file, line: place?.line ?? null, column: place?.column ?? null, sqlState },
    cause: redactedCause(error),
  });
}

/** The error of a migration that did not get a lock, after `attempts` attempts. */
export function lockTimeoutError(
  { name, script, cause }: { readonly name: string; readonly script: Script; readonly cause: unknown },
  locks: readonly RelationLock[],
  attempts: number,
): SuiteError {
  const { meta, why = '' } = cause instanceof SuiteError ? cause : { meta: { file: script.file } };
  return new SuiteError('MIGRATION.LOCK_TIMEOUT', `${name} timed out waiting for ${describeLocks(locks)}`, {
    why: `The runner tried ${attempts === 1 ? 'once' : `${attempts} times`}. ${why}`.trim(),
    next: 'Let the other session finish, or end it, and run again. To allow more time, use --lock-timeout, or lockTimeoutMs of migrateOnStart',
    meta: { ...meta, sqlState: LOCK_NOT_AVAILABLE, locks },
    cause: cause instanceof SuiteError ? cause : redactedCause(cause),
  });
}

/** `a lock on users held by process 4711 (reporting, …)` */
export function describeLocks(locks: readonly RelationLock[]): string {
  if (locks.length === 0) return 'a lock held by a session that has just ended';
  const relations = [...new Set(locks.map(({ relation }) => relation))].join(', ');
  const holders = [...new Set(locks.map(({ holder }) => holder))].join(', ');
  return `a lock on ${relations} held by ${holders}`;
}

function connectionLost(name: string, { file, transactional }: Script, error: unknown): SuiteError {
  const reason = error instanceof Error ? error.message : String(error);
  const outcome = transactional
    ? 'The migration is either applied as a whole or not at all'
    : 'Some statements of the migration may be applied';
  return new SuiteError('DATABASE.CONNECTION_LOST', `The connection was lost while ${name} ran`, {
    why: `${reason}. ${outcome}.`,
    next: 'Run again; the history table tells which migrations are applied',
    meta: { file, outcome: 'unknown' },
    cause: redactedCause(error),
  });
}

/** The error's own position; without one, the beginning of the statement that did not complete. */
function findPlace({ script: { sql }, error, sentFrom, completed = 0 }: Failure): Place | undefined {
  if (sentFrom === undefined) return undefined;
  if (error instanceof DatabaseError && error.position !== undefined) {
    return placeOf(sql, sentFrom + offsetOfCharacter(sql.slice(sentFrom), Number(error.position)));
  }
  const statement = splitStatements(sql).filter(({ offset }) => offset >= sentFrom)[completed];
  return statement === undefined ? undefined : placeOf(sql, statement.offset);
}
