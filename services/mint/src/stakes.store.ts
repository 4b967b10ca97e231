import type { MoneyInput } from '@azora/db-core';
import { newId, requestHash } from '@azora/db-core';
import { amountInput, rowIdInput, timeInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Mint } from './client';
import { readInput, stakeNotFound } from './errors';
import { Prisma } from './generated/client';
import { keyInput } from './input';
import { type FractionInput, fractionInput } from './rates';
import { onlyRow, type Row, type Stake, type Transaction, type TransactionRow, transactionOf } from './rows';

const RATE_PLACES = 6;

/** The shortest and the longest lock of a stake, in days of 24 hours. */
export const LOCK_DAYS = { min: 1, max: 3_650 } as const;

/** The yearly rate of a stake without a rate of its own: the rate of the longest lock in this list that it reaches. */
export const DEFAULT_RATES = [
  { lockDays: 365, annualRate: '0.12' },
  { lockDays: 180, annualRate: '0.1' },
  { lockDays: 90, annualRate: '0.08' },
  { lockDays: 30, annualRate: '0.05' },
  { lockDays: LOCK_DAYS.min, annualRate: '0.03' },
] as const;

/** The rate of {@link DEFAULT_RATES} for a lock. */
export function defaultRate(lockDays: number): string {
  const terms = DEFAULT_RATES.find((row) => lockDays >= row.lockDays);
  if (terms === undefined) throw new Error(`no rate for a lock of ${lockDays} days`);
  return terms.annualRate;
}

export interface StakeInput {
  readonly walletId: string;
  /** In the currency of the wallet, above 0, at most 8 decimals. */
  readonly amount: MoneyInput;
  /** Whole days of 24 hours, 1 to 3650, before which the stake cannot be withdrawn. */
  readonly lockDays: number;
  /** Fraction a year from 0 to 1, at most 6 decimals: "0.08" is 8 %. The rate of DEFAULT_RATES when absent. */
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
  /** The staked amount, which is back in the wallet. */
  readonly amount: Prisma.Decimal;
  /** The rewards that were not claimed before and were paid with it. */
  readonly rewards: Prisma.Decimal;
  readonly withdrawnAt: Date;
}

const stakeInput = z.strictObject({
  walletId: rowIdInput,
  amount: amountInput,
  lockDays: z.int().min(LOCK_DAYS.min).max(LOCK_DAYS.max),
  annualRate: fractionInput(RATE_PLACES).optional(),
  idempotencyKey: keyInput,
});
const getStakeInput = z.strictObject({ stakeId: rowIdInput });
const stakeRequestInput = z.strictObject({ stakeId: rowIdInput, idempotencyKey: keyInput });

/**
 * Moves a user's money into the staking wallet, once per key. It earns simple interest until it is unstaked, also after
 * its lock has ended. Returns the stake as it was created, to a repeated call too.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MONEY.*`, `MINT.KEY_REUSED`, `MINT.WALLET_NOT_FOUND`,
 *   `MINT.WALLET_CLOSED`, `MINT.SYSTEM_WALLET`, `MINT.INSUFFICIENT_FUNDS`
 */
export async function stake(mint: Mint, input: StakeInput): Promise<Stake> {
  const { idempotencyKey, ...body } = readInput(stakeInput, input);
  const { walletId, amount, lockDays, annualRate = defaultRate(lockDays) } = body;
  const hash = requestHash({ ...body, lockDays: String(lockDays) });
  const rows = await mint.query<StakeRow>({
    text: 'SELECT * FROM stake_money($1, $2, $3, $4, $5, $6, $7, $8)',
    values: [idempotencyKey, hash, newId(), newId(), walletId, amount, annualRate, lockDays],
  });
  return stakeOf(onlyRow(rows));
}

/**
 * A stake by its id, withdrawn ones included.
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
 * Pays the accrued and unclaimed rewards of a stake into its wallet, once per key. However often rewards are claimed, the
 * sum paid is the exact reward, rounded half-even to 8 decimals. Near the limit of the supply it pays the part that fits, and
 * the rest stays claimable.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.KEY_REUSED`, `MINT.STAKE_NOT_FOUND`, `MINT.NOTHING_TO_CLAIM`,
 *   `MINT.WALLET_CLOSED`, `MINT.BALANCE_LIMIT` if nothing fits
 */
export async function claimRewards(mint: Mint, input: ClaimRewardsInput): Promise<Transaction> {
  const { idempotencyKey, ...body } = readInput(stakeRequestInput, input);
  const rows = await mint.query<TransactionRow>({
    text: 'SELECT * FROM claim_rewards($1, $2, $3, $4)',
    values: [idempotencyKey, requestHash(body), newId(), body.stakeId],
  });
  return transactionOf(onlyRow(rows));
}

/**
 * Returns the money of a stake to its wallet, with all unclaimed rewards up to now, once per key. Near the limit of the supply
 * it pays the part of the rewards that fits, and claimRewards pays the rest later.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.KEY_REUSED`, `MINT.STAKE_NOT_FOUND`, `MINT.STAKE_LOCKED` (`meta` has
 *   the end of the lock), `MINT.STAKE_WITHDRAWN`
 */
export async function unstake(mint: Mint, input: UnstakeInput): Promise<Unstaked> {
  const { idempotencyKey, ...body } = readInput(stakeRequestInput, input);
  const rows = await mint.query<TransactionRow>({
    text: 'SELECT * FROM unstake_money($1, $2, $3, $4, $5)',
    values: [idempotencyKey, requestHash(body), newId(), newId(), body.stakeId],
  });
  const [returned, reward] = rows.map(transactionOf);
  if (returned === undefined) throw new Error('unstake_money returned no transaction');
  return {
    stakeId: body.stakeId,
    walletId: returned.toId,
    amount: returned.amount,
    rewards: reward?.amount ?? new Prisma.Decimal(0),
    withdrawnAt: returned.createdAt,
  };
}

/** The number of stakes that one transaction locks and accrues. */
const DEFAULT_BATCH = 1_000;
const MAX_BATCH = 10_000;

export interface AccrueRewardsInput {
  /** Only this stake; every active one when absent. */
  readonly stakeId?: string;
  /** The time up to which rewards accrue: not in the future; now when absent. */
  readonly until?: Date;
  /** The number of stakes in one transaction, 1 to 10000; 1000 when absent. */
  readonly batchSize?: number;
}

export interface AccruedRewards {
  /** The number of stakes whose rewards were accrued further. */
  readonly stakes: number;
  /** What they earned by it, summed over all currencies; each stake is rounded half-even to 8 decimals before and after. */
  readonly rewards: Prisma.Decimal;
}

const accrueRewardsInput = z.strictObject({
  stakeId: rowIdInput.optional(),
  until: timeInput.optional(),
  batchSize: z.int().min(1).max(MAX_BATCH).default(DEFAULT_BATCH),
});

interface BatchRow {
  readonly last_id: string | null;
  readonly counted: string;
  readonly gained: string;
}

/**
 * Accrues the rewards of active stakes up to a time. A stake stores the time up to which it is accrued, and no second
 * counts twice: a repeat and a concurrent run change nothing. Repeat a run that failed halfway.
 * @throws {SuiteError} `MINT.INVALID_INPUT`, `MINT.STAKE_NOT_FOUND`
 */
export async function accrueRewards(mint: Mint, input: AccrueRewardsInput = {}): Promise<AccruedRewards> {
  const { stakeId = null, until = null, batchSize } = readInput(accrueRewardsInput, input);
  let accrued: AccruedRewards = { stakes: 0, rewards: new Prisma.Decimal(0) };
  let afterId: string | null = '';
  do {
    const batch: BatchRow = onlyRow(
      await mint.query<BatchRow>({
        text: 'SELECT * FROM accrue_rewards($1, $2, $3, $4)',
        values: [stakeId, until, afterId, batchSize],
      }),
    );
    accrued = { stakes: accrued.stakes + Number(batch.counted), rewards: accrued.rewards.add(batch.gained) };
    afterId = stakeId === null ? batch.last_id : null;
  } while (afterId !== null);
  return accrued;
}

type StakeRow = Row<Stake>;

function stakeOf(row: StakeRow): Stake {
  return {
    id: row.id,
    walletId: row.wallet_id,
    amount: new Prisma.Decimal(row.amount),
    annualRate: new Prisma.Decimal(row.annual_rate),
    accruedUntil: row.accrued_until,
    rewardsAccrued: new Prisma.Decimal(row.rewards_accrued),
    rewardsEarned: new Prisma.Decimal(row.rewards_earned),
    status: row.status,
    startedAt: row.started_at,
    lockedUntil: row.locked_until,
    withdrawnAt: row.withdrawn_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
