import { SuiteError } from '@azora/db-core';
import type { z } from 'zod';

/** The results of a saga's steps by the names of the steps: values that JSON can represent. */
export type SagaResults = object;

/** What every action of a saga knows. */
export interface SagaContext<Input, Results extends SagaResults> {
  readonly sagaId: string;
  /** The key that the saga was started with. */
  readonly key: string;
  readonly input: Input;
  /**
   * The idempotency key of this action: `<saga id>:<step>`, or `<saga id>:<step>:undo`. Each attempt has the same one, so a service
   * that is called with it takes effect once.
   */
  readonly idempotencyKey: string;
  /** 1 for the first attempt. An earlier attempt may have had its effect although its worker did not record it. */
  readonly attempt: number;
  /** The result of an earlier step. Throws an error without a code for a step that has no result yet. */
  resultOf<Name extends keyof Results & string>(step: Name): Results[Name];
}

/** What a compensation knows in addition. */
export interface UndoContext<Input, Results extends SagaResults, Result> extends SagaContext<Input, Results> {
  /** The idempotency key of the action to undo. */
  readonly runKey: string;
  /** What `run` returned; undefined if its deadline passed or its answer was lost. It may still have had, or may have, its effect. */
  readonly result: Result | undefined;
}

/** One step: an action in one service, and what undoes it. */
export interface SagaStep<Name extends keyof Results & string, Input, Results extends SagaResults> {
  /** Lowercase letters, digits and hyphens, at most 50. */
  readonly name: Name;
  /**
   * Does the step and returns its result. It may be called again after it had its effect. A SuiteError whose code does not begin with
   * `DATABASE.` refuses the step for good, and what earlier steps did is undone. Every other error is temporary: the step is tried
   * again until its deadline.
   */
  run(context: SagaContext<Input, Results>): Promise<Results[Name]>;
  /** Undoes the step, also if it had no effect. Tried again after every error. Absent if there is nothing to undo. */
  undo?(context: UndoContext<Input, Results, Results[Name]>): Promise<void>;
  /**
   * Milliseconds, by the clock of the database, from the end of the step before. A step that has not succeeded by then is undone, and
   * so are the steps before it. Needs `undo`, because the step may have had its effect.
   */
  readonly deadlineMs?: number;
}

type AnyStepOf<Input, Results extends SagaResults> = {
  [Name in keyof Results & string]: SagaStep<Name, Input, Results>;
}[keyof Results & string];

export interface SagaDefinition<Input, Results extends SagaResults> {
  /** Unique in the suite, such as `forge.milestone-payment`. A saga with other steps needs another name. */
  readonly name: string;
  /** Checks the input of a start. Persons are named by id. */
  readonly input: z.ZodType<Input>;
  /** In the order in which they run; they are undone in the reverse order. */
  readonly steps: readonly AnyStepOf<Input, Results>[];
  /** Attempts after which a compensation, or a step without a deadline, gets stuck; 20 when absent. */
  readonly maxAttempts?: number;
}

/** A saga that `startSaga` starts and `runSagas` runs. Only {@link defineSaga} makes one. */
export interface SagaType<Input> {
  readonly name: string;
  readonly steps: readonly AnyStep[];
  readonly maxAttempts: number;
  readonly input: z.ZodType<Input>;
}

/** A step of any saga. Its types were checked when the saga was defined, and a worker knows none of them. */
export interface AnyStep {
  readonly name: string;
  readonly run: (context: never) => Promise<unknown>;
  readonly undo?: (context: never) => Promise<void>;
  readonly deadlineMs?: number;
}

const DEFAULT_MAX_ATTEMPTS = 20;
const MAX_MAX_ATTEMPTS = 1_000;
const MAX_STEPS = 50;
/** 365 days. */
const MAX_DEADLINE_MS = 365 * 86_400_000;

/**
 * Defines a saga: steps in several services that are all done, or all undone. `Results` maps the name of each step to its result.
 * @throws {SuiteError} `SAGA.INVALID_DEFINITION`
 */
export function defineSaga<Input, Results extends SagaResults>(
  definition: SagaDefinition<Input, Results>,
): SagaType<Input> {
  const { name, input, steps, maxAttempts = DEFAULT_MAX_ATTEMPTS } = definition;
  const why = definitionProblem(name, steps, maxAttempts);
  if (why === undefined) return { name, input, steps, maxAttempts };
  throw new SuiteError('SAGA.INVALID_DEFINITION', `The definition of saga "${name}" is not valid`, {
    kind: 'usage',
    why: `${why}.`,
    next: 'Correct the call of defineSaga()',
    meta: { saga: name },
  });
}

function definitionProblem(name: string, steps: readonly AnyStep[], maxAttempts: number): string | undefined {
  if (!/^[a-z][a-z0-9-]*(\.[a-z0-9-]+)*$/.test(name) || name.length > 100) {
    return 'Its name does not consist of lowercase words that are separated by dots and hyphens';
  }
  if (steps.length === 0 || steps.length > MAX_STEPS)
    return `It has ${steps.length} steps instead of 1 to ${MAX_STEPS}`;
  if (!isWholeNumber(maxAttempts, MAX_MAX_ATTEMPTS)) {
    return `maxAttempts is not a whole number from 1 to ${MAX_MAX_ATTEMPTS}`;
  }
  const problems = steps.map((step, index) =>
    steps.slice(0, index).some((earlier) => earlier.name === step.name)
      ? `Two steps have the name "${step.name}"`
      : stepProblem(step, index),
  );
  return problems.find((problem) => problem !== undefined);
}

function stepProblem({ name, undo, deadlineMs }: AnyStep, index: number): string | undefined {
  if (!/^[a-z][a-z0-9-]{0,49}$/.test(name)) {
    return `The name of step ${index + 1} does not consist of at most 50 lowercase letters, digits and hyphens`;
  }
  if (deadlineMs === undefined) return undefined;
  if (!isWholeNumber(deadlineMs, MAX_DEADLINE_MS)) {
    return `The deadline of step "${name}" is not a whole number of milliseconds up to 365 days`;
  }
  // At its deadline, nobody knows whether a step had its effect.
  return undo === undefined ? `Step "${name}" has a deadline and no undo` : undefined;
}

function isWholeNumber(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= most;
}
