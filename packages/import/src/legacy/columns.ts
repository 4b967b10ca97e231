import { createHash } from 'node:crypto';
import { type LegacyRecord, Rejection } from '../source';
import {
  type ColumnValue,
  integerOf,
  jsonOf,
  numberOf,
  requiredText,
  requiredTime,
  textOf,
  timeOf,
  wordOf,
} from '../values';

/** Reads the value of a column from a record; `field` is the name of the column. */
export type ReadColumn = (record: LegacyRecord, field: string) => ColumnValue;

/** A value for a record that has none. */
export const orElse =
  (read: ReadColumn, value: string): ReadColumn =>
  (record, field) =>
    read(record, field) ?? value;

/** A value that must be there. */
export const needed =
  (read: ReadColumn): ReadColumn =>
  (record, field) => {
    const value = read(record, field);
    if (value === null) throw new Rejection('INVALID_VALUE', `${field} is missing`);
    return value;
  };

/** The value of another field. */
export const from =
  (other: string, read: ReadColumn): ReadColumn =>
  (record) =>
    read(record, other);

export const text: ReadColumn = (record, field) => textOf(record, field);
export const needText: ReadColumn = (record, field) => requiredText(record, field);
export const shortText =
  (most: number): ReadColumn =>
  (record, field) =>
    textOf(record, field, most);
export const word =
  (...words: readonly string[]): ReadColumn =>
  (record, field) =>
    wordOf(record, field, words);
export const count: ReadColumn = (record, field) => integerOf(record, field, 0);
export const countOrNone = orElse(count, '0');
export const needCount = needed(count);
export const number: ReadColumn = numberOf;
export const json: ReadColumn = (record, field) => jsonOf(record, field);
export const object: ReadColumn = (record, field) => jsonOf(record, field, 'object');
export const array: ReadColumn = (record, field) => jsonOf(record, field, 'array');
export const needTime: ReadColumn = requiredTime;
/** The time of the last change; the one of the creation in a record that never changed. */
export const updatedAt: ReadColumn = (record, field) => timeOf(record, field) ?? requiredTime(record, 'created_at');

/** The SHA-256 of a text in hex. */
export const sha256 = (value: string) => createHash('sha256').update(value).digest('hex');

/** The id of a row for which the legacy system has none, or one that another legacy system has too. */
export const idFrom =
  (...fields: readonly string[]): ReadColumn =>
  (record) =>
    `aragora-${sha256(JSON.stringify(fields.map((field) => requiredText(record, field)))).slice(0, 32)}`;
