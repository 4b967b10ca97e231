import { newId } from '@azora/db-core';
import { rowIdInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import { lockAccount, lockActiveAccount } from './account/account-row';
import { refuseGuessablePassword } from './account/guessable-passwords';
import { takeMessage, takeRegistration } from './account/message-limits';
import { displayNameInput, usernameInput } from './account/names';
import { hashPassword, newPasswordInput } from './account/passwords';
import { writeAudit } from './audit/entries';
import type { Auth, AuthTransaction } from './client';
import { messageTooSoon, readInput } from './errors';
import { type Device, deviceInput, emailInput, tokenInput } from './input';
import { ownsOrganization } from './organization/errors';
import { endSessions } from './session/session';
import { issueToken, takeToken } from './session/tokens';

export interface RegisterInput {
  readonly email: string;
  readonly password: string;
  readonly name?: string;
  readonly username?: string;
  readonly device?: Device;
}

/** An account with an unverified address. Send the token to the address: it is returned once. */
export interface Registered {
  readonly userId: string;
  /** In its canonical form. */
  readonly email: string;
  readonly verificationToken: string;
  readonly expiresAt: Date;
}

export interface VerifyEmailInput {
  readonly token: string;
  readonly device?: Device;
}

export interface RequestEmailVerificationInput {
  readonly userId: string;
  readonly device?: Device;
}

export interface EndAccountInput {
  readonly userId: string;
  /** Who ends the account, if not the user. */
  readonly actorId?: string;
  /** The reason, for the audit log; at most 200 characters. */
  readonly reason?: string;
  readonly device?: Device;
}

const registerInput = z.strictObject({
  email: emailInput,
  password: newPasswordInput,
  name: displayNameInput(255).optional(),
  username: usernameInput.optional(),
  device: deviceInput,
});
const verifyEmailInput = z.strictObject({ token: tokenInput, device: deviceInput });
const requestEmailVerificationInput = z.strictObject({ userId: rowIdInput, device: deviceInput });
const endInput = z.strictObject({
  userId: rowIdInput,
  actorId: rowIdInput.optional(),
  reason: textInput(200).optional(),
  device: deviceInput,
});

/**
 * Creates an account, and issues the token that verifies its address. The network of the device causes a limited number of
 * registrations, and one that fails counts as well, because it tells which addresses are taken.
 * @throws {SuiteError} `AUTH.EMAIL_TAKEN`, `AUTH.USERNAME_TAKEN`, `AUTH.PASSWORD_REFUSED`, `AUTH.MESSAGE_TOO_SOON`,
 * `AUTH.INVALID_INPUT`
 */
export async function register(auth: Auth, input: RegisterInput): Promise<Registered> {
  const { email, password, name = '', username, device } = readInput(registerInput, input);
  await refuseGuessablePassword(password, { email, name, username });
  // Before the password is hashed, so that a refused registration costs no bcrypt.
  const { granted, nextAt } = await takeRegistration(auth, device);
  if (!granted) throw messageTooSoon(nextAt);
  const passwordHash = await hashPassword(password, auth.settings.bcryptCost);
  const userId = newId();
  const { emailVerificationMs: lifeMs } = auth.settings;
  return auth.transaction(async (tx) => {
    await tx.$executeRaw`INSERT INTO users (id, email, password_hash, name, username)
      VALUES (${userId}, ${email}, ${passwordHash}, ${name}, ${username ?? null})`;
    const { token, expiresAt } = await issueToken(tx, { userId, kind: 'email_verification', lifeMs, email });
    await writeAudit(tx, { action: 'USER_REGISTERED', ...about(userId), device });
    return { userId, email, verificationToken: token, expiresAt };
  });
}

/**
 * Issues a verification token for the user's address, which replaces an earlier one.
 * @throws {SuiteError} `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`, `AUTH.MESSAGE_TOO_SOON`, `AUTH.INVALID_INPUT`
 */
export async function requestEmailVerification(auth: Auth, input: RequestEmailVerificationInput): Promise<Registered> {
  const { userId, device } = readInput(requestEmailVerificationInput, input);
  const { emailVerificationMs: lifeMs } = auth.settings;
  return auth.transaction(async (tx) => {
    const { email } = await lockActiveAccount(tx, userId);
    const { granted, nextAt } = await takeMessage(tx, { kind: 'email_verification', recipients: [email], device });
    if (!granted) throw messageTooSoon(nextAt);
    const { token, expiresAt } = await issueToken(tx, { userId, kind: 'email_verification', lifeMs, email });
    await writeAudit(tx, { action: 'EMAIL_VERIFICATION_REQUESTED', ...about(userId), device });
    return { userId, email, verificationToken: token, expiresAt };
  });
}

/**
 * Verifies the address that a token was issued for, if the account still has it. Uses up the token.
 * @throws {SuiteError} `AUTH.TOKEN_INVALID`, `AUTH.TOKEN_EXPIRED`, `AUTH.TOKEN_USED`, `AUTH.INVALID_INPUT`
 */
export async function verifyEmail(auth: Auth, input: VerifyEmailInput): Promise<{ readonly userId: string }> {
  const { token, device } = readInput(verifyEmailInput, input);
  return auth.transaction(async (tx) => {
    const { userId, at } = await takeToken(tx, { kind: 'email_verification', token });
    await tx.user.update({ where: { id: userId }, data: { emailVerified: true, updatedAt: at }, select: { id: true } });
    await writeAudit(tx, { action: 'EMAIL_VERIFIED', ...about(userId), device });
    return { userId };
  });
}

/**
 * Ends all access to an account: revokes its sessions, tokens and codes, and rejects further sign-ins. A second call does
 * nothing.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.USER_NOT_FOUND`
 */
export async function deactivate(auth: Auth, input: EndAccountInput): Promise<void> {
  const given = readInput(endInput, input);
  const { userId, device } = given;
  return auth.transaction(async (tx) => {
    const { isActive, at } = await lockAccount(tx, userId);
    if (!isActive) return;
    await tx.user.update({ where: { id: userId }, data: { isActive: false, updatedAt: at }, select: { id: true } });
    const details = endDetails(given, await endAccess(tx, userId, at));
    await writeAudit(tx, { action: 'USER_DEACTIVATED', ...about(userId), details, device });
  });
}

/**
 * Marks an account as deleted: deactivates it, and removes it from every organization. The row stays because other
 * services keep its id. The address stays too, so that nobody can register with it and take over what belonged to the
 * account; erasure anonymizes the row and frees the address.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.USER_NOT_FOUND`, `AUTH.OWNS_ORGANIZATION` (`meta.orgIds`)
 */
export async function softDelete(auth: Auth, input: EndAccountInput): Promise<void> {
  const given = readInput(endInput, input);
  const { userId, device } = given;
  return auth.transaction(async (tx) => {
    const { at } = await lockAccount(tx, userId);
    const owned = await tx.organization.findMany({
      where: { ownerId: userId, deletedAt: null },
      select: { id: true },
      orderBy: { id: 'asc' },
    });
    if (owned.length > 0) throw ownsOrganization(owned.map(({ id }) => id));
    await tx.user.update({
      where: { id: userId },
      data: { deletedAt: at, isActive: false, orgId: null, updatedAt: at },
      select: { id: true },
    });
    const details = endDetails(given, await endAccess(tx, userId, at));
    // The owner of a closed organization stays in its record.
    await tx.organizationMember.deleteMany({ where: { userId, role: { not: 'owner' } } });
    await writeAudit(tx, { action: 'USER_DELETED', ...about(userId), details, device });
  });
}

/** Returns how many sessions ended. */
async function endAccess(tx: AuthTransaction, userId: string, at: Date): Promise<number> {
  const live = { where: { userId, usedAt: null, revokedAt: null }, data: { revokedAt: at, updatedAt: at } };
  await tx.token.updateMany(live);
  const sessions = await endSessions(tx, { userId, forget: true });
  await tx.oneTimeCode.updateMany(live);
  return sessions;
}

function endDetails({ actorId, reason }: z.infer<typeof endInput>, sessions: number) {
  return {
    sessions,
    ...(actorId === undefined ? {} : { by: actorId }),
    ...(reason === undefined ? {} : { reason }),
  };
}

function about(userId: string) {
  return { userId, resourceType: 'user', resourceId: userId };
}
