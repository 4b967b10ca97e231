import { newId } from '@azora/db-core';
import { idInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import { writeAudit } from './audit';
import type { Auth } from './client';
import { readInput, tokenInvalid, userNotFound } from './errors';
import { type Device, deviceInput, emailInput, tokenInput } from './input';
import { hashPassword, newPasswordInput, refuseGuessablePassword } from './passwords';
import { issueToken, takeToken } from './tokens';

export interface RegisterInput {
  readonly email: string;
  readonly password: string;
  readonly name?: string;
  readonly username?: string;
  readonly device?: Device;
}

/** An account that waits for its address to be verified. Mail the token: it is shown once. */
export interface Registered {
  readonly userId: string;
  /** In its one spelling. */
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

const registerInput = z.strictObject({
  email: emailInput,
  password: newPasswordInput,
  name: textInput(255).optional(),
  username: textInput(255)
    .refine((text) => text === text.trim(), 'has spaces around it')
    .optional(),
  device: deviceInput,
});
const verifyEmailInput = z.strictObject({ token: tokenInput, device: deviceInput });
const requestEmailVerificationInput = z.strictObject({ userId: idInput, device: deviceInput });

/**
 * Makes an account and the token that verifies its address.
 * @throws {SuiteError} `AUTH.EMAIL_TAKEN`, `AUTH.USERNAME_TAKEN`, `AUTH.PASSWORD_REFUSED`, `AUTH.INVALID_INPUT`
 */
export async function register(auth: Auth, input: RegisterInput): Promise<Registered> {
  const { email, password, name = '', username, device } = readInput(registerInput, input);
  refuseGuessablePassword(password, [email, name, username]);
  const passwordHash = await hashPassword(password, auth.settings.bcryptCost);
  const [at, userId] = [auth.clock(), newId()];
  const { emailVerificationMs: lifeMs } = auth.settings;
  const verificationToken = await auth.transaction(async (tx) => {
    const user = { id: userId, email, passwordHash, name, username: username ?? null, createdAt: at, updatedAt: at };
    await tx.user.create({ data: user, select: { id: true } });
    const token = await issueToken(tx, { userId, kind: 'email_verification', at, lifeMs, email });
    await writeAudit(tx, { at, userId, action: 'USER_REGISTERED', ...about(userId), device });
    return token;
  });
  return { userId, email, verificationToken, expiresAt: new Date(at.getTime() + lifeMs) };
}

/**
 * Gives out a token for the user's address in the place of an earlier one.
 * @throws {SuiteError} `AUTH.USER_NOT_FOUND`, `AUTH.INVALID_INPUT`
 */
export async function requestEmailVerification(auth: Auth, input: RequestEmailVerificationInput): Promise<Registered> {
  const { userId, device } = readInput(requestEmailVerificationInput, input);
  const { emailVerificationMs: lifeMs } = auth.settings;
  return auth.transaction(async (tx) => {
    const at = auth.clock();
    const user = await tx.user.findFirst({ where: { id: userId, deletedAt: null }, select: { email: true } });
    if (user === null) throw userNotFound(userId);
    const { email } = user;
    const verificationToken = await issueToken(tx, { userId, kind: 'email_verification', at, lifeMs, email });
    await writeAudit(tx, { at, userId, action: 'EMAIL_VERIFICATION_REQUESTED', ...about(userId), device });
    return { userId, email, verificationToken, expiresAt: new Date(at.getTime() + lifeMs) };
  });
}

/**
 * Takes a verification token: its address is verified, if the account still has it.
 * @throws {SuiteError} `AUTH.TOKEN_INVALID`, `AUTH.TOKEN_EXPIRED`, `AUTH.TOKEN_USED`, `AUTH.INVALID_INPUT`
 */
export async function verifyEmail(auth: Auth, input: VerifyEmailInput): Promise<{ readonly userId: string }> {
  const { token, device } = readInput(verifyEmailInput, input);
  return auth.transaction(async (tx) => {
    const at = auth.clock();
    const { userId, email } = await takeToken(tx, { kind: 'email_verification', token, at });
    const { count } = await tx.user.updateMany({
      where: { id: userId, email: email ?? '', deletedAt: null },
      data: { emailVerified: true, updatedAt: at },
    });
    if (count === 0) throw tokenInvalid();
    await writeAudit(tx, { at, userId, action: 'EMAIL_VERIFIED', ...about(userId), device });
    return { userId };
  });
}

function about(userId: string) {
  return { resourceType: 'user', resourceId: userId };
}
