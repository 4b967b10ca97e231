import type { MoneyInput } from '@azora/db-core';
import { newId } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Mint } from './client';
import { readInput } from './errors';
import type { Transaction } from './generated/client';
import { amountInput, descriptionInput, keyInput } from './input';
import { requestHash } from './requests';
import { type TransactionRow, transactionOf } from './rows';
import { makeTransfer } from './transfers-gathered';

/** What one call of transferMany moves at most: a bound for the time that its wallets are locked. */
const MOST_TRANSFERS = 1_000;

export interface TransferOrder {
  /** The wallet that pays. */
  readonly from: string;
  /** The wallet that is paid, in the same currency. */
  readonly to: string;
  /** In the currency of both wallets, above 0, at most 8 decimals. */
  readonly amount: MoneyInput;
  readonly description?: string;
}

export interface TransferInput extends TransferOrder {
  readonly idempotencyKey: string;
}

export interface TransferManyInput {
  /** 1 to 1000 transfers. */
  readonly transfers: readonly TransferOrder[];
  readonly idempotencyKey: string;
}

const order = { from: idInput, to: idInput, amount: amountInput, description: descriptionInput.optional() };
const transferInput = z.strictObject({ ...order, idempotencyKey: keyInput });
const transferManyInput = z.strictObject({
  transfers: z.array(z.strictObject(order)).min(1).max(MOST_TRANSFERS),
  idempotencyKey: keyInput,
});

/**
 * Moves money between two users' wallets, once per key: sent again it gives the first answer.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MONEY.*`, `MINT.KEY_REUSED`, `MINT.WALLET_NOT_FOUND`, `MINT.WALLET_CLOSED`,
 *   `MINT.SAME_WALLET`, `MINT.SYSTEM_WALLET`, `MINT.CURRENCY_MISMATCH`, `MINT.INSUFFICIENT_FUNDS`, `MINT.BALANCE_LIMIT`
 */
export async function transfer(mint: Mint, input: TransferInput): Promise<Transaction> {
  const { idempotencyKey: key, ...body } = readInput(transferInput, input);
  const { description = null } = body;
  return makeTransfer(mint, { ...body, key, hash: requestHash(body), id: newId(), description, at: mint.clock() });
}

/**
 * Makes all of the transfers or none, in one transaction under one key. A wallet may pay what it receives by the same call:
 * it is judged by what is left when all have happened. Answers in the order of the input; an error's `meta.place` counts
 * from 1.
 * @throws {SuiteError} as {@link transfer}
 */
export async function transferMany(mint: Mint, input: TransferManyInput): Promise<readonly Transaction[]> {
  const { idempotencyKey, transfers } = readInput(transferManyInput, input);
  const rows = await mint.query<TransactionRow>({
    text: 'SELECT * FROM transfer_many($1, $2, $3, $4, $5, $6, $7, $8)',
    values: [
      idempotencyKey,
      requestHash({ transfers }),
      transfers.map(() => newId()),
      transfers.map(({ from }) => from),
      transfers.map(({ to }) => to),
      transfers.map(({ amount }) => amount),
      transfers.map(({ description = null }) => description),
      mint.clock(),
    ],
  });
  return rows.map(transactionOf);
}
