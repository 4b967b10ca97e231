import type { SuiteError } from '@azora/db-core';
import { type InsideAccount, lockActiveAccount } from '../account/account-row';
import { deviceValues, type Judgement, lockError, lockoutParameters, lockoutValues } from '../account/attempts';
import type { Auth, AuthTransaction } from '../client';
import { decryptSecret } from '../encryption/encryption';
import { userNotFound } from '../errors';
import type { Device } from '../input';
import { codeInvalid, factorBlocked, factorLocked, factorOff } from './errors';
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
  /** Whether `work` opens a session, which forgets the failures; otherwise they are forgotten before `work`. */
  readonly opensSession?: boolean;
}

/**
 * Runs `work` in the transaction that uses up the codes, so that all of it happens or nothing. A wrong code is counted before
 * the caller learns that it is wrong, and a right one is accepted only under the same lock, so concurrent guesses cannot exceed
 * the limits. A recovery code is accepted while the factor is locked or blocked.
 * @throws {SuiteError} `AUTH.LOCKED`, `AUTH.SOURCE_LOCKED`, `AUTH.FACTOR_BLOCKED`, `AUTH.CODE_INVALID`, `AUTH.FACTOR_OFF`,
 * `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`; from the keys `AUTH.NO_ENCRYPTION_KEY`, `AUTH.KEY_UNKNOWN`,
 * `AUTH.CIPHERTEXT_INVALID`
 */
export async function withCodes<Result>(
  auth: Auth,
  { userId, codes, device, before, opensSession = false }: ShownCodes,
  work: (inside: InsideAccount) => Promise<Result>,
): Promise<Result> {
  const judge = (factor: AnyFactor, isRight: boolean) => judgeFactor(auth, { userId, factor, device, isRight });
  let wrong: { readonly factor: AnyFactor; readonly error: SuiteError } | undefined;
  const refuse = (factor: AnyFactor) => {
    wrong = { factor, error: codeInvalid(factor) };
    return wrong.error;
  };
  try {
    const found: [AnyFactor, TakeCode][] = [];
    for (const shown of codes) {
      // Before anything is checked, so that a locked factor uses up no attempt of a code that was sent.
      refuseLocked(await auth.query<Judgement>(judge(shown.factor, true)), userId);
      const take = await (shown.find ?? findCode)(auth, userId, shown);
      if (take === null) throw refuse(shown.factor);
      found.push([shown.factor, take]);
    }
    return await auth.transaction(async (tx) => {
      const account = await lockActiveAccount(tx, userId);
      const { at } = account;
      await before?.({ tx, account, at });
      for (const [factor, take] of found) {
        const { text, values } = judge(factor, true);
        refuseLocked(await tx.$queryRawUnsafe<Judgement[]>(text, ...values), userId);
        if (!(await take(tx, at))) throw refuse(factor);
      }
      if (!opensSession) await tx.$executeRaw`SELECT accept_factor(${userId})`;
      return work({ tx, account, at });
    });
  } catch (error) {
    if (wrong !== undefined && error === wrong.error) {
      refuseLocked(await auth.query<Judgement>(judge(wrong.factor, false)), userId);
    }
    throw error;
  }
}

interface JudgedCode {
  readonly userId: string;
  readonly factor: AnyFactor;
  readonly device: Device;
  readonly isRight: boolean;
}

/** Judges a code as right, which writes nothing, or as wrong, which counts it, under the lock on the account. */
function judgeFactor(auth: Auth, { userId, factor, device, isRight }: JudgedCode) {
  return {
    text: `SELECT outcome, until FROM judge_factor($1, $2, $3, ${lockoutParameters(4)}, $8, $9)`,
    values: [userId, factor, isRight, ...lockoutValues(auth), ...deviceValues(device)],
  };
}

/** Returns for a right code, and for a wrong one that was counted. */
function refuseLocked([judgement]: readonly Judgement[], userId: string): void {
  if (judgement === undefined || judgement.outcome === 'unknown') throw userNotFound(userId);
  const { outcome, until } = judgement;
  if (outcome === 'blocked') throw factorBlocked();
  const error = outcome === 'factor' && until !== null ? factorLocked(until) : lockError(outcome, until);
  if (error !== undefined) throw error;
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
