import { SuiteError } from '@azora/db-core';
import { defineSaga, type SagaType } from '@azora/db-events';
import { capture, hold, type Mint, release } from '@azora/mint';
import type { Pool } from 'pg';
import { z } from 'zod';

export interface Purchase {
  readonly from: string;
  readonly to: string;
  readonly amount: string;
  /** Whether the shop refuses it. */
  readonly isRefused: boolean;
}

interface PurchaseResults {
  readonly reserve: { readonly holdId: string };
  readonly confirm: { readonly confirmed: boolean };
  readonly pay: { readonly transactionId: string };
}

/** A point of a purchase: `before` and `after` the effect of `reserve`, `confirm`, `pay`, `undo-confirm` and `undo-reserve`. */
export type Point = `${'before' | 'after'} ${string}`;

/** The shop is a table in a database of its own. */
export const SHOP = `CREATE TABLE confirmations (key text PRIMARY KEY, count integer NOT NULL DEFAULT 1)`;
const CONFIRM = `INSERT INTO confirmations (key) VALUES ($1) ON CONFLICT (key) DO NOTHING`;
const CANCEL = 'DELETE FROM confirmations WHERE key = $1';

/**
 * «Reserve by hold, confirm or release» on mint and a shop. `reached` is called at each point with the key of the saga. A refused
 * purchase is refused by mint at its last step, after the shop confirmed it, so that both steps are undone.
 */
export function purchaseSaga(
  mint: Mint,
  shop: Pool,
  reached: (key: string, point: Point) => Promise<void> = async () => {},
): SagaType<Purchase> {
  /** An action with its two points. */
  const at = async <Result>(key: string, action: string, effect: () => Promise<Result>): Promise<Result> => {
    await reached(key, `before ${action}`);
    const result = await effect();
    await reached(key, `after ${action}`);
    return result;
  };
  return defineSaga<Purchase, PurchaseResults>({
    name: 'shop.purchase',
    input: z.strictObject({ from: z.string(), to: z.string(), amount: z.string(), isRefused: z.boolean() }),
    steps: [
      {
        name: 'reserve',
        deadlineMs: 600_000,
        run: ({ key, input: { from, to, amount }, idempotencyKey }) =>
          at(key, 'reserve', async () => ({
            holdId: (await hold(mint, { from, to, amount, expiresIn: 86_400_000, idempotencyKey })).id,
          })),
        undo: ({ key, runKey, idempotencyKey }) =>
          at(key, 'undo-reserve', async () => {
            const open = await mint.prisma.hold.findFirst({ where: { requestKey: runKey, status: 'held' } });
            if (open !== null) await release(mint, { holdId: open.id, idempotencyKey });
          }),
      },
      {
        name: 'confirm',
        run: ({ key, idempotencyKey }) =>
          at(key, 'confirm', async () => {
            await shop.query(CONFIRM, [idempotencyKey]);
            return { confirmed: true };
          }),
        undo: ({ key, runKey }) =>
          at(key, 'undo-confirm', async () => {
            await shop.query(CANCEL, [runKey]);
          }),
      },
      {
        name: 'pay',
        run: ({ key, input: { isRefused }, resultOf, idempotencyKey }) =>
          at(key, 'pay', async () => {
            if (isRefused) throw new SuiteError('SHOP.CLOSED', 'The shop has closed');
            const { id } = await capture(mint, { holdId: resultOf('reserve').holdId, idempotencyKey });
            return { transactionId: id };
          }),
      },
    ],
  });
}
