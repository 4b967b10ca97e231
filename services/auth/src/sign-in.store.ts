import type { SuiteError } from '@azora/db-core';
import { newId } from '@azora/db-core';
import { z } from 'zod';
import { failAttempt, lockoutParameters, lockoutValues, returnAttempt } from './attempts';
import { writeAudit, writeEntry } from './audit';
import type { Auth, AuthTransaction } from './client';
import {
  accountInactive,
  accountLocked,
  emailUnverified,
  invalidCredentials,
  passwordResetRequired,
  readInput,
} from './errors';
import { claimedPasswordInput, type Device, deviceInput, emailInput } from './input';
import { hashPassword, isOutdated, isPasswordOf } from './passwords';
import { newToken } from './tokens';

export type Factor = 'totp' | 'sms' | 'email';

export interface LoginInput {
  readonly email: string;
  readonly password: string;
  readonly device?: Device;
}

/** A session that was opened. The tokens are shown once: only their hashes are kept. */
export interface SignedIn {
  readonly kind: 'session';
  readonly userId: string;
  readonly sessionId: string;
  /** Authenticates requests until it is refreshed, `sessionTokenMs` at most. */
  readonly sessionToken: string;
  /** Good for one refresh. */
  readonly refreshToken: string;
  /** When the session is over unless it is refreshed. */
  readonly expiresAt: Date;
  /** When the session is over in any case. */
  readonly absoluteExpiresAt: Date;
}

/** The password was right and a second factor is asked for. */
export interface MfaChallenge {
  readonly kind: 'mfa';
  readonly challengeToken: string;
  readonly factors: readonly Factor[];
  readonly expiresAt: Date;
}

export interface OpenSessionInput {
  readonly userId: string;
  readonly at: Date;
  /** The factor that completed the sign-in, for the audit log. */
  readonly method: string;
  readonly device?: Device | undefined;
}

const loginInput = z.strictObject({ email: emailInput, password: claimedPasswordInput, device: deviceInput });

/**
 * Signs in by address and password: a session, or a challenge when a second factor is on. Counts the try before it
 * looks at the password, makes a new hash when the cost was raised, and takes as long for an address that nobody has.
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

/**
 * Opens a session for a user who has shown all factors, in the transaction that took the last of them; failed tries are
 * forgotten and the audit log has its entry.
 */
export async function openSession(
  auth: Auth,
  tx: AuthTransaction,
  { userId, at, method, device = {} }: OpenSessionInput,
): Promise<SignedIn> {
  const fresh = newSession(auth, userId, at);
  const { sessionIdleMs, sessionAbsoluteMs } = auth.settings;
  await tx.$executeRaw`SELECT open_session(${userId}, ${at}, ${fresh.sessionId}, ${fresh.session.hash}, ${newId()},
    ${fresh.refresh.hash}, ${sessionIdleMs} * interval '1 ms', ${sessionAbsoluteMs} * interval '1 ms', ${method},
    ${device.ipAddress ?? null}, ${device.userAgent ?? null})`;
  return fresh.signedIn;
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
      FROM begin_sign_in($1, $2, ${lockoutParameters(3)})`,
    values: [email, auth.clock(), ...lockoutValues(auth)],
  });
  return account;
}

/**
 * An address that nobody has gets an entry too, for the work must not tell it from a wrong password; not the address.
 */
function noteFailure(auth: Auth, userId: string | null, device: Device): Promise<void> {
  if (userId !== null) return failAttempt(auth, { userId, action: 'LOGIN_FAILED', device });
  return writeEntry(auth, { at: auth.clock(), userId, action: 'LOGIN_FAILED', device });
}

/** Told only to who knows the password. */
function refusalOf(account: Account, requireVerifiedEmail: boolean): SuiteError | undefined {
  if (!account.isActive) return accountInactive();
  if (account.resetRequired) return passwordResetRequired();
  return requireVerifiedEmail && !account.emailVerified ? emailUnverified() : undefined;
}

/** The password was right: the try goes back. */
function noteRefusal(auth: Auth, userId: string, reason: string, device: Device): Promise<void> {
  return auth.transaction(async (tx) => {
    const at = auth.clock();
    await returnAttempt(tx, { userId, at });
    const resource = { resourceType: 'user', resourceId: userId };
    await writeAudit(tx, { at, userId, action: 'LOGIN_REFUSED', ...resource, details: { reason }, device });
  });
}

interface FinishSignIn {
  readonly userId: string;
  readonly passwordHash: string;
  readonly newHash: string | null;
  readonly device: Device;
}

async function finishSignIn(
  auth: Auth,
  { userId, passwordHash, newHash, device }: FinishSignIn,
): Promise<SignedIn | MfaChallenge> {
  const at = auth.clock();
  const { session, refresh, sessionId, signedIn } = newSession(auth, userId, at);
  const { sessionIdleMs, sessionAbsoluteMs, mfaChallengeMs } = auth.settings;
  const [result] = await auth.query<{ outcome: 'session' | 'challenge' | 'refused'; factors: Factor[] | null }>({
    text: `SELECT outcome, factors FROM finish_sign_in($1, $2, $3, $4, $5, $6, $7, $8, $9::float8 * interval '1 ms',
      $10::float8 * interval '1 ms', $11::float8 * interval '1 ms', $12, $13)`,
    values: [
      userId,
      at,
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
  if (result?.outcome === 'session') return signedIn;
  if (result?.outcome !== 'challenge') throw invalidCredentials();
  const expiresAt = new Date(at.getTime() + mfaChallengeMs);
  return { kind: 'mfa', challengeToken: refresh.token, factors: result.factors ?? [], expiresAt };
}

function newSession({ settings: { sessionIdleMs, sessionAbsoluteMs } }: Auth, userId: string, at: Date) {
  const [session, refresh, sessionId] = [newToken(), newToken(), newId()];
  const signedIn: SignedIn = {
    kind: 'session',
    userId,
    sessionId,
    sessionToken: session.token,
    refreshToken: refresh.token,
    expiresAt: new Date(at.getTime() + Math.min(sessionIdleMs, sessionAbsoluteMs)),
    absoluteExpiresAt: new Date(at.getTime() + sessionAbsoluteMs),
  };
  return { session, refresh, sessionId, signedIn };
}
