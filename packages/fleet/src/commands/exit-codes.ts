import type { ErrorKind, SuiteError } from '@azora/db-core';
import type { ServiceRow } from '../operations/fleet';

export const EXIT_FAILED = 1;
export const EXIT_BAD_INPUT = 2;
/** A check found something: pending migrations, drift, orphans, a damaged set. */
export const EXIT_FOUND = 4;

const EXIT_CODES: Readonly<Record<ErrorKind, number>> = {
  usage: EXIT_BAD_INPUT,
  configuration: EXIT_BAD_INPUT,
  failure: EXIT_FAILED,
  finding: EXIT_FOUND,
  bug: EXIT_FAILED,
};

/** The exit code of an error, by its kind. */
export function exitCodeOf({ kind }: SuiteError): number {
  return EXIT_CODES[kind];
}

/** 0 when every service is done, else the smallest code of those that failed: 1, 2, then 4. */
export function exitCodeOfRows(rows: readonly ServiceRow<unknown>[]): number {
  const codes = rows.flatMap((row) => (row.state === 'failed' ? [exitCodeOf(row.error)] : []));
  return codes.length === 0 ? 0 : Math.min(...codes);
}
