import { Decimal } from 'decimal.js';
import { SuiteError } from './errors';

/** Every money column is a Decimal(18, 8). */
const SCALE = 8;
const WHOLE_DIGITS = 10;
const LIMIT = new Decimal(10).pow(WHOLE_DIGITS);

/** Plain decimal notation, as people and forms write it: without an exponent, not hexadecimal. */
const DECIMAL_TEXT = /^-?\d+(\.\d+)?$/;

/** The types of an amount. A JavaScript number cannot hold 0.1 and is rejected, by the compiler and at run time. */
export type MoneyInput =
  | Decimal
  | string
  | { toFixed(decimals?: number): string; readonly s: number; readonly e: number };

/**
 * Reads an amount of money exactly.
 * @throws {SuiteError} `MONEY.NOT_DECIMAL` for a JavaScript number, text other than a plain decimal, NaN and infinities;
 *   `MONEY.TOO_PRECISE` for more than 8 decimals; `MONEY.TOO_LARGE` for 10^10 and above, which Decimal(18, 8) cannot hold
 */
export function parseMoney(input: MoneyInput): Decimal {
  const isDecimal = typeof input === 'object' && typeof input?.toFixed === 'function';
  const text = typeof input === 'string' ? input : isDecimal ? input.toFixed() : '';
  if (!DECIMAL_TEXT.test(text)) {
    throw new SuiteError('MONEY.NOT_DECIMAL', 'An amount of money must be a decimal', {
      kind: 'usage',
      why:
        typeof input === 'number'
          ? 'A JavaScript number cannot hold most decimal fractions.'
          : 'The text is not a plain decimal.',
      next: 'Pass a string such as "12.50", or a Decimal',
    });
  }
  const amount = new Decimal(text);
  if (amount.decimalPlaces() > SCALE) {
    throw new SuiteError('MONEY.TOO_PRECISE', `An amount of money has at most ${SCALE} decimals`, {
      kind: 'usage',
      next: 'Round the amount, and decide in whose favor',
    });
  }
  if (amount.abs().gte(LIMIT)) {
    throw new SuiteError(
      'MONEY.TOO_LARGE',
      `An amount of money has at most ${WHOLE_DIGITS} digits before the decimal point`,
      {
        kind: 'usage',
        next: 'Split the amount',
      },
    );
  }
  return amount;
}

/** An amount with all 8 decimals, as a money column shows it. */
export function formatMoney(amount: Decimal): string {
  return amount.toFixed(SCALE);
}
