import { rowIdInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import { writeAudit } from './audit/entries';
import type { Auth } from './client';
import { decryptSecret, encryptSecret } from './encryption/encryption';
import { readInput } from './errors';
import { factorAlreadyOn, factorNotPending } from './factor/errors';
import type { FindCode } from './factor/factor';
import { digitsInput } from './factor/one-time-code';
import { type Proof, proofInput, withProof, withProofToBegin } from './factor/proof';
import { replaceRecoveryCodes } from './factor/recovery-codes';
import { newTotpSecret, pendingTotpUse, readTotp, TOTP_USE, totpStepOf, totpUrl } from './factor/totp';
import { type Device, deviceInput } from './input';
import { PENDING_MS } from './settings';

const DEFAULT_ISSUER = 'Azora';

export interface EnrollTotpInput {
  readonly userId: string;
  /** The service that asks for the code, as the app shows it. Default: Azora. */
  readonly issuer?: string;
  /** The password or a code. Required if a second factor is enabled. */
  readonly proof?: Proof;
  readonly device?: Device;
}

export interface TotpEnrollment {
  /** Base32, for people who cannot scan the QR code. Returned once. */
  readonly secret: string;
  /** otpauth://totp/…, for a QR code. */
  readonly url: string;
  /** Until when `confirmTotp` can enable the factor. */
  readonly expiresAt: Date;
}

export interface ConfirmTotpInput {
  readonly userId: string;
  /** A code of the app. */
  readonly code: string;
  /** The password for the first factor; otherwise a code of an enabled factor, or a recovery code. */
  readonly proof?: Proof;
  readonly device?: Device;
}

const enrollInput = z.strictObject({
  userId: rowIdInput,
  // A colon separates the issuer from the account in the URL.
  issuer: textInput(64)
    .refine((text) => !text.includes(':'), 'contains a colon')
    .default(DEFAULT_ISSUER),
  proof: proofInput.optional(),
  device: deviceInput,
});

const confirmInput = z.strictObject({
  userId: rowIdInput,
  code: digitsInput,
  proof: proofInput.optional(),
  device: deviceInput,
});

/**
 * Starts a TOTP enrollment: stores a new secret that waits for its first right code for ten minutes, and replaces one that
 * was waiting. Every change to the factors, the password or the address of the account ends the enrollment.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.FACTOR_ALREADY_ON`, `AUTH.PROOF_REQUIRED`, `AUTH.NO_ENCRYPTION_KEY`,
 * `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`; from the proof `AUTH.LOCKED`, `AUTH.CODE_INVALID`, `AUTH.INVALID_CREDENTIALS`
 */
export async function enrollTotp(auth: Auth, input: EnrollTotpInput): Promise<TotpEnrollment> {
  const { userId, issuer, proof, device } = readInput(enrollInput, input);
  const secret = newTotpSecret();
  return withProofToBegin(auth, { userId, proof, device }, async ({ tx, account, at, unlocked }) => {
    const settings = await tx.mFASettings.findUnique({ where: { userId }, select: { totpEnabled: true } });
    if (settings?.totpEnabled) throw factorAlreadyOn('totp');
    const expiresAt = new Date(at.getTime() + PENDING_MS);
    const totpSecret = encryptSecret(auth.keyring, { userId, use: pendingTotpUse(expiresAt) }, secret);
    const pending = { totpSecret, totpPendingUntil: expiresAt, totpLastStep: null, updatedAt: at };
    await tx.mFASettings.upsert({ where: { userId }, create: { userId, createdAt: at, ...pending }, update: pending });
    await writeAudit(tx, { ...about(userId, device), action: 'MFA_ENROLLED', details: { factor: 'totp' }, unlocked });
    return { secret, url: totpUrl(secret, { issuer, account: account.email }), expiresAt };
  });
}

/**
 * Enables TOTP with the first right code of the waiting secret and a proof. That code cannot be used again to sign in. Ends
 * all other codes and challenges of the account. Returns ten recovery codes, once; they replace all earlier ones.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.FACTOR_NOT_PENDING`, `AUTH.FACTOR_ALREADY_ON`, `AUTH.CODE_INVALID`,
 * `AUTH.LOCKED`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`; from the proof `AUTH.PROOF_REQUIRED`,
 * `AUTH.INVALID_CREDENTIALS`, `AUTH.FACTOR_OFF`; from the stored secret `AUTH.NO_ENCRYPTION_KEY`, `AUTH.KEY_UNKNOWN`,
 * `AUTH.CIPHERTEXT_INVALID`
 */
export async function confirmTotp(
  auth: Auth,
  input: ConfirmTotpInput,
): Promise<{ readonly recoveryCodes: readonly string[] }> {
  const { userId, code, proof, device } = readInput(confirmInput, input);
  const enrollment = { factor: 'totp', code, purpose: 'enable', find: findPendingCode } as const;
  return withProof(auth, { userId, proof, enrollment, device }, async ({ tx, at, unlocked }) => {
    const recoveryCodes = await replaceRecoveryCodes(tx, { userId, at });
    await writeAudit(tx, { ...about(userId, device), action: 'MFA_ENABLED', details: { factor: 'totp' }, unlocked });
    return { recoveryCodes };
  });
}

/** Checks a code of the waiting secret. The code enables TOTP, and binds the secret to its lasting use. */
const findPendingCode: FindCode = async (auth, userId, { code }) => {
  const settings = await readTotp(auth, userId);
  if (settings?.totpEnabled) throw factorAlreadyOn('totp');
  const { totpSecret: waiting = null, pendingUntil = null, at: now } = settings ?? {};
  if (waiting === null || pendingUntil === null || now === undefined || pendingUntil <= now)
    throw factorNotPending('totp');
  const secret = decryptSecret(auth.keyring, { userId, use: pendingTotpUse(pendingUntil) }, waiting);
  const step = totpStepOf(secret, code, now);
  if (step === null) return {};
  return {
    take: async (tx, at) => {
      const count = await tx.mFASettings.count({
        where: { userId, totpEnabled: false, totpSecret: waiting, totpPendingUntil: { gt: at } },
      });
      // The code was right, so this was not a guess: the enrollment was confirmed, replaced or ended in the meantime.
      if (count === 0) throw factorNotPending('totp');
      return {
        totpEnabled: true,
        totpSecret: encryptSecret(auth.keyring, { userId, use: TOTP_USE }, secret),
        totpPendingUntil: null,
        totpLastStep: step,
      };
    },
  };
};

function about(userId: string, device: Device) {
  return { userId, resourceType: 'user', resourceId: userId, device };
}
