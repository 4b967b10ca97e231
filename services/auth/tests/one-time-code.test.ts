/** @server none */
import { readKeyring } from '../src/encryption/encryption';
import { codeHash, digitsInput, isCode, newOneTimeCode, phoneInput } from '../src/factor/one-time-code';

const OLD = Buffer.alloc(32, 1).toString('hex');
const NEW = Buffer.alloc(32, 2).toString('hex');
const ADA = {
  userId: 'ada',
  channel: 'sms',
  purpose: 'sign_in',
  challengeId: 'challenge',
  sentTo: '+27115550100',
  expiresAt: new Date('2026-03-01T12:10:00Z'),
} as const;

describe('newOneTimeCode', () => {
  it('generates six digits, including leading zeros', () => {
    const codes = Array.from({ length: 5_000 }, newOneTimeCode);

    expect(codes.filter((code) => !/^\d{6}$/.test(code))).toEqual([]);
    expect(codes.some((code) => code.startsWith('0'))).toBe(true);
    expect(new Set(codes).size).toBeGreaterThan(4_900);
  });
});

describe('isCode', () => {
  const hash = codeHash(readKeyring(OLD), ADA, '012345');

  it('accepts the code under the newest key and an older one', () => {
    expect(isCode(readKeyring(OLD), ADA, '012345', hash)).toBe(true);
    expect(isCode(readKeyring(`v2:${NEW},v1:${OLD}`), ADA, '012345', hash)).toBe(true);
  });

  it.each([
    ['another code', ADA, '012346'],
    ['another user', { ...ADA, userId: 'ben' }, '012345'],
    ['another channel', { ...ADA, channel: 'email' } as const, '012345'],
    ['another purpose', { ...ADA, purpose: 'confirm' } as const, '012345'],
    ['another challenge', { ...ADA, challengeId: 'later' }, '012345'],
    ['another number', { ...ADA, sentTo: '+27829990000' }, '012345'],
    ['a later end', { ...ADA, expiresAt: new Date('2026-03-01T12:11:00Z') }, '012345'],
  ])('rejects %s', (_what, owner, code) => {
    expect(isCode(readKeyring(OLD), owner, code, hash)).toBe(false);
  });

  it('rejects the code after its key was removed', () => {
    expect(isCode(readKeyring(`v2:${NEW}`), ADA, '012345', hash)).toBe(false);
  });
});

describe('input', () => {
  it.each(['123456', '123 456', ' 123-456 '])('parses %j as six digits', (text) => {
    expect(digitsInput.parse(text)).toBe('123456');
  });

  it.each(['', '12345', '1234567', '12345a', '١٢٣٤٥٦', ' '.repeat(50)])('rejects %j as a code', (text) => {
    expect(digitsInput.safeParse(text).success).toBe(false);
  });

  it.each(['+27115550100', '+1234567', '+123456789012345'])('accepts %s as a phone number', (text) => {
    expect(phoneInput.parse(text)).toBe(text);
  });

  it.each(['', '0115550100', '+0115550100', '+123456', '+1234567890123456', '+27 11 555', '+2711555010\n'])(
    'rejects %j as a phone number',
    (text) => {
      expect(phoneInput.safeParse(text).success).toBe(false);
    },
  );
});
