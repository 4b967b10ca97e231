import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { AuthTransaction } from '../client';

const CODE_COUNT = 10;
/** RFC 4648: has no 0, 1, 8 and 9, which are easily mistaken for O, I, B and g. */
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
/** 120 bits: ASVS 5.0, 6.5.2, permits a plain hash from 112 bits on. */
const CHARACTERS = 24;
const GROUPS = /.{4}(?=.)/g;

interface OfUser {
  readonly userId: string;
  readonly at: Date;
}

/**
 * A recovery code as a person types it: in upper or lower case, with or without spaces and hyphens. Codes of 16 characters
 * were generated before codes had 24, and stay valid until they are used or replaced.
 */
export const recoveryCodeInput = z
  .string()
  .max(60)
  .transform(plainForm)
  .refine((text) => /^([A-Z2-7]{16}|[A-Z2-7]{24})$/.test(text), 'is not a recovery code');

/**
 * Replaces all recovery codes of a user with ten new ones. Only the caller ever sees them in plain text: the database has
 * their hashes. The caller holds the lock on the account.
 */
export async function replaceRecoveryCodes(tx: AuthTransaction, { userId, at }: OfUser): Promise<readonly string[]> {
  const codes = Array.from({ length: CODE_COUNT }, newRecoveryCode);
  await tx.recoveryCode.deleteMany({ where: { userId } });
  await tx.recoveryCode.createMany({
    data: codes.map((code) => ({ userId, codeHash: recoveryCodeHash(code), createdAt: at, updatedAt: at })),
  });
  return codes;
}

/** Uses up a recovery code. True for one of any number of concurrent callers; false for a code that the user lacks. */
export async function takeRecoveryCode(
  tx: AuthTransaction,
  { userId, code, at }: OfUser & { readonly code: string },
): Promise<boolean> {
  const { count } = await tx.recoveryCode.updateMany({
    where: { userId, codeHash: recoveryCodeHash(code), usedAt: null },
    data: { usedAt: at, updatedAt: at },
  });
  return count === 1;
}

/** Generates 120 random bits in base32, as ABCD-EFGH-IJKL-MNOP-QRST-UVWX. */
export function newRecoveryCode(): string {
  // 256 is a multiple of 32, so every character is equally likely.
  const characters = [...randomBytes(CHARACTERS)].map((byte) => BASE32.charAt(byte % BASE32.length));
  return characters.join('').replaceAll(GROUPS, '$&-');
}

/**
 * The SHA-256, in hex, of a code in its plain form. Nobody can guess 120 bits, so the hash needs neither a key nor a salt. A
 * key would make the last way into an account depend on the keyring: a lost key would invalidate every recovery code.
 */
export function recoveryCodeHash(code: string): string {
  return createHash('sha256').update(plainForm(code)).digest('hex');
}

function plainForm(code: string): string {
  return code.replaceAll(/[\s-]/g, '').toUpperCase();
}
