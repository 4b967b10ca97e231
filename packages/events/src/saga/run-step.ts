import { SuiteError } from '@azora/db-core';
import { describeFailure } from '../failure-text';
import type { AnyStep, SagaContext } from './define-saga';
import type { SagaRow } from './saga-state';
import { jsonProblem } from './stored-json';

/** How an attempt of a step, or of its compensation, ended. */
export type StepOutcome =
  | { readonly outcome: 'succeeded'; readonly result: unknown }
  | { readonly outcome: 'refused' | 'failed'; readonly error: string };

type AnyContext = SagaContext<unknown, Readonly<Record<string, unknown>>>;

const MAX_RESULT_BYTES = 65_536;

/** Runs the present step of a saga, or the compensation of the last one that may have taken effect. Never throws. */
export async function runStep(saga: SagaRow, steps: readonly AnyStep[]): Promise<StepOutcome> {
  try {
    if (saga.state === 'compensating') {
      await undoStep(saga, stepAt(steps, saga.step - 1));
      return { outcome: 'succeeded', result: null };
    }
    const step = stepAt(steps, saga.step);
    const result: unknown = await step.run(contextOf(saga, `${saga.id}:${step.name}`) as never);
    return { outcome: 'succeeded', result: storable(step, result) };
  } catch (error) {
    return { outcome: isRefusal(error) ? 'refused' : 'failed', error: describeFailure(error) };
  }
}

async function undoStep(saga: SagaRow, step: AnyStep): Promise<void> {
  const runKey = `${saga.id}:${step.name}`;
  const result = Object.hasOwn(saga.results, step.name) ? saga.results[step.name] : undefined;
  await step.undo?.({ ...contextOf(saga, `${runKey}:undo`), runKey, result } as never);
}

function stepAt(steps: readonly AnyStep[], index: number): AnyStep {
  const step = steps[index];
  if (step === undefined) throw new Error(`The saga has no step ${index + 1}`);
  return step;
}

function contextOf({ id, key, input, attempts, results }: SagaRow, idempotencyKey: string): AnyContext {
  return {
    sagaId: id,
    key,
    input,
    idempotencyKey,
    attempt: attempts,
    resultOf: (step) => {
      if (!Object.hasOwn(results, step)) throw new Error(`Step "${step}" of saga ${id} has no result`);
      return results[step];
    },
  };
}

/** The result, if it can be stored. One that the database rejects would keep out all outcomes that are recorded together. */
function storable(step: AnyStep, result: unknown = null): unknown {
  const problem = jsonProblem(result, MAX_RESULT_BYTES);
  if (problem !== undefined) throw new Error(`The result of step "${step.name}" ${problem}`);
  return result;
}

/**
 * Whether an error is a decision: a SuiteError says what a service decided, except that its connection or its database failed.
 */
function isRefusal(error: unknown): boolean {
  return error instanceof SuiteError && !error.code.startsWith('DATABASE.');
}
