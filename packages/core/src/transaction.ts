import { setTimeout as sleep } from 'node:timers/promises';
import { databaseFault } from './errors';

declare const inside: unique symbol;

/** A client that is inside a transaction. Only `store.transaction` makes one, so a plain client does not compile. */
export type Inside<Client> = Client & { readonly [inside]: true };

export interface RetryTiming {
  readonly attempts: number;
  readonly random: () => number;
  readonly sleep: (milliseconds: number) => Promise<unknown>;
}

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;

/** Five tries: contention that outlives 10, 20, 40 and 80 ms is a hot spot that waiting will not cool. */
export const DEFAULT_RETRY: RetryTiming = { attempts: 5, random: Math.random, sleep };

/** True of errors after which PostgreSQL says to run the whole transaction again: 40001 and 40P01. */
export function isRetryable(error: unknown): boolean {
  const state = databaseFault(error)?.sqlState;
  return (
    state === '40001' || state === '40P01' || (error instanceof Error && 'code' in error && error.code === 'P2034')
  );
}

/** Runs `work` until it succeeds, fails for good, or has been tried `attempts` times, pausing with full jitter. */
export async function retryTransaction<Result>(work: () => Promise<Result>, timing: RetryTiming): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= timing.attempts || !isRetryable(error)) throw error;
      await timing.sleep(timing.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt));
    }
  }
}
