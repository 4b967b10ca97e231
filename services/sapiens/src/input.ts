import { createHash } from 'node:crypto';
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

type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/**
 * SHA-256 in hex of a request's canonical JSON: fields are sorted by name and absent ones left out, so that one request has one hash,
 * however it is written.
 */
export function requestHash(body: object): string {
  const json: Json = JSON.parse(JSON.stringify(body));
  return createHash('sha256').update(canonicalJson(json)).digest('hex');
}

function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`).join(',')}}`;
}
