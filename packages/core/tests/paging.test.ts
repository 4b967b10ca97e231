/** @server none */
import { inputReader } from '../src/input';
import { cursorInput, pageOf } from '../src/paging';

const readInput = inputReader('TEST.INVALID_INPUT');
const rows = [3n, 2n, 1n].map((second) => ({ micros: String(second * 1_000_000n + 7n), id: `id-${second}` }));

describe('a page', () => {
  it('ends with a cursor that names its last row, to the microsecond', () => {
    const page = pageOf(rows, 2);

    expect(page.rows).toEqual(rows.slice(0, 2));
    expect(readInput(cursorInput, page.nextCursor)).toEqual({ micros: '2000007', id: 'id-2' });
  });

  it('has no cursor when no row follows', () => {
    expect(pageOf(rows, 3).nextCursor).toBeNull();
    expect(pageOf([], 3)).toEqual({ rows: [], nextCursor: null });
  });

  it.each([
    '',
    'x',
    '12',
    'a id',
    '12 a b',
    '9999999999999999999 id',
    '-210866803200000001 id',
    `1 ${'x'.repeat(101)}`,
    '1 a\0',
  ])('rejects the cursor %j', (text) => {
    const cursor = Buffer.from(text).toString('base64url');

    expect(() => readInput(cursorInput, cursor)).toThrow(expect.objectContaining({ code: 'TEST.INVALID_INPUT' }));
  });
});
