import type { MoneyInput } from '@azora/db-core';
import { newId, requestHash } from '@azora/db-core';
import { amountInput, rowIdInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Mint } from './client';
import { holdNotFound, readInput } from './errors';
import { Prisma } from './generated/client';
import { descriptionInput, keyInput } from './input';
import { type Hold, type HoldRow, onlyRow, type Transaction, transactionOf } from './rows';
import { LOCK_DAYS } from './stakes.store';

/** The number of holds that one call of releaseExpired releases. */
const MAX_RELEASED = 10_000;
const DEFAULT_RELEASED = 1_000;
/** Money is set aside for at most as long as a stake is locked. hold_money has the same limit. */
const MAX_EXPIRES_IN_MS = LOCK_DAYS.max * 86_400_000;

export interface HoldInput {
  /** The wallet whose money is set aside. */
  readonly from: string;
  /** The receiving wallet; the capture names it when absent. */
  readonly to?: string;
  /** In the currency of the wallet, above 0, at most 8 decimals. */
  readonly amount: MoneyInput;
  /** Milliseconds, at most 3650 days, after which the hold cannot be captured. The database sets the time once per key. */
  readonly expiresIn: number;
  readonly description?: string;
  readonly idempotencyKey: string;
}

export interface GetHoldInput {
  readonly holdId: string;
}

export interface CaptureInput {
  readonly holdId: string;
  /** The receiving wallet, if the hold does not name it. */
  readonly to?: string;
  /** The whole held amount when absent; the rest of a partial capture becomes available again. */
  readonly amount?: MoneyInput;
  /** The description of the hold when absent. */
  readonly description?: string;
  readonly idempotencyKey: string;
}

export interface ReleaseInput {
  readonly holdId: string;
  readonly idempotencyKey: string;
}

export interface ReleaseExpiredInput {
  /** 1 to 10000 holds; 1000 when absent. */
  readonly limit?: number;
}

const optionalText = { description: descriptionInput.optional() };
const holdInput = z.strictObject({
  from: rowIdInput,
  to: rowIdInput.optional(),
  amount: amountInput,
  expiresIn: z.int().min(1).max(MAX_EXPIRES_IN_MS),
  ...optionalText,
  idempotencyKey: keyInput,
});
const getHoldInput = z.strictObject({ holdId: rowIdInput });
const captureInput = z.strictObject({
  holdId: rowIdInput,
  to: rowIdInput.optional(),
  amount: amountInput.optional(),
  ...optionalText,
  idempotencyKey: keyInput,
});
const releaseInput = z.strictObject({ holdId: rowIdInput, idempotencyKey: keyInput });
const releaseExpiredInput = z.strictObject({ limit: z.int().min(1).max(MAX_RELEASED).default(DEFAULT_RELEASED) });

/**
 * Sets money of a wallet aside, once per key: it stays in the balance, but is not available for anything else until the
 * hold is captured, released or expired. Returns the hold as it was created, to a repeated call too.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MONEY.*`, `MINT.KEY_REUSED`, `MINT.WALLET_NOT_FOUND`, `MINT.WALLET_CLOSED`,
 *   `MINT.SAME_WALLET`, `MINT.SYSTEM_WALLET`, `MINT.CURRENCY_MISMATCH`, `MINT.INSUFFICIENT_FUNDS`
 */
export async function hold(mint: Mint, input: HoldInput): Promise<Hold> {
  const { idempotencyKey, ...body } = readInput(holdInput, input);
  const { from, to = null, amount, expiresIn, description = null } = body;
  const hash = requestHash({ ...body, expiresIn: String(expiresIn) });
  const values = [idempotencyKey, hash, newId(), from, to, amount, description, `${expiresIn} milliseconds`];
  return holdOf(onlyRow(await mint.gatheredHolds.hold(values)));
}

/**
 * A hold by its id, in its present status.
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
 * Pays the held amount, or a part of it and releases the rest, once per hold and once per key. If a capture and a release
 * race, one of them wins.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MONEY.*`, `MINT.KEY_REUSED`, `MINT.HOLD_NOT_FOUND`, `MINT.HOLD_RESOLVED`,
 *   `MINT.HOLD_EXPIRED`, `MINT.HOLD_RECEIVER`, `MINT.CAPTURE_TOO_LARGE`, and the errors of the receiving wallet as
 *   in {@link hold}
 */
export async function capture(mint: Mint, input: CaptureInput): Promise<Transaction> {
  const { idempotencyKey, ...body } = readInput(captureInput, input);
  const { holdId, to = null, amount = null, description = null } = body;
  const values = [idempotencyKey, requestHash(body), newId(), holdId, to, amount, description];
  return transactionOf(onlyRow(await mint.gatheredHolds.capture(values)));
}

/**
 * Releases a hold, once per hold and once per key, also after it expired.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.KEY_REUSED`, `MINT.HOLD_NOT_FOUND`, `MINT.HOLD_RESOLVED`
 */
export async function release(mint: Mint, input: ReleaseInput): Promise<Hold> {
  const { idempotencyKey, ...body } = readInput(releaseInput, input);
  const rows = await mint.query<HoldRow>({
    text: 'SELECT * FROM release_hold($1, $2, $3)',
    values: [idempotencyKey, requestHash(body), body.holdId],
  });
  return holdOf(onlyRow(rows));
}

/**
 * Releases expired holds, oldest first, and returns them; fewer than the limit when there are no more. Locked holds are left
 * to the next call, so any number of callers may run at the same time.
 * @throws {SuiteError} `MINT.INVALID_INPUT`
 */
export async function releaseExpired(mint: Mint, input: ReleaseExpiredInput = {}): Promise<readonly Hold[]> {
  const { limit } = readInput(releaseExpiredInput, input);
  const rows = await mint.query<HoldRow>({
    text: 'SELECT * FROM release_expired_holds($1)',
    values: [limit],
  });
  return rows.map(holdOf);
}

function holdOf(row: HoldRow): Hold {
  return {
    id: row.id,
    walletId: row.wallet_id,
    toId: row.to_id,
    currency: row.currency,
    amount: new Prisma.Decimal(row.amount),
    capturedAmount: new Prisma.Decimal(row.captured_amount),
    status: row.status,
    description: row.description,
    requestKey: row.request_key,
    expiresAt: row.expires_at,
    resolvedAt: row.resolved_at,
    createdAt: row.created_at,
  };
}
