import { idInput, textInput, timeInput } from '@azora/db-core/input';
import { z } from 'zod';

/** The caller's name for one request: a request that is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);

/** A description, terms, a letter, or another text of a person. */
export const longText: z.ZodType<string> = textInput(20_000);
export const titleText: z.ZodType<string> = textInput(200);
export const categoryText: z.ZodType<string> = textInput(100);

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
