import type { MoneyInput } from '@azora/db-core';
import { newId } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Mint } from './client';
import { holdNotFound, readInput } from './errors';
import type { Hold, Transaction } from './generated/client';
import { amountInput, descriptionInput, keyInput, momentInput } from './input';
import { requestHash } from './requests';
import { type HoldRow, holdOf, onlyRow, type TransactionRow, transactionOf } from './rows';

/** What one call frees at most, and when it is not told. */
const MOST_RELEASED = 10_000;
const DEFAULT_RELEASED = 1_000;

export interface HoldInput {
  /** The wallet whose money is set aside. */
  readonly from: string;
  /** Who will be paid; without it the capture says so. */
  readonly to?: string;
  /** In the currency of the wallet, above 0, at most 8 decimals. */
  readonly amount: MoneyInput;
  /** From this moment on it cannot be captured. */
  readonly expiresAt: Date;
  readonly description?: string;
  readonly idempotencyKey: string;
}

export interface GetHoldInput {
  readonly holdId: string;
}

export interface CaptureInput {
  readonly holdId: string;
  /** The wallet that is paid, where the hold leaves it open. */
  readonly to?: string;
  /** All that is held without it; what is left of a part is free again. */
  readonly amount?: MoneyInput;
  /** That of the hold without it. */
  readonly description?: string;
  readonly idempotencyKey: string;
}

export interface ReleaseInput {
  readonly holdId: string;
  readonly idempotencyKey: string;
}

export interface ReleaseExpiredInput {
  /** 1 to 10000 holds; 1000 without it. */
  readonly limit?: number;
}

const optionalText = { description: descriptionInput.optional() };
const holdInput = z.strictObject({
  from: idInput,
  to: idInput.optional(),
  amount: amountInput,
  expiresAt: momentInput,
  ...optionalText,
  idempotencyKey: keyInput,
});
const getHoldInput = z.strictObject({ holdId: idInput });
const captureInput = z.strictObject({
  holdId: idInput,
  to: idInput.optional(),
  amount: amountInput.optional(),
  ...optionalText,
  idempotencyKey: keyInput,
});
const releaseInput = z.strictObject({ holdId: idInput, idempotencyKey: keyInput });
const releaseExpiredInput = z.strictObject({ limit: z.int().min(1).max(MOST_RELEASED).default(DEFAULT_RELEASED) });

/**
 * Sets money of a wallet aside, once per key: it stays in the balance and is not available to anything else until it is
 * captured, released or expires. Sent again, the hold is answered as it was made.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MONEY.*`, `MINT.KEY_REUSED`, `MINT.WALLET_NOT_FOUND`, `MINT.WALLET_CLOSED`,
 *   `MINT.SAME_WALLET`, `MINT.SYSTEM_WALLET`, `MINT.CURRENCY_MISMATCH`, `MINT.INSUFFICIENT_FUNDS`
 */
export async function hold(mint: Mint, input: HoldInput): Promise<Hold> {
  const { idempotencyKey, ...body } = readInput(holdInput, input);
  const { from, to = null, amount, expiresAt, description = null } = body;
  const rows = await mint.query<HoldRow>({
    text: 'SELECT * FROM hold_money($1, $2, $3, $4, $5, $6, $7, $8, $9)',
    values: [idempotencyKey, requestHash(body), newId(), from, to, amount, description, expiresAt, mint.clock()],
  });
  return holdOf(onlyRow(rows));
}

/**
 * A hold by its id, in the state that it is in.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.HOLD_NOT_FOUND`
 */
export async function getHold(mint: Mint, input: GetHoldInput): Promise<Hold> {
  const { holdId } = readInput(getHoldInput, input);
  const [row] = await mint.query<HoldRow>({
    text: 'SELECT * FROM holds WHERE id = $1',
    values: [holdId],
  });
  if (row === undefined) throw holdNotFound({ holdId });
  return holdOf(row);
}

/**
 * Pays what is held, or a part of it and frees the rest, once per hold and per key. Of a capture and a release that race,
 * one wins.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MONEY.*`, `MINT.KEY_REUSED`, `MINT.HOLD_NOT_FOUND`, `MINT.HOLD_RESOLVED`,
 *   `MINT.HOLD_EXPIRED`, `MINT.HOLD_RECEIVER`, `MINT.CAPTURE_TOO_LARGE`, and those of the receiver's wallet as in
 *   {@link hold}
 */
export async function capture(mint: Mint, input: CaptureInput): Promise<Transaction> {
  const { idempotencyKey, ...body } = readInput(captureInput, input);
  const { holdId, to = null, amount = null, description = null } = body;
  const rows = await mint.query<TransactionRow>({
    text: 'SELECT * FROM capture_hold($1, $2, $3, $4, $5, $6, $7, $8)',
    values: [idempotencyKey, requestHash(body), newId(), holdId, to, amount, description, mint.clock()],
  });
  return transactionOf(onlyRow(rows));
}

/**
 * Frees what is held, once per hold and per key; also after it expired.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.KEY_REUSED`, `MINT.HOLD_NOT_FOUND`, `MINT.HOLD_RESOLVED`
 */
export async function release(mint: Mint, input: ReleaseInput): Promise<Hold> {
  const { idempotencyKey, ...body } = readInput(releaseInput, input);
  const rows = await mint.query<HoldRow>({
    text: 'SELECT * FROM release_hold($1, $2, $3, $4)',
    values: [idempotencyKey, requestHash(body), body.holdId, mint.clock()],
  });
  return holdOf(onlyRow(rows));
}

/**
 * Frees holds that expired, the oldest first, and answers them; fewer than the limit when there are no more. Those that
 * somebody works on are left for the next call, so any number of callers may run it.
 * @throws {SuiteError} `MINT.INVALID_INPUT`
 */
export async function releaseExpired(mint: Mint, input: ReleaseExpiredInput = {}): Promise<readonly Hold[]> {
  const { limit } = readInput(releaseExpiredInput, input);
  const rows = await mint.query<HoldRow>({
    text: 'SELECT * FROM release_expired_holds($1, $2)',
    values: [mint.clock(), limit],
  });
  return rows.map(holdOf);
}
