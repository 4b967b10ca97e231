import { databaseFault, SuiteError } from '@azora/db-core';

/** Ended by an administrator or a shutdown (class 57P), or the connection itself failed (class 08). */
const CONNECTION_GONE = /^(57P|08)/;

/**
 * What failed while a file's SQL ran, with file, line, column and a caret, as compilers print it. Never PostgreSQL's
 * `detail`, which holds values of rows.
 */
export function sqlError(error: unknown, { file, sql, name }: { file: string; sql: string; name: string }): SuiteError {
  const fault = databaseFault(error);
  if (fault === undefined || CONNECTION_GONE.test(fault.sqlState)) {
    const reason = fault?.message ?? (error instanceof Error ? error.message : String(error));
    return new SuiteError('MIGRATION.CONNECTION_LOST', `The connection was lost while ${name} ran`, {
      why: `${reason}. The database is at the migration before it.`,
      next: 'Run it again',
      meta: { file },
      cause: error,
    });
  }
  const place = placeOf(sql, positionOf(error));
  return new SuiteError('MIGRATION.SQL_FAILED', `${name} failed: ${fault.message}`, {
    why: `SQLSTATE ${fault.sqlState} at ${file}${place.suffix}${place.excerpt}`,
    next: 'Correct the file and run it again; the database is at the migration before it',
    meta: { file, line: place.line, column: place.column, sqlState: fault.sqlState },
    cause: error,
  });
}

function positionOf(error: unknown): number | undefined {
  const position = error instanceof Error && 'position' in error ? Number(error.position) : Number.NaN;
  return Number.isInteger(position) && position > 0 ? position : undefined;
}

interface Place {
  readonly line: number | null;
  readonly column: number | null;
  readonly suffix: string;
  readonly excerpt: string;
}

/** PostgreSQL counts characters from 1; JavaScript strings are of UTF-16 units, of which some characters take two. */
function placeOf(sql: string, position: number | undefined): Place {
  if (position === undefined) return { line: null, column: null, suffix: '', excerpt: '' };
  const before = [...sql].slice(0, position - 1).join('');
  const line = before.split('\n').length;
  const column = [...before.slice(before.lastIndexOf('\n') + 1)].length + 1;
  const text = sql.split('\n')[line - 1]?.replaceAll('\t', ' ').trimEnd() ?? '';
  const gutter = `${line} | `;
  const caret = `${' '.repeat(gutter.length + column - 1)}^`;
  return { line, column, suffix: `:${line}:${column}`, excerpt: `\n${gutter}${text}\n${caret}\n` };
}
