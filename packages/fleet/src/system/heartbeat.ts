import { utimes } from 'node:fs/promises';

const INTERVAL_MS = 60_000;

/**
 * Sets the time of a directory to now every minute, until the returned function is called. A machine or container that cannot
 * see this process takes unfinished work without a recent change for abandoned.
 */
export function keepFresh(directory: string, intervalMs = INTERVAL_MS): () => void {
  const timer = setInterval(() => {
    const now = new Date();
    // A directory that is gone is reported when the work is finished.
    utimes(directory, now, now).catch(() => undefined);
  }, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}
