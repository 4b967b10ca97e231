import { isRecord } from '@azora/db-core';

/** The message of an error without its final period, to stand inside another sentence. */
export function reasonOf(cause: unknown): string {
  const message = isRecord(cause) && typeof cause['message'] === 'string' ? cause['message'] : String(cause);
  return message.trim().replace(/\.$/, '');
}

/**
 * The code of a system error, such as ENOENT, or the exit code of a child process. Reads the property instead of asking
 * for the class, because errors inside Jest belong to another realm.
 */
export function codeOf(cause: unknown): string | number | undefined {
  const code = isRecord(cause) ? cause['code'] : undefined;
  return typeof code === 'string' || typeof code === 'number' ? code : undefined;
}

/** Whether the operating system rejected a file operation. */
export function isFileError(cause: unknown): boolean {
  return /^E[A-Z]+$/.test(String(codeOf(cause)));
}
