/** `error`: rows or the next migration are in danger. `warning`: it will hurt. `note`: worth knowing. */
export type Level = 'error' | 'warning' | 'note';

/** One thing that is not as it should be. */
export interface Finding {
  /** Which check found it, such as `foreign-key-index`. */
  readonly check: string;
  readonly level: Level;
  /** What it is about: a table, an index, a setting, `process 4711`. */
  readonly object: string;
  /** A sentence that goes on from the object: `has no primary key`. */
  readonly message: string;
  readonly next: string;
}

/** Beyond these a thing is worth a finding. */
export interface Limits {
  readonly idleInTransactionMs: number;
  readonly transactionMs: number;
  readonly preparedMs: number;
  /** Shorter waits are everyday life; PostgreSQL looks for deadlocks after as long. */
  readonly lockWaitMs: number;
  readonly historyTries: number;
  readonly connectionsShare: number;
  readonly sequenceShare: number;
  readonly unusedIndexBytes: number;
  readonly unusedIndexTableScans: number;
  readonly statisticsAgeMs: number;
  /** How long the doctor itself waits behind somebody's lock. */
  readonly ownLockTimeoutMs: number;
  /** How long it waits for an answer: on a companion, another client's transaction keeps everybody waiting. */
  readonly answerTimeoutMs: number;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

export const DEFAULT_LIMITS: Limits = {
  idleInTransactionMs: 5 * MINUTE_MS,
  transactionMs: HOUR_MS,
  preparedMs: HOUR_MS,
  lockWaitMs: 1_000,
  historyTries: 100,
  connectionsShare: 0.8,
  sequenceShare: 0.8,
  unusedIndexBytes: 1024 ** 2,
  unusedIndexTableScans: 1_000,
  statisticsAgeMs: 7 * 24 * HOUR_MS,
  ownLockTimeoutMs: 2_000,
  answerTimeoutMs: 10_000,
};
