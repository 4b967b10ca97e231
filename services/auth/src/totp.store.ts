import { idInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import { writeAudit } from './audit/entries';
import type { Auth } from './client';
import { decryptSecret, encryptSecret } from './encryption/encryption';
import { readInput } from './errors';
import { factorAlreadyOn, factorNotPending } from './factor/errors';
import { type FindFactor, withFactor } from './factor/factor';
import { digitsInput } from './factor/one-time-code';
import { type Proof, proofInput, withProofIfNeeded } from './factor/proof';
import { replaceRecoveryCodes } from './factor/recovery-codes';
import { newTotpSecret, readTotp, TOTP_USE, totpStepOf, totpUrl } from './factor/totp';
import { type Device, deviceInput } from './input';

const DEFAULT_ISSUER = 'Azora';

export interface EnrollTotpInput {
  readonly userId: string;
  /** The service that asks for the code, as the app shows it. Default: Azora. */
  readonly issuer?: string;
  /** Required if a second factor is enabled. */
  readonly proof?: Proof;
  readonly device?: Device;
}

export interface TotpEnrollment {
  /** Base32, for people who cannot scan the QR code. Returned once. */
  readonly secret: string;
  /** otpauth://totp/…, for a QR code. */
  readonly url: string;
}

export interface ConfirmTotpInput {
  readonly userId: string;
  readonly code: string;
  readonly device?: Device;
}

const enrollInput = z.strictObject({
  userId: idInput,
  // A colon separates the issuer from the account in the URL.
  issuer: textInput(64)
    .refine((text) => !text.includes(':'), 'contains a colon')
    .default(DEFAULT_ISSUER),
  proof: proofInput.optional(),
  device: deviceInput,
});

const confirmInput = z.strictObject({ userId: idInput, code: digitsInput, device: deviceInput });

/**
 * Starts a TOTP enrollment: stores a new secret that waits for its first right code, and replaces one that was waiting.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.FACTOR_ALREADY_ON`, `AUTH.PROOF_REQUIRED`, `AUTH.NO_ENCRYPTION_KEY`,
 * `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`; from the proof `AUTH.LOCKED`, `AUTH.CODE_INVALID`, `AUTH.INVALID_CREDENTIALS`
 */
export async function enrollTotp(auth: Auth, input: EnrollTotpInput): Promise<TotpEnrollment> {
  const { userId, issuer, proof, device } = readInput(enrollInput, input);
  const secret = newTotpSecret();
  const totpSecret = encryptSecret(auth.keyring, { userId, use: TOTP_USE }, secret);
  return withProofIfNeeded(auth, { userId, proof, device }, async ({ tx, account, at }) => {
    const settings = await tx.mFASettings.findUnique({ where: { userId }, select: { totpEnabled: true } });
    if (settings?.totpEnabled) throw factorAlreadyOn('totp');
    const pending = { totpSecret, totpLastStep: null, updatedAt: at };
    await tx.mFASettings.upsert({ where: { userId }, create: { userId, createdAt: at, ...pending }, update: pending });
    await writeAudit(tx, { ...about(userId, device), action: 'MFA_ENROLLED', details: { factor: 'totp' } });
    return { secret, url: totpUrl(secret, { issuer, account: account.email }) };
  });
}

/**
 * Enables TOTP with the first right code of the waiting secret. That code cannot be used again to sign in. Returns ten
 * recovery codes, once; they replace all earlier ones.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.FACTOR_NOT_PENDING`, `AUTH.FACTOR_ALREADY_ON`, `AUTH.CODE_INVALID`,
 * `AUTH.LOCKED`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`; from the stored secret `AUTH.NO_ENCRYPTION_KEY`,
 * `AUTH.KEY_UNKNOWN`, `AUTH.CIPHERTEXT_INVALID`
 */
export async function confirmTotp(
  auth: Auth,
  input: ConfirmTotpInput,
): Promise<{ readonly recoveryCodes: readonly string[] }> {
  const { userId, code, device } = readInput(confirmInput, input);
  return withFactor(
    auth,
    { userId, factor: 'totp', code, purpose: 'enable', device },
    async ({ tx, at }) => {
      const recoveryCodes = await replaceRecoveryCodes(tx, { userId, at });
      await writeAudit(tx, { ...about(userId, device), action: 'MFA_ENABLED', details: { factor: 'totp' } });
      return { recoveryCodes };
    },
    findPendingCode,
  );
}

/** Checks a code of the waiting secret. Using the code up enables TOTP. */
const findPendingCode: FindFactor = async (auth, { userId, code }) => {
  const settings = await readTotp(auth, userId);
  if (settings?.totpEnabled) throw factorAlreadyOn('totp');
  const encrypted = settings?.totpSecret ?? null;
  if (settings === undefined || encrypted === null) throw factorNotPending('totp');
  const secret = decryptSecret(auth.keyring, { userId, use: TOTP_USE }, encrypted);
  const step = totpStepOf(secret, code, settings.at);
  if (step === null) return null;
  return async (tx, at) => {
    const { count } = await tx.mFASettings.updateMany({
      where: { userId, totpEnabled: false, totpSecret: encrypted },
      data: { totpEnabled: true, totpLastStep: step, updatedAt: at },
    });
    // The code was right, so this was not a guess: another call confirmed or replaced the enrollment first.
    if (count === 0) throw factorNotPending('totp');
    return true;
  };
};

function about(userId: string, device: Device) {
  return { userId, resourceType: 'user', resourceId: userId, device };
}
