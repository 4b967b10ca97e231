import { newId } from '@azora/db-core';
import { rowIdInput } from '@azora/db-core/input';
import { z } from 'zod';
import { lockAccount } from './account/account-row';
import { refuseGuessablePassword } from './account/guessable-passwords';
import { hashPassword, newPasswordInput } from './account/passwords';
import { type AuditDetails, writeAudit } from './audit/entries';
import type { Auth, AuthTransaction } from './client';
import { readInput } from './errors';
import { type Proof, proofInput, withProof } from './factor/proof';
import { claimedPasswordInput, type Device, deviceInput, emailInput, tokenInput } from './input';
import { type EndSessionsInput, endSessions } from './session/session';
import { newToken, readToken, takeToken } from './session/tokens';

export interface ChangePasswordInput {
  readonly userId: string;
  readonly currentPassword: string;
  readonly newPassword: string;
  /** A code of an enabled factor, or a recovery code. Required if a second factor is enabled. */
  readonly proof?: Proof;
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
  userId: rowIdInput,
  currentPassword: claimedPasswordInput,
  newPassword: newPasswordInput,
  proof: proofInput.optional(),
  sessionId: rowIdInput.optional(),
  device: deviceInput,
});
const requestPasswordResetInput = z.strictObject({
  email: emailInput,
  send: z.custom<RequestPasswordResetInput['send']>((value) => typeof value === 'function', 'is not a function'),
  device: deviceInput,
});
/** No failures of the password, and no lock. */
const UNLOCKED = {
  failedLoginCount: 0,
  firstFailedAt: null,
  failuresInRow: 0,
  lockoutCount: 0,
  lockedUntil: null,
  lockoutReason: null,
} as const;

const resetPasswordInput = z.strictObject({ token: tokenInput, newPassword: newPasswordInput, device: deviceInput });

/**
 * Replaces the current password, and ends all other sessions and everything that waits for a second factor.
 * @throws {SuiteError} `AUTH.INVALID_CREDENTIALS`, `AUTH.LOCKED`, `AUTH.SOURCE_LOCKED`, `AUTH.PASSWORD_BLOCKED`,
 * `AUTH.PASSWORD_REFUSED`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`, `AUTH.INVALID_INPUT`; from the proof `AUTH.PROOF_REQUIRED`, `AUTH.CODE_INVALID`, `AUTH.FACTOR_OFF`
 */
export async function changePassword(auth: Auth, input: ChangePasswordInput): Promise<{ readonly ended: number }> {
  const { userId, currentPassword, newPassword, proof, sessionId, device } = readInput(changePasswordInput, input);
  await refuseOwnName(auth, userId, newPassword);
  // Before the account is locked, because bcrypt takes long.
  const newHash = await hashPassword(newPassword, auth.settings.bcryptCost);
  const password = { current: currentPassword, newHash };
  return withProof(auth, { userId, proof, device, password }, async ({ tx, at, unlocked }) => {
    const kept = { exceptSessionId: sessionId, forget: true, device };
    const ended = await endSessionsAndTokens(tx, { userId, at, ...kept });
    await writeAudit(tx, {
      userId,
      action: 'PASSWORD_CHANGED',
      ...about(userId),
      details: { ended },
      device,
      unlocked,
    });
    return { ended };
  });
}

/**
 * Sends a password reset token to the address, if an active account has it and the limits of messages allow it; a message that
 * they do not allow leaves the previous token valid. Neither the result nor the timing reveals whether an account has the
 * address: the function runs one statement in each case, and sends the message after it has returned.
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
 * Sets a new password with the token of a password reset, or of an account that an administrator created, and verifies the
 * address that it was sent to. If the address was not verified before, second factors, recovery codes and external accounts are
 * removed, because another person may have registered the address. Ends all sessions and the lock of the password, forgets the
 * networks of the owner, and for a day no such lock applies to the network of the device. The lock of a second factor stays: access to the mailbox must not give
 * further attempts at it.
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
    const { at, email } = await takeToken(tx, { kind, token });
    const { emailVerified } = await lockAccount(tx, userId);
    const unproven = emailVerified ? {} : await endUnprovenAccess(tx, { userId, at });
    const [proven] = await tx.$queryRaw<{ unlocked: boolean }[]>`
      SELECT prove_by_mail(${userId}, ${device.ipAddress ?? null}) AS unlocked`;
    const replaced = { passwordHash, legacyPasswordHash: null, passwordSalt: null, passwordResetRequired: false };
    const data = { ...replaced, ...UNLOCKED, ...(email === null ? {} : { emailVerified: true }), updatedAt: at };
    await tx.user.update({ where: { id: userId }, data, select: { id: true } });
    const ended = await endSessionsAndTokens(tx, { userId, at, forget: false });
    const details = { ended, ...unproven };
    const { unlocked } = proven ?? {};
    await writeAudit(tx, { userId, action: 'PASSWORD_RESET', ...about(userId), details, device, unlocked });
    return { userId };
  });
}

/**
 * Removes whatever gives access to an account whose address was never verified: second factors, recovery codes, external
 * accounts, pending codes and tokens. Another person than the reader of its mail may have registered the address.
 */
async function endUnprovenAccess(
  tx: AuthTransaction,
  { userId, at }: { readonly userId: string; readonly at: Date },
): Promise<AuditDetails> {
  const live = { where: { userId, usedAt: null, revokedAt: null }, data: { revokedAt: at, updatedAt: at } };
  await tx.token.updateMany({ ...live, where: { ...live.where, kind: { not: 'refresh' } } });
  await tx.oneTimeCode.updateMany(live);
  await tx.recoveryCode.deleteMany({ where: { userId } });
  const { count: factors } = await tx.mFASettings.deleteMany({ where: { userId } });
  const { count: externalAccounts } = await tx.oAuthProvider.deleteMany({ where: { userId } });
  return { unverified: true, factors, externalAccounts };
}

/** Ends sessions, open challenges for a second factor and pending resets: all that the old password gave. */
async function endSessionsAndTokens(
  tx: AuthTransaction,
  { at, ...sessions }: EndSessionsInput & { readonly at: Date },
): Promise<number> {
  const { userId } = sessions;
  await tx.token.updateMany({
    where: { userId, kind: { in: ['mfa_challenge', 'password_reset', 'invitation'] }, usedAt: null, revokedAt: null },
    data: { revokedAt: at, updatedAt: at },
  });
  return endSessions(tx, sessions);
}

async function refuseOwnName(auth: Auth, userId: string, password: string): Promise<void> {
  const select = { email: true, name: true, username: true };
  const user = await auth.prisma.user.findUnique({ where: { id: userId }, select });
  await refuseGuessablePassword(password, { ...user });
}

function about(userId: string) {
  return { resourceType: 'user', resourceId: userId };
}
