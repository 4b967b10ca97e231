import { type ConstraintErrors, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';
import { codeInvalid, factorNotPending } from './factor/errors';
import { alreadyInvited, alreadyMember, ownerStays, slugTaken } from './organization/errors';

/**
 * Every code that this store throws on its own account. A test compares the list with the code and with docs/errors.md.
 * Failures of the connection and of the database keep the codes of the suite: `DATABASE.…` and `CONFIG.…`.
 */
export const AUTH_ERROR_CODES = [
  'AUTH.ACCOUNT_INACTIVE',
  'AUTH.ALREADY_INVITED',
  'AUTH.ALREADY_MEMBER',
  'AUTH.CIPHERTEXT_INVALID',
  'AUTH.CODE_INVALID',
  'AUTH.CODE_NOT_SENT',
  'AUTH.CODE_TOO_SOON',
  'AUTH.EMAIL_TAKEN',
  'AUTH.EMAIL_UNVERIFIED',
  'AUTH.ENCRYPTION_KEY_INVALID',
  'AUTH.FACTOR_ALREADY_ON',
  'AUTH.FACTOR_BLOCKED',
  'AUTH.FACTOR_NOT_PENDING',
  'AUTH.FACTOR_OFF',
  'AUTH.INVALID_CREDENTIALS',
  'AUTH.INVALID_INPUT',
  'AUTH.INVITATION_LAPSED',
  'AUTH.INVITATION_NOT_FOUND',
  'AUTH.INVITATION_NOT_YOURS',
  'AUTH.KEY_UNKNOWN',
  'AUTH.LOCKED',
  'AUTH.MEMBER_NOT_FOUND',
  'AUTH.MESSAGE_TOO_SOON',
  'AUTH.NOT_ALLOWED',
  'AUTH.NO_ENCRYPTION_KEY',
  'AUTH.ORGANIZATION_NOT_FOUND',
  'AUTH.OWNER_ACTIVE',
  'AUTH.OWNER_STAYS',
  'AUTH.OWNS_ORGANIZATION',
  'AUTH.PASSWORD_BLOCKED',
  'AUTH.PASSWORD_REFUSED',
  'AUTH.PASSWORD_RESET_REQUIRED',
  'AUTH.PROOF_REQUIRED',
  'AUTH.ROLE_CHANGE_REFUSED',
  'AUTH.SESSION_ENDED',
  'AUTH.SESSION_NOT_FOUND',
  'AUTH.SLUG_TAKEN',
  'AUTH.SOURCE_LOCKED',
  'AUTH.TOKEN_EXPIRED',
  'AUTH.TOKEN_INVALID',
  'AUTH.TOKEN_REUSED',
  'AUTH.TOKEN_USED',
  'AUTH.USERNAME_TAKEN',
  'AUTH.USER_NOT_FOUND',
] as const;

/** The `code` of an error that this store throws on its own account. */
export type AuthErrorCode = (typeof AUTH_ERROR_CODES)[number];

/** AUTH.INVALID_INPUT: an argument breaks the contract of the function. The error names fields, never values. */
export const readInput = inputReader('AUTH.INVALID_INPUT');

/** AUTH.EMAIL_TAKEN: another account has the address, compared without case. */
export function emailTaken(): SuiteError {
  return new SuiteError('AUTH.EMAIL_TAKEN', 'An account with this email address already exists', {
    next: 'Sign in, or request a password reset',
  });
}

/** AUTH.USERNAME_TAKEN: another account has the username, or one that looks like it. */
export function usernameTaken(): SuiteError {
  return new SuiteError('AUTH.USERNAME_TAKEN', 'This username is taken', {
    why: 'Another account has this username, or one that looks like it.',
    next: 'Choose another username',
  });
}

/** AUTH.PASSWORD_REFUSED: a new password is easy to guess. The error does not show it. */
export function passwordRefused(why: string): SuiteError {
  return new SuiteError('AUTH.PASSWORD_REFUSED', 'This password is too easy to guess', {
    why: `The password ${why}.`,
    next: 'Choose another password, for example several unrelated words',
  });
}

/** AUTH.INVALID_CREDENTIALS: no account has this address and password. The error does not say which one is wrong. */
export function invalidCredentials(): SuiteError {
  return new SuiteError('AUTH.INVALID_CREDENTIALS', 'The email address or the password is wrong', {
    next: 'Try again, or request a password reset',
  });
}

/** AUTH.LOCKED: too many wrong passwords; no password is checked until `meta.lockedUntil` (ISO 8601). */
export function accountLocked(until: Date): SuiteError {
  return new SuiteError('AUTH.LOCKED', 'The account is locked after too many wrong passwords', {
    why: `It is locked until ${until.toISOString()}, except for networks from which its owner signed in before.`,
    next: 'Wait until then, or reset the password by email, which ends the lock',
    meta: { lockedUntil: until.toISOString(), lock: 'password' },
  });
}

/** AUTH.PASSWORD_BLOCKED: 100 wrong passwords in a row. None is accepted but from a known network that has not sent 100 itself. */
export function passwordBlocked(): SuiteError {
  return new SuiteError('AUTH.PASSWORD_BLOCKED', 'The password is blocked after 100 wrong passwords in a row', {
    why: 'Passwords are accepted only from networks of the owner that have not sent 100 wrong ones themselves.',
    next: 'Reset the password by email',
  });
}

/** AUTH.SOURCE_LOCKED: too many attempts failed from this network, for the account or for all accounts. */
export function sourceLocked(until: Date): SuiteError {
  return new SuiteError('AUTH.SOURCE_LOCKED', 'Too many attempts failed from this network', {
    why: `It is locked until ${until.toISOString()}.`,
    next: 'Wait until then, or reset the password by email, which ends the lock of the network for the account',
    meta: { lockedUntil: until.toISOString() },
  });
}

/** AUTH.MESSAGE_TOO_SOON: the limits of messages do not allow another one yet; nothing was changed. */
export function messageTooSoon(resendAt: Date): SuiteError {
  return new SuiteError('AUTH.MESSAGE_TOO_SOON', 'The next message cannot be sent yet', {
    why: `Messages are limited by recipient, sender and source. The next one can be sent at ${resendAt.toISOString()}.`,
    next: 'Use the message that was sent, or wait',
    meta: { resendAt },
  });
}

/** AUTH.ACCOUNT_INACTIVE: the account is deactivated. A sign-in says so only after the right password. */
export function accountInactive(): SuiteError {
  return new SuiteError('AUTH.ACCOUNT_INACTIVE', 'The account is deactivated', {
    next: 'Ask an administrator to reactivate it',
  });
}

/** AUTH.EMAIL_UNVERIFIED: the operation, or the option `requireVerifiedEmail`, needs a verified address. */
export function emailUnverified(): SuiteError {
  return new SuiteError('AUTH.EMAIL_UNVERIFIED', 'The email address is not verified', {
    next: 'Follow the link in the verification email, or request another one',
  });
}

/** AUTH.PASSWORD_RESET_REQUIRED: the password is right but must be replaced. */
export function passwordResetRequired(): SuiteError {
  return new SuiteError('AUTH.PASSWORD_RESET_REQUIRED', 'The password must be reset', {
    next: 'Request a password reset and follow the link in the email',
  });
}

/** AUTH.USER_NOT_FOUND: no account has this id, or the account was deleted. */
export function userNotFound(userId: string): SuiteError {
  return new SuiteError('AUTH.USER_NOT_FOUND', 'The user does not exist', {
    next: 'Check the id',
    meta: { userId },
  });
}

/** AUTH.SESSION_NOT_FOUND: the user has no live session with this id. */
export function sessionNotFound(sessionId: string): SuiteError {
  return new SuiteError('AUTH.SESSION_NOT_FOUND', 'The user has no such session', {
    why: 'The session does not exist, belongs to another user, or has ended.',
    next: 'List the sessions of the user',
    meta: { sessionId },
  });
}

/** AUTH.SESSION_ENDED: the session was signed out or revoked, or expired, or its account is deactivated. */
export function sessionEnded(): SuiteError {
  return new SuiteError('AUTH.SESSION_ENDED', 'The session has ended', { next: 'Sign in again' });
}

/** AUTH.TOKEN_INVALID: the token is unknown, was issued for another purpose, or its account has changed. */
export function tokenInvalid(): SuiteError {
  return new SuiteError('AUTH.TOKEN_INVALID', 'The token is not valid', {
    why: 'The token is unknown, was issued for another purpose, or its account is deactivated or has another address.',
    next: 'Request a new token',
  });
}

/** AUTH.TOKEN_EXPIRED: the token was right and has expired. */
export function tokenExpired(): SuiteError {
  return new SuiteError('AUTH.TOKEN_EXPIRED', 'The token has expired', { next: 'Request a new token' });
}

/** AUTH.TOKEN_USED: the token was used, or replaced by a newer one. */
export function tokenUsed(): SuiteError {
  return new SuiteError('AUTH.TOKEN_USED', 'The token was already used or replaced', {
    next: 'Use the newest token, or request another one',
  });
}

/**
 * AUTH.TOKEN_REUSED: a refresh token was presented again, more than ten seconds after its first use or by another client, so
 * one of its bearers is a thief. The session was ended.
 */
export function tokenReused(): SuiteError {
  return new SuiteError('AUTH.TOKEN_REUSED', 'The refresh token was used before, so its session was ended', {
    why: 'A refresh token is valid once. Only the same client may repeat a request, within ten seconds.',
    next: 'Sign in again, and make sure that the client keeps the refresh token of the last answer',
  });
}

/** The store's error for each constraint, and each rule of its own SQL, that a caller can violate. */
export const CONSTRAINT_ERRORS: ConstraintErrors = {
  idx_users_email: emailTaken,
  users_email_lower_key: emailTaken,
  users_username_lower_key: usernameTaken,
  users_username_skeleton_key: usernameTaken,
  idx_orgs_slug: slugTaken,
  organization_members_org_id_user_id_key: alreadyMember,
  org_invitations_open_key: alreadyInvited,
  organization_owner_stays: ownerStays,
  // The triggers judge the time once more, in the moment of the write.
  one_time_code_expired: ({ channel }) => codeInvalid(channel === 'email' ? 'email' : 'sms'),
  token_expired: tokenExpired,
  totp_enrollment_expired: () => factorNotPending('totp'),
};
