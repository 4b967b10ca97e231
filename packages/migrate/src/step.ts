import { randomUUID } from 'node:crypto';
import { quoteLiteral } from '@azora/db-core/quote';
import type { ClientBase } from 'pg';
import type { Migration, Script } from './files';
import { HISTORY } from './history';
import { requireDown } from './refusals';
import { asRun } from './script-mode';

/** Runs before a commit; an error rolls back. */
export type Check = () => Promise<void>;

export interface StepOptions {
  /** PostgreSQL's lock_timeout while a migration runs; 5,000 by default. */
  readonly lockTimeoutMs?: number | undefined;
  /** How often a migration is tried again after a lock timeout; 10 by default, 0 for never. */
  readonly lockRetries?: number | undefined;
  /** How long a statement may take; without a limit by default. */
  readonly statementTimeoutMs?: number | undefined;
  /**
   * Runs before the SQL of each migration, in its transaction if it has one. It may return a check, which runs just before that
   * transaction is committed, and after the history row is written. An error of either stops the run. `name` is the migration's.
   */
  readonly beforeEach?: ((client: ClientBase, script: Script, name: string) => Promise<Check | undefined>) | undefined;
  /** Runs in the transaction of each migration, after its SQL. */
  readonly afterEach?: ((client: ClientBase, isLast: boolean) => Promise<void>) | undefined;
  /** Whether no further migration of the run follows; true by default. */
  readonly isLast?: boolean | undefined;
  /** Receives a sentence each time the run starts to wait for another session. */
  readonly onWait?: ((reason: string) => void) | undefined;
  /** The process of the session that has the migration lock; a step that another one answers is stopped. */
  readonly session?: number | undefined;
  /** Once aborted, a migration that waits for a lock is not tried again. */
  readonly signal?: AbortSignal | undefined;
}

/** One file to run, and the changes that it makes to the history table, as SQL. */
export interface Step {
  readonly name: string;
  readonly script: Script;
  /** A condition: whether the history table already shows this step as done. */
  readonly isDone: string;
  /** Outside of a transaction: records that the step began, so that an interruption shows. */
  readonly begin: string;
  readonly finish: string;
  /** Records an error; `rolledBack` is true when nothing of the step remains. */
  readonly fail: (logs: string, rolledBack: boolean) => string;
}

/** The step that applies a migration. A failed attempt that was rolled back is recorded as such, so it needs no repair. */
export function stepUp({ name, checksum, ...migration }: Migration): Step {
  const script = asRun(migration);
  const id = quoteLiteral(randomUUID());
  const identity = `${id}, ${quoteLiteral(checksum)}, ${quoteLiteral(name)}`;
  const insert = (columns: string, values: string) =>
    `INSERT INTO ${HISTORY} (id, checksum, migration_name, ${columns}) VALUES (${identity}, ${values})`;
  const update = (change: string) => `UPDATE ${HISTORY} SET ${change} WHERE id = ${id}`;
  return {
    name,
    script,
    isDone: `EXISTS (SELECT FROM ${HISTORY} WHERE ${rowOf(name)} AND finished_at IS NOT NULL)`,
    begin: insert('started_at', 'clock_timestamp()'),
    finish: script.transactional
      ? insert('started_at, finished_at, applied_steps_count', 'now(), clock_timestamp(), 1')
      : update('finished_at = clock_timestamp(), applied_steps_count = 1'),
    fail: (logs, rolledBack) =>
      script.transactional
        ? insert('rolled_back_at, logs', `${rolledBack ? 'now()' : 'NULL'}, ${quoteLiteral(logs)}`)
        : update(`logs = ${quoteLiteral(logs)}`),
  };
}

/**
 * The step that reverts a migration. Failed attempts to apply it are removed from the history as well, because the history
 * only describes migrations that are there.
 * @throws {SuiteError} `MIGRATION.IRREVERSIBLE`
 */
export function stepDown(migration: Migration): Step {
  const { name } = migration;
  const script = asRun(requireDown(migration));
  const unfinish = (logs: string) =>
    `UPDATE ${HISTORY} SET finished_at = NULL, logs = ${quoteLiteral(logs)} WHERE ${rowOf(name)}`;
  return {
    name,
    script,
    isDone: `NOT EXISTS (SELECT FROM ${HISTORY} WHERE ${rowOf(name)} AND finished_at IS NOT NULL)`,
    begin: unfinish('down.sql was interrupted'),
    finish: `DELETE FROM ${HISTORY} WHERE migration_name = ${quoteLiteral(name)}`,
    fail: (logs, rolledBack) => (rolledBack ? '' : unfinish(logs)),
  };
}

function rowOf(name: string): string {
  return `migration_name = ${quoteLiteral(name)} AND rolled_back_at IS NULL`;
}
