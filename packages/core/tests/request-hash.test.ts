/** @server none */
import { createHash } from 'node:crypto';
import { requestHash } from '../src/request-hash';

const sha256Of = (text: string) => createHash('sha256').update(text).digest('hex');

describe('requestHash', () => {
  it('is the SHA-256 of the JSON with sorted fields', () => {
    const body = { to: 'b', amount: '1.5', list: [{ y: null, x: 2 }, []], at: new Date('2026-01-31T12:00:00Z') };

    expect(requestHash(body)).toBe(
      sha256Of('{"amount":"1.5","at":"2026-01-31T12:00:00.000Z","list":[{"x":2,"y":null},[]],"to":"b"}'),
    );
  });

  it('does not depend on the order of the fields and on undefined ones', () => {
    expect(requestHash({ b: 1, a: { d: 1, c: 2 } })).toBe(requestHash({ a: { c: 2, d: 1 }, none: undefined, b: 1 }));
  });

  it.each([
    ['time', { at: new Date(1) }, { at: new Date(2) }],
    ['order of a list', { list: ['a', 'b'] }, { list: ['b', 'a'] }],
    ['name', { a: 'x' }, { b: 'x' }],
    ['type', { a: '1' }, { a: 1 }],
    ['place of a quote', { a: '","b":"' }, { a: '', b: '' }],
  ])('depends on each %s', (_, one, other) => {
    expect(requestHash(one)).not.toBe(requestHash(other));
  });
});
