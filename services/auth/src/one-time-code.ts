import { randomInt, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { type Keyring, keyedHashes } from './encryption';

const DIGITS = 6;

export type Channel = 'sms' | 'email';

/** What a code allows: to sign in, to switch its channel on as a factor, to confirm a change of the factors. */
export type CodePurpose = 'sign_in' | 'enable' | 'confirm';

/** Whose code it is and what for: the hash of one row says nothing about another. */
export interface CodeOwner {
  readonly userId: string;
  readonly channel: Channel;
  readonly purpose: CodePurpose;
}

export const channelInput = z.enum(['sms', 'email']);

/** Six digits, with the blanks that people put between them. */
export const digitsInput = z
  .string()
  .max(20)
  .transform((text) => text.replaceAll(/[\s-]/g, ''))
  .refine((text) => /^\d{6}$/.test(text), 'is not six digits');

/** E.164: + and 7 to 15 digits, of which the first is not 0. */
export const phoneInput = z.string().regex(/^\+[1-9]\d{6,14}$/, 'is not in E.164, such as +27115550100');

/** Six random digits. */
export function newOneTimeCode(): string {
  return String(randomInt(10 ** DIGITS)).padStart(DIGITS, '0');
}

/**
 * Keyed, for a million codes are hashed in a second: who reads the database cannot tell the code without the key.
 * @throws {SuiteError} `AUTH.NO_ENCRYPTION_KEY`
 */
export function codeHash(keyring: Keyring | undefined, owner: CodeOwner, code: string): string {
  return hashesOf(keyring, owner, code)[0];
}

/** True of the code that was hashed, with the newest key or an older one. */
export function isCode(keyring: Keyring | undefined, owner: CodeOwner, code: string, hash: string): boolean {
  const expected = Buffer.from(hash);
  return hashesOf(keyring, owner, code).some((found) => timingSafeEqual(Buffer.from(found), expected));
}

function hashesOf(keyring: Keyring | undefined, { userId, channel, purpose }: CodeOwner, code: string) {
  return keyedHashes(keyring, ['one-time code', userId, channel, purpose, code]);
}
