import type { SuiteError } from '@azora/db-core';
import { type InsideAccount, lockActiveAccount } from '../account/account-row';
import { deviceValues, type Judgement, lockError, lockoutParameters, lockoutValues } from '../account/attempts';
import type { Auth } from '../client';
import { decryptSecret } from '../encryption/encryption';
import { userNotFound } from '../errors';
import type { Device } from '../input';
import type { CheckedCode, FactorChange, TakeCode } from './checked-code';
import { codeInvalid, factorBlocked, factorLocked, factorOff } from './errors';
import type { AnyFactor, CodePurpose } from './one-time-code';
import { takeRecoveryCode } from './recovery-codes';
import { findSentCode } from './sent-code';
import { readTotp, TOTP_USE, totpStepOf } from './totp';

/** Checks a code without using it up. */
export type FindCode = (auth: Auth, userId: string, shown: ShownCode) => Promise<CheckedCode>;

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
}

/**
 * Runs `work` in the transaction that uses up the codes, so that all of it happens or nothing. A wrong code is counted before
 * the caller learns that it is wrong, and a right one is accepted only under the same lock, so concurrent guesses cannot exceed
 * the limits. A recovery code is accepted while the factor is locked or blocked. `work` receives how the codes change the
 * factors, and writes that with its own changes; it also makes the account forget the failures.
 * @throws {SuiteError} `AUTH.LOCKED`, `AUTH.SOURCE_LOCKED`, `AUTH.FACTOR_BLOCKED`, `AUTH.CODE_INVALID`, `AUTH.FACTOR_OFF`,
 * `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`; from the keys `AUTH.NO_ENCRYPTION_KEY`, `AUTH.KEY_UNKNOWN`,
 * `AUTH.CIPHERTEXT_INVALID`
 */
export async function withCodes<Result>(
  auth: Auth,
  { userId, codes, device, before }: ShownCodes,
  work: (inside: InsideAccount, used: FactorChange) => Promise<Result>,
): Promise<Result> {
  const judge = (factor: AnyFactor, wrong?: Pick<CheckedCode, 'sentId'>) =>
    judgeFactor(auth, { userId, factor, device, wrong });
  let wrong: (Pick<CheckedCode, 'sentId'> & { readonly factor: AnyFactor; readonly error: SuiteError }) | undefined;
  const refuse = (factor: AnyFactor, code: Pick<CheckedCode, 'sentId'>) => {
    wrong = { ...code, factor, error: codeInvalid(factor) };
    return wrong.error;
  };
  try {
    const found: [AnyFactor, TakeCode][] = [];
    for (const shown of codes) {
      // Before anything is compared, so that a locked factor answers alike for every code.
      refuseLocked(await auth.query<Judgement>(judge(shown.factor)), userId);
      const { take, ...code } = await (shown.find ?? findCode)(auth, userId, shown);
      if (take === undefined) throw refuse(shown.factor, code);
      found.push([shown.factor, take]);
    }
    return await auth.transaction(async (tx) => {
      const account = await lockActiveAccount(tx, userId);
      const { at } = account;
      await before?.({ tx, account, at });
      let used: FactorChange = {};
      for (const [factor, take] of found) {
        const { text, values } = judge(factor);
        refuseLocked(await tx.$queryRawUnsafe<Judgement[]>(text, ...values), userId);
        const change = await take(tx, at);
        if (change === undefined) throw refuse(factor, {});
        used = { ...used, ...change };
      }
      return work({ tx, account, at }, used);
    });
  } catch (error) {
    if (wrong !== undefined && error === wrong.error) {
      refuseLocked(await auth.query<Judgement>(judge(wrong.factor, wrong)), userId);
    }
    throw error;
  }
}

/**
 * Writes a change to the factors of an account in one write, or in none if there is nothing to change. The trigger
 * `mfa_settings_change_ends_totp` ends an enrollment in the same write.
 */
export async function changeFactors(
  { tx, account: { id: userId }, at }: InsideAccount,
  change: FactorChange,
): Promise<void> {
  if (Object.keys(change).length === 0) return;
  const data = { ...change, updatedAt: at };
  const { count } = await tx.mFASettings.updateMany({ where: { userId }, data });
  if (count === 0) await tx.mFASettings.create({ data: { userId, createdAt: at, ...data }, select: { id: true } });
}

interface JudgedCode {
  readonly userId: string;
  readonly factor: AnyFactor;
  readonly device: Device;
  /** Undefined for a right code. */
  readonly wrong: Pick<CheckedCode, 'sentId'> | undefined;
}

/** Judges a code as right, which writes nothing, or as wrong, which counts it, under the lock on the account. */
function judgeFactor(auth: Auth, { userId, factor, device, wrong }: JudgedCode) {
  const judged = [wrong === undefined, wrong?.sentId ?? null];
  return {
    text: `SELECT outcome, until FROM judge_factor($1, $2, $3, $4, ${lockoutParameters(5)}, $9, $10)`,
    values: [userId, factor, ...judged, ...lockoutValues(auth), ...deviceValues(device)],
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
  if (factor === 'recovery') {
    return { take: async (tx, at) => ((await takeRecoveryCode(tx, { userId, code, at })) ? {} : undefined) };
  }
  return findSentCode(auth, { userId, channel: factor, purpose, challengeId }, code);
};

/** Checks a code of the app. A step is used once, and never after a later step, even if the clock runs backwards. */
async function findTotpCode(auth: Auth, userId: string, code: string): Promise<CheckedCode> {
  const settings = await readTotp(auth, userId);
  const encrypted = settings?.totpSecret ?? null;
  if (encrypted === null || settings?.totpEnabled !== true) throw factorOff('totp');
  const secret = decryptSecret(auth.keyring, { userId, use: TOTP_USE }, encrypted);
  const step = totpStepOf(secret, code, settings.at);
  if (step === null) return {};
  return {
    take: async (tx) => {
      const count = await tx.mFASettings.count({
        // The same secret as above: a code of a secret that was replaced in the meantime is invalid.
        where: {
          userId,
          totpEnabled: true,
          totpSecret: encrypted,
          OR: [{ totpLastStep: null }, { totpLastStep: { lt: step } }],
        },
      });
      return count === 1 ? { totpLastStep: step } : undefined;
    },
  };
}
