import { idInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';

/** The caller's name for one request: a request that is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);

/** A title, a name or a topic. */
export const shortTextInput: z.ZodType<string> = textInput(200);

/** A text of up to 20,000 characters. */
export const longTextInput: z.ZodType<string> = textInput(20_000);

/** A number from 0 to 1. */
export const shareInput: z.ZodNumber = z.number().min(0).max(1);

export const studentInput = z.strictObject({ studentId: idInput });
