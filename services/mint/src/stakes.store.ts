import type { MoneyInput } from '@azora/db-core';
import { newId } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Mint } from './client';
import { readInput } from './errors';
import { Prisma, type Stake, type Transaction } from './generated/client';
import { amountInput, keyInput } from './input';
import { type FractionInput, fractionInput } from './rates-input';
import { requestHash } from './requests';
import { stakeNotFound } from './reward-errors';
import { onlyRow, type TransactionRow, transactionOf } from './rows';
import { type StakeRow, stakeOf } from './stakes-rows';
import { defaultRate, LOCK_DAYS } from './stakes-terms';

const DAY_MS = 86_400_000;
const RATE_PLACES = 6;

export interface StakeInput {
  readonly walletId: string;
  /** In the currency of the wallet, above 0, at most 8 decimals. */
  readonly amount: MoneyInput;
  /** Whole days of 24 hours, 1 to 3650, before which it cannot be withdrawn. */
  readonly lockDays: number;
  /** Fraction a year from 0 to 1, at most 6 decimals: "0.08" is 8 %. Without it DEFAULT_RATES has it for the lock. */
  readonly annualRate?: FractionInput;
  readonly idempotencyKey: string;
}

export interface GetStakeInput {
  readonly stakeId: string;
}

export interface ClaimRewardsInput {
  readonly stakeId: string;
  readonly idempotencyKey: string;
}

export type UnstakeInput = ClaimRewardsInput;

export interface Unstaked {
  readonly stakeId: string;
  readonly walletId: string;
  /** What was staked and is back. */
  readonly amount: Prisma.Decimal;
  /** What was not claimed before and came with it. */
  readonly rewards: Prisma.Decimal;
  readonly withdrawnAt: Date;
}

const stakeInput = z.strictObject({
  walletId: idInput,
  amount: amountInput,
  lockDays: z.int().min(LOCK_DAYS.min).max(LOCK_DAYS.max),
  annualRate: fractionInput(RATE_PLACES).optional(),
  idempotencyKey: keyInput,
});
const getStakeInput = z.strictObject({ stakeId: idInput });
const stakeRequestInput = z.strictObject({ stakeId: idInput, idempotencyKey: keyInput });

/**
 * Sets a user's money aside for a time, once per key: it leaves the wallet and earns simple interest until it is
 * unstaked, after the lock has ended too. Answers the stake as it was made.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MONEY.*`, `MINT.KEY_REUSED`, `MINT.WALLET_NOT_FOUND`,
 *   `MINT.WALLET_CLOSED`, `MINT.SYSTEM_WALLET`, `MINT.INSUFFICIENT_FUNDS`
 */
export async function stake(mint: Mint, input: StakeInput): Promise<Stake> {
  const { idempotencyKey, ...body } = readInput(stakeInput, input);
  const { walletId, amount, lockDays, annualRate = defaultRate(lockDays) } = body;
  const now = mint.clock();
  const lockedUntil = new Date(now.getTime() + lockDays * DAY_MS);
  const hash = requestHash({ ...body, lockDays: String(lockDays) });
  const rows = await mint.query<StakeRow>({
    text: 'SELECT * FROM stake_money($1, $2, $3, $4, $5, $6, $7, $8, $9)',
    values: [idempotencyKey, hash, newId(), newId(), walletId, amount, annualRate, lockedUntil, now],
  });
  return stakeOf(onlyRow(rows));
}

/**
 * A stake by its id, withdrawn ones too.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.STAKE_NOT_FOUND`
 */
export async function getStake(mint: Mint, input: GetStakeInput): Promise<Stake> {
  const { stakeId } = readInput(getStakeInput, input);
  const text = 'SELECT * FROM stakes WHERE id = $1';
  const [row] = await mint.query<StakeRow>({ text, values: [stakeId] });
  if (row === undefined) throw stakeNotFound({ stakeId });
  return stakeOf(row);
}

/**
 * Pays into the wallet what `accrueRewards` has counted and nobody has claimed, once per key. However often it is
 * claimed, the sum paid is the exact reward half-even to 8 decimals.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.KEY_REUSED`, `MINT.STAKE_NOT_FOUND`, `MINT.NOTHING_TO_CLAIM`,
 *   `MINT.WALLET_CLOSED`, `MINT.BALANCE_LIMIT`
 */
export async function claimRewards(mint: Mint, input: ClaimRewardsInput): Promise<Transaction> {
  const { idempotencyKey, ...body } = readInput(stakeRequestInput, input);
  const rows = await mint.query<TransactionRow>({
    text: 'SELECT * FROM claim_rewards($1, $2, $3, $4, $5)',
    values: [idempotencyKey, requestHash(body), newId(), body.stakeId, mint.clock()],
  });
  return transactionOf(onlyRow(rows));
}

/**
 * Gives the money of a stake back with all that it earned up to now and nobody claimed, once.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.KEY_REUSED`, `MINT.STAKE_NOT_FOUND`, `MINT.STAKE_LOCKED` (its meta
 *   says until when), `MINT.STAKE_WITHDRAWN`, `MINT.BALANCE_LIMIT`
 */
export async function unstake(mint: Mint, input: UnstakeInput): Promise<Unstaked> {
  const { idempotencyKey, ...body } = readInput(stakeRequestInput, input);
  const rows = await mint.query<TransactionRow>({
    text: 'SELECT * FROM unstake_money($1, $2, $3, $4, $5, $6)',
    values: [idempotencyKey, requestHash(body), newId(), newId(), body.stakeId, mint.clock()],
  });
  const [returned, reward] = rows.map(transactionOf);
  if (returned === undefined) throw new Error('an unstake answers its transaction');
  return {
    stakeId: body.stakeId,
    walletId: returned.toId,
    amount: returned.amount,
    rewards: reward?.amount ?? new Prisma.Decimal(0),
    withdrawnAt: returned.createdAt,
  };
}
