import { openSync, statSync, truncateSync } from 'node:fs';
import { open } from 'node:fs/promises';

/** What a log says when the disk is full. */
export const NO_SPACE = /No space left on device|Check free disk space|ENOSPC|Disk quota exceeded/;

const LIMIT_BYTES = 10 * 1024 * 1024;

export interface Log {
  readonly fd: number;
  /** Where the next line goes. */
  readonly begin: number;
}

/** Opens a log for a server to append to; one that has grown too long begins anew. */
export function openLog(file: string): Log {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LIMIT_BYTES) truncateSync(file);
  return { fd: openSync(file, 'a', 0o600), begin: size > LIMIT_BYTES ? 0 : size };
}

/** What was written from there on. */
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
  return log.trim().split('\n').slice(-count).join('\n') || 'It said nothing.';
}
