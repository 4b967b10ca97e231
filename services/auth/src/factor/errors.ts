import { SuiteError } from '@azora/db-core';
import type { AnyFactor } from './one-time-code';

/** AUTH.CODE_INVALID: the code is not accepted. A guesser does not learn whether it is wrong, used or expired. */
export function codeInvalid(factor: AnyFactor): SuiteError {
  return new SuiteError('AUTH.CODE_INVALID', 'The code was not accepted', {
    why: 'The code is wrong, was sent for something else, was already used, or has expired.',
    next: factor === 'totp' ? 'Enter the next code of the app' : 'Enter another code, or request a new one',
    meta: { factor },
  });
}

/** AUTH.FACTOR_OFF: the account does not have this factor enabled, or (`any`) has no factor at all. */
export function factorOff(factor: AnyFactor | 'any'): SuiteError {
  return new SuiteError('AUTH.FACTOR_OFF', 'The second factor is not enabled', {
    why: factor === 'any' ? 'The account has no second factor.' : `The account does not have ${factor} enabled.`,
    next: 'Use a factor that the account has enabled, or enable this one first',
    meta: { factor },
  });
}

/** AUTH.FACTOR_ALREADY_ON: the factor is enabled; a new secret would lock its owner out. */
export function factorAlreadyOn(factor: AnyFactor): SuiteError {
  return new SuiteError('AUTH.FACTOR_ALREADY_ON', 'The second factor is already enabled', {
    next: 'Disable the second factors with disableMfa, then set them up again',
    meta: { factor },
  });
}

/** AUTH.FACTOR_NOT_PENDING: no enrollment waits for its first code. */
export function factorNotPending(factor: AnyFactor): SuiteError {
  return new SuiteError('AUTH.FACTOR_NOT_PENDING', 'No enrollment is waiting for a code', {
    why: 'No enrollment was started, or it expired, was confirmed or replaced, or ended with another change to the account.',
    next: 'Start again with enrollTotp',
    meta: { factor },
  });
}

/** AUTH.PROOF_REQUIRED: the change needs a proof of one of the factors in `meta.accepts`. */
export function proofRequired(accepts: readonly (AnyFactor | 'password')[]): SuiteError {
  const codes = accepts.filter((factor) => factor !== 'password');
  const wanted = [
    ...(accepts.includes('password') ? ['the password'] : []),
    ...(codes.length > 0 ? [`a code (${codes.join(', ')})`] : []),
  ].join(' or ');
  return new SuiteError('AUTH.PROOF_REQUIRED', `The change needs ${wanted}`, {
    why: 'A session alone may not change how the user signs in.',
    next: `Call again with proof: ${wanted}`,
    meta: { accepts },
  });
}

/** AUTH.LOCKED: too many wrong codes in a row; no code is accepted until `meta.lockedUntil` (ISO 8601) but a recovery code. */
export function factorLocked(until: Date): SuiteError {
  return new SuiteError('AUTH.LOCKED', 'The second factor is locked after too many wrong codes', {
    why: `It is locked until ${until.toISOString()}.`,
    next: 'Wait until then, or use a recovery code, which is accepted at any time',
    meta: { lockedUntil: until.toISOString(), lock: 'factor' },
  });
}

/** AUTH.FACTOR_BLOCKED: 100 wrong codes in a row; no code is accepted any more but a recovery code. */
export function factorBlocked(): SuiteError {
  return new SuiteError('AUTH.FACTOR_BLOCKED', 'The second factor is blocked after 100 wrong codes in a row', {
    why: 'Only a recovery code is accepted, or an administrator ends the block once the owner is identified.',
    next: 'Use a recovery code, or ask an administrator to call unlockAccount',
  });
}

/** AUTH.CODE_TOO_SOON: the limits of messages do not allow another code over this channel yet. */
export function codeTooSoon(channel: string, resendAt: Date): SuiteError {
  return new SuiteError('AUTH.CODE_TOO_SOON', 'The next code cannot be sent yet', {
    why: `Codes are limited by account, recipient and source. The next one can be sent at ${resendAt.toISOString()}.`,
    next: 'Enter the code that was sent, or wait',
    meta: { channel, resendAt },
  });
}

/** AUTH.CODE_NOT_SENT: the sender failed. Its error is omitted because it may contain the code and the address. */
export function codeNotSent(channel: string): SuiteError {
  return new SuiteError('AUTH.CODE_NOT_SENT', 'The code could not be sent', {
    why: 'The sender function failed, and the code was withdrawn.',
    next: 'Check the log of the sender, then call again',
    meta: { channel },
  });
}
