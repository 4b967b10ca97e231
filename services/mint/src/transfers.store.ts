import { newId, requestHash } from '@azora/db-core';
import type { Mint } from './client';
import { readInput } from './errors';

import { type Transaction, type TransactionRow, transactionOf } from './rows';
import { readTransfer, type TransferInput, type TransferOrder, transferManyInput } from './transfer-input';

export interface TransferManyInput {
  /** 1 to 1000 transfers. */
  readonly transfers: readonly TransferOrder[];
  readonly idempotencyKey: string;
}

/**
 * Moves money between the wallets of two users, once per key: a repeated call returns the first transaction.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MONEY.*`, `MINT.KEY_REUSED`, `MINT.WALLET_NOT_FOUND`, `MINT.WALLET_CLOSED`,
 *   `MINT.SAME_WALLET`, `MINT.SYSTEM_WALLET`, `MINT.CURRENCY_MISMATCH`, `MINT.INSUFFICIENT_FUNDS`, `MINT.BALANCE_LIMIT`
 */
export async function transfer(mint: Mint, input: TransferInput): Promise<Transaction> {
  const { idempotencyKey: key, ...body } = readTransfer(input);
  const { description = null } = body;
  return mint.gatherer.make({ ...body, key, hash: requestHash(body), id: newId(), description });
}

/**
 * Makes all of the transfers or none, in one transaction under one key. A wallet may spend what it receives in the same
 * call: only the balances after all transfers count. Returns the transactions in the order of the input; `meta.place` of an
 * error is the position of the rejected transfer, counted from 1.
 * @throws {SuiteError} as {@link transfer}
 */
export async function transferMany(mint: Mint, input: TransferManyInput): Promise<readonly Transaction[]> {
  const { idempotencyKey, transfers } = readInput(transferManyInput, input);
  const rows = await mint.query<TransactionRow>({
    text: 'SELECT * FROM transfer_many($1, $2, $3, $4, $5, $6, $7)',
    values: [
      idempotencyKey,
      requestHash({ transfers }),
      transfers.map(() => newId()),
      transfers.map(({ from }) => from),
      transfers.map(({ to }) => to),
      transfers.map(({ amount }) => amount),
      transfers.map(({ description = null }) => description),
    ],
  });
  return rows.map(transactionOf);
}
