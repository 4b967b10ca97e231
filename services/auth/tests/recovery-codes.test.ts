/** @server none */
import { newRecoveryCode, recoveryCodeHash, recoveryCodeInput } from '../src/factor/recovery-codes';

describe('newRecoveryCode', () => {
  it('generates 120 bits as six groups of base32, different at each call', () => {
    const codes = Array.from({ length: 1_000 }, newRecoveryCode);

    expect(codes.filter((code) => !/^[A-Z2-7]{4}(-[A-Z2-7]{4}){5}$/.test(code))).toEqual([]);
    expect(new Set(codes).size).toBe(1_000);
    expect(new Set(codes.join('')).size).toBe(33);
  });
});

describe('recoveryCodeHash', () => {
  it.each(['abcd-efgh-2345-wxyz', 'ABCDEFGH2345WXYZ', ' abcd efgh  2345 wxyz '])('is the same for %j', (typed) => {
    expect(recoveryCodeInput.parse(typed)).toBe('ABCDEFGH2345WXYZ');
    expect(recoveryCodeHash(typed)).toBe(recoveryCodeHash('ABCD-EFGH-2345-WXYZ'));
  });

  it.each(['abcd-efgh-2345-wxyz-abcd-efgh', 'ABCDEFGH2345WXYZABCDEFGH'])('is the same for %j, of today', (typed) => {
    expect(recoveryCodeHash(recoveryCodeInput.parse(typed))).toBe(recoveryCodeHash('ABCD-EFGH-2345-WXYZ-ABCD-EFGH'));
  });

  it('differs between codes', () => {
    expect(recoveryCodeHash('ABCD-EFGH-2345-WXYZ')).not.toBe(recoveryCodeHash('ABCD-EFGH-2345-WXYA'));
  });
});

describe('recoveryCodeInput', () => {
  it.each(['', 'ABCD', 'ABCD-EFGH-2345-WXY1', 'ABCD-EFGH-2345-WXYZA', 'ABCD-EFGH-2345-WXYZ-ABCD-EFGHA'])(
    'rejects %j',
    (text) => {
      expect(recoveryCodeInput.safeParse(text).success).toBe(false);
    },
  );
});
