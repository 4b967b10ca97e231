import { z } from 'zod';
import { type InsideAccount, inAccount } from '../account/account-row';
import { claimAttempt, failAttempt, returnAttempt } from '../account/attempts';
import { isPasswordOf } from '../account/passwords';
import type { Auth } from '../client';
import { accountInactive, invalidCredentials, userNotFound } from '../errors';
import { claimedPasswordInput, type Device } from '../input';
import { proofRequired } from './errors';
import { withFactor } from './factor';
import { digitsInput } from './one-time-code';
import { recoveryCodeInput } from './recovery-codes';

/** Evidence that the caller is the owner of the account and does not merely hold a session. */
export type Proof =
  | { readonly factor: 'password'; readonly password: string }
  | { readonly factor: 'totp' | 'sms' | 'email' | 'recovery'; readonly code: string };

export const proofInput = z.discriminatedUnion('factor', [
  z.strictObject({ factor: z.literal('password'), password: claimedPasswordInput }),
  z.strictObject({ factor: z.literal('recovery'), code: recoveryCodeInput }),
  z.strictObject({ factor: z.enum(['totp', 'sms', 'email']), code: digitsInput }),
]);

interface OfAccount {
  readonly userId: string;
  readonly device: Device;
}

type Work<Result> = (inside: InsideAccount) => Promise<Result>;

/**
 * Runs `work` if the proof is right. A code is used up in the same transaction.
 * @throws {SuiteError} `AUTH.INVALID_CREDENTIALS`, and the errors of `withFactor`
 */
export async function withProof<Result>(
  auth: Auth,
  { userId, proof, device }: OfAccount & { readonly proof: Proof },
  work: Work<Result>,
): Promise<Result> {
  if (proof.factor !== 'password') return withFactor(auth, { userId, ...proof, purpose: 'confirm', device }, work);
  const passwordHash = await confirmPassword(auth, { userId, password: proof.password, device });
  return inAccount(auth, userId, async (inside) => {
    // The password may have changed since it was checked.
    if ((await inside.tx.user.count({ where: { id: userId, passwordHash } })) === 0) throw invalidCredentials();
    return work(inside);
  });
}

/**
 * Runs `work` as `withProof` does. An account without a second factor needs no proof.
 * @throws {SuiteError} `AUTH.PROOF_REQUIRED`, and the errors of `withProof`
 */
export function withProofIfNeeded<Result>(
  auth: Auth,
  { proof, ...of }: OfAccount & { readonly proof: Proof | undefined },
  work: Work<Result>,
): Promise<Result> {
  if (proof !== undefined) return withProof(auth, { ...of, proof }, work);
  return inAccount(auth, of.userId, async (inside) => {
    const on = await inside.tx.mFASettings.count({
      where: { userId: of.userId, OR: [{ totpEnabled: true }, { smsEnabled: true }, { emailEnabled: true }] },
    });
    if (on > 0) throw proofRequired();
    return work(inside);
  });
}

export interface ConfirmPasswordInput {
  readonly userId: string;
  readonly password: string;
  readonly device?: Device | undefined;
}

/**
 * Checks the password of a signed-in user before a step that asks for it again. Returns the password hash, so that the
 * step can ensure that it is unchanged. Counts an attempt, and returns it if the password is right.
 * @throws {SuiteError} `AUTH.INVALID_CREDENTIALS`, `AUTH.LOCKED`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function confirmPassword(auth: Auth, input: ConfirmPasswordInput): Promise<string> {
  const { userId, password, device } = input;
  await claimAttempt(auth, { userId });
  const user = await auth.prisma.user.findFirst({
    where: { id: userId, deletedAt: null },
    select: { passwordHash: true, isActive: true },
  });
  if (user === null) throw userNotFound(userId);
  const isRight = await isPasswordOf(user.passwordHash, password, auth.settings.bcryptCost);
  if (user.passwordHash === null || !isRight) {
    await failAttempt(auth, { userId, action: 'PASSWORD_CHECK_FAILED', device });
    throw invalidCredentials();
  }
  if (!user.isActive) throw accountInactive();
  await auth.transaction((tx) => returnAttempt(tx, userId));
  return user.passwordHash;
}
