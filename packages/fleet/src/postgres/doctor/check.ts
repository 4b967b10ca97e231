import type { TableGrants } from '@azora/db-migrate';

/** `error`: rows or the next migration are in danger. `warning`: a problem to correct soon. `note`: worth knowing. */
export type Level = 'error' | 'warning' | 'note';

/** One problem. */
export interface Finding {
  /** The check that found it, such as `foreign-key-index`. */
  readonly check: string;
  readonly level: Level;
  /** The table, index, setting or process with the problem, such as `process 4711`. */
  readonly object: string;
  /** The rest of a sentence that begins with the object: `has no primary key`. */
  readonly message: string;
  readonly next: string;
}

/** The limits beyond which a value is a finding. */
export interface Limits {
  readonly idleInTransactionMs: number;
  readonly transactionMs: number;
  readonly preparedMs: number;
  /** Shorter waits are normal; PostgreSQL looks for deadlocks after this time. */
  readonly lockWaitMs: number;
  /** Rows of failed attempts in the history table. */
  readonly historyAttempts: number;
  readonly connectionsShare: number;
  readonly sequenceShare: number;
  readonly unusedIndexBytes: number;
  readonly unusedIndexTableScans: number;
  readonly statisticsAgeMs: number;
  /** How long the doctor itself waits for a lock. */
  readonly ownLockTimeoutMs: number;
  /** How long the doctor waits for an answer: on a companion, another client's transaction blocks all clients. */
  readonly answerTimeoutMs: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export const DEFAULT_LIMITS: Limits = {
  idleInTransactionMs: 5 * MINUTE_MS,
  transactionMs: HOUR_MS,
  // So long the fence of a backup waits for one.
  preparedMs: 10_000,
  lockWaitMs: 1_000,
  historyAttempts: 100,
  connectionsShare: 0.8,
  sequenceShare: 0.8,
  unusedIndexBytes: 1024 ** 2,
  unusedIndexTableScans: 1_000,
  statisticsAgeMs: 7 * 24 * HOUR_MS,
  ownLockTimeoutMs: 2_000,
  answerTimeoutMs: 10_000,
};

/** The facts that a check has besides the database. */
export interface CheckContext {
  /** The kind of server. The embedded server and the companion cannot be configured like an ordinary server. */
  readonly server: 'ordinary' | 'embedded' | 'companion';
  /** The extensions in the service's manifest. */
  readonly extensions: readonly string[];
  /** The service's app role. */
  readonly role: string;
  /** The rights of the app role on each table. */
  readonly grants: TableGrants;
  readonly limits: Limits;
}

/** A query of the catalog, and the findings in its rows. The query changes nothing and takes no parameters. */
export interface Check {
  readonly sql: (context: CheckContext) => string;
  readonly judge: (rows: readonly unknown[], context: CheckContext) => readonly Finding[];
}

/** A check whose query returns rows of the given type. The type is asserted here and nowhere else. */
export function defineCheck<Row>(check: {
  readonly sql: string | ((context: CheckContext) => string);
  readonly judge: (rows: readonly Row[], context: CheckContext) => readonly Finding[];
}): Check {
  const { sql } = check;
  return {
    sql: typeof sql === 'string' ? () => sql : sql,
    judge: (rows, context) => check.judge(rows as readonly Row[], context),
  };
}
