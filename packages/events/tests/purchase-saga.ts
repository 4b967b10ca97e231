import { SuiteError } from '@azora/db-core';
import { defineSaga, type SagaType } from '@azora/db-events';
import { capture, hold, type Mint, release } from '@azora/mint';
import type { Pool } from 'pg';
import { z } from 'zod';

export interface Purchase {
  readonly from: string;
  readonly to: string;
  readonly amount: string;
  /** The step at which the shop refuses it. */
  readonly refusedAt: 'never' | 'confirm' | 'pay';
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
/** What auth publishes when someone wants to buy. */
export const REQUESTED = 'auth.purchase-requested.v1';
/** The effect of the consumer of mint's payments: how often it happened for a transaction. */
export const RECEIPTS = 'CREATE TABLE receipts (transaction_id text PRIMARY KEY, count integer NOT NULL DEFAULT 1)';
const CONFIRM = `INSERT INTO confirmations (key) VALUES ($1) ON CONFLICT (key) DO NOTHING`;
const CANCEL = 'DELETE FROM confirmations WHERE key = $1';

/** Thirty days: a purchase may wait as long for its turn. */
const DEADLINE_MS = 30 * 86_400_000;

/** Reserve by hold, confirm or release, on mint and a shop. `reached` is called at each point with the key of the saga. */
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
    input: z.strictObject({
      from: z.string(),
      to: z.string(),
      amount: z.string(),
      refusedAt: z.enum(['never', 'confirm', 'pay']),
    }),
    steps: [
      {
        name: 'reserve',
        deadlineMs: DEADLINE_MS,
        run: ({ key, input: { from, to, amount }, idempotencyKey }) =>
          at(key, 'reserve', async () => ({
            holdId: (await hold(mint, { from, to, amount, expiresIn: 2 * DEADLINE_MS, idempotencyKey })).id,
          })),
        undo: ({ key, runKey, idempotencyKey }) =>
          at(key, 'undo-reserve', async () => {
            const open = await mint.prisma.hold.findFirst({ where: { requestKey: runKey, status: 'held' } });
            if (open !== null) await release(mint, { holdId: open.id, idempotencyKey });
          }),
      },
      {
        name: 'confirm',
        run: ({ key, input: { refusedAt }, idempotencyKey }) =>
          at(key, 'confirm', async () => {
            if (refusedAt === 'confirm') throw shopClosed();
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
        run: ({ key, input: { refusedAt }, resultOf, idempotencyKey }) =>
          at(key, 'pay', async () => {
            if (refusedAt === 'pay') throw shopClosed();
            const { id } = await capture(mint, { holdId: resultOf('reserve').holdId, idempotencyKey });
            return { transactionId: id };
          }),
      },
    ],
  });
}

function shopClosed(): SuiteError {
  return new SuiteError('SHOP.CLOSED', 'The shop has closed');
}
