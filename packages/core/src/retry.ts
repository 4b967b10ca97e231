import { type BackoffOptions, backOff } from 'exponential-backoff';
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
  return retry(work, TRANSACTION_RETRY, isRetryable);
}

/** Runs `connect` until it succeeds or fails for another reason, six times at most. Throws the last error. */
export function retryConnect<Result>(connect: () => Promise<Result>): Promise<Result> {
  return retry(connect, CONNECT_RETRY, (error) => RETRY_CONNECT_CODES.includes(codeOf(error)));
}

type Attempts = Pick<BackoffOptions, 'startingDelay' | 'maxDelay' | 'jitter'> & { readonly numOfAttempts: number };

/** Almost every first attempt succeeds, and each statement makes one: only the others pay for the backoff. */
async function retry<Result>(
  work: () => Promise<Result>,
  { numOfAttempts, ...delays }: Attempts,
  isWorthIt: (error: unknown) => boolean,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!isWorthIt(error)) throw error;
    return backOff(work, { ...delays, numOfAttempts: numOfAttempts - 1, delayFirstAttempt: true, retry: isWorthIt });
  }
}

function codeOf(error: unknown): string {
  return causesOf(error).next().value?.code ?? '';
}
