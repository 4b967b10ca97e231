import { liftTimeouts } from './connect';
import type { StepOptions } from './step';

/**
 * PostgreSQL's lock_timeout for the statements of a migration. It is short because every session that needs the table
 * queues behind a statement that waits for a strong lock.
 */
export const DEFAULT_LOCK_TIMEOUT_MS = 5_000;

/**
 * A server notices that its client was killed when it next reads from the connection, which may be hours later, and until
 * then the session keeps its locks. On these systems the server can check in between.
 */
const CONNECTION_CHECK_MS = 2_000;

/** Settings that a migration made for its session would hold for the next migration of the same run. */
export const RESET = 'RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL;';

/** Must be applied again after {@link RESET}, which clears these settings too. */
export function settings(
  { lockTimeoutMs = DEFAULT_LOCK_TIMEOUT_MS, statementTimeoutMs }: StepOptions,
  scope: 'LOCAL' | 'SESSION',
): string {
  const timeout =
    statementTimeoutMs === undefined ? '' : `SET ${scope} statement_timeout = ${Math.round(statementTimeoutMs)};`;
  return `${liftTimeouts(scope)}; SET ${scope} lock_timeout = ${Math.round(lockTimeoutMs)}; ${timeout}
    SELECT set_config('client_connection_check_interval', '${CONNECTION_CHECK_MS}', ${scope === 'LOCAL'})
      WHERE version() ~ 'linux|darwin|bsd';`;
}
