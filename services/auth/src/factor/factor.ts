import { type InsideAccount, lockActiveAccount } from '../account/account-row';
import { claimAttempt, failAttempt, returnAttempt } from '../account/attempts';
import type { Auth, AuthTransaction } from '../client';
import { decryptSecret } from '../encryption/encryption';
import type { Device } from '../input';
import { codeInvalid, factorOff } from './errors';
import { type AnyFactor, type CodeOwner, type CodePurpose, isCode } from './one-time-code';
import { takeRecoveryCode } from './recovery-codes';
import { readTotp, TOTP_USE, totpStepOf } from './totp';

/** Attempts for each code that was sent. After them the code is invalid, whatever the lockout of the account says. */
const MAX_ATTEMPTS = 5;

/** Checks a code without using it up; null for a wrong code. */
export type FindFactor = (auth: Auth, shown: ShownFactor) => Promise<TakeFactor | null>;

/** Uses up a code that was right. True for one of any number of concurrent callers, false for the others. */
export type TakeFactor = (tx: AuthTransaction, at: Date) => Promise<boolean>;

export interface ShownFactor {
  readonly userId: string;
  readonly factor: AnyFactor;
  readonly code: string;
  /** The purpose that a sent code must have been sent for. */
  readonly purpose: CodePurpose;
  readonly device: Device;
  /** Whether `work` opens a session, which settles the attempt; otherwise the attempt is returned before `work`. */
  readonly opensSession?: boolean;
}

/**
 * Runs `work` in the transaction that uses up the code, so that both happen or neither. The attempt is counted before the
 * code is checked, and stays counted if the code is wrong.
 * @throws {SuiteError} `AUTH.LOCKED`, `AUTH.CODE_INVALID`, `AUTH.FACTOR_OFF`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`;
 * from the keys `AUTH.NO_ENCRYPTION_KEY`, `AUTH.KEY_UNKNOWN`, `AUTH.CIPHERTEXT_INVALID`
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
      const account = await lockActiveAccount(tx, userId);
      const { at } = account;
      if (!(await take(tx, at))) throw refused;
      if (!opensSession) await returnAttempt(tx, userId);
      return work({ tx, account, at });
    });
  } catch (error) {
    if (error === refused) await failAttempt(auth, { userId, action: 'MFA_FAILED', details: { factor }, device });
    // Not a guess: the account or the keys are in the wrong state.
    else await auth.transaction((tx) => returnAttempt(tx, userId));
    throw error;
  }
}

const findFactor: FindFactor = async (auth, shown) => {
  if (shown.factor === 'totp') return findTotpCode(auth, shown);
  if (shown.factor === 'recovery') return (tx, at) => takeRecoveryCode(tx, { ...shown, at });
  const sent = await findSentCode(auth, { ...shown, channel: shown.factor });
  return sent?.take ?? null;
};

/** Checks a code of the app. A step is used once, and never after a later step, even if the clock runs backwards. */
async function findTotpCode(auth: Auth, { userId, code }: ShownFactor): Promise<TakeFactor | null> {
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

export interface SentCode {
  /** The phone number or address that the code was sent to. */
  readonly sentTo: string | null;
  readonly take: TakeFactor;
}

/**
 * Checks a code that was sent; null for a wrong code. The attempt is counted before the check, so at most five
 * concurrent guesses are checked.
 * @throws {SuiteError} `AUTH.NO_ENCRYPTION_KEY`
 */
export async function findSentCode(auth: Auth, shown: CodeOwner & { readonly code: string }): Promise<SentCode | null> {
  const [live] = await auth.query<{ id: string; codeHash: string; sentTo: string | null }>({
    text: `UPDATE one_time_codes SET attempts = attempts + 1, updated_at = database_time()
           WHERE user_id = $1 AND channel = $2 AND purpose = $3 AND used_at IS NULL AND revoked_at IS NULL
             AND expires_at > (SELECT database_time()) AND attempts < ${MAX_ATTEMPTS}
           RETURNING id, code_hash AS "codeHash", sent_to AS "sentTo"`,
    values: [shown.userId, shown.channel, shown.purpose],
  });
  if (live === undefined || !isCode(auth.keyring, shown, shown.code, live.codeHash)) return null;
  return {
    sentTo: live.sentTo,
    take: async (tx, at) => {
      const { count } = await tx.oneTimeCode.updateMany({
        where: { id: live.id, usedAt: null, revokedAt: null, expiresAt: { gt: at } },
        data: { usedAt: at, updatedAt: at },
      });
      return count === 1;
    },
  };
}
