import { z } from 'zod';
import { Prisma } from './generated/client';

/**
 * The day count of rewards is "Actual/365 (Fixed)" (ISDA 2006 Definitions, section 4.16(d)): a year has 365 days of 86,400
 * seconds, in leap years too. The SQL function `staking_reward` has the same number.
 */
export const SECONDS_A_YEAR = 31_536_000;

/** A number for an exact calculation; a JavaScript number only if it is a whole one. */
export type Numeric = Prisma.Decimal | string | number;

/** Decimals of every amount of money. */
const PLACES = 8;

/**
 * With 100 digits, no quotient in this package lands on the wrong side of a half: each differs from a half by more than
 * 1e-60, or not at all.
 */
const Exact = Prisma.Decimal.clone({ precision: 100, rounding: Prisma.Decimal.ROUND_HALF_EVEN });

/** A quotient, rounded once and half-even. The SQL function `divide_half_even` computes the same. */
export function divideHalfEven(numerator: Numeric, denominator: Numeric, places = PLACES): Prisma.Decimal {
  const quotient = new Exact(numerator).div(denominator);
  return new Prisma.Decimal(quotient.toDecimalPlaces(places, Prisma.Decimal.ROUND_HALF_EVEN));
}

/** The exact product; decimal.js by default rounds to 20 digits. */
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
 * What a stake has earned since it began: amount × rate × seconds / year, half-even to 8 decimals, which is at most 5e-9
 * above the exact sum. It always covers the whole time since the beginning, so nothing is rounded twice, however often it
 * is called. The SQL function `staking_reward` computes the same.
 */
export function stakingReward({ amount, annualRate, seconds }: StakingRewardInput): Prisma.Decimal {
  return divideHalfEven(multiplyExact(amount, annualRate, seconds), SECONDS_A_YEAR);
}

/** A fraction of one: a string such as "0.85", or a Decimal. A JavaScript number is rejected, as it is for money. */
export type FractionInput = string | Prisma.Decimal;

/** From 0 to 1 with at most `places` decimals, read as its shortest text. */
export function fractionInput(places: number) {
  const shape = new RegExp(`^(0|1|0\\.\\d{1,${places}}|1\\.0{1,${places}})$`);
  return z
    .custom<FractionInput>((input) => typeof input === 'string' || Prisma.Decimal.isDecimal(input), 'is not a decimal')
    .transform((input, context): string => {
      const text = typeof input === 'string' ? input : input.toFixed();
      if (shape.test(text)) return new Prisma.Decimal(text).toFixed();
      context.addIssue({ code: 'custom', message: `is not a decimal from 0 to 1 with at most ${places} decimals` });
      return z.NEVER;
    });
}
