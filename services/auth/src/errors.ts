import { SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';

/** AUTH.INVALID_INPUT: what a function of this store was given breaks its contract. Values are not shown. */
export const readInput = inputReader('AUTH.INVALID_INPUT');

/** AUTH.EMAIL_TAKEN: another account has the address, in whatever case of letters. */
export function emailTaken(): SuiteError {
  return new SuiteError('AUTH.EMAIL_TAKEN', 'This e-mail address has an account already', {
    next: 'Sign in, or ask for a new password',
  });
}

/** AUTH.USERNAME_TAKEN: another account has the name, in whatever case of letters. */
export function usernameTaken(): SuiteError {
  return new SuiteError('AUTH.USERNAME_TAKEN', 'This user name is taken', { next: 'Choose another user name' });
}

/** AUTH.PASSWORD_REFUSED: a new password that is easy to guess. It is not shown. */
export function passwordRefused(why: string): SuiteError {
  return new SuiteError('AUTH.PASSWORD_REFUSED', 'This password is too easy to guess', {
    why: `The password ${why}.`,
    next: 'Choose another one; several words that have nothing to do with each other are good',
  });
}

/** AUTH.INVALID_CREDENTIALS: no account has this address and password; which of them is wrong is not told. */
export function invalidCredentials(): SuiteError {
  return new SuiteError('AUTH.INVALID_CREDENTIALS', 'The e-mail address or the password is wrong', {
    next: 'Try again, or ask for a new password',
  });
}

/** AUTH.LOCKED: too many tries failed; nothing is tried until `meta.lockedUntil` (ISO 8601). */
export function accountLocked(until: Date): SuiteError {
  return new SuiteError('AUTH.LOCKED', 'Too many attempts failed; the account is locked for a while', {
    why: `It is locked until ${until.toISOString()}.`,
    next: 'Wait until then; who has no second factor can set a new password by e-mail at once',
    meta: { lockedUntil: until.toISOString() },
  });
}

/** AUTH.ACCOUNT_INACTIVE: the account was deactivated; at sign-in told to who knows the password only. */
export function accountInactive(): SuiteError {
  return new SuiteError('AUTH.ACCOUNT_INACTIVE', 'The account is deactivated', {
    next: 'Ask an administrator to activate it again',
  });
}

/** AUTH.EMAIL_UNVERIFIED: the password is right, and `requireVerifiedEmail` asks for a verified address. */
export function emailUnverified(): SuiteError {
  return new SuiteError('AUTH.EMAIL_UNVERIFIED', 'The e-mail address is not verified yet', {
    next: 'Follow the link in the e-mail that was sent at registration, or ask for another one',
  });
}

/** AUTH.PASSWORD_RESET_REQUIRED: the password is right and may not be used any more. */
export function passwordResetRequired(): SuiteError {
  return new SuiteError('AUTH.PASSWORD_RESET_REQUIRED', 'A new password must be set', {
    next: 'Ask for a password reset and follow the link in the e-mail',
  });
}

/** AUTH.USER_NOT_FOUND: no account has this id, or it was deleted. */
export function userNotFound(userId: string): SuiteError {
  return new SuiteError('AUTH.USER_NOT_FOUND', 'There is no such user', {
    next: 'Check the id',
    meta: { userId },
  });
}

/** AUTH.SESSION_NOT_FOUND: the user has no live session with this id. */
export function sessionNotFound(sessionId: string): SuiteError {
  return new SuiteError('AUTH.SESSION_NOT_FOUND', 'The user has no such session', {
    why: 'It is unknown, belongs to somebody else, or has ended.',
    next: 'List the sessions of the user',
    meta: { sessionId },
  });
}

/** AUTH.SESSION_ENDED: signed out, revoked, or over; also when the account is deactivated. */
export function sessionEnded(): SuiteError {
  return new SuiteError('AUTH.SESSION_ENDED', 'The session has ended', { next: 'Sign in again' });
}

/** AUTH.TOKEN_INVALID: nobody was given this token for this purpose. */
export function tokenInvalid(): SuiteError {
  return new SuiteError('AUTH.TOKEN_INVALID', 'The token is not valid here', {
    why: 'It is unknown, or was given for something else.',
    next: 'Ask for a new one',
  });
}

/** AUTH.TOKEN_EXPIRED: the token was right and its time is over. */
export function tokenExpired(): SuiteError {
  return new SuiteError('AUTH.TOKEN_EXPIRED', 'The token has expired', { next: 'Ask for a new one' });
}

/** AUTH.TOKEN_USED: the token was used, or a newer one took its place. */
export function tokenUsed(): SuiteError {
  return new SuiteError('AUTH.TOKEN_USED', 'The token was used already, or replaced by a newer one', {
    next: 'Use the newest one, or ask for another',
  });
}

/**
 * AUTH.TOKEN_REUSED: a refresh token came a second time, so its session was ended: one of both bearers is not the
 * owner.
 */
export function tokenReused(): SuiteError {
  return new SuiteError('AUTH.TOKEN_REUSED', 'The refresh token was used before; its session was ended', {
    why: "A refresh token is good for one use, and a second one may be a thief's.",
    next: 'Sign in again; a client must never send the same refresh token twice, not even in parallel',
  });
}
