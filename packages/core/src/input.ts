import { z } from 'zod';
import { SuiteError } from './errors';
import { type MoneyInput, parseMoney } from './money';

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

/** Longer than any amount that is not padded on purpose. */
const MAX_AMOUNT_CHARACTERS = 100;

/**
 * An amount of money above 0, read as its shortest text, because 1 and 1.00 are the same amount.
 * @throws {SuiteError} `MONEY.NOT_DECIMAL`, `MONEY.TOO_PRECISE`, `MONEY.TOO_LARGE`
 */
export const amountInput = moneyInput((amount) => amount.gt(0), 'is not above 0');

/**
 * An amount of money of 0 or more, read as {@link amountInput} is.
 * @throws {SuiteError} `MONEY.NOT_DECIMAL`, `MONEY.TOO_PRECISE`, `MONEY.TOO_LARGE`
 */
export const amountOrZeroInput = moneyInput((amount) => amount.gte(0), 'is below 0');

function moneyInput(isAllowed: (amount: ReturnType<typeof parseMoney>) => boolean, problem: string) {
  return z
    .custom<MoneyInput>(isMoneyShaped, 'is not an amount')
    .refine((input) => typeof input !== 'string' || input.length <= MAX_AMOUNT_CHARACTERS, 'is longer than any amount')
    .transform((input, context): string => {
      const amount = parseMoney(input);
      if (!isAllowed(amount)) context.addIssue({ code: 'custom', message: problem });
      return amount.toFixed();
    });
}

/** A number passes here: parseMoney has the error that explains why it is rejected. */
function isMoneyShaped(input: unknown): boolean {
  if (typeof input === 'string' || typeof input === 'number') return true;
  if (typeof input !== 'object' || input === null) return false;
  return 'toFixed' in input && typeof input.toFixed === 'function' && 's' in input && 'e' in input;
}

/** A value of JSON. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

/** More than data needs. JavaScript and PostgreSQL both read JSON recursively, and fail at a depth of some thousands. */
const MAX_JSON_DEPTH = 100;

/**
 * An object of JSON that PostgreSQL can store, at most 100 levels deep. It is returned as it was given: a schema of zod would drop the
 * key `__proto__`, which is data like any other.
 */
export function jsonObjectInput(max: number, unit: 'bytes' | 'characters'): z.ZodType<JsonObject> {
  const sizeOf = (json: string) => (unit === 'bytes' ? Buffer.byteLength(json) : json.length);
  return z
    .custom<JsonObject>(
      (input) => typeof input === 'object' && !Array.isArray(input) && input !== null && isJson(input, MAX_JSON_DEPTH),
      {
        error: `is not an object of JSON of at most ${MAX_JSON_DEPTH} levels, without NUL and unpaired surrogates`,
        abort: true,
      },
    )
    .refine((input) => sizeOf(JSON.stringify(input)) <= max, `is longer than ${max} ${unit} as JSON`);
}

function isJson(value: unknown, depth: number): value is Json {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0');
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object') return typeof value === 'boolean';
  if (value === null) return true;
  if (depth === 0) return false;
  // From an array with holes, each of them as undefined.
  if (Array.isArray(value)) return Array.from(value).every((item) => isJson(item, depth - 1));
  const isPlain = [Object.prototype, null].includes(Object.getPrototypeOf(value));
  return isPlain && Object.entries(value).every(([name, item]) => isJson(name, 0) && isJson(item, depth - 1));
}

/** Unknown keys are the caller's own text and may contain anything, so they are counted, not repeated. */
function problemOf(issue: z.core.$ZodIssue): string {
  return issue.code === 'unrecognized_keys' ? `${issue.keys.length} unknown fields` : issue.message;
}
