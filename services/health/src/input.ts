import { createHash } from 'node:crypto';
import { textInput } from '@azora/db-core/input';
import { z } from 'zod';

/** The name of a service: letters, digits, ".", "_" and "-". */
export const serviceInput = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'is not the name of a service');

export const portInput = z.int().min(1).max(65_535);

/** The caller's name for one call: a call that is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);

export const requestIdInput: z.ZodType<string> = textInput(100);

const MAX_JSON_BYTES = 65_536;
/** JSON.stringify escapes NUL and unpaired surrogates; an even number of backslashes before an escape are text. */
const UNSTORABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;

/** An object that PostgreSQL can store as jsonb: at most 64 KiB of JSON, without NUL and unpaired surrogates. */
export const jsonInput = z
  .record(z.string(), z.unknown())
  .refine((value) => {
    const text = textOf(value);
    return text !== undefined && !UNSTORABLE.test(text);
  }, 'has no JSON form, or contains NUL or an unpaired surrogate')
  .refine((value) => Buffer.byteLength(textOf(value) ?? '') <= MAX_JSON_BYTES, 'is larger than 64 KiB');

/** SHA-256 in hex of the JSON of a call's input, which the input schema has put in order. */
export function bodyHash(body: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(JSON.parse(JSON.stringify(body)))))
    .digest('hex');
}

function textOf(value: object): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

/** The same input has the same JSON, in whatever order its fields were written. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, field]) => [name, sorted(field)]),
  );
}
