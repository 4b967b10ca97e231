import type { AuthTransaction } from './client';
import { newRecoveryCode, recoveryCodeHash } from './recovery-code';

const CODE_COUNT = 10;

interface OfUser {
  readonly userId: string;
  readonly at: Date;
}

/** Gives a user ten new codes in the place of all earlier ones; they are in plain here and nowhere else. The account is locked. */
export async function replaceRecoveryCodes(tx: AuthTransaction, { userId, at }: OfUser): Promise<readonly string[]> {
  const codes = Array.from({ length: CODE_COUNT }, newRecoveryCode);
  await tx.recoveryCode.deleteMany({ where: { userId } });
  await tx.recoveryCode.createMany({
    data: codes.map((code) => ({ userId, codeHash: recoveryCodeHash(code), createdAt: at, updatedAt: at })),
  });
  return codes;
}

/** Takes a code, once of all who show it at the same time; false to the others and for one that is not the user's. */
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
