import { createHmac } from 'node:crypto';
import { textInput } from '@azora/db-core/input';
import { compare, getRounds, hash } from 'bcrypt';
import type { z } from 'zod';

/** NIST SP 800-63B, 5.1.1.2: at least 8 characters, at least 64 allowed, all of Unicode, no composition rules. */
const MIN_CHARACTERS = 8;
const MAX_CHARACTERS = 1_024;
/** bcrypt ignores all further bytes. */
const BCRYPT_BYTES = 72;
/**
 * `$2y$` of PHP and `$2a$` of older programs, which this store does not write. They are the algorithm of `$2b$` for up to
 * 255 bytes. `$2x$` marks hashes of a faulty algorithm, and the database rejects it.
 */
const IMPORTED = /^\$2[ay]\$/;
/** Not a secret. It makes a plain SHA-256 of the same password, leaked from another site, useless here. */
const LONG_PASSWORD = 'azora auth long password';

/** A new password in Normalization Form KC, so that every keyboard produces the same bytes (SP 800-63B, 5.1.1.2). */
export const newPasswordInput: z.ZodType<string> = textInput(2 * MAX_CHARACTERS)
  .transform((text) => text.normalize('NFKC'))
  .refine((text) => [...text].length >= MIN_CHARACTERS, `has fewer than ${MIN_CHARACTERS} characters`)
  .refine((text) => [...text].length <= MAX_CHARACTERS, `has more than ${MAX_CHARACTERS} characters`);

/** The bcrypt hash of a password. */
export function hashPassword(password: string, cost: number): Promise<string> {
  return hash(bcryptInput(password), cost);
}

/**
 * Whether the password matches the hash. Without a hash the result is false, and the check takes as long as with a hash
 * of this cost.
 */
export async function isPasswordOf(passwordHash: string | null, password: string, cost: number): Promise<boolean> {
  const stored = passwordHash ?? hashOfNobody(cost);
  // The program that made an imported hash read the bytes as they were typed, up to the 72nd.
  const input = isImported(stored) ? password : bcryptInput(password);
  const isRight = await compare(input, stored.replace(IMPORTED, '$2b$'));
  return isRight && passwordHash !== null;
}

/** Whether a right password should be hashed again: the hash has a lower cost than the setting, or was imported. */
export function isOutdated(passwordHash: string, cost: number): boolean {
  return isImported(passwordHash) || getRounds(passwordHash) < cost;
}

function isImported(passwordHash: string): boolean {
  return IMPORTED.test(passwordHash);
}

/**
 * The input of bcrypt: the password itself or, when it is longer than bcrypt reads or contains NUL (where some bcrypt
 * implementations stop), a keyed SHA-256 of the whole password as 44 characters of base64.
 */
function bcryptInput(password: string): string {
  const normal = password.normalize('NFKC');
  if (Buffer.byteLength(normal) <= BCRYPT_BYTES && !normal.includes('\0')) return normal;
  return createHmac('sha256', LONG_PASSWORD).update(normal).digest('base64');
}

/** A hash that no known password matches. */
function hashOfNobody(cost: number): string {
  return `$2b$${String(cost).padStart(2, '0')}$${'AzoraAuthHashOfNobody.'}${'O'.repeat(31)}`;
}
