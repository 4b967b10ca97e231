import { hash } from 'node:crypto';

/**
 * SHA-256 in hex of a request's canonical JSON: fields are sorted by name and undefined ones left out, and times are ISO 8601, so
 * that one request has one hash, however it is written. It tells a request that is sent twice from another one with its key.
 */
export function requestHash(body: object): string {
  return hash('sha256', canonicalJson(body));
}

function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null || value instanceof Date) return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([left], [right]) => (left < right ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`).join(',')}}`;
}
