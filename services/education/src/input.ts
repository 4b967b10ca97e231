import { type MoneyInput, parseMoney } from '@azora/db-core';
import { idInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';

/** The caller's name for one request: a request that is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);

/** A text that may be empty. */
export const longTextInput: z.ZodType<string> = textInput(20_000, 0);

/**
 * An amount from 0, read as its shortest text, because 1 and 1.00 are the same price.
 * @throws {SuiteError} `MONEY.NOT_DECIMAL`, `MONEY.TOO_PRECISE`, `MONEY.TOO_LARGE`
 */
export const priceInput = z
  .custom<MoneyInput>(
    (input) =>
      typeof input === 'number' ||
      (typeof input === 'string' && input.length <= 100) ||
      (typeof input === 'object' && input !== null && 'toFixed' in input && 's' in input && 'e' in input),
    'is not an amount',
  )
  .transform((input, context): string => {
    const amount = parseMoney(input);
    if (amount.lt(0)) context.addIssue({ code: 'custom', message: 'is below 0' });
    return amount.toFixed();
  });

/** Points, with at most two decimals: 87.5 or "87.50". */
export type ScoreInput = number | string;
export const scoreInput = z
  .union([z.number(), z.string().max(10)])
  .transform(String)
  .refine((text) => /^\d{1,5}(\.\d{1,2})?$/.test(text), 'is not from 0 to 99999 with at most two decimals');

export const studentInput = z.strictObject({ studentId: idInput });
export const courseInput = z.strictObject({ courseId: idInput });
export const enrollmentInput = z.strictObject({ enrollmentId: idInput });

/** A value of JSON. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

const MAX_JSON_CHARACTERS = 100_000;

/** An object of JSON that PostgreSQL can store, of at most 100,000 characters. */
export const jsonObjectInput: z.ZodType<{ readonly [name: string]: Json }> = z
  .custom<{ readonly [name: string]: Json }>(
    (input) => typeof input === 'object' && input !== null && !Array.isArray(input) && isJson(input),
    'is not an object of JSON',
  )
  .refine((input) => JSON.stringify(input).length <= MAX_JSON_CHARACTERS, 'is too long');

function isJson(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0');
  if (typeof value === 'number') return Number.isFinite(value);
  if (Array.isArray(value)) return value.every(isJson);
  if (typeof value !== 'object') return typeof value === 'boolean';
  if (value === null) return true;
  const isPlain = [Object.prototype, null].includes(Object.getPrototypeOf(value));
  return isPlain && Object.entries(value).flat().every(isJson);
}
