/** @server none */
import { SuiteError } from '@azora/db-core';
import fc from 'fast-check';
import { readInput } from '../src/errors';
import { readTransfer, transferInput } from '../src/transfer-input';

describe('the input of a transfer', () => {
  const given = { from: 'wallet-1', to: 'wallet-2', amount: '12.5', idempotencyKey: 'key 1' };

  /** What the caller gets, with the facts of an error. */
  const outcome = (read: () => unknown) => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof SuiteError)) throw error;
      return { ...error, message: error.message };
    }
  };
  const expectTheSame = (input: unknown) =>
    expect(outcome(() => readTransfer(input as never))).toEqual(outcome(() => readInput(transferInput, input)));

  it('is read as its schema reads it, also in the usual form that needs no schema', () => {
    const id = fc.oneof(
      fc.stringMatching(/^[!-~]{1,100}$/),
      fc.string({ unit: 'binary', maxLength: 3 }),
      fc.constantFrom('', ' ', 'a b', 'a\n', 'ü', 'x'.repeat(100), 'x'.repeat(101), 'x'.repeat(200), 'x'.repeat(201)),
    );
    const amount = fc.oneof(
      fc.stringMatching(/^\d{1,11}(\.\d{1,9})?$/),
      fc.constantFrom(
        '0',
        '00',
        '0.0',
        '-1',
        '1.',
        '.5',
        '1e3',
        ' 1',
        '1\n',
        '0.00000001',
        '9999999999.99999999',
        '1.10',
        '',
      ),
      fc.double(),
    );
    const shape = fc.record(
      { from: id, to: id, amount, idempotencyKey: id, description: fc.option(id, { nil: undefined }), other: id },
      { requiredKeys: [] },
    );
    const usual = fc.record({ from: id, to: id, amount, idempotencyKey: id });

    fc.assert(fc.property(fc.oneof(usual, shape), expectTheSame), { numRuns: 400 });
  });

  it.each([
    ['wallet ids', ['from', 'to'], ['x'.repeat(100), 'x'.repeat(101), '!~', '', ' ', 'a b', 'a\n', '\x7f', 'ü']],
    ['keys', ['idempotencyKey'], ['x'.repeat(200), 'x'.repeat(201), '!~', '', ' ', 'a b', 'a\n', '\0', 'ü']],
    [
      'amounts',
      ['amount'],
      [
        '9999999999.99999999',
        '10000000000',
        '0.00000001',
        '0.000000001',
        '0',
        '0.0',
        '-1',
        '01',
        '1.0',
        '1.',
        '.5',
        '1e3',
        '1\n',
      ],
    ],
  ])('is read as its schema reads it at the bounds of %s', (_what, fields, values) => {
    for (const field of fields)
      for (const value of values) expectTheSame({ ...given, idempotencyKey: 'key-1', [field]: value });
  });

  it.each([
    ['no object', undefined],
    ['null', null],
    ['an array', [given]],
    ['an object without a prototype', Object.assign(Object.create(null), given)],
    ['fields of a prototype', Object.create(given)],
    ['a field too many', { ...given, extra: 1 }],
    ['a description', { ...given, description: 'rent' }],
    ['a number as an amount', { ...given, amount: 12.5 }],
  ])('is read as its schema reads it: %s', (_what, input) => expectTheSame(input));
});
