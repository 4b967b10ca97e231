import { newRecoveryCode, recoveryCodeHash, recoveryCodeInput } from '../src/factor/recovery-codes';

describe('newRecoveryCode', () => {
  it('generates four groups of base32, different at each call', () => {
    const codes = Array.from({ length: 1_000 }, newRecoveryCode);

    expect(codes.filter((code) => !/^[A-Z2-7]{4}(-[A-Z2-7]{4}){3}$/.test(code))).toEqual([]);
    expect(new Set(codes).size).toBe(1_000);
    expect(new Set(codes.join('')).size).toBe(33);
  });
});

describe('recoveryCodeHash', () => {
  it.each(['abcd-efgh-2345-wxyz', 'ABCDEFGH2345WXYZ', ' abcd efgh  2345 wxyz '])('is the same for %j', (typed) => {
    expect(recoveryCodeInput.parse(typed)).toBe('ABCDEFGH2345WXYZ');
    expect(recoveryCodeHash(typed)).toBe(recoveryCodeHash('ABCD-EFGH-2345-WXYZ'));
  });

  it('differs between codes', () => {
    expect(recoveryCodeHash('ABCD-EFGH-2345-WXYZ')).not.toBe(recoveryCodeHash('ABCD-EFGH-2345-WXYA'));
  });
});

describe('recoveryCodeInput', () => {
  it.each(['', 'ABCD', 'ABCD-EFGH-2345-WXY1', 'ABCD-EFGH-2345-WXYZA'])('rejects %j', (text) => {
    expect(recoveryCodeInput.safeParse(text).success).toBe(false);
  });
});
