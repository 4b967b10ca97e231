import { isStorableJson } from './readers/json-text';
import { type LegacyRecord, Rejection } from './source';

/** A value for a column, before it is written in the text form of its type. */
export type ColumnValue = string | null;

/** Legacy times without a zone are UTC. */
const ISO_TIME =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?)?$/;
/** The years that the times of the suite may have. */
const FIRST_YEAR = 1;
/** The end of the year 9999 in seconds. */
const LAST_SECOND = 253_402_300_799;
const INT4_MIN = -2_147_483_648;
const INT4_MAX = 2_147_483_647;

const A_TIME = 'a time (ISO 8601 or seconds since 1970)';

/** A value that the mapping does not accept. The text names the field and never holds the value. */
function invalid(field: string, expected: string): Rejection {
  return new Rejection('INVALID_VALUE', `${field} is not ${expected}`);
}

/** The field as text; null if it is absent. Numbers and booleans are written as JSON writes them. */
export function textOf(record: LegacyRecord, field: string, most?: number): ColumnValue {
  const value = record[field];
  if (value === undefined || value === null) return null;
  if (
    typeof value !== 'string' &&
    typeof value !== 'number' &&
    typeof value !== 'boolean' &&
    typeof value !== 'bigint'
  ) {
    throw invalid(field, 'text');
  }
  const text = String(value);
  if (text.includes('\0') || !text.isWellFormed()) throw invalid(field, 'text that PostgreSQL can store');
  if (most !== undefined && text.length > most && [...text].length > most) {
    throw invalid(field, `text of at most ${most} characters`);
  }
  return text;
}

/** The field as text that is not blank. */
export function requiredText(record: LegacyRecord, field: string, most?: number): string {
  const text = textOf(record, field, most);
  if (text === null || text.trim() === '') throw invalid(field, 'a text that is not empty');
  return text;
}

/** The field as an integer of four bytes. */
export function integerOf(record: LegacyRecord, field: string, least = INT4_MIN, most = INT4_MAX): ColumnValue {
  const value = record[field];
  if (value === undefined || value === null || value === '') return null;
  const number = typeof value === 'bigint' ? Number(value) : typeof value === 'string' ? numberOfText(value) : value;
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < least || number > most) {
    throw invalid(
      field,
      least === 0 ? 'a whole number that is not negative' : `a whole number from ${least} to ${most}`,
    );
  }
  return String(number);
}

/** The field as a finite number. */
export function numberOf(record: LegacyRecord, field: string): ColumnValue {
  const value = record[field];
  if (value === undefined || value === null || value === '') return null;
  const number = typeof value === 'bigint' ? Number(value) : typeof value === 'string' ? numberOfText(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) throw invalid(field, 'a finite number');
  return String(number);
}

function numberOfText(text: string): number {
  return /^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$/.test(text) ? Number(text) : Number.NaN;
}

const TRUE = new Set<unknown>([true, 1, 1n, '1', 'true', 't', 'yes']);
const FALSE = new Set<unknown>([false, 0, 0n, '0', 'false', 'f', 'no']);

/** The field as a boolean, which SQLite holds as 0 or 1. */
export function booleanOf(record: LegacyRecord, field: string): ColumnValue {
  const value = record[field];
  if (value === undefined || value === null) return null;
  const comparable = typeof value === 'string' ? value.trim().toLowerCase() : value;
  if (TRUE.has(comparable)) return 'true';
  if (FALSE.has(comparable)) return 'false';
  throw invalid(field, 'a boolean');
}

/** The field as a time: ISO 8601, in UTC when it names no zone, or seconds since 1970. */
export function timeOf(record: LegacyRecord, field: string): ColumnValue {
  const value = record[field];
  if (value === undefined || value === null || value === '') return null;
  if (typeof value === 'number' || typeof value === 'bigint') return timeOfSeconds(Number(value), field);
  if (typeof value !== 'string') throw invalid(field, A_TIME);
  const text = value.trim();
  return /^\d{9,11}(\.\d+)?$/.test(text) ? timeOfSeconds(Number(text), field) : timeOfText(text, field);
}

/** Keeps microseconds, as PostgreSQL does; a Date would keep milliseconds. */
function timeOfSeconds(seconds: number, field: string): string {
  if (!(Math.abs(seconds) <= LAST_SECOND)) throw invalid(field, A_TIME);
  const whole = Math.floor(seconds);
  const micros = Math.round((seconds - whole) * 1e6);
  const date = new Date((whole + Math.floor(micros / 1e6)) * 1000);
  return `${date.toISOString().slice(0, 19)}.${String(micros % 1e6).padStart(6, '0')}Z`;
}

function timeOfText(text: string, field: string): string {
  const [, year = '', month = '', day = '', hour = '00', minute = '00', second = '00', fraction = '', zone = 'Z'] =
    ISO_TIME.exec(text) ?? [];
  if (year === '') throw invalid(field, A_TIME);
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  // Date moves the 30th of February to March.
  const isDay = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
  const isTime = Number(hour) < 24 && Number(minute) < 60 && Number(second) < 60;
  const isZone = zone === 'Z' || Number(zone.slice(1, 3)) < 16;
  if (!isDay || !isTime || !isZone || Number(year) < FIRST_YEAR) throw invalid(field, 'a time that exists');
  return `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.slice(0, 6).padEnd(6, '0')}${zone}`;
}

/** The field as a time, which must be there. */
export function requiredTime(record: LegacyRecord, field: string): string {
  const time = timeOf(record, field);
  if (time === null) throw invalid(field, A_TIME);
  return time;
}

/** The field as an integer of eight bytes. */
export function bigintOf(record: LegacyRecord, field: string): ColumnValue {
  const value = record[field];
  if (value === undefined || value === null || value === '') return null;
  const isWhole =
    typeof value === 'bigint' ||
    Number.isSafeInteger(value) ||
    (typeof value === 'string' && /^-?\d{1,19}$/.test(value));
  const whole = isWhole ? BigInt(value as bigint | number | string) : undefined;
  if (whole === undefined || BigInt.asIntN(64, whole) !== whole) throw invalid(field, 'a whole number of eight bytes');
  return String(whole);
}

/** The field as JSON: an object or an array as it is, text as JSON text, whose numbers keep all their digits. */
export function jsonOf(record: LegacyRecord, field: string, kind?: 'array' | 'object'): ColumnValue {
  const given = record[field];
  if (given === undefined || given === null || given === '') return null;
  let value = given;
  if (typeof given === 'string') {
    try {
      value = JSON.parse(given);
    } catch {
      throw invalid(field, 'JSON text');
    }
  }
  if (typeof value === 'bigint' || value instanceof Uint8Array) throw invalid(field, 'JSON text');
  const found = Array.isArray(value) ? 'array' : typeof value;
  if (kind !== undefined && (found !== kind || value === null)) throw invalid(field, `a JSON ${kind}`);
  const text = jsonText(value, field);
  if (!isStorableJson(text, value)) throw invalid(field, 'JSON that PostgreSQL can store');
  return typeof given === 'string' ? given : text;
}

function jsonText(value: unknown, field: string): string {
  try {
    return JSON.stringify(value);
  } catch {
    // The stack is too small for it.
    throw invalid(field, 'JSON with fewer levels');
  }
}

/** The field as one of some words. */
export function wordOf(record: LegacyRecord, field: string, words: readonly string[]): ColumnValue {
  const text = textOf(record, field);
  if (text === null) return null;
  const word = text.trim().toLowerCase();
  if (!words.includes(word)) throw invalid(field, `one of ${words.join(', ')}`);
  return word;
}

/** The field as bytes, in PostgreSQL's text form. */
export function bytesOf(record: LegacyRecord, field: string): ColumnValue {
  const value = record[field];
  if (value === undefined || value === null) return null;
  if (!(value instanceof Uint8Array)) throw invalid(field, 'bytes');
  return `\\x${Buffer.from(value).toString('hex')}`;
}
