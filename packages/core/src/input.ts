import { z } from 'zod';
import { SuiteError } from './errors';

/**
 * Makes the function that validates a store's input: it returns the input as its schema types it, or throws the error with
 * this code, `AREA.INVALID_INPUT`, which names the invalid fields and never shows their values.
 */
export function inputReader(code: string) {
  return <Output>(schema: z.ZodType<Output>, input: unknown): Output => {
    const parsed = schema.safeParse(input);
    if (parsed.success) return parsed.data;
    const { issues } = parsed.error;
    throw new SuiteError(code, 'The input is invalid', {
      kind: 'usage',
      why: `${issues.map((issue) => `${issue.path.join('.') || 'input'}: ${problemOf(issue)}`).join('; ')}.`,
      next: 'Correct these fields and call again',
      meta: { fields: [...new Set(issues.map(({ path }) => String(path[0] ?? 'input')))] },
    });
  };
}

/** Text that PostgreSQL can store: `min` to `max` characters, not blank, without NUL and unpaired surrogates. */
export function textInput(max: number, min = 1): z.ZodType<string> {
  return z
    .string()
    .max(max)
    .min(min)
    .refine((text) => min === 0 || text.trim() !== '', 'is blank')
    .refine((text) => text.isWellFormed() && !text.includes('\0'), 'contains NUL or an unpaired surrogate');
}

/** An id that names a row which must exist: at most 100 characters, without spaces and control characters. */
export const rowIdInput: z.ZodType<string> = textInput(100).refine(
  (text) => !/[\s\p{Cc}]/u.test(text),
  'is not a valid id: it contains spaces or control characters',
);

/** An id that a store keeps: at most 100 characters. Events name rows and people, so it has only the characters of an id in an event. */
export const idInput: z.ZodType<string> = z
  .string()
  .max(100)
  .regex(/^[A-Za-z0-9][A-Za-z0-9:._|-]*$/, 'is not an id of letters, digits and : . _ | -');

/** A time that PostgreSQL can store and a client can read: in the years 1 to 9999. */
export const timeInput: z.ZodDate = z
  .date()
  .min(new Date('0001-01-01T00:00:00Z'))
  .max(new Date('9999-12-31T23:59:59.999Z'));

/** Unknown keys are the caller's own text and may contain anything, so they are counted, not repeated. */
function problemOf(issue: z.core.$ZodIssue): string {
  return issue.code === 'unrecognized_keys' ? `${issue.keys.length} unknown fields` : issue.message;
}
