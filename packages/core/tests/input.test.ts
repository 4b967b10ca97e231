/** @server none */
import { z } from 'zod';
import { idInput, inputReader, textInput } from '../src/input';

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
