import { type MoneyInput, parseMoney } from '@azora/db-core';
import { rowIdInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';

/** The caller's name for one request: a request that is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);

export const descriptionInput: z.ZodType<string> = textInput(500);

/** Longer than any amount that is not padded on purpose. */
const MAX_AMOUNT_CHARACTERS = 100;

/**
 * An amount above 0, read as its shortest text, because 1 and 1.00 are the same amount.
 * @throws {SuiteError} `MONEY.NOT_DECIMAL`, `MONEY.TOO_PRECISE`, `MONEY.TOO_LARGE`
 */
export const amountInput = z
  .custom<MoneyInput>(isMoneyShaped, 'is not an amount')
  .refine((input) => typeof input !== 'string' || input.length <= MAX_AMOUNT_CHARACTERS, 'is longer than any amount')
  .transform((input, context): string => {
    const amount = parseMoney(input);
    if (amount.lte(0)) context.addIssue({ code: 'custom', message: 'is not above 0' });
    return amount.toFixed();
  });

/** A number passes here: parseMoney has the error that explains why it is rejected. */
function isMoneyShaped(input: unknown): boolean {
  if (typeof input === 'string' || typeof input === 'number') return true;
  if (typeof input !== 'object' || input === null) return false;
  return 'toFixed' in input && typeof input.toFixed === 'function' && 's' in input && 'e' in input;
}

export const currencyInput = z.enum(['AZR', 'BTC', 'ETH', 'USD']);

export const walletInput = z.strictObject({ walletId: rowIdInput });
