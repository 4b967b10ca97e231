import { setTimeout as sleep } from 'node:timers/promises';
import { SuiteError } from '@azora/db-core/errors';
import type { ClientBase } from 'pg';
import type { Script } from './files';
import { HISTORY } from './history';
import { relationLocks } from './lock';
import { placeOf } from './place';
import { RESET } from './session';
import { splitStatements } from './sql';
import { describeLocks, isLockTimeout, lockTimeoutError } from './sql-error';
import type { Step, StepOptions } from './step';

/** How often a migration that did not get a lock is tried again. */
const LOCK_RETRIES = 10;

/** The pause before a retry is random, between zero and a limit that doubles from the first to the longest. */
const FIRST_RETRY_PAUSE_MS = 100;
const LONGEST_RETRY_PAUSE_MS = 10_000;

/**
 * Runs `attempt` again after a lock timeout, with exponential backoff and full jitter, up to a number of retries. While it
 * pauses it is not in the queue of any lock, so the sessions behind it continue. `attempt` must leave nothing behind when it
 * fails; `current` is the step at which it failed. False when the run was aborted meanwhile.
 * @throws {SuiteError} `MIGRATION.LOCK_TIMEOUT`
 */
export async function withLockRetries(
  client: ClientBase,
  current: () => Step,
  { lockRetries = LOCK_RETRIES, onWait, signal }: StepOptions,
  attempt: () => Promise<boolean>,
): Promise<boolean> {
  for (let retry = 1; ; retry += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      const step = current();
      await client.query(`ROLLBACK; ${step.script.transactional ? RESET : ''}`);
      const locks = await relationLocks(client, waitingSql(step.script, error));
      if (retry > lockRetries) throw lockTimeoutError({ ...step, cause: error }, locks, retry);
      onWait?.(`waiting for ${describeLocks(locks)}; retry ${retry} of ${lockRetries}`);
      const limit = Math.min(LONGEST_RETRY_PAUSE_MS, FIRST_RETRY_PAUSE_MS * 2 ** (retry - 1));
      await sleep(Math.random() * limit, undefined, { signal }).catch(() => undefined);
      if (signal?.aborted) return false;
    }
  }
}

/**
 * The statement that did not get its lock; everything that the step locks when the error names no place in the file; undefined for a
 * hook of the caller, which may lock any table.
 */
function waitingSql({ sql }: Script, error: unknown): string | undefined {
  if (!(error instanceof SuiteError)) return undefined;
  const { line, column } = error.meta;
  const waiting = splitStatements(sql).find(({ offset }) => {
    const place = placeOf(sql, offset);
    return place.line === line && place.column === column;
  });
  return waiting?.text ?? `${HISTORY} ${sql}`;
}
