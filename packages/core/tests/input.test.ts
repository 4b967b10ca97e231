/** @server none */
import { z } from 'zod';
import { amountInput, amountOrZeroInput, idInput, inputReader, jsonObjectInput, textInput } from '../src/input';

const readInput = inputReader('TEST.INVALID_INPUT');
const contract = z.strictObject({ name: textInput(5), tags: z.array(z.string()).optional() });

describe('an input reader', () => {
  it('returns valid input', () => {
    expect(readInput(contract, { name: 'Ada' })).toEqual({ name: 'Ada' });
  });

  it.each([
    ['too long', { name: 'private' }, 'name'],
    ['blank', { name: ' \t' }, 'name'],
    ['not storable by PostgreSQL', { name: 'a\0b' }, 'name'],
    ['an unpaired surrogate', { name: 'a\ud800' }, 'name'],
    ['of the wrong type', { name: 7 }, 'name'],
    ['nested', { name: 'Ada', tags: ['ok', 1] }, 'tags'],
    ['unknown', { name: 'Ada', private: 1 }, 'input'],
    ['missing', undefined, 'input'],
  ])('names the field that is %s without showing its value', (_, input, field) => {
    const refusal = expect.objectContaining({ code: 'TEST.INVALID_INPUT', meta: { fields: [field] } });

    expect(() => readInput(contract, input)).toThrow(refusal);
    expect(() => readInput(contract, input)).not.toThrow(
      expect.objectContaining({ why: expect.stringContaining('private') }),
    );
  });

  it.each(['', ' ', 'a b', 'a\nb', 'a\u0007', 'jörg', 'ada@example.org', '_a', 'a\n', 'x'.repeat(101)])(
    'rejects the id %j',
    (id) => {
      expect(() => readInput(idInput, id)).toThrow(expect.objectContaining({ code: 'TEST.INVALID_INPUT' }));
    },
  );
});

describe('an object of JSON', () => {
  const object = jsonObjectInput(100_000, 'bytes');
  const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);

  it('is returned with every key that it has', () => {
    const text = '{"__proto__":{"a":1},"constructor":null,"":[true,1.5,"\\u202e"]}';

    expect(JSON.stringify(readInput(object, JSON.parse(text)))).toBe(text.replace('\\u202e', '\u202e'));
    expect(readInput(object, { a: nested(99) })).toEqual({ a: nested(99) });
  });

  const loop: Record<string, unknown> = {};
  loop['a'] = [loop];
  const deep = Array.from({ length: 30_000 }).reduce((value) => [value], 1);

  it.each([
    ['a list', []],
    ['null', null],
    ['text', '{}'],
    ['101 levels', { a: nested(100) }],
    ['30,000 levels', { a: deep }],
    ['itself', loop],
    ['undefined', { a: undefined }],
    ['a hole', { a: new Array(1) }],
    ['a function', { a: () => 1 }],
    ['a form of its own', { toJSON: () => 'x' }],
    ['a time', { a: new Date(0) }],
    ['a map', new Map()],
    ['a bigint', { a: 1n }],
    ['NaN', { a: Number.NaN }],
    ['NUL', { a: ['b\0'] }],
    ['NUL in a key', { 'a\0': 1 }],
    ['an unpaired surrogate', { a: '\udfff' }],
    ['too many bytes', { a: 'ü'.repeat(50_000) }],
  ])('is neither %s nor holds it', (_, input) => {
    expect(() => readInput(object, input)).toThrow(expect.objectContaining({ code: 'TEST.INVALID_INPUT' }));
  });

  it('is measured in characters for fields whose limit counts characters', () => {
    const characters = jsonObjectInput(100_000, 'characters');

    expect(readInput(characters, { a: 'ü'.repeat(99_992) })).toHaveProperty('a');
    expect(() => readInput(characters, { a: 'ü'.repeat(99_993) })).toThrow('is invalid');
  });
});

describe('an amount of money', () => {
  it('is read as its shortest text', () => {
    expect(readInput(amountInput, '1.50')).toBe('1.5');
    expect(readInput(amountOrZeroInput, '0.00')).toBe('0');
  });

  it.each([
    [amountInput, '0', 'TEST.INVALID_INPUT'],
    [amountOrZeroInput, '-1', 'TEST.INVALID_INPUT'],
    [amountInput, '1'.repeat(101), 'TEST.INVALID_INPUT'],
    [amountInput, { toFixed: 1, s: 1, e: 1 }, 'TEST.INVALID_INPUT'],
    [amountInput, null, 'TEST.INVALID_INPUT'],
    [amountInput, 1, 'MONEY.NOT_DECIMAL'],
  ])('is rejected by its code', (schema, input, code) => {
    expect(() => readInput(schema, input)).toThrow(expect.objectContaining({ code }));
  });
});
