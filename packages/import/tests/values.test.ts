/** @server none */
import { Rejection } from '../src/source';
import { bigintOf, booleanOf, integerOf, jsonOf, numberOf, textOf, timeOf } from '../src/values';

const time = (value: unknown) => timeOf({ value }, 'value');

it.each([
  ['2025-10-24T21:49:28', '2025-10-24T21:49:28.000000Z'],
  ['2025-11-10 14:25:00', '2025-11-10T14:25:00.000000Z'],
  ['2025-11-01T17:03:57.513096', '2025-11-01T17:03:57.513096Z'],
  ['2025-11-01T17:03:57.5+05:30', '2025-11-01T17:03:57.500000+05:30'],
  ['2025-11-01', '2025-11-01T00:00:00.000000Z'],
  [1_762_640_792.271068, '2025-11-08T22:26:32.271068Z'],
  [0, '1970-01-01T00:00:00.000000Z'],
  [-0.5, '1969-12-31T23:59:59.500000Z'],
  ['1762640792', '2025-11-08T22:26:32.000000Z'],
  ['', null],
  [null, null],
])('reads the time %p', (value, expected) => {
  expect(time(value)).toBe(expected);
});

it.each(['2025-02-30', '2025-13-01', '2025-01-01T24:00:00', 'yesterday', '0000-01-01', 1e18, Number.NaN, true, {}])(
  'rejects the time %p',
  (value) => {
    expect(() => time(value)).toThrow(Rejection);
  },
);

it('rejects values of other types, and never quotes them', () => {
  const record = { value: 'secret', big: 2 ** 31, nul: 'a\0', lone: '\ud800', json: '{"a":"\\u0000"}' };

  for (const read of [
    () => integerOf(record, 'value'),
    () => integerOf(record, 'big'),
    () => numberOf(record, 'value'),
    () => booleanOf(record, 'value'),
    () => jsonOf(record, 'value'),
    () => jsonOf(record, 'json'),
    () => textOf(record, 'nul'),
    () => textOf(record, 'lone'),
    () => textOf(record, 'value', 5),
  ]) {
    expect(read).toThrow(Rejection);
    expect(read).not.toThrow(/secret/);
  }
});

it('reads numbers, booleans and JSON as SQLite and JSON hold them', () => {
  expect([integerOf({ a: '7' }, 'a'), integerOf({ a: 7n }, 'a'), numberOf({ a: '1.5e3' }, 'a')]).toEqual([
    '7',
    '7',
    '1500',
  ]);
  expect([1, '0', true, 'FALSE', null].map((a) => booleanOf({ a }, 'a'))).toEqual([
    'true',
    'false',
    'true',
    'false',
    null,
  ]);
  expect([jsonOf({ a: '{"b":[1]}' }, 'a'), jsonOf({ a: [1] }, 'a'), jsonOf({ a: '' }, 'a')]).toEqual([
    '{"b":[1]}',
    '[1]',
    null,
  ]);
});

it('keeps every digit of JSON text and of integers of eight bytes', () => {
  expect(jsonOf({ value: '{"n": 12345678901234567890}' }, 'value', 'object')).toBe('{"n": 12345678901234567890}');
  expect(bigintOf({ value: 9_007_199_254_740_993n }, 'value')).toBe('9007199254740993');
  expect(bigintOf({ value: '-9223372036854775808' }, 'value')).toBe('-9223372036854775808');
  for (const value of [1.5, '9223372036854775808', 'x', new Uint8Array(1)]) {
    expect(() => bigintOf({ value }, 'value')).toThrow(Rejection);
  }
});

it('rejects bytes, integers and too many levels where JSON should be', () => {
  for (const value of [
    new Uint8Array([0x7b, 0x7d]),
    12_345_678_901_234_567_890n,
    `${'['.repeat(1e5)}${']'.repeat(1e5)}`,
  ]) {
    expect(() => jsonOf({ value }, 'value')).toThrow(Rejection);
  }
});
