import { SuiteError } from '@azora/db-core';

/** As much as a column for errors holds. */
const MAX_LENGTH = 500;

/**
 * What the tables keep of an error: the code and the message of an error of the suite, which hold no values of rows, and the name of
 * every other error, because its message may hold personal data. PostgreSQL can store the text, whatever the error holds: a text that
 * it rejects would keep out everything that is recorded together with it.
 */
export function describeFailure(error: unknown): string {
  return textOf(error).slice(0, MAX_LENGTH).replaceAll('\0', '\ufffd').toWellFormed();
}

function textOf(error: unknown): string {
  if (error instanceof SuiteError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? String(error.name) : typeof error;
}
