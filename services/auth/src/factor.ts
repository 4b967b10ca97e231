import { claimAttempt, failAttempt, returnAttempt } from './attempts';
import type { Auth, AuthTransaction } from './client';
import { codeInvalid } from './factor-errors';
import type { Device } from './input';
import { type LockedAccount, lockActiveAccount } from './locked-account';
import type { CodePurpose } from './one-time-code';
import { takeRecoveryCode } from './recovery-code-set';
import { findSentCode } from './sent-code';
import type { TakeFactor } from './take-factor';
import { findTotpCode } from './totp-code';

export type AnyFactor = 'totp' | 'sms' | 'email' | 'recovery';

/** Looks at a code; null is a wrong one. A right one stays good until it is taken. */
export type FindFactor = (auth: Auth, shown: ShownFactor) => Promise<TakeFactor | null>;

export interface ShownFactor {
  readonly userId: string;
  readonly factor: AnyFactor;
  readonly code: string;
  /** What a code that was sent must have been sent for. */
  readonly purpose: CodePurpose;
  readonly device: Device;
  /** Whether `work` opens a session, which settles the attempt; otherwise the attempt is given back before `work`. */
  readonly opensSession?: boolean;
}

export interface InsideAccount {
  readonly tx: AuthTransaction;
  /** Locked. */
  readonly account: LockedAccount;
  readonly at: Date;
}

/**
 * Does `work` in the transaction that takes the code, so that both happen or neither. The try is counted before anybody
 * looks at the code, and stays counted when the code was wrong.
 * @throws {SuiteError} `AUTH.LOCKED`, `AUTH.CODE_INVALID`, `AUTH.FACTOR_OFF`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`,
 * and of the keys `AUTH.NO_ENCRYPTION_KEY`, `AUTH.KEY_UNKNOWN`, `AUTH.CIPHERTEXT_INVALID`
 */
export async function withFactor<Result>(
  auth: Auth,
  shown: ShownFactor,
  work: (inside: InsideAccount) => Promise<Result>,
  find: FindFactor = findFactor,
): Promise<Result> {
  const { userId, factor, device, opensSession = false } = shown;
  await claimAttempt(auth, { userId });
  const refused = codeInvalid(factor);
  try {
    const take = await find(auth, shown);
    if (take === null) throw refused;
    return await auth.transaction(async (tx) => {
      const at = auth.clock();
      const account = await lockActiveAccount(tx, userId);
      if (!(await take(tx, at))) throw refused;
      if (!opensSession) await returnAttempt(tx, { userId, at });
      return work({ tx, account, at });
    });
  } catch (error) {
    if (error === refused) await failAttempt(auth, { userId, action: 'MFA_FAILED', details: { factor }, device });
    // Nothing was guessed: the account or the keys are not as they must be.
    else await auth.transaction((tx) => returnAttempt(tx, { userId, at: auth.clock() }));
    throw error;
  }
}

const findFactor: FindFactor = async (auth, shown) => {
  if (shown.factor === 'totp') return findTotpCode(auth, shown);
  if (shown.factor === 'recovery') return (tx, at) => takeRecoveryCode(tx, { ...shown, at });
  const sent = await findSentCode(auth, { ...shown, channel: shown.factor });
  return sent?.take ?? null;
};
