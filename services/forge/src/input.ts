import { type MoneyInput, parseMoney } from '@azora/db-core';
import { idInput, textInput, timeInput } from '@azora/db-core/input';
import { z } from 'zod';

/** The caller's name for one request: a request that is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);

/** A description, terms, a letter, or another text of a person. */
export const longText: z.ZodType<string> = textInput(20_000);
export const titleText: z.ZodType<string> = textInput(200);
export const categoryText: z.ZodType<string> = textInput(100);

/** Longer than any amount that is not padded on purpose. */
const MAX_AMOUNT_CHARACTERS = 100;

/**
 * An amount of money, read as its shortest text, because 1 and 1.00 are the same amount.
 * @throws {SuiteError} `MONEY.NOT_DECIMAL`, `MONEY.TOO_PRECISE`, `MONEY.TOO_LARGE`
 */
const moneyFrom = (isAllowed: (amount: ReturnType<typeof parseMoney>) => boolean, problem: string) =>
  z
    .custom<MoneyInput>(isMoneyShaped, 'is not an amount')
    .refine((input) => typeof input !== 'string' || input.length <= MAX_AMOUNT_CHARACTERS, 'is longer than any amount')
    .transform((input, context): string => {
      const amount = parseMoney(input);
      if (!isAllowed(amount)) context.addIssue({ code: 'custom', message: problem });
      return amount.toFixed();
    });

export const amountInput = moneyFrom((amount) => amount.gt(0), 'is not above 0');
/** A part of a held amount: nothing, or more. */
export const shareInput = moneyFrom((amount) => amount.gte(0), 'is below 0');

/** A number passes here: parseMoney has the error that explains why it is rejected. */
function isMoneyShaped(input: unknown): boolean {
  if (typeof input === 'string' || typeof input === 'number') return true;
  if (typeof input !== 'object' || input === null) return false;
  return 'toFixed' in input && typeof input.toFixed === 'function' && 's' in input && 'e' in input;
}

export const currencyInput = z.enum(['AZR', 'BTC', 'ETH', 'USD']);

/** At most 50 skills; a skill that is named twice counts once. */
export const skillsInput = z
  .array(textInput(100).transform((skill) => skill.trim()))
  .max(50)
  .transform((skills) => [...new Set(skills)]);

/** A time as JSON has it. */
export const timeText = timeInput.transform((time) => time.toISOString());

/** Who asks, and for which row. */
export const byInput = <Name extends string>(name: Name) =>
  z.strictObject({ [name]: idInput, by: idInput } as Record<Name | 'by', typeof idInput>);
