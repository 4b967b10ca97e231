import { newId } from '@azora/db-core';
import { z } from 'zod';
import { deviceValues, lockError, lockoutParameters, lockoutValues } from './account/attempts';
import { hashPassword, isOutdated, isPasswordOf } from './account/passwords';
import type { Auth } from './client';
import { accountInactive, emailUnverified, invalidCredentials, passwordResetRequired, readInput } from './errors';
import { claimedPasswordInput, type Device, deviceInput, emailInput } from './input';
import { newSession, type SignedIn, signedIn } from './session/session';

export type Factor = 'totp' | 'sms' | 'email';

export interface LoginInput {
  readonly email: string;
  readonly password: string;
  readonly device?: Device;
}

/** The password was right, and verifyMfa must complete the sign-in with a second factor. */
export interface MfaChallenge {
  readonly kind: 'mfa';
  readonly challengeToken: string;
  readonly factors: readonly Factor[];
  readonly expiresAt: Date;
}

const loginInput = z.strictObject({ email: emailInput, password: claimedPasswordInput, device: deviceInput });

/**
 * Signs in with an address and a password, in two statements. Returns a session, or a challenge if a second factor is enabled.
 * The second statement counts a wrong password before the caller learns that it is wrong, so concurrent guesses cannot exceed
 * the limits. Replaces the hash if the bcrypt cost was raised. An unknown address takes as long as a wrong password, and has the
 * same locks.
 * @throws {SuiteError} `AUTH.INVALID_CREDENTIALS`, `AUTH.LOCKED`, `AUTH.SOURCE_LOCKED`, `AUTH.PASSWORD_BLOCKED`,
 * `AUTH.ACCOUNT_INACTIVE`, `AUTH.EMAIL_UNVERIFIED`, `AUTH.PASSWORD_RESET_REQUIRED`, `AUTH.INVALID_INPUT`
 */
export async function login(auth: Auth, input: LoginInput): Promise<SignedIn | MfaChallenge> {
  const { email, password, device } = readInput(loginInput, input);
  const { bcryptCost } = auth.settings;
  for (;;) {
    const account = await beginSignIn(auth, email, device);
    const { userId, passwordHash } = account;
    const locked = lockError(account.locked, account.until);
    if (locked !== undefined) throw locked;
    const isRight = await isPasswordOf(passwordHash, password, bcryptCost);
    // Also for a wrong password, so that the time does not tell which one is right once the account is locked.
    const isOld = passwordHash !== null && isOutdated(passwordHash, bcryptCost);
    const newHash = isOld ? await hashPassword(password, bcryptCost) : null;
    const result = await finishSignIn(auth, { userId, email, passwordHash, isRight, newHash, device });
    // A concurrent sign-in replaced the hash, or the password changed: the new hash decides.
    if (result !== 'changed') return result;
  }
}

interface Account {
  /** Null for an unknown address. */
  readonly userId: string | null;
  readonly passwordHash: string | null;
  readonly locked: string;
  readonly until: Date | null;
}

async function beginSignIn(auth: Auth, email: string, { ipAddress }: Device): Promise<Account> {
  const [account] = await auth.query<Account>({
    text: `SELECT user_id AS "userId", password_hash AS "passwordHash", locked, until FROM begin_sign_in($1, $2)`,
    values: [email, ipAddress ?? null],
  });
  if (account === undefined) throw new Error('begin_sign_in returned no row');
  return account;
}

interface FinishSignIn {
  readonly userId: string | null;
  readonly email: string;
  readonly passwordHash: string | null;
  readonly isRight: boolean;
  readonly newHash: string | null;
  readonly device: Device;
}

interface SignInResult {
  readonly outcome: string;
  readonly until: Date | null;
  readonly factors: readonly Factor[];
  readonly expiresAt: Date;
  readonly absoluteExpiresAt: Date;
}

/** The reasons to reject a right password. Only a caller who knows the password learns them. */
const REFUSALS = {
  account_inactive: accountInactive,
  password_reset_required: passwordResetRequired,
  email_unverified: emailUnverified,
} as const;

async function finishSignIn(
  auth: Auth,
  { userId, email, passwordHash, isRight, newHash, device }: FinishSignIn,
): Promise<SignedIn | MfaChallenge | 'changed'> {
  const fresh = newSession();
  const { session, refresh, sessionId } = fresh;
  const { sessionIdleMs, sessionAbsoluteMs, mfaChallengeMs, requireVerifiedEmail } = auth.settings;
  const [result] = await auth.query<SignInResult>({
    text: `SELECT outcome, until, factors, expires_at AS "expiresAt", absolute_expires_at AS "absoluteExpiresAt"
      FROM finish_sign_in($1, $2, $3, $4, $5, $6, ${lockoutParameters(7)}, $11, $12, $13, $14,
        $15::float8 * interval '1 ms', $16::float8 * interval '1 ms', $17::float8 * interval '1 ms', $18, $19)`,
    values: [
      userId,
      email,
      passwordHash,
      isRight,
      newHash,
      requireVerifiedEmail,
      ...lockoutValues(auth),
      sessionId,
      session.hash,
      newId(),
      refresh.hash,
      sessionIdleMs,
      sessionAbsoluteMs,
      mfaChallengeMs,
      ...deviceValues(device),
    ],
  });
  if (result === undefined) throw new Error('finish_sign_in returned no row');
  const { outcome, until, factors, expiresAt } = result;
  if (outcome === 'session' && userId !== null) return signedIn(fresh, userId, result);
  if (outcome === 'challenge') return { kind: 'mfa', challengeToken: refresh.token, factors, expiresAt };
  if (outcome === 'changed') return outcome;
  if (isRefusal(outcome)) throw REFUSALS[outcome]();
  throw lockError(outcome, until) ?? invalidCredentials();
}

function isRefusal(outcome: string): outcome is keyof typeof REFUSALS {
  return outcome in REFUSALS;
}
