import type { MoneyInput } from '@azora/db-core';
import { newId, requestHash } from '@azora/db-core';
import { amountInput, rowIdInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Mint } from './client';
import { readInput } from './errors';
import { descriptionInput, keyInput } from './input';
import { onlyRow, type Transaction, type TransactionRow, transactionOf } from './rows';

export interface MintInput {
  /** The receiving wallet, of a user. */
  readonly to: string;
  /** In the currency of the wallet, above 0, at most 8 decimals. */
  readonly amount: MoneyInput;
  /** `reward` counts as earned, `mint` does not; `mint` when absent. */
  readonly type?: 'mint' | 'reward';
  readonly description?: string;
  readonly idempotencyKey: string;
}

export interface BurnInput {
  /** The wallet of a user that gives the money up. */
  readonly from: string;
  /** In the currency of the wallet, above 0, at most 8 decimals. */
  readonly amount: MoneyInput;
  readonly description?: string;
  readonly idempotencyKey: string;
}

const shared = { amount: amountInput, description: descriptionInput.optional(), idempotencyKey: keyInput };
const mintInput = z.strictObject({ ...shared, to: rowIdInput, type: z.enum(['mint', 'reward']).default('mint') });
const burnInput = z.strictObject({ ...shared, from: rowIdInput });

/**
 * Issues new money to a user's wallet, once per key. The balance of the currency's treasury falls by the same amount.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MONEY.*`, `MINT.KEY_REUSED`, `MINT.WALLET_NOT_FOUND`, `MINT.WALLET_CLOSED`,
 *   `MINT.SYSTEM_WALLET`, `MINT.BALANCE_LIMIT`
 */
export async function mint(store: Mint, input: MintInput): Promise<Transaction> {
  const { to, type, ...rest } = readInput(mintInput, input);
  return issue(store, { ...rest, type, walletId: to });
}

/**
 * Destroys money of a user's wallet, once per key: it returns to the treasury, and the supply shrinks.
 * @throws {SuiteError} as {@link mint}, and `MINT.INSUFFICIENT_FUNDS`
 */
export async function burn(store: Mint, input: BurnInput): Promise<Transaction> {
  const { from, ...rest } = readInput(burnInput, input);
  return issue(store, { ...rest, type: 'burn', walletId: from });
}

interface Issue {
  readonly type: 'mint' | 'reward' | 'burn';
  readonly walletId: string;
  readonly amount: string;
  readonly description?: string | undefined;
  readonly idempotencyKey: string;
}

async function issue(store: Mint, { idempotencyKey, ...body }: Issue): Promise<Transaction> {
  const { type, walletId, amount, description = null } = body;
  const rows = await store.query<TransactionRow>({
    text: 'SELECT * FROM issue_money($1, $2, $3, $4, $5, $6, $7)',
    values: [idempotencyKey, requestHash(body), newId(), type, walletId, amount, description],
  });
  return transactionOf(onlyRow(rows));
}
