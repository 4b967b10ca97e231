import { createHmac } from 'node:crypto';
import { textInput } from '@azora/db-core/input';
import { compare, getRounds, hash } from 'bcrypt';
import type { z } from 'zod';
import { COMMON_PASSWORDS } from './common-passwords';
import { passwordRefused } from './errors';

/** NIST SP 800-63B, 5.1.1.2: at least 8 characters, room for 64 and more, all of Unicode, no rules of composition. */
const MIN_CHARACTERS = 8;
const MAX_CHARACTERS = 1_024;
/** bcrypt ignores what follows. */
const BCRYPT_BYTES = 72;
/** Not a secret: it makes what is hashed useless where another site's plain SHA-256 of the same password leaked. */
const LONG_PASSWORD = 'azora auth long password';

/**
 * A new password, in Normalization Form KC, so that every keyboard makes the same bytes of it (SP 800-63B, 5.1.1.2).
 */
export const newPasswordInput: z.ZodType<string> = textInput(2 * MAX_CHARACTERS)
  .transform((text) => text.normalize('NFKC'))
  .refine((text) => [...text].length >= MIN_CHARACTERS, `has fewer than ${MIN_CHARACTERS} characters`)
  .refine((text) => [...text].length <= MAX_CHARACTERS, `has more than ${MAX_CHARACTERS} characters`);

/**
 * Refuses a password that is on the list of common ones, is one character again and again, or says who the person is.
 * @throws {SuiteError} `AUTH.PASSWORD_REFUSED`
 */
export function refuseGuessablePassword(password: string, about: readonly (string | null | undefined)[]): void {
  const lower = password.toLowerCase();
  if (COMMON_PASSWORDS.has(lower)) throw passwordRefused('is one of those that are used most');
  if (/^(.)\1*$/su.test(lower)) throw passwordRefused('repeats one character');
  const own = about.flatMap((text) => (text ? [text.toLowerCase(), text.toLowerCase().split('@')[0]] : []));
  if (own.includes(lower)) throw passwordRefused('is the name or the address of its owner');
}

/** The bcrypt hash of a password. */
export function hashPassword(password: string, cost: number): Promise<string> {
  return hash(bcryptInput(password), cost);
}

/**
 * Whether the password is the one that was hashed. Without a hash it takes as long as with one of this cost, and is
 * false.
 */
export async function isPasswordOf(passwordHash: string | null, password: string, cost: number): Promise<boolean> {
  const isRight = await compare(bcryptInput(password), passwordHash ?? hashOfNobody(cost));
  return isRight && passwordHash !== null;
}

/** Whether the hash was made with fewer rounds than are asked for now. */
export function isOutdated(passwordHash: string, cost: number): boolean {
  return getRounds(passwordHash) < cost;
}

/**
 * What bcrypt is given: the password itself, or where it is longer than bcrypt reads or has a NUL, at which some
 * bcrypts stop, a keyed SHA-256 of all of it as 44 characters of base64.
 */
function bcryptInput(password: string): string {
  const normal = password.normalize('NFKC');
  if (Buffer.byteLength(normal) <= BCRYPT_BYTES && !normal.includes('\0')) return normal;
  return createHmac('sha256', LONG_PASSWORD).update(normal).digest('base64');
}

/** A hash that no password has, as far as anybody knows. */
function hashOfNobody(cost: number): string {
  return `$2b$${String(cost).padStart(2, '0')}$${'AzoraAuthHashOfNobody.'}${'O'.repeat(31)}`;
}
