import { backOff } from 'exponential-backoff';
import { causesOf, findDatabaseError } from './database-errors';

/** Five tries: contention that outlives 10, 20, 40 and 80 ms is a hot spot that waiting will not cool. */
const TRANSACTION_RETRY = { numOfAttempts: 5, startingDelay: 10, maxDelay: 500, jitter: 'full' } as const;

/** Six tries over about three seconds: what a server takes to restart. */
const CONNECT_RETRY = { numOfAttempts: 6, startingDelay: 100, maxDelay: 1_600, jitter: 'full' } as const;

/** Serialization failure and deadlock: PostgreSQL says to run the whole transaction again (manual, §13.5). */
const RUN_AGAIN = ['40001', '40P01'];

/** Starting up or shutting down, too many connections: the server is there and will take the next ones. */
const CONNECT_AGAIN = ['57P03', '53300', 'ECONNREFUSED', 'ECONNRESET', 'EAI_AGAIN'];

/** True of errors after which the whole transaction may be run again. */
export function isRetryable(error: unknown): boolean {
  return RUN_AGAIN.includes(findDatabaseError(error)?.sqlState ?? '') || codeOf(error) === 'P2034';
}

/** Runs `work` until it succeeds, fails for good, or was tried five times. */
export function retryTransaction<Result>(work: () => Promise<Result>): Promise<Result> {
  return backOff(work, { ...TRANSACTION_RETRY, retry: isRetryable });
}

/** Runs `connect` until it succeeds, is refused for good, or was tried six times. */
export function retryConnect<Result>(connect: () => Promise<Result>): Promise<Result> {
  return backOff(connect, { ...CONNECT_RETRY, retry: (error) => CONNECT_AGAIN.includes(codeOf(error)) });
}

function codeOf(error: unknown): string {
  return causesOf(error).next().value?.code ?? '';
}
