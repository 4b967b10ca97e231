import { utimes } from 'node:fs/promises';

const INTERVAL_MS = 60_000;

/**
 * Sets the time of a directory to now every minute, until the returned function is called. A machine or container that cannot
 * see this process takes unfinished work without a recent change for abandoned.
 */
export function keepFresh(directory: string, intervalMs = INTERVAL_MS): () => Promise<void> {
  return repeat(async () => {
    const now = new Date();
    await utimes(directory, now, now);
  }, intervalMs);
}

/**
 * Runs `work` after each interval, until the returned function is called, which waits for the run in progress. A failure is left
 * to the work that the heartbeat is for: it meets what is gone or unreachable itself.
 */
export function repeat(work: () => Promise<void>, intervalMs: number): () => Promise<void> {
  let current: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    current = current.then(work).catch(() => undefined);
  }, intervalMs);
  timer.unref();
  return () => {
    clearInterval(timer);
    return current;
  };
}
