import { z } from 'zod';
import type { Auth } from './client';
import { confirmPassword } from './confirm-password';
import { invalidCredentials } from './errors';
import { type InsideAccount, withFactor } from './factor';
import { proofRequired } from './factor-errors';
import { claimedPasswordInput, type Device } from './input';
import { lockActiveAccount } from './locked-account';
import { digitsInput } from './one-time-code';
import { recoveryCodeInput } from './recovery-code';

/** What shows that it is the owner of the account who asks, and not only who holds a session. */
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
 * Does `work` for who shows the password or a code; a code is taken in the same transaction.
 * @throws {SuiteError} `AUTH.INVALID_CREDENTIALS`, and what `withFactor` throws
 */
export async function withProof<Result>(
  auth: Auth,
  { userId, proof, device }: OfAccount & { readonly proof: Proof },
  work: Work<Result>,
): Promise<Result> {
  if (proof.factor !== 'password') return withFactor(auth, { userId, ...proof, purpose: 'confirm', device }, work);
  const passwordHash = await confirmPassword(auth, { userId, password: proof.password, device });
  return inAccount(auth, userId, async (inside) => {
    // A password that was changed meanwhile is no proof any more.
    if ((await inside.tx.user.count({ where: { id: userId, passwordHash } })) === 0) throw invalidCredentials();
    return work(inside);
  });
}

/**
 * As `withProof`; without one for an account that has no second factor yet.
 * @throws {SuiteError} `AUTH.PROOF_REQUIRED`, and what `withProof` throws
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

/** Does `work` in a transaction that has locked the account, which must be active. */
export function inAccount<Result>(auth: Auth, userId: string, work: Work<Result>): Promise<Result> {
  return auth.transaction(async (tx) => {
    const account = await lockActiveAccount(tx, userId);
    return work({ tx, account, at: auth.clock() });
  });
}
