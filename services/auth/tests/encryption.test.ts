/** @server none */
import { inspect } from 'node:util';
import { decryptSecret, encryptSecret, keyedHashes, keyVersionOf, readKeyring } from '../src/encryption/encryption';

const bytes = (fill: number) => Buffer.alloc(32, fill);
const FIRST = bytes(1).toString('base64');
const SECOND = bytes(2).toString('base64');
const ADA = { userId: 'ada', use: 'totp' };
const SECRET = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP';

const refusal = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};
const code = (name: string) => expect.objectContaining({ code: `AUTH.${name}` });

describe('readKeyring', () => {
  it.each([
    ['base64', FIRST],
    ['base64 without padding', FIRST.replace('=', '')],
    ['base64url', bytes(1).toString('base64url')],
    ['hex', bytes(1).toString('hex')],
    ['upper-case hex', bytes(1).toString('hex').toUpperCase()],
    ['base64 with a version', `v1:${FIRST}`],
    ['base64 with spaces around it', ` ${FIRST}\n`],
  ])('reads a key in %s', (_form, text) => {
    const sealed = encryptSecret(readKeyring(FIRST), ADA, SECRET);

    expect(decryptSecret(readKeyring(text), ADA, sealed)).toBe(SECRET);
  });

  it('encrypts with the newest key and decrypts with all', () => {
    const old = encryptSecret(readKeyring(FIRST), ADA, SECRET);
    const both = readKeyring(`v12:${SECOND}, v1:${FIRST}`);

    expect(decryptSecret(both, ADA, old)).toBe(SECRET);
    expect(keyVersionOf(encryptSecret(both, ADA, SECRET))).toBe(12);
  });

  it.each([undefined, '', '  '])('returns no keyring for %j', (text) => {
    expect(readKeyring(text)).toBeUndefined();
  });

  it.each([
    ['31 bytes', bytes(1).subarray(1).toString('base64')],
    ['33 bytes', Buffer.alloc(33, 1).toString('base64')],
    ['a passphrase', 'correct horse battery staple correct'],
    ['version 0', `v0:${FIRST}`],
    ['a version that is not a number', `vx:${FIRST}`],
    ['the oldest first', `v1:${FIRST},v2:${SECOND}`],
    ['one version twice', `v1:${FIRST},v1:${SECOND}`],
    ['an empty entry', `v2:${FIRST},`],
  ])('rejects %s without showing it', (_what, text) => {
    const error = refusal(() => readKeyring(text));

    expect(error).toEqual(code('ENCRYPTION_KEY_INVALID'));
    expect(inspect(error, { depth: 9 })).not.toContain(text);
    expect(inspect(error, { depth: 9 })).not.toContain(FIRST);
  });

  it('does not show its keys when it is printed', () => {
    const printed = inspect(readKeyring(FIRST), { depth: 9, showHidden: true }) + JSON.stringify(readKeyring(FIRST));

    expect(printed).not.toContain(FIRST);
    expect(printed).not.toContain('01 01 01');
  });
});

describe('encryptSecret', () => {
  const keyring = readKeyring(FIRST);

  it('returns v<key>.<nonce>.<ciphertext and tag>, different at each call', () => {
    const sealed = [encryptSecret(keyring, ADA, SECRET), encryptSecret(keyring, ADA, SECRET)];

    expect(sealed[0]).toMatch(/^v1\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]+$/);
    expect(sealed[0]).not.toBe(sealed[1]);
  });

  it.each(['', 'é', '🔑'.repeat(1_000)])('encrypts text of any length so that it can be decrypted', (text) => {
    expect(decryptSecret(keyring, ADA, encryptSecret(keyring, ADA, text))).toBe(text);
  });

  it('rejects an encryption without a key', () => {
    expect(() => encryptSecret(undefined, ADA, SECRET)).toThrow(code('NO_ENCRYPTION_KEY'));
    expect(() => decryptSecret(undefined, ADA, encryptSecret(keyring, ADA, SECRET))).toThrow(code('NO_ENCRYPTION_KEY'));
  });
});

describe('decryptSecret', () => {
  const keyring = readKeyring(FIRST);
  const sealed = encryptSecret(keyring, ADA, SECRET);

  it.each([
    ['another user', { userId: 'ben', use: 'totp' }],
    ['another use', { userId: 'ada', use: 'oauth' }],
    ['a user and use that read the same when concatenated', { userId: 'adato', use: 'tp' }],
  ])('rejects a secret of %s', (_whose, whose) => {
    expect(() => decryptSecret(keyring, whose, sealed)).toThrow(code('CIPHERTEXT_INVALID'));
  });

  it('rejects a change of any single character', () => {
    const changed = [...sealed].map(
      (character, n) => sealed.slice(0, n) + (character === 'B' ? 'C' : 'B') + sealed.slice(n + 1),
    );
    // The last character of base64 may contain unused bits.
    const opened = changed.slice(0, -1).map((text) => refusal(() => decryptSecret(keyring, ADA, text)));

    expect(opened.filter((result) => typeof result === 'string')).toEqual([]);
  });

  it.each([
    '',
    'v1',
    'v1..',
    `${sealed}.x`,
    sealed.replace('v1', 'v0'),
    sealed.slice(0, -6),
    'v1.AAAA.AAAA',
    `v1.${'A'.repeat(16)}.AAAA`,
    SECRET,
  ])('rejects %j', (text) => {
    expect(() => decryptSecret(keyring, ADA, text)).toThrow(code('CIPHERTEXT_INVALID'));
  });

  it('names the version of a missing key', () => {
    const error = refusal(() => decryptSecret(readKeyring(`v2:${SECOND}`), ADA, sealed));

    expect(error).toEqual(code('KEY_UNKNOWN'));
    expect(error).toEqual(expect.objectContaining({ meta: { version: 1, known: [2] } }));
  });

  it('rejects another key of the same version', () => {
    expect(() => decryptSecret(readKeyring(SECOND), ADA, sealed)).toThrow(code('CIPHERTEXT_INVALID'));
  });
});

describe('keyedHashes', () => {
  const hashes = (keys: string, ...parts: string[]) => keyedHashes(readKeyring(keys), parts);

  it('depend on the parts and on the key', () => {
    const found = [
      hashes(FIRST, 'ada', '123456')[0],
      hashes(FIRST, 'ada1', '23456')[0],
      hashes(FIRST, 'ben', '123456')[0],
      hashes(SECOND, 'ada', '123456')[0],
    ];

    expect(hashes(FIRST, 'ada', '123456')).toEqual([found[0]]);
    expect(new Set(found).size).toBe(4);
    expect(found[0]).toMatch(/^[0-9a-f]{64}$/);
  });

  it('cover every key, newest first', () => {
    expect(hashes(`v2:${SECOND},v1:${FIRST}`, 'x')).toEqual([...hashes(SECOND, 'x'), ...hashes(FIRST, 'x')]);
    expect(() => keyedHashes(undefined, ['x'])).toThrow(code('NO_ENCRYPTION_KEY'));
  });
});
