import { SuiteError, storeError } from '@azora/db-core';

/** As much as a column for errors holds. */
const MAX_LENGTH = 500;
/** As much of a stack as shows the handler and its caller. */
const MAX_FRAMES = 5;

/**
 * What the tables keep of an error: the code and the message of an error of the suite, which hold no values of rows, and the name of
 * every other error, because its message may hold personal data. PostgreSQL can store the text, whatever the error holds: a text that
 * it rejects would keep out everything that is recorded together with it.
 */
export function describeFailure(error: unknown): string {
  return textOf(error).slice(0, MAX_LENGTH).replaceAll('\0', '\ufffd').toWellFormed();
}

/**
 * What the log of the process shows of an error: the facts of an error of the suite, and of every other error its name and where it
 * was thrown.
 */
export function factsOf(error: unknown): Readonly<Record<string, unknown>> {
  const found = storeError(error, {});
  if (found instanceof SuiteError) return { code: found.code, message: found.message, why: found.why };
  return { error: describeFailure(found), at: placeOf(found) };
}

/** The frames of the stack. Its first lines repeat the message. */
function placeOf(error: unknown): readonly string[] {
  if (!(error instanceof Error) || error.stack?.startsWith(`${error}\n`) !== true) return [];
  const frames = error.stack.slice(`${error}\n`.length).split('\n');
  return frames.slice(0, MAX_FRAMES).map((frame) => frame.trim());
}

function textOf(error: unknown): string {
  if (error instanceof SuiteError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? String(error.name) : typeof error;
}
