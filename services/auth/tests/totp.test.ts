/** @server none */
import { generateSync } from 'otplib';
import { newTotpSecret, totpStepOf, totpUrl } from '../src/factor/totp';

const NOW = new Date('2026-03-01T12:00:15Z');
const STEP = BigInt(Math.floor(NOW.getTime() / 30_000));
const at = (seconds: number) => Math.floor(NOW.getTime() / 1_000) + seconds;

describe('totpStepOf', () => {
  const secret = newTotpSecret();
  const codeAt = (seconds: number) => generateSync({ secret, epoch: at(seconds) });

  it.each([
    ['the previous step', -30, STEP - 1n],
    ['the current step', 0, STEP],
    ['the next step', 30, STEP + 1n],
  ])('finds the code of %s', (_which, seconds, step) => {
    expect(totpStepOf(secret, codeAt(seconds), NOW)).toBe(step);
  });

  it.each([-3600, -60, 60, 3600])('rejects the code of %i seconds away', (seconds) => {
    expect(totpStepOf(secret, codeAt(seconds), NOW)).toBeNull();
  });

  it.each([
    ['at the first second of a step', '2026-03-01T12:00:00.000Z'],
    ['at the last millisecond of a step', '2026-03-01T12:00:29.999Z'],
  ])('accepts one step of drift in each direction and no more, %s', (_when, time) => {
    const now = new Date(time);
    const epoch = Math.floor(now.getTime() / 1_000);
    const drift = [-60, -30, 0, 30, 60].map((seconds) =>
      totpStepOf(secret, generateSync({ secret, epoch: epoch + seconds }), now),
    );

    expect(drift).toEqual([null, STEP - 1n, STEP, STEP + 1n, null]);
  });

  it('rejects the code of another secret', () => {
    expect(totpStepOf(newTotpSecret(), codeAt(0), NOW)).toBeNull();
  });

  it('produces the codes of RFC 6238, appendix B, with six digits', () => {
    const rfc = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';

    expect(totpStepOf(rfc, '287082', new Date(59_000))).toBe(1n);
    expect(totpStepOf(rfc, '081804', new Date(1_111_111_109_000))).toBe(37_037_036n);
    expect(totpStepOf(rfc, '353130', new Date(20_000_000_000_000))).toBe(666_666_666n);
  });
});

describe('newTotpSecret', () => {
  it('generates 160 bits in base32, different at each call', () => {
    const secrets = Array.from({ length: 50 }, newTotpSecret);

    expect(new Set(secrets).size).toBe(50);
    expect(secrets.filter((secret) => !/^[A-Z2-7]{32}$/.test(secret))).toEqual([]);
  });
});

describe('totpUrl', () => {
  it('has the format that authenticator apps read', () => {
    const url = new URL(
      totpUrl('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ', { issuer: 'Azora & Co', account: 'a+b@azora.world' }),
    );

    expect([url.protocol, url.host]).toEqual(['otpauth:', 'totp']);
    expect(decodeURIComponent(url.pathname)).toBe('/Azora & Co:a+b@azora.world');
    expect(Object.fromEntries(url.searchParams)).toEqual({
      secret: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ',
      issuer: 'Azora & Co',
    });
  });
});
