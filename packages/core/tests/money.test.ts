/** @server none */
import { Decimal } from 'decimal.js';
import fc from 'fast-check';
import { formatMoney, type MoneyInput, parseMoney } from '../src/money';

describe('parseMoney', () => {
  it('gives back every amount that a money column can hold, to the last digit', () => {
    const limit = 10n ** 18n - 1n;
    fc.assert(
      fc.property(fc.bigInt({ min: -limit, max: limit }), (units) => {
        const text = new Decimal(units.toString()).div('1e8').toFixed(8);

        expect(formatMoney(parseMoney(text))).toBe(text === '-0.00000000' ? '0.00000000' : text);
        expect(parseMoney(new Decimal(text)).eq(text)).toBe(true);
      }),
    );
  });

  it.each([
    ['1e3', 'MONEY.NOT_DECIMAL'],
    ['0x10', 'MONEY.NOT_DECIMAL'],
    ['', 'MONEY.NOT_DECIMAL'],
    [' 1', 'MONEY.NOT_DECIMAL'],
    ['1,5', 'MONEY.NOT_DECIMAL'],
    ['NaN', 'MONEY.NOT_DECIMAL'],
    [new Decimal(Number.POSITIVE_INFINITY), 'MONEY.NOT_DECIMAL'],
    ['0.000000001', 'MONEY.TOO_PRECISE'],
    ['10000000000', 'MONEY.TOO_LARGE'],
    ['-10000000000', 'MONEY.TOO_LARGE'],
  ])('refuses %s', (input: MoneyInput, code) => {
    expect(() => parseMoney(input)).toThrow(expect.objectContaining({ code }));
  });

  it('refuses a JavaScript number, also from code that the compiler did not see', () => {
    const fromJavaScript: unknown = 0.1;

    expect(() => parseMoney(fromJavaScript as MoneyInput)).toThrow(
      expect.objectContaining({ code: 'MONEY.NOT_DECIMAL' }),
    );
    for (const input of [null, {}, { toFixed: 1, s: 1, e: 1 }]) {
      expect(() => parseMoney(input as unknown as MoneyInput)).toThrow(
        expect.objectContaining({ code: 'MONEY.NOT_DECIMAL' }),
      );
    }
    // @ts-expect-error a number is not a MoneyInput
    expect(() => parseMoney(0.1)).toThrow();
  });
});
