import { backOff } from 'exponential-backoff';
import { causesOf, findDatabaseError } from './database-errors';

/** Five attempts: contention that outlives 10, 20, 40 and 80 ms is a hot spot that waiting does not cure. */
const TRANSACTION_RETRY = { numOfAttempts: 5, startingDelay: 10, maxDelay: 500, jitter: 'full' } as const;

/** Six attempts over about three seconds, the time that a server takes to restart. */
const CONNECT_RETRY = { numOfAttempts: 6, startingDelay: 100, maxDelay: 1_600, jitter: 'full' } as const;

/** Serialization failure and deadlock: the whole transaction must be retried (PostgreSQL manual, §13.5). */
const RETRY_STATES = ['40001', '40P01'];

/** The server starts, shuts down or has too many connections, or a name server is busy: the next attempt may succeed. */
const RETRY_CONNECT_CODES = ['57P03', '53300', 'ECONNREFUSED', 'ECONNRESET', 'EAI_AGAIN'];

/** Whether the whole transaction can be retried after an error. */
export function isRetryable(error: unknown): boolean {
  return RETRY_STATES.includes(findDatabaseError(error)?.sqlState ?? '') || codeOf(error) === 'P2034';
}

/** Runs `work` until it succeeds or fails for another reason, five times at most. Throws the last error. */
export function retryTransaction<Result>(work: () => Promise<Result>): Promise<Result> {
  return backOff(work, { ...TRANSACTION_RETRY, retry: isRetryable });
}

/** Runs `connect` until it succeeds or fails for another reason, six times at most. Throws the last error. */
export function retryConnect<Result>(connect: () => Promise<Result>): Promise<Result> {
  return backOff(connect, { ...CONNECT_RETRY, retry: (error) => RETRY_CONNECT_CODES.includes(codeOf(error)) });
}

function codeOf(error: unknown): string {
  return causesOf(error).next().value?.code ?? '';
}
