import { SuiteError } from '@azora/db-core';
import { withLimitedClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import type { Target } from '../targets';

/** Why one database or the backup store could not be read. The rest of the answer is complete without it. */
export interface ReadError {
  readonly code: string;
  readonly message: string;
}

/** How long a page over many services waits for each of them. The page asks again soon. */
export const READ_TIMEOUT_MS = 5_000;
/** A page that queues behind a lock would show nothing of the databases that are not locked. */
const LOCK_TIMEOUT_MS = 2_000;

/**
 * Runs `work` in a read-only session of the administrator, who alone sees all statistics, for at most `timeoutMs`.
 * @throws {SuiteError} `SERVER.…`, `STUDIO.LATE`
 */
export function withReader<Result>(
  target: Target,
  work: (client: Client) => Promise<Result>,
  timeoutMs = READ_TIMEOUT_MS,
): Promise<Result> {
  return withLimitedClient(target.admin, (client) =>
    withTimeout(`The database of ${target.service.name}`, timeoutMs, async () => {
      await limitSession(client, target, timeoutMs);
      return work(client);
    }),
  );
}

async function limitSession(client: Client, { server }: Target, timeoutMs: number): Promise<void> {
  // All clients of the companion share one session: a SET here would apply to everyone.
  if (server === 'companion') return;
  await client.query(
    `SET statement_timeout = ${timeoutMs}; SET lock_timeout = ${LOCK_TIMEOUT_MS}; SET default_transaction_read_only = on`,
  );
}

/**
 * Returns the result of `work`, or throws when it takes longer than `timeoutMs`. The caller ends what `work` started.
 * @throws {SuiteError} `STUDIO.LATE`
 */
export async function withTimeout<Result>(
  who: string,
  timeoutMs: number,
  work: () => Promise<Result>,
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new SuiteError('STUDIO.LATE', `${who} did not answer within ${timeoutMs / 1_000} seconds`, {
      why: 'It is overloaded, locked or unreachable.',
    });
    timer = setTimeout(() => reject(error), timeoutMs);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The part of an error that a page shows. */
export function readErrorOf({ code, message }: SuiteError): ReadError {
  return { code, message };
}
