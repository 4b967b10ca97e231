import type { MoneyInput } from '@azora/db-core';
import { amountInput, rowIdInput } from '@azora/db-core/input';
import { z } from 'zod';
import { readInput } from './errors';
import { descriptionInput, keyInput } from './input';

export interface TransferOrder {
  /** The paying wallet. */
  readonly from: string;
  /** The receiving wallet, in the same currency. */
  readonly to: string;
  /** In the currency of both wallets, above 0, at most 8 decimals. */
  readonly amount: MoneyInput;
  readonly description?: string;
}

export interface TransferInput extends TransferOrder {
  readonly idempotencyKey: string;
}

/** The maximum of one call of transferMany: it bounds the time for which the wallets are locked. */
const MAX_TRANSFERS = 1_000;

const order = { from: rowIdInput, to: rowIdInput, amount: amountInput, description: descriptionInput.optional() };
export const transferInput = z.strictObject({ ...order, idempotencyKey: keyInput });
export const transferManyInput = z.strictObject({
  transfers: z.array(z.strictObject(order)).min(1).max(MAX_TRANSFERS),
  idempotencyKey: keyInput,
});

type CheckedTransfer = z.output<typeof transferInput>;

const PLAIN_ID = /^[!-~]{1,100}$/;
const PLAIN_KEY = /^[!-~]{1,200}$/;
/** The shortest text of an amount above 0. */
const PLAIN_AMOUNT = /^(?!0$)(?:0|[1-9]\d{0,9})(?:\.\d{0,7}[1-9])?$/;

/**
 * Checks the input of a transfer. In a process that makes few transfers, whose code is not compiled yet, the schema takes as long
 * as sending the statement, so it reads only what does not have the usual form.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MONEY.*`
 */
export function readTransfer(input: TransferInput): CheckedTransfer {
  return plainTransfer(input) ?? readInput(transferInput, input);
}

/** A transfer that the schema would return as it is, without a description; undefined if that is not certain. */
function plainTransfer(input: TransferInput): CheckedTransfer | undefined {
  if (typeof input !== 'object' || input === null || Object.getPrototypeOf(input) !== Object.prototype)
    return undefined;
  const { from, to, amount, idempotencyKey } = input;
  const isPlain =
    Object.keys(input).length === 4 &&
    typeof amount === 'string' &&
    PLAIN_AMOUNT.test(amount) &&
    isText(from, PLAIN_ID) &&
    isText(to, PLAIN_ID) &&
    isText(idempotencyKey, PLAIN_KEY);
  return isPlain ? { from, to, amount, idempotencyKey } : undefined;
}

function isText(value: unknown, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value);
}
