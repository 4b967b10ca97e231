import { idInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';

/** A type of items, such as course, job, path or member. */
export const itemTypeInput = z
  .string()
  .max(50)
  .regex(/^[a-z][a-z0-9-]*$/, 'is not lower-case words with hyphens');

/** An item of any service. */
export const itemFields = { itemType: itemTypeInput, itemId: idInput };

export const itemTypesInput = z.array(itemTypeInput).min(1).max(20);

/** Words for topics; upper and lower case are the same. */
export const topicsInput = z.array(textInput(100)).max(50);

/** A language of BCP 47, such as en or pt-BR. */
export const localeInput = z
  .string()
  .max(35)
  .regex(/^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'is not a language tag such as en or pt-BR');

export const userInput = z.strictObject({ userId: idInput });

/** How many rows a maintenance call takes at most. */
export interface BatchInput {
  /** 1 to 10000. */
  readonly limit?: number;
}

export const batchInput = (fallback: number, max = 10_000) =>
  z.strictObject({ limit: z.int().min(1).max(max).default(fallback) });
