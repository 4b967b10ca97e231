import { isConnectionLoss, SuiteError } from '@azora/db-core';
import { DatabaseError } from 'pg';
import type { Script } from './files';
import { offsetOfCharacter, type Place, placeOf } from './place';
import { splitStatements } from './statements';

/** What failed, and where to look for it. */
export interface Failure {
  readonly name: string;
  readonly script: Script;
  readonly error: unknown;
  /** Where in the file the SQL began that was sent; undefined when it was not the file's. */
  readonly sentFrom?: number | undefined;
  /** How many of its statements had completed. */
  readonly completed?: number;
}

/** «Data exception»: its messages quote the value that did not fit, which may be a row's. */
const DATA_EXCEPTION = /^22/;

const ADVICE: Readonly<Record<string, string>> = {
  '25001': 'Make "-- no-transaction" the first line of the file, and let it do nothing else',
  '40P01': 'Run it again; another session held what it needed',
  '55P03': 'Another session holds a lock that it needs: wait for that one, or allow more with --lock-timeout',
  '57014': 'It was cancelled, or took longer than the statement timeout: run it again with more time',
};

/**
 * What failed while a file's SQL ran, with file, line, column and a caret, as compilers print it. Never PostgreSQL's
 * `detail` and `where`, which hold values of rows.
 */
export function sqlError({ name, script, error, sentFrom, completed = 0 }: Failure): SuiteError {
  const left = script.transactional ? 'nothing of it stays' : 'what ran before it stays';
  if (!(error instanceof DatabaseError) || error.severity === 'FATAL' || isConnectionLoss(error)) {
    return connectionLost(name, script, error);
  }
  const place = sentFrom === undefined ? undefined : findPlace(script.sql, error, sentFrom, completed);
  const at = place === undefined ? script.file : `${script.file}:${place.line}:${place.column}`;
  const excerpt = place === undefined ? '' : `\n${place.excerpt}\n`;
  const message = DATA_EXCEPTION.test(error.code ?? '') ? withoutValues(error.message) : error.message;
  return new SuiteError('MIGRATION.SQL_FAILED', `${name} failed: ${message}`, {
    why: `SQLSTATE ${error.code} at ${at}; ${left}.${excerpt}`,
    next: ADVICE[error.code ?? ''] ?? `Correct ${script.file} and run it again`,
    meta: { file: script.file, line: place?.line ?? null, column: place?.column ?? null, sqlState: error.code ?? null },
    cause: error,
  });
}

function connectionLost(name: string, { file, transactional }: Script, error: unknown): SuiteError {
  const reason = error instanceof Error ? error.message : String(error);
  return new SuiteError('MIGRATION.CONNECTION_LOST', `The connection was lost while ${name} ran`, {
    why: `${reason}; ${transactional ? 'the migration is there wholly or not at all' : 'part of it may be there'}.`,
    next: 'Run it again',
    meta: { file },
    cause: error,
  });
}

/** The error's own position; where it has none, the beginning of the statement that did not complete. */
function findPlace(sql: string, error: DatabaseError, from: number, completed: number): Place | undefined {
  if (error.position !== undefined) {
    return placeOf(sql, from + offsetOfCharacter(sql.slice(from), Number(error.position)));
  }
  const statement = splitStatements(sql).filter(({ offset }) => offset >= from)[completed];
  return statement === undefined ? undefined : placeOf(sql, statement.offset);
}

function withoutValues(message: string): string {
  return message.replaceAll(/"[^"]*"/g, '"…"');
}
