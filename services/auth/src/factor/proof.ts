import { z } from 'zod';
import { type InsideAccount, inAccount } from '../account/account-row';
import { withPassword } from '../account/password-check';
import type { Auth } from '../client';
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
 * @throws {SuiteError} the errors of `withPassword` and of `withFactor`
 */
export function withProof<Result>(
  auth: Auth,
  { userId, proof, device }: OfAccount & { readonly proof: Proof },
  work: Work<Result>,
): Promise<Result> {
  if (proof.factor !== 'password') return withFactor(auth, { userId, ...proof, purpose: 'confirm', device }, work);
  return withPassword(auth, { userId, password: proof.password, device }, work);
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
