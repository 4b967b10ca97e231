import { randomInt, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { type Keyring, keyedHashes } from '../encryption/encryption';

const DIGITS = 6;

export type Channel = 'sms' | 'email';

/** Any second factor. */
export type AnyFactor = 'totp' | Channel | 'recovery';

/** What a code is for: a sign-in, enabling its channel as a factor, or confirming a change to the factors. */
export type CodePurpose = 'sign_in' | 'enable' | 'confirm';

/**
 * Whose code it is, for which use, and until when: part of the hash. A client that writes to the database and lacks the key
 * can neither move the hash to another row nor change where the code was sent, which challenge it answers or when it expires.
 */
export interface CodeOwner {
  readonly userId: string;
  readonly channel: Channel;
  readonly purpose: CodePurpose;
  /** The challenge of a sign-in; null for the other purposes. */
  readonly challengeId: string | null;
  /** The phone number or address. */
  readonly sentTo: string;
  readonly expiresAt: Date;
}

export const channelInput = z.enum(['sms', 'email']);

/** Six digits, possibly with spaces and hyphens between them. */
export const digitsInput = z
  .string()
  .max(20)
  .transform((text) => text.replaceAll(/[\s-]/g, ''))
  .refine((text) => /^\d{6}$/.test(text), 'is not six digits');

/** A phone number in E.164: + and 7 to 15 digits, the first of them not 0. */
export const phoneInput = z.string().regex(/^\+[1-9]\d{6,14}$/, 'is not an E.164 number, such as +27115550100');

/** Generates six random digits. */
export function newOneTimeCode(): string {
  return String(randomInt(10 ** DIGITS)).padStart(DIGITS, '0');
}

/**
 * The keyed hash of a code. A plain hash would not do: all million codes can be hashed in a second. Without the key, a
 * reader of the database cannot find the code.
 * @throws {SuiteError} `AUTH.NO_ENCRYPTION_KEY`
 */
export function codeHash(keyring: Keyring | undefined, owner: CodeOwner, code: string): string {
  return hashesOf(keyring, owner, code)[0];
}

/** Whether the code is the hashed one, under the newest key or an older one. */
export function isCode(keyring: Keyring | undefined, owner: CodeOwner, code: string, hash: string): boolean {
  const expected = Buffer.from(hash);
  return hashesOf(keyring, owner, code).some((found) => timingSafeEqual(Buffer.from(found), expected));
}

function hashesOf(keyring: Keyring | undefined, owner: CodeOwner, code: string) {
  const { userId, channel, purpose, challengeId, sentTo, expiresAt } = owner;
  const parts = [userId, channel, purpose, challengeId ?? '', sentTo, expiresAt.toISOString(), code];
  return keyedHashes(keyring, ['one-time code', ...parts]);
}
