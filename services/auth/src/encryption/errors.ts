import { SuiteError } from '@azora/db-core';

/** AUTH.NO_ENCRYPTION_KEY: an operation must encrypt or decrypt a secret, and the handle has no key. */
export function noEncryptionKey(): SuiteError {
  return new SuiteError('AUTH.NO_ENCRYPTION_KEY', 'No encryption key is set', {
    kind: 'configuration',
    why: 'Neither the option encryptionKeys nor AZORA_ENCRYPTION_KEY is set.',
    next: 'Set AZORA_ENCRYPTION_KEY to 32 random bytes in base64: openssl rand -base64 32',
    meta: { variable: 'AZORA_ENCRYPTION_KEY' },
  });
}

/** AUTH.ENCRYPTION_KEY_INVALID: the keys cannot be parsed. The error does not show them. */
export function encryptionKeyInvalid(why: string): SuiteError {
  return new SuiteError('AUTH.ENCRYPTION_KEY_INVALID', 'The encryption keys are not valid', {
    kind: 'configuration',
    why: `In the option encryptionKeys or in AZORA_ENCRYPTION_KEY, ${why}.`,
    next: 'Set one key of 32 bytes in base64 or hex, or several as v2:<key>,v1:<key>, newest first',
    meta: { variable: 'AZORA_ENCRYPTION_KEY' },
  });
}

/** AUTH.KEY_UNKNOWN: a secret was encrypted with a key version that the handle does not have. */
export function keyUnknown(version: number, known: readonly number[]): SuiteError {
  return new SuiteError('AUTH.KEY_UNKNOWN', `The encryption key v${version} is missing`, {
    kind: 'configuration',
    why: `A secret was encrypted with v${version}; the handle has ${known.map((each) => `v${each}`).join(', ')}.`,
    next: 'Add the key after the newest one, and remove it when rotateEncryption returns done',
    meta: { version, known },
  });
}

/** AUTH.CIPHERTEXT_INVALID: a stored secret is not what the store encrypted for this user and use. */
export function ciphertextInvalid(owner: { readonly userId: string; readonly use: string }): SuiteError {
  return new SuiteError('AUTH.CIPHERTEXT_INVALID', 'A stored secret cannot be decrypted', {
    why: 'It was changed, copied from another row, or encrypted with another key of the same version.',
    next: 'Find out what wrote to the database; restore the row, or let the user set up the factor again',
    meta: { userId: owner.userId, use: owner.use },
  });
}
