import { type MoneyInput, parseMoney } from '@azora/db-core';
import { idInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';

/** Chosen by the caller for one request: what is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);

export const descriptionInput: z.ZodType<string> = textInput(500);

/** As long as any amount can be written that is not padded on purpose. */
const AMOUNT_CHARACTERS = 100;

/**
 * An amount above 0, read as its shortest text, for 1 and 1.00 are one amount.
 * @throws {SuiteError} `MONEY.NOT_DECIMAL`, `MONEY.TOO_PRECISE`, `MONEY.TOO_LARGE`
 */
export const amountInput = z
  .custom<MoneyInput>(isMoneyShaped, 'is no amount')
  .refine((input) => typeof input !== 'string' || input.length <= AMOUNT_CHARACTERS, 'is longer than any amount')
  .transform((input, context): string => {
    const amount = parseMoney(input);
    if (amount.lte(0)) context.addIssue({ code: 'custom', message: 'is not above 0' });
    return amount.toFixed();
  });

/** A number passes, for the error that says why it cannot be one. */
function isMoneyShaped(input: unknown): boolean {
  if (typeof input === 'string' || typeof input === 'number') return true;
  if (typeof input !== 'object' || input === null) return false;
  return 'toFixed' in input && typeof input.toFixed === 'function' && 's' in input && 'e' in input;
}

/** The years 1 to 9999: what PostgreSQL and JavaScript write alike. */
export const momentInput = z.date().min(new Date('0001-01-01T00:00:00Z')).max(new Date('9999-12-31T23:59:59.999Z'));

export const currencyInput = z.enum(['AZR', 'BTC', 'ETH', 'USD']);

export const walletInput = z.strictObject({ walletId: idInput });
