import { Prisma } from './generated/client';

/**
 * Rewards are simple interest by the day count «Actual/365 (Fixed)» (ISDA 2006 Definitions, section 4.16(d)): a year is
 * 365 days of 86,400 seconds, in leap years too. The migrations have the same number in `staking_reward`.
 */
export const SECONDS_A_YEAR = 31_536_000;

/** What a calculation here takes; a JavaScript number for whole numbers only. */
export type Numeric = Prisma.Decimal | string | number;

/** Decimals of every amount of money. */
const PLACES = 8;

/**
 * Digits enough that the quotients here are never on the wrong side of a half: they differ from it by more than 1e-60.
 */
const Exact = Prisma.Decimal.clone({ precision: 100, rounding: Prisma.Decimal.ROUND_HALF_EVEN });

/** A quotient, rounded once, a half to the even neighbour. The twin of `divide_half_even` in SQL. */
export function divideHalfEven(numerator: Numeric, denominator: Numeric, places = PLACES): Prisma.Decimal {
  const quotient = new Exact(numerator).div(denominator);
  return new Prisma.Decimal(quotient.toDecimalPlaces(places, Prisma.Decimal.ROUND_HALF_EVEN));
}

/** Exactly multiplied; decimal.js alone rounds to 20 digits. */
export function multiplyExact(...factors: readonly Numeric[]): Prisma.Decimal {
  return factors.reduce<Prisma.Decimal>((product, factor) => product.mul(factor), new Exact(1));
}

export interface StakingRewardInput {
  readonly amount: Numeric;
  /** Fraction a year: 0.08 is 8 %. */
  readonly annualRate: Numeric;
  /** Since the stake began, with at most 6 decimals. */
  readonly seconds: Numeric;
}

/**
 * What a stake earned since it began: amount × rate × seconds / year, half-even to 8 decimals, so at most 5e-9 above
 * the exact sum. It is always asked for the whole time at once, so that however often it is asked nothing is rounded
 * twice. The twin of `staking_reward` in SQL.
 */
export function stakingReward({ amount, annualRate, seconds }: StakingRewardInput): Prisma.Decimal {
  return divideHalfEven(multiplyExact(amount, annualRate, seconds), SECONDS_A_YEAR);
}
