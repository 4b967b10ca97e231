import { SuiteError } from '@azora/db-core';

type Factor = 'totp' | 'sms' | 'email' | 'recovery';

/** AUTH.CODE_INVALID: the code opens nothing. Whether it is wrong, used or too old is not told to who guesses. */
export function codeInvalid(factor: Factor): SuiteError {
  return new SuiteError('AUTH.CODE_INVALID', 'The code is not accepted', {
    why: 'It is wrong, was used already, or is no longer good.',
    next:
      factor === 'totp'
        ? 'Wait for the next code of the app and enter that'
        : 'Enter another one, or ask for a new one',
    meta: { factor },
  });
}

/** AUTH.FACTOR_OFF: the account does not have this factor switched on. */
export function factorOff(factor: Factor | 'any'): SuiteError {
  return new SuiteError('AUTH.FACTOR_OFF', 'The second factor is not switched on', {
    why: factor === 'any' ? 'The account has no second factor.' : `The account does not have ${factor}.`,
    next: 'Use one of the factors that the account has, or switch this one on first',
    meta: { factor },
  });
}

/** AUTH.FACTOR_ALREADY_ON: the factor is in use; a new secret would lock its owner out. */
export function factorAlreadyOn(factor: Factor): SuiteError {
  return new SuiteError('AUTH.FACTOR_ALREADY_ON', 'The second factor is switched on already', {
    next: 'Switch the second factors off by disableMfa, then set them up anew',
    meta: { factor },
  });
}

/** AUTH.FACTOR_NOT_PENDING: there is no enrolment that a first code could confirm. */
export function factorNotPending(factor: Factor): SuiteError {
  return new SuiteError('AUTH.FACTOR_NOT_PENDING', 'There is nothing to confirm', {
    why: 'No enrolment was begun, or it was confirmed or replaced meanwhile.',
    next: 'Begin again by enrollTotp',
    meta: { factor },
  });
}

/** AUTH.PROOF_REQUIRED: the account has a second factor, and who only holds a session may not change that. */
export function proofRequired(): SuiteError {
  return new SuiteError('AUTH.PROOF_REQUIRED', 'The password or a code is needed', {
    why: 'A second factor is switched on, and a session alone may not add another.',
    next: 'Call again with proof: the password, or a code of a factor that is on',
  });
}

/** AUTH.CODE_TOO_SOON: the last code of this channel is younger than a minute. */
export function codeTooSoon(channel: string, resendAt: Date): SuiteError {
  return new SuiteError('AUTH.CODE_TOO_SOON', 'A code was sent a moment ago', {
    why: `The next one can be sent at ${resendAt.toISOString()}.`,
    next: 'Enter the code that was sent, or wait',
    meta: { channel, resendAt },
  });
}

/** AUTH.CODE_NOT_SENT: the sender failed. Its error is left out, for it may hold the code and the address. */
export function codeNotSent(channel: string): SuiteError {
  return new SuiteError('AUTH.CODE_NOT_SENT', 'The code could not be sent', {
    why: 'The sender that was passed in failed; the code is not good any more.',
    next: 'See what the sender reports, then call again',
    meta: { channel },
  });
}
