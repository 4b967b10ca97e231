import { isRecord } from '@azora/db-core';
import { type LegacyRecord, Rejection } from '../source';

/** Fatal: a decoder that replaces invalid bytes would import text that nobody wrote. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Escapes of characters that PostgreSQL cannot store: NUL and, if they are not paired, surrogates. */
const SUSPICIOUS = /\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})/;

/**
 * Decodes text.
 * @throws {Rejection} `INVALID_UTF8`, `INVALID_VALUE` for NUL
 */
export function decodeText(bytes: Uint8Array): string {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new Rejection('INVALID_UTF8', 'The bytes are not valid UTF-8', invalidByteOf(bytes));
  }
  if (text.includes('\0')) throw new Rejection('INVALID_VALUE', 'The text contains NUL, which PostgreSQL cannot store');
  return text;
}

/** The offset of the first byte that no valid text contains, by bisection over prefixes. */
function invalidByteOf(bytes: Uint8Array): number {
  let valid = 0;
  let invalid = bytes.length;
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1;
    if (isValidPrefix(bytes.subarray(0, middle))) valid = middle;
    else invalid = middle;
  }
  return valid;
}

function isValidPrefix(bytes: Uint8Array): boolean {
  try {
    // A prefix may end inside of a character.
    new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

/**
 * Parses a JSON text strictly (RFC 8259).
 * @throws {Rejection} `INVALID_UTF8`, `INVALID_JSON`, `INVALID_VALUE` for text that PostgreSQL cannot store
 */
export function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    throw new Rejection('INVALID_UTF8', 'The bytes are not valid UTF-8', invalidByteOf(bytes));
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The message of the parser may quote the text, which may be personal. It does not always name the position.
    const message = isRecord(error) ? String(error['message']) : '';
    if (message.includes('end of JSON'))
      throw new Rejection('INVALID_JSON', 'The JSON text ends too early', bytes.length);
    const at = /at position (\d+)/.exec(message)?.[1];
    const offset = at === undefined ? undefined : Buffer.byteLength(text.slice(0, Number(at)));
    throw new Rejection('INVALID_JSON', 'The text is not valid JSON', offset);
  }
  if (!isStorableJson(text, value)) {
    throw new Rejection('INVALID_VALUE', 'A string contains NUL or an unpaired surrogate');
  }
  return value;
}

/** Whether PostgreSQL can store every string of a value; `text` is its JSON. Most texts need no look at the value. */
export function isStorableJson(text: string, value: unknown): boolean {
  return !SUSPICIOUS.test(text) || isStorable(value);
}

function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0');
  if (!isRecord(value)) return true;
  return Object.entries(value).every(([key, member]) => isStorable(key) && isStorable(member));
}

/**
 * The value as a record with named fields.
 * @throws {Rejection} `NOT_AN_OBJECT`
 */
export function asRecord(value: unknown): LegacyRecord {
  if (isRecord(value) && !Array.isArray(value)) return value;
  throw new Rejection('NOT_AN_OBJECT', 'The record is not a JSON object');
}
