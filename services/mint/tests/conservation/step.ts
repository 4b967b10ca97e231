import fc from 'fast-check';
import type { Mint } from '../../src';
import type { Model, Refusal } from './model';

/** The store, with the ids of the rows at the same indexes as in the model. */
export interface Real {
  readonly mint: Mint;
  readonly wallets: readonly string[];
  readonly holds: string[];
  readonly stakes: string[];
  /** An unused key. */
  readonly newKey: () => string;
  readonly setClock: (now: number) => Promise<void>;
  /** Repeats the last request that took effect; `answer` is its first answer. */
  repeat: (() => Promise<unknown>) | undefined;
  answer: string;
  readonly counts: Record<string, number>;
  /** Compares the wallets with those of the model. */
  readonly expectAlike: (model: Model) => Promise<void>;
}

export type Step = fc.AsyncCommand<Model, Real>;

export interface Told {
  readonly id?: string;
}

/** Runs an operation in the model and in the store: outcomes and wallets must be equal. */
export async function both<Answer extends object>(
  real: Real,
  model: Model,
  name: string,
  refusal: Refusal,
  send: (idempotencyKey: string) => Promise<Answer>,
): Promise<Answer | undefined> {
  const key = real.newKey();
  const outcome = await send(key).then(
    (answer) => ({ answer, code: undefined }),
    (error: { readonly code?: string; readonly message: string }) => ({
      answer: undefined,
      code: error.code ?? error.message,
    }),
  );
  expect({ name, code: outcome.code }).toEqual({ name, code: refusal });
  const met = refusal ?? name;
  real.counts[met] = (real.counts[met] ?? 0) + 1;
  if (outcome.answer !== undefined) {
    real.repeat = () => send(key);
    real.answer = JSON.stringify(outcome.answer);
  }
  await real.expectAlike(model);
  return outcome.answer;
}

export const HOUR_MS = 3_600_000;
/** Few different durations, so that steps also happen exactly when a hold or a lock ends. */
const hoursPassed = fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 24);

/** A step of a run, some time after the previous one. */
export function step<Input>(
  name: string,
  inputs: fc.Arbitrary<Input>,
  run: (model: Model, real: Real, input: Input, name: string) => Promise<unknown>,
  check: (model: Model) => boolean = () => true,
): fc.Arbitrary<Step> {
  return fc.tuple(inputs, hoursPassed).map(([input, hours]) => ({
    check,
    run: async (model, real) => {
      model.now += hours * HOUR_MS;
      if (hours > 0) await real.setClock(model.now);
      await run(model, real, input, name);
    },
    toString: () => `${hours} h later ${name}(${JSON.stringify(input)})`,
  }));
}
