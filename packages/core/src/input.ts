import { z } from 'zod';
import { SuiteError } from './errors';

/**
 * A reader of what a store's functions are given: returns it as its schema types it, or throws the error with this code,
 * `AREA.INVALID_INPUT`, which names the fields and never shows what they held.
 */
export function inputReader(code: string) {
  return <Output>(schema: z.ZodType<Output>, input: unknown): Output => {
    const parsed = schema.safeParse(input);
    if (parsed.success) return parsed.data;
    const { issues } = parsed.error;
    throw new SuiteError(code, 'The input cannot be used', {
      kind: 'usage',
      why: `${issues.map((issue) => `${issue.path.join('.') || 'input'}: ${problemOf(issue)}`).join('; ')}.`,
      next: 'Correct the fields that are named and call again',
      meta: { fields: [...new Set(issues.map(({ path }) => String(path[0] ?? 'input')))] },
    });
  };
}

/** Text that PostgreSQL can hold: of `min` to `max` characters, not blank, no NUL, no half of a surrogate pair. */
export function textInput(max: number, min = 1): z.ZodType<string> {
  return z
    .string()
    .max(max)
    .min(min)
    .refine((text) => min === 0 || text.trim() !== '', 'is blank')
    .refine((text) => text.isWellFormed() && !text.includes('\0'), 'holds what is no text');
}

/** An id as a caller brings it: text without spaces and control characters, of at most 100 characters. */
export const idInput: z.ZodType<string> = textInput(100).refine(
  (text) => !/[\s\p{Cc}]/u.test(text),
  'is no id: it holds spaces or control characters',
);

/** What is unknown is the caller's own text, which may be anything: it is counted, not repeated. */
function problemOf(issue: z.core.$ZodIssue): string {
  return issue.code === 'unrecognized_keys' ? `${issue.keys.length} unknown fields` : issue.message;
}
