import { idInput, jsonObjectInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';

/** The caller's name for one request: a request that is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);

/** A text that may be empty. */
export const longTextInput: z.ZodType<string> = textInput(20_000, 0);

/** Points, with at most two decimals: 87.5 or "87.50". */
export type ScoreInput = number | string;
export const scoreInput = z
  .union([z.number(), z.string().max(10)])
  .transform(String)
  .refine((text) => /^\d{1,5}(\.\d{1,2})?$/.test(text), 'is not from 0 to 99999 with at most two decimals');

export const studentInput = z.strictObject({ studentId: idInput });
export const courseInput = z.strictObject({ courseId: idInput });
export const enrollmentInput = z.strictObject({ enrollmentId: idInput });

const MAX_JSON_CHARACTERS = 100_000;

/** An object of JSON that PostgreSQL can store, of at most 100,000 characters. */
export const answersInput = jsonObjectInput(MAX_JSON_CHARACTERS, 'characters');
