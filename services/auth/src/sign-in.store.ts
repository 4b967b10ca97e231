import { newId, type SuiteError } from '@azora/db-core';
import { z } from 'zod';
import { failAttempt, lockoutParameters, lockoutValues, returnAttempt } from './account/attempts';
import { hashPassword, isOutdated, isPasswordOf } from './account/passwords';
import { writeAudit, writeEntry } from './audit/entries';
import type { Auth } from './client';
import {
  accountInactive,
  accountLocked,
  emailUnverified,
  invalidCredentials,
  passwordResetRequired,
  readInput,
} from './errors';
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
 * Signs in with an address and a password. Returns a session, or a challenge if a second factor is enabled. Counts the
 * attempt before it checks the password, and replaces the hash if the bcrypt cost was raised. An unknown address takes as
 * long as a wrong password.
 * @throws {SuiteError} `AUTH.INVALID_CREDENTIALS`, `AUTH.LOCKED`, `AUTH.ACCOUNT_INACTIVE`, `AUTH.EMAIL_UNVERIFIED`,
 * `AUTH.PASSWORD_RESET_REQUIRED`, `AUTH.INVALID_INPUT`
 */
export async function login(auth: Auth, input: LoginInput): Promise<SignedIn | MfaChallenge> {
  const { email, password, device } = readInput(loginInput, input);
  const { bcryptCost, requireVerifiedEmail } = auth.settings;
  const account = await beginSignIn(auth, email);
  if (account?.admitted === false && account.until !== null) throw accountLocked(account.until);
  const passwordHash = account?.passwordHash ?? null;
  const isRight = await isPasswordOf(passwordHash, password, bcryptCost);
  if (account === undefined || passwordHash === null || !isRight) {
    await noteFailure(auth, account?.userId ?? null, device);
    throw invalidCredentials();
  }
  const refusal = refusalOf(account, requireVerifiedEmail);
  if (refusal !== undefined) {
    await noteRefusal(auth, account.userId, refusal.code, device);
    throw refusal;
  }
  const newHash = isOutdated(passwordHash, bcryptCost) ? await hashPassword(password, bcryptCost) : null;
  return finishSignIn(auth, { userId: account.userId, passwordHash, newHash, device });
}

interface Account {
  readonly userId: string;
  readonly passwordHash: string | null;
  readonly isActive: boolean;
  readonly emailVerified: boolean;
  readonly resetRequired: boolean;
  readonly admitted: boolean;
  readonly until: Date | null;
}

async function beginSignIn(auth: Auth, email: string): Promise<Account | undefined> {
  const [account] = await auth.query<Account>({
    text: `SELECT user_id AS "userId", password_hash AS "passwordHash", is_active AS "isActive",
        email_verified AS "emailVerified", reset_required AS "resetRequired", admitted, until
      FROM begin_sign_in($1, ${lockoutParameters(2)})`,
    values: [email, ...lockoutValues(auth)],
  });
  return account;
}

/** Writes an entry for an unknown address too, so that the work does not reveal it. The entry omits the address. */
function noteFailure(auth: Auth, userId: string | null, device: Device): Promise<void> {
  if (userId !== null) return failAttempt(auth, { userId, action: 'LOGIN_FAILED', device });
  return writeEntry(auth, { userId, action: 'LOGIN_FAILED', device });
}

/** The reason to reject a right password. Only a caller who knows the password learns it. */
function refusalOf(account: Account, requireVerifiedEmail: boolean): SuiteError | undefined {
  if (!account.isActive) return accountInactive();
  if (account.resetRequired) return passwordResetRequired();
  return requireVerifiedEmail && !account.emailVerified ? emailUnverified() : undefined;
}

/** Returns the attempt, because the password was right. */
function noteRefusal(auth: Auth, userId: string, reason: string, device: Device): Promise<void> {
  return auth.transaction(async (tx) => {
    await returnAttempt(tx, userId);
    const resource = { resourceType: 'user', resourceId: userId };
    await writeAudit(tx, { userId, action: 'LOGIN_REFUSED', ...resource, details: { reason }, device });
  });
}

interface FinishSignIn {
  readonly userId: string;
  readonly passwordHash: string;
  readonly newHash: string | null;
  readonly device: Device;
}

type SignInResult =
  | { readonly outcome: 'refused' }
  | { readonly outcome: 'challenge'; readonly factors: readonly Factor[]; readonly expiresAt: Date }
  | { readonly outcome: 'session'; readonly expiresAt: Date; readonly absoluteExpiresAt: Date };

async function finishSignIn(
  auth: Auth,
  { userId, passwordHash, newHash, device }: FinishSignIn,
): Promise<SignedIn | MfaChallenge> {
  const fresh = newSession();
  const { session, refresh, sessionId } = fresh;
  const { sessionIdleMs, sessionAbsoluteMs, mfaChallengeMs } = auth.settings;
  const [result] = await auth.query<SignInResult>({
    text: `SELECT outcome, factors, expires_at AS "expiresAt", absolute_expires_at AS "absoluteExpiresAt"
      FROM finish_sign_in($1, $2, $3, $4, $5, $6, $7, $8::float8 * interval '1 ms', $9::float8 * interval '1 ms',
        $10::float8 * interval '1 ms', $11, $12)`,
    values: [
      userId,
      passwordHash,
      newHash,
      sessionId,
      session.hash,
      newId(),
      refresh.hash,
      sessionIdleMs,
      sessionAbsoluteMs,
      mfaChallengeMs,
      device.ipAddress ?? null,
      device.userAgent ?? null,
    ],
  });
  if (result === undefined || result.outcome === 'refused') throw invalidCredentials();
  if (result.outcome === 'challenge') {
    const { factors, expiresAt } = result;
    return { kind: 'mfa', challengeToken: refresh.token, factors, expiresAt };
  }
  return signedIn(fresh, userId, result);
}
