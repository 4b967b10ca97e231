import { newId } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import { lockAccount } from './account/account-row';
import { hashPassword, newPasswordInput, refuseGuessablePassword } from './account/passwords';
import { writeAudit } from './audit/entries';
import type { Auth, AuthTransaction } from './client';
import { invalidCredentials, readInput, tokenInvalid } from './errors';
import { confirmPassword } from './factor/proof';
import { claimedPasswordInput, type Device, deviceInput, emailInput, tokenInput } from './input';
import { endSessions } from './session/session';
import { newToken, readToken, takeToken } from './session/tokens';

export interface ChangePasswordInput {
  readonly userId: string;
  readonly currentPassword: string;
  readonly newPassword: string;
  /** The caller's session, which stays open; all others end. */
  readonly sessionId?: string;
  readonly device?: Device;
}

/** The content of a password reset email. */
export interface PasswordResetMessage {
  readonly userId: string;
  /** The address of the account, not the typed one. */
  readonly email: string;
  readonly token: string;
  readonly expiresAt: Date;
}

export interface RequestPasswordResetInput {
  readonly email: string;
  /** Called after the function has returned, and only if the account exists. Its error is logged. */
  readonly send: (message: PasswordResetMessage) => unknown;
  readonly device?: Device;
}

export interface ResetPasswordInput {
  readonly token: string;
  readonly newPassword: string;
  readonly device?: Device;
}

const changePasswordInput = z.strictObject({
  userId: idInput,
  currentPassword: claimedPasswordInput,
  newPassword: newPasswordInput,
  sessionId: idInput.optional(),
  device: deviceInput,
});
const requestPasswordResetInput = z.strictObject({
  email: emailInput,
  send: z.custom<RequestPasswordResetInput['send']>((value) => typeof value === 'function', 'is not a function'),
  device: deviceInput,
});
const resetPasswordInput = z.strictObject({ token: tokenInput, newPassword: newPasswordInput, device: deviceInput });

/**
 * Replaces the current password, and ends all other sessions.
 * @throws {SuiteError} `AUTH.INVALID_CREDENTIALS`, `AUTH.LOCKED`, `AUTH.PASSWORD_REFUSED`, `AUTH.USER_NOT_FOUND`,
 * `AUTH.ACCOUNT_INACTIVE`, `AUTH.INVALID_INPUT`
 */
export async function changePassword(auth: Auth, input: ChangePasswordInput): Promise<{ readonly ended: number }> {
  const { userId, currentPassword, newPassword, sessionId, device } = readInput(changePasswordInput, input);
  const currentHash = await confirmPassword(auth, { userId, password: currentPassword, device });
  await refuseOwnName(auth, userId, newPassword);
  const passwordHash = await hashPassword(newPassword, auth.settings.bcryptCost);
  return auth.transaction(async (tx) => {
    const { at } = await lockAccount(tx, userId);
    // Of two concurrent changes, the second one finds that its current password has changed.
    const { count } = await tx.user.updateMany({
      where: { id: userId, passwordHash: currentHash, deletedAt: null },
      data: { passwordHash, passwordResetRequired: false, updatedAt: at },
    });
    if (count === 0) throw invalidCredentials();
    const ended = await endSessionsAndTokens(tx, { userId, at, exceptSessionId: sessionId });
    await writeAudit(tx, { userId, action: 'PASSWORD_CHANGED', ...about(userId), details: { ended }, device });
    return { ended };
  });
}

/**
 * Sends a password reset token to the address, if an active account has it. Neither the result nor the timing reveals
 * whether one does: the function runs one statement in both cases, and sends the message after it has returned.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`
 */
export async function requestPasswordReset(auth: Auth, input: RequestPasswordResetInput): Promise<void> {
  const { email, send, device } = readInput(requestPasswordResetInput, input);
  const { token, hash } = newToken();
  const { passwordResetMs } = auth.settings;
  const [account] = await auth.query<{ userId: string; email: string; expiresAt: Date }>({
    text: `SELECT user_id AS "userId", email, expires_at AS "expiresAt"
      FROM request_password_reset($1, $2, $3, $4::float8 * interval '1 ms', $5, $6)`,
    values: [email, newId(), hash, passwordResetMs, device.ipAddress ?? null, device.userAgent ?? null],
  });
  if (account === undefined) return;
  const message = { ...account, token };
  setImmediate(() => {
    Promise.resolve(message)
      .then(send)
      .catch((error: unknown) => {
        const name = error instanceof Error ? error.name : typeof error;
        auth.logger.warn('the password reset message was not sent', {
          service: 'auth',
          userId: account.userId,
          error: name,
        });
      });
  });
}

/**
 * Sets a new password with the token of a password reset, or of an account that an administrator created. Ends all
 * sessions, and ends a lock unless a second factor is enabled: access to the mailbox must not give further attempts at it.
 * @throws {SuiteError} `AUTH.TOKEN_INVALID`, `AUTH.TOKEN_EXPIRED`, `AUTH.TOKEN_USED`, `AUTH.PASSWORD_REFUSED`,
 * `AUTH.INVALID_INPUT`
 */
export async function resetPassword(auth: Auth, input: ResetPasswordInput): Promise<{ readonly userId: string }> {
  const { token, newPassword, device } = readInput(resetPasswordInput, input);
  // Before the password is hashed, so that an invalid token costs no bcrypt.
  const { userId, kind } = await readToken(auth, { kinds: ['password_reset', 'invitation'], token });
  await refuseOwnName(auth, userId, newPassword);
  const passwordHash = await hashPassword(newPassword, auth.settings.bcryptCost);
  return auth.transaction(async (tx) => {
    await tx.$queryRaw`SELECT FROM users WHERE id = ${userId} FOR NO KEY UPDATE`;
    const { at } = await takeToken(tx, { kind, token });
    const data = { passwordHash, legacyPasswordHash: null, passwordSalt: null, passwordResetRequired: false };
    const where = { id: userId, deletedAt: null };
    const { count } = await tx.user.updateMany({ where, data: { ...data, updatedAt: at } });
    if (count === 0) throw tokenInvalid();
    await tx.$executeRaw`SELECT clear_attempts(${userId}) WHERE NOT EXISTS (
      SELECT FROM mfa_settings WHERE user_id = ${userId} AND (totp_enabled OR sms_enabled OR email_enabled))`;
    const ended = await endSessionsAndTokens(tx, { userId, at });
    await writeAudit(tx, { userId, action: 'PASSWORD_RESET', ...about(userId), details: { ended }, device });
    return { userId };
  });
}

/** Ends sessions, open challenges for a second factor and pending resets: all that the old password gave. */
async function endSessionsAndTokens(
  tx: AuthTransaction,
  { userId, at, exceptSessionId }: { userId: string; at: Date; exceptSessionId?: string | undefined },
): Promise<number> {
  await tx.token.updateMany({
    where: { userId, kind: { in: ['mfa_challenge', 'password_reset', 'invitation'] }, usedAt: null, revokedAt: null },
    data: { revokedAt: at, updatedAt: at },
  });
  return endSessions(tx, { userId, exceptSessionId });
}

async function refuseOwnName(auth: Auth, userId: string, password: string): Promise<void> {
  const select = { email: true, name: true, username: true };
  const user = await auth.prisma.user.findUnique({ where: { id: userId }, select });
  refuseGuessablePassword(password, [user?.email, user?.name, user?.username]);
}

function about(userId: string) {
  return { resourceType: 'user', resourceId: userId };
}
