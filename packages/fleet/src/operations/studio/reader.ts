import { SuiteError } from '@azora/db-core';
import { withClient } from '@azora/db-migrate';
import type { Client } from 'pg';
import type { Target } from '../targets';

/** Why one database, or the place of backups, could not be read; the rest of the answer stands without it. */
export interface ReadError {
  readonly code: string;
  readonly message: string;
}

/** What a page of many services waits for each of them; it is asked again soon. */
export const PATIENCE_MS = 5_000;
/** A page behind a lock would show nothing of all that is not locked. */
const LOCK_TIMEOUT_MS = 2_000;

/**
 * Reads as the administrator, who alone sees statistics, and no longer than that.
 * @throws {SuiteError} `SERVER.…`, `STUDIO.LATE`
 */
export function withReader<Result>(
  target: Target,
  work: (client: Client) => Promise<Result>,
  patienceMs = PATIENCE_MS,
): Promise<Result> {
  return withClient(target.admin, (client) =>
    inTime(`The database of ${target.service.name}`, patienceMs, async () => {
      await limitSession(client, target, patienceMs);
      return work(client);
    }),
  );
}

async function limitSession(client: Client, { server }: Target, patienceMs: number): Promise<void> {
  // The companion's one session is everybody's: what is set in it is set for all.
  if (server === 'companion') return;
  await client.query(
    `SET statement_timeout = ${patienceMs}; SET lock_timeout = ${LOCK_TIMEOUT_MS}; SET default_transaction_read_only = on`,
  );
}

/**
 * What `work` gives, or an error when it takes longer; whoever called it ends what it left.
 * @throws {SuiteError} `STUDIO.LATE`
 */
export async function inTime<Result>(who: string, patienceMs: number, work: () => Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const error = new SuiteError('STUDIO.LATE', `${who} did not answer in ${patienceMs / 1_000} seconds`, {
      why: 'The network, or somebody who holds it, keeps it from that.',
    });
    timer = setTimeout(() => reject(error), patienceMs);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What a page is told of an error. */
export function readErrorOf({ code, message }: SuiteError): ReadError {
  return { code, message };
}
