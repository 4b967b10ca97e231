import { createHash } from 'node:crypto';
import { jsonObjectInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';

/** The name of a service: letters, digits, ".", "_" and "-". */
export const serviceInput = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'is not the name of a service');

export const portInput = z.int().min(1).max(65_535);

/** The caller's name for one call: a call that is sent twice with it takes effect once. */
export const keyInput: z.ZodType<string> = textInput(200);

export const requestIdInput: z.ZodType<string> = textInput(100);

const MAX_JSON_BYTES = 65_536;

/** What the JSON form of an object says, at most 64 KiB of it: an error that is logged may hold times, undefined fields and others. */
export const jsonInput = z
  .custom<Readonly<Record<string, unknown>>>((input) => typeof input === 'object' && input !== null, 'is not an object')
  .transform(jsonFormOf)
  .pipe(jsonObjectInput(MAX_JSON_BYTES, 'bytes'));

/** SHA-256 in hex of the JSON of a call's input, which the input schema has put in order. */
export function bodyHash(body: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sorted(JSON.parse(JSON.stringify(body)))))
    .digest('hex');
}

/** The object that JSON.stringify writes; undefined when it cannot write one. */
function jsonFormOf(value: object): unknown {
  try {
    return JSON.parse(JSON.stringify(value));
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
