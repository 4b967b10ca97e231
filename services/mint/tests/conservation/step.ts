import fc from 'fast-check';
import type { Mint } from '../../src';
import type { Model, Refusal } from './model';

/** The store beside the model, and the ids of what stands in the model at the same place. */
export interface Real {
  readonly mint: Mint;
  readonly wallets: readonly string[];
  readonly holds: string[];
  readonly stakes: string[];
  /** A key that was never used. */
  readonly newKey: () => string;
  readonly setClock: (now: number) => void;
  /** Sends the last request that took effect again, and what it answered. */
  repeat: (() => Promise<unknown>) | undefined;
  answer: string;
  readonly counts: Record<string, number>;
  /** Compares the wallets with the model's. */
  readonly expectAlike: (model: Model) => Promise<void>;
}

export type Step = fc.AsyncCommand<Model, Real>;

export interface Told {
  readonly id?: string;
}

/** Does it in the model and in the store, which have to answer alike and to have the same wallets afterwards. */
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
/** Few of them, so that what ends at a moment is also met at that moment. */
const hoursPassed = fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 24);

/** A step of a run, some time after the one before it. */
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
      real.setClock(model.now);
      await run(model, real, input, name);
    },
    toString: () => `${hours} h later ${name}(${JSON.stringify(input)})`,
  }));
}
