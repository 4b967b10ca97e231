import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { type Logger, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';
import { z } from 'zod';
import { describeFailure } from '../failure-text';
import { Outage, Pace, waitFor } from '../pace';
import type { SagaType } from './define-saga';
import type { SagaStore } from './inspect-sagas';
import { runStep, type StepOutcome } from './run-step';
import { SagaRecorder } from './saga-recorder';
import type { SagaRow } from './saga-state';

export interface RunSagasOptions {
  /** Ends the worker: it finishes the running steps, records them and gives its sagas back. */
  readonly signal: AbortSignal;
  /** The steps that run at the same time, 1 to 1000; 32 when absent. The pools of the stores that the steps call bound them too. */
  readonly concurrency?: number;
  /**
   * Milliseconds, 100 to 3600000, for which a saga belongs to this worker, counted from its last record; 30000 when absent. A step that
   * takes longer is run again by another worker, with the same idempotency key.
   */
  readonly leaseMs?: number;
  /** The longest pause between two looks for due sagas, in milliseconds; 500 when absent. */
  readonly pollMs?: number;
  readonly logger?: Logger;
}

/** A saga of any input: a worker passes on what the database stores. */
type AnySaga = Pick<SagaType<never>, 'name' | 'steps'>;

interface Worker extends Required<RunSagasOptions> {
  readonly store: SagaStore;
  readonly owner: string;
  readonly sagas: ReadonlyMap<string, AnySaga>;
  readonly recorder: SagaRecorder;
}

const readOptions = inputReader('SAGA.INVALID_INPUT');
const numbers = z.object({
  concurrency: z.int().min(1).max(1_000),
  leaseMs: z.int().min(100).max(3_600_000),
  pollMs: z.int().min(1).max(3_600_000),
});

/**
 * Runs the due sagas of these definitions until the signal aborts. Any number of workers may run the same ones, in any number of
 * processes: each saga belongs to one of them at a time. The saga of a worker that was killed continues with another one at the end of
 * the lease. An outage of the database is logged once, and the worker continues after it.
 * @throws {SuiteError} `SAGA.INVALID_DEFINITION` if two definitions have the same name, `SAGA.INVALID_INPUT` for options
 */
export async function runSagas(
  store: SagaStore,
  sagas: readonly AnySaga[],
  { concurrency = 32, leaseMs = 30_000, pollMs = 500, logger = console, signal }: RunSagasOptions,
): Promise<void> {
  readOptions(numbers, { concurrency, leaseMs, pollMs });
  const owner = randomUUID();
  const recorder = new SagaRecorder(store, { owner, leaseMs, goesOn: () => !signal.aborted });
  await work({ concurrency, leaseMs, pollMs, logger, signal, store, owner, recorder, sagas: sagasByName(sagas) });
}

function sagasByName(sagas: readonly AnySaga[]): ReadonlyMap<string, AnySaga> {
  const found = new Map(sagas.map((saga) => [saga.name, saga]));
  if (found.size === sagas.length) return found;
  throw new SuiteError('SAGA.INVALID_DEFINITION', 'Two sagas of a worker have the same name', {
    kind: 'usage',
    next: 'Give a saga with other steps another name',
    meta: { sagas: sagas.map(({ name }) => name) },
  });
}

async function work(worker: Worker): Promise<void> {
  const { concurrency, pollMs, signal, logger } = worker;
  const running = new Set<Promise<void>>();
  const places = new EventEmitter();
  const pace = new Pace();
  const outage = new Outage((error) => logger.warn('Sagas cannot be claimed', { error: describeFailure(error) }));
  while (!signal.aborted) {
    if (running.size >= concurrency) {
      await once(places, 'free');
      continue;
    }
    try {
      const claimed = await claim(worker, concurrency - running.size);
      outage.end();
      for (const saga of claimed) {
        const run = runSaga(worker, saga).finally(() => {
          running.delete(run);
          places.emit('free');
        });
        running.add(run);
      }
      if (claimed.length > 0) pace.reset();
      else await waitFor(pace.next(pollMs), signal);
    } catch (error) {
      await outage.wait(error, signal);
    }
  }
  await Promise.all(running);
}

async function claim({ store, owner, sagas, leaseMs, logger }: Worker, limit: number): Promise<readonly SagaRow[]> {
  const definitions = [...sagas.values()].map(({ name, steps }) => ({ name, steps: steps.map((step) => step.name) }));
  const rows = await store.query<SagaRow>({
    text: 'SELECT * FROM claim_sagas($1, $2, $3, $4)',
    values: [owner, JSON.stringify(definitions), limit, leaseMs],
  });
  for (const row of rows) reportStuck(logger, row);
  return rows.filter((row) => row.owner === owner);
}

/** Runs the steps of a saga until it ends, waits for a later attempt, or belongs to another worker. Never throws. */
async function runSaga({ sagas, owner, recorder, leaseMs, logger }: Worker, claimed: SagaRow): Promise<void> {
  const steps = sagas.get(claimed.name)?.steps ?? [];
  try {
    for (let saga: SagaRow | undefined = claimed; saga?.owner === owner; ) {
      const ended = await withinLease(runStep(saga, steps), leaseMs);
      if (ended === undefined) {
        const fields = { saga: saga.id, name: saga.name, error: `step ${saga.step + 1}` };
        logger.warn('A step has not ended within its lease; it is run again', fields);
        return;
      }
      saga = await recorder.record({ saga, ended, deadlineMs: steps[saga.step + 1]?.deadlineMs ?? null });
      if (saga !== undefined) reportStuck(logger, saga);
    }
  } catch (error) {
    const fields = { saga: claimed.id, error: describeFailure(error) };
    logger.warn('The outcome of a step was not recorded; the step runs again at the end of its lease', fields);
  }
}

/**
 * What a step returns within the lease; undefined after it. A step that waits forever would keep its place in the worker, and the worker
 * could not stop.
 */
async function withinLease(step: Promise<StepOutcome>, leaseMs: number): Promise<StepOutcome | undefined> {
  const over = new AbortController();
  const ended = await Promise.race([step, waitFor(leaseMs, over.signal).then(() => undefined)]);
  over.abort();
  return ended;
}

function reportStuck(logger: Logger, { id, name, state, last_error: error }: SagaRow): void {
  if (state === 'stuck') logger.warn('A saga is stuck', { saga: id, name, error });
}
