import type { SuiteError } from '@azora/db-core';
import { type InsideAccount, lockActiveAccount } from '../account/account-row';
import { claimAttempt, failAttempt, returnAttempt } from '../account/attempts';
import type { Auth, AuthTransaction } from '../client';
import { decryptSecret } from '../encryption/encryption';
import type { Device } from '../input';
import { codeInvalid, factorOff } from './errors';
import type { AnyFactor, CodePurpose } from './one-time-code';
import { takeRecoveryCode } from './recovery-codes';
import { findSentCode } from './sent-code';
import { readTotp, TOTP_USE, totpStepOf } from './totp';

/** Checks a code without using it up; null for a wrong code. */
export type FindCode = (auth: Auth, userId: string, shown: ShownCode) => Promise<TakeCode | null>;

/** Uses up a code that was right. True for one of any number of concurrent callers, false for the others. */
export type TakeCode = (tx: AuthTransaction, at: Date) => Promise<boolean>;

export interface ShownCode {
  readonly factor: AnyFactor;
  readonly code: string;
  /** The purpose that a sent code must have been sent for. */
  readonly purpose: CodePurpose;
  /** The challenge that a code with the purpose `sign_in` must have been sent for. */
  readonly challengeId?: string;
  /** Finds a code of a factor that is not enabled yet. */
  readonly find?: FindCode;
}

export interface ShownCodes {
  readonly userId: string;
  /** All of them must be right. They are used up in this order. */
  readonly codes: readonly ShownCode[];
  readonly device: Device;
  /** Runs under the lock on the account, before a code is used up. */
  readonly before?: (inside: InsideAccount) => Promise<void>;
  /** Whether `work` opens a session, which settles the attempt; otherwise the attempt is returned before `work`. */
  readonly opensSession?: boolean;
}

/**
 * Runs `work` in the transaction that uses up the codes, so that all of it happens or nothing. One attempt is counted for
 * the call before a code is checked, and stays counted if a code is wrong.
 * @throws {SuiteError} `AUTH.LOCKED`, `AUTH.CODE_INVALID`, `AUTH.FACTOR_OFF`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`;
 * from the keys `AUTH.NO_ENCRYPTION_KEY`, `AUTH.KEY_UNKNOWN`, `AUTH.CIPHERTEXT_INVALID`
 */
export async function withCodes<Result>(
  auth: Auth,
  { userId, codes, device, before, opensSession = false }: ShownCodes,
  work: (inside: InsideAccount) => Promise<Result>,
): Promise<Result> {
  let wrong: { readonly factor: AnyFactor; readonly error: SuiteError } | undefined;
  const refuse = (factor: AnyFactor) => {
    wrong = { factor, error: codeInvalid(factor) };
    return wrong.error;
  };
  await claimAttempt(auth, { userId });
  try {
    const found: [AnyFactor, TakeCode][] = [];
    for (const shown of codes) {
      const take = await (shown.find ?? findCode)(auth, userId, shown);
      if (take === null) throw refuse(shown.factor);
      found.push([shown.factor, take]);
    }
    return await auth.transaction(async (tx) => {
      const account = await lockActiveAccount(tx, userId);
      const { at } = account;
      await before?.({ tx, account, at });
      for (const [factor, take] of found) if (!(await take(tx, at))) throw refuse(factor);
      if (!opensSession) await returnAttempt(tx, userId);
      return work({ tx, account, at });
    });
  } catch (error) {
    if (error === wrong?.error) {
      await failAttempt(auth, { userId, action: 'MFA_FAILED', details: { factor: wrong?.factor ?? '' }, device });
    } else {
      // Not a guess: the account or the keys are in the wrong state.
      await auth.transaction((tx) => returnAttempt(tx, userId));
    }
    throw error;
  }
}

const findCode: FindCode = async (auth, userId, shown) => {
  const { factor, code, purpose, challengeId = null } = shown;
  if (factor === 'totp') return findTotpCode(auth, userId, code);
  if (factor === 'recovery') return (tx, at) => takeRecoveryCode(tx, { userId, code, at });
  const sent = await findSentCode(auth, { userId, channel: factor, purpose, challengeId }, code);
  return sent?.take ?? null;
};

/** Checks a code of the app. A step is used once, and never after a later step, even if the clock runs backwards. */
async function findTotpCode(auth: Auth, userId: string, code: string): Promise<TakeCode | null> {
  const settings = await readTotp(auth, userId);
  const encrypted = settings?.totpSecret ?? null;
  if (encrypted === null || settings?.totpEnabled !== true) throw factorOff('totp');
  const secret = decryptSecret(auth.keyring, { userId, use: TOTP_USE }, encrypted);
  const step = totpStepOf(secret, code, settings.at);
  if (step === null) return null;
  return async (tx, at) => {
    const { count } = await tx.mFASettings.updateMany({
      // The same secret as above: a code of a secret that was replaced in the meantime is invalid.
      where: {
        userId,
        totpEnabled: true,
        totpSecret: encrypted,
        OR: [{ totpLastStep: null }, { totpLastStep: { lt: step } }],
      },
      data: { totpLastStep: step, updatedAt: at },
    });
    return count === 1;
  };
}
