import type { QueryResultRow } from 'pg';

/**
 * - `running`: its steps are being done
 * - `compensating`: a step was refused or missed its deadline, and the steps are being undone, the last one first
 * - `done`: every step succeeded
 * - `compensated`: everything is undone
 * - `stuck`: a compensation, or a step without a deadline, failed too often; `retrySaga` lets it continue
 */
export type SagaState = 'running' | 'compensating' | 'done' | 'compensated' | 'stuck';

/** The table of transitions, as `saga_may_become` of the database enforces it. */
export const SAGA_TRANSITIONS: Readonly<Record<SagaState, readonly SagaState[]>> = {
  running: ['running', 'done', 'compensating', 'compensated', 'stuck'],
  compensating: ['compensating', 'compensated', 'stuck'],
  done: [],
  compensated: [],
  stuck: ['running', 'compensating'],
};

/** A saga as it is now. */
export interface Saga {
  readonly id: string;
  /** The name of its definition. */
  readonly name: string;
  readonly key: string;
  readonly input: unknown;
  readonly steps: readonly string[];
  readonly state: SagaState;
  /** How many steps have taken effect, or may have. */
  readonly step: number;
  readonly results: Readonly<Record<string, unknown>>;
  /** The attempts of the present step, or of its compensation. */
  readonly attempts: number;
  /** When a worker may take it: the end of the lease while it has an owner. */
  readonly nextAt: Date;
  readonly deadline: Date | null;
  /** The worker that has the lease. */
  readonly owner: string | null;
  /** Counts the changes, and fences workers that have lost their lease. */
  readonly version: string;
  /** Why it is, or was, compensated. */
  readonly failure: string | null;
  /** The error of the last attempt, if it failed. */
  readonly lastError: string | null;
  readonly finishedAt: Date | null;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A row of the table `sagas`. */
export interface SagaRow extends QueryResultRow {
  readonly id: string;
  readonly name: string;
  readonly key: string;
  readonly input: unknown;
  readonly steps: readonly string[];
  readonly state: SagaState;
  readonly step: number;
  readonly results: Readonly<Record<string, unknown>>;
  readonly attempts: number;
  readonly next_at: Date;
  readonly deadline: Date | null;
  readonly owner: string | null;
  readonly version: string;
  readonly failure: string | null;
  readonly last_error: string | null;
  readonly finished_at: Date | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

export function sagaOf(row: SagaRow): Saga {
  return {
    id: row.id,
    name: row.name,
    key: row.key,
    input: row.input,
    steps: row.steps,
    state: row.state,
    step: row.step,
    results: row.results,
    attempts: row.attempts,
    nextAt: row.next_at,
    deadline: row.deadline,
    owner: row.owner,
    version: row.version,
    failure: row.failure,
    lastError: row.last_error,
    finishedAt: row.finished_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
