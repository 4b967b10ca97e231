import { closeSync, openSync, statSync, truncateSync } from 'node:fs';
import { open } from 'node:fs/promises';

/** Matches the lines that a program logs when the disk is full. */
export const NO_SPACE = /No space left on device|Check free disk space|ENOSPC|Disk quota exceeded/;

const LIMIT_BYTES = 10 * 1024 * 1024;

export interface Log {
  readonly fd: number;
  /** The offset of the next line. */
  readonly begin: number;
}

/**
 * Opens a log for a child process to append to, gives it to `start`, and closes it in this process also when `start`
 * throws. A log of more than 10 MiB is emptied first.
 */
export function withLog<Result>(file: string, start: (log: Log) => Result): Result {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LIMIT_BYTES) truncateSync(file);
  const fd = openSync(file, 'a', 0o600);
  try {
    return start({ fd, begin: size > LIMIT_BYTES ? 0 : size });
  } finally {
    closeSync(fd);
  }
}

/** The text of a log from an offset on. */
export async function readLog(file: string, begin: number): Promise<string> {
  const handle = await open(file);
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(Math.max(0, Math.min(size - begin, LIMIT_BYTES)));
    await handle.read(buffer, 0, buffer.length, begin);
    return buffer.toString('utf8');
  } finally {
    await handle.close();
  }
}

/** The end of a log, for an error message. */
export function lastLines(log: string, count = 6): string {
  return log.trim().split('\n').slice(-count).join('\n') || 'The program logged nothing.';
}
