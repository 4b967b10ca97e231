import { z } from 'zod';
import { Prisma } from './generated/client';

/**
 * A fraction of one, exactly: text such as "0.85", or a Decimal. A JavaScript number is refused, as it is for money.
 */
export type FractionInput = string | Prisma.Decimal;

/** From 0 to 1 with at most so many decimals, read as its shortest text. */
export function fractionInput(places: number) {
  const shape = new RegExp(`^(0|1|0\\.\\d{1,${places}}|1\\.0{1,${places}})$`);
  return z
    .custom<FractionInput>((input) => typeof input === 'string' || Prisma.Decimal.isDecimal(input), 'is no decimal')
    .transform((input, context): string => {
      const text = typeof input === 'string' ? input : input.toFixed();
      if (shape.test(text)) return new Prisma.Decimal(text).toFixed();
      context.addIssue({ code: 'custom', message: `is no decimal from 0 to 1 with at most ${places} decimals` });
      return z.NEVER;
    });
}
