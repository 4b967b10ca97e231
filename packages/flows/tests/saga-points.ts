import type { SagaType } from '@azora/db-events';

/** What a worker of a flow runs. */
export type FlowSaga = Pick<SagaType<never>, 'name' | 'steps'>;
/** A step, or `undo-` and a step. */
export type Action = string;

/** Called with the key of the saga around each action. An error of one of them is the error of the attempt. */
export interface Points {
  before?(key: string, action: Action): unknown;
  after?(key: string, action: Action): unknown;
  /** Makes the effect happen, and returns its result. */
  during?(action: Action, effect: () => Promise<unknown>): Promise<unknown>;
}

interface Context {
  readonly key: string;
}

/** The saga with calls before, after and around the effect of each step and of each compensation. */
export function withPoints(
  { name, steps }: FlowSaga,
  { before, after, during = (_action, effect) => effect() }: Points,
): FlowSaga {
  const around =
    (action: Action, effect: (context: never) => Promise<unknown>) =>
    async (context: never): Promise<unknown> => {
      const { key } = context as Context;
      await before?.(key, action);
      const result = await during(action, () => effect(context));
      await after?.(key, action);
      return result;
    };
  return {
    name,
    steps: steps.map((step) => ({
      ...step,
      run: around(step.name, step.run),
      ...(step.undo === undefined ? {} : { undo: around(`undo-${step.name}`, step.undo) as never }),
    })),
  };
}
