import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';

/** RFC 4648: without 0, 1, 8 and 9, which are taken for O, I, B and g. */
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const CHARACTERS = 16;
const GROUPS = /.{4}(?=.)/g;

/** A recovery code as people type it: in any case, with blanks and hyphens or without. */
export const recoveryCodeInput = z
  .string()
  .max(40)
  .transform(plainForm)
  .refine((text) => /^[A-Z2-7]{16}$/.test(text), 'is not a recovery code');

/** 80 random bits in base32, as ABCD-EFGH-IJKL-MNOP. */
export function newRecoveryCode(): string {
  // 256 is a multiple of 32, so every character is as likely as any other.
  const characters = [...randomBytes(CHARACTERS)].map((byte) => BASE32.charAt(byte % BASE32.length));
  return characters.join('').replaceAll(GROUPS, '$&-');
}

/** SHA-256 in hex of the code however it is typed: 80 bits are too many to guess, so no key is needed. */
export function recoveryCodeHash(code: string): string {
  return createHash('sha256').update(plainForm(code)).digest('hex');
}

function plainForm(code: string): string {
  return code.replaceAll(/[\s-]/g, '').toUpperCase();
}
