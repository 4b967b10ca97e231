import type { ErrorKind, SuiteError } from '@azora/db-core';
import type { ServiceRow } from '../operations/fleet';

export const EXIT_FAILED = 1;
export const EXIT_BAD_INPUT = 2;
/** A check found a problem: pending migrations, drift, orphans, a damaged set. */
export const EXIT_FOUND = 4;
/** 128 and the number of SIGINT, as shells count. */
export const EXIT_INTERRUPTED = 130;

/** The sentence about exit codes in `--help`; README.md and docs/errors.md repeat it. */
export const EXIT_CODES_TEXT =
  'Exit codes: 0 success, 1 failure, 2 invalid usage or configuration, 4 a check found a problem, 130 interrupted';

const EXIT_CODES: Readonly<Record<ErrorKind, number>> = {
  usage: EXIT_BAD_INPUT,
  configuration: EXIT_BAD_INPUT,
  failure: EXIT_FAILED,
  finding: EXIT_FOUND,
  bug: EXIT_FAILED,
};

/** The exit code of an error, derived from its kind. */
export function exitCodeOf({ kind }: SuiteError): number {
  return EXIT_CODES[kind];
}

/** 0 when no service failed; otherwise the smallest exit code of the failed services. */
export function exitCodeOfRows(rows: readonly ServiceRow<unknown>[]): number {
  const codes = rows.flatMap((row) => (row.state === 'failed' ? [exitCodeOf(row.error)] : []));
  return codes.length === 0 ? 0 : Math.min(...codes);
}
