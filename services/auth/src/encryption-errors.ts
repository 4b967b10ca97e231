import { SuiteError } from '@azora/db-core';

/** AUTH.NO_ENCRYPTION_KEY: a secret is to be kept or read, and the handle has no key. */
export function noEncryptionKey(): SuiteError {
  return new SuiteError('AUTH.NO_ENCRYPTION_KEY', 'There is no key to encrypt secrets with', {
    kind: 'configuration',
    why: 'Neither the option encryptionKeys nor AZORA_ENCRYPTION_KEY is set.',
    next: 'Set AZORA_ENCRYPTION_KEY to 32 random bytes in base64, such as "openssl rand -base64 32" prints',
    meta: { variable: 'AZORA_ENCRYPTION_KEY' },
  });
}

/** AUTH.ENCRYPTION_KEY_INVALID: the keys cannot be read. What they hold is not shown. */
export function encryptionKeyInvalid(why: string): SuiteError {
  return new SuiteError('AUTH.ENCRYPTION_KEY_INVALID', 'The encryption keys cannot be used', {
    kind: 'configuration',
    why: `In the option encryptionKeys, else in AZORA_ENCRYPTION_KEY, ${why}.`,
    next: 'Give one key of 32 bytes in base64 or hex, or several as v2:<key>,v1:<key>, newest first',
    meta: { variable: 'AZORA_ENCRYPTION_KEY' },
  });
}

/** AUTH.KEY_UNKNOWN: a secret was encrypted with a key that the handle does not have. */
export function keyUnknown(version: number, known: readonly number[]): SuiteError {
  return new SuiteError('AUTH.KEY_UNKNOWN', `The encryption key v${version} is not there`, {
    kind: 'configuration',
    why: `A secret was encrypted with it, and the keys are ${known.map((each) => `v${each}`).join(', ')}.`,
    next: 'Bring the key back beside the newest one, and remove it when rotateEncryption finds nothing left to do',
    meta: { version, known },
  });
}

/** AUTH.CIPHERTEXT_INVALID: the stored secret is not what was encrypted for this user and use. */
export function ciphertextInvalid(whose: { readonly userId: string; readonly use: string }): SuiteError {
  return new SuiteError('AUTH.CIPHERTEXT_INVALID', 'A stored secret cannot be decrypted', {
    why: 'It was changed, moved here from another row, or encrypted with another key of the same version.',
    next: 'Find out who wrote to the database; restore the row, or let the user set the factor up again',
    meta: { userId: whose.userId, use: whose.use },
  });
}
