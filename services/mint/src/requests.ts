import { createHash } from 'node:crypto';

/** What a request asks for, as its function read it: text, amounts as text, times. */
export type RequestBody = { readonly [field: string]: BodyValue };
type BodyValue = string | Date | undefined | RequestBody | readonly RequestBody[];

/**
 * SHA-256 in hex of a request's canonical JSON: fields by name, left out when undefined, so that the same request has one
 * hash however it is written.
 */
export function requestHash(body: RequestBody): string {
  return createHash('sha256').update(canonicalJson(body)).digest('hex');
}

function canonicalJson(value: BodyValue): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (typeof value !== 'object' || value instanceof Date) return JSON.stringify(value);
  const fields = Object.entries(value as RequestBody)
    .filter(([, field]) => field !== undefined)
    .sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`).join(',')}}`;
}
