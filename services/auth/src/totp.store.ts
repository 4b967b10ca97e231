import { idInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import { writeAudit } from './audit';
import type { Auth } from './client';
import { seal, unseal } from './encryption';
import { readInput } from './errors';
import { type FindFactor, withFactor } from './factor';
import { factorAlreadyOn, factorNotPending } from './factor-errors';
import { type Device, deviceInput } from './input';
import { digitsInput } from './one-time-code';
import { type Proof, proofInput, withProofIfNeeded } from './proof';
import { replaceRecoveryCodes } from './recovery-code-set';
import { newTotpSecret, totpStepOf, totpUrl } from './totp';
import { TOTP_USE } from './totp-code';

const DEFAULT_ISSUER = 'Azora';

export interface EnrollTotpInput {
  readonly userId: string;
  /** Who asks for the code, as the app shows it; without it "Azora". */
  readonly issuer?: string;
  /** Needed when a second factor is on. */
  readonly proof?: Proof;
  readonly device?: Device;
}

export interface TotpEnrolment {
  /** Base32, for who cannot scan. It is shown here and never again. */
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
  // A colon would end the issuer in the app.
  issuer: textInput(64)
    .refine((text) => !text.includes(':'), 'holds a colon')
    .default(DEFAULT_ISSUER),
  proof: proofInput.optional(),
  device: deviceInput,
});

const confirmInput = z.strictObject({ userId: idInput, code: digitsInput, device: deviceInput });

/**
 * Gives the user a new TOTP secret, which waits for its first right code; one that was waiting is replaced.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.FACTOR_ALREADY_ON`, `AUTH.PROOF_REQUIRED`, `AUTH.NO_ENCRYPTION_KEY`,
 * `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`, and of the proof `AUTH.LOCKED`, `AUTH.CODE_INVALID`, `AUTH.INVALID_CREDENTIALS`
 */
export async function enrollTotp(auth: Auth, input: EnrollTotpInput): Promise<TotpEnrolment> {
  const { userId, issuer, proof, device } = readInput(enrollInput, input);
  const secret = newTotpSecret();
  const totpSecret = seal(auth.keyring, { userId, use: TOTP_USE }, secret);
  return withProofIfNeeded(auth, { userId, proof, device }, async ({ tx, account, at }) => {
    const settings = await tx.mFASettings.findUnique({ where: { userId }, select: { totpEnabled: true } });
    if (settings?.totpEnabled) throw factorAlreadyOn('totp');
    const pending = { totpSecret, totpLastStep: null, updatedAt: at };
    await tx.mFASettings.upsert({ where: { userId }, create: { userId, createdAt: at, ...pending }, update: pending });
    await writeAudit(tx, { ...about(userId, at, device), action: 'MFA_ENROLLED', details: { factor: 'totp' } });
    return { secret, url: totpUrl(secret, { issuer, account: account.email }) };
  });
}

/**
 * Switches TOTP on by the first right code of the waiting secret, which is not taken again to sign in. Gives ten recovery
 * codes, in plain here and never again; earlier ones end.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.FACTOR_NOT_PENDING`, `AUTH.FACTOR_ALREADY_ON`, `AUTH.CODE_INVALID`,
 * `AUTH.LOCKED`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`, and of the stored secret `AUTH.NO_ENCRYPTION_KEY`,
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
      await writeAudit(tx, { ...about(userId, at, device), action: 'MFA_ENABLED', details: { factor: 'totp' } });
      return { recoveryCodes };
    },
    findPendingCode,
  );
}

/** Looks at a code of the secret that waits; taking it switches TOTP on. */
const findPendingCode: FindFactor = async (auth, { userId, code }) => {
  const settings = await auth.prisma.mFASettings.findUnique({
    where: { userId },
    select: { totpSecret: true, totpEnabled: true },
  });
  if (settings?.totpEnabled) throw factorAlreadyOn('totp');
  const sealed = settings?.totpSecret ?? null;
  if (sealed === null) throw factorNotPending('totp');
  const step = totpStepOf(unseal(auth.keyring, { userId, use: TOTP_USE }, sealed), code, auth.clock());
  if (step === null) return null;
  return async (tx, at) => {
    const { count } = await tx.mFASettings.updateMany({
      where: { userId, totpEnabled: false, totpSecret: sealed },
      data: { totpEnabled: true, totpLastStep: step, updatedAt: at },
    });
    // The code was right: another call confirmed or replaced the enrolment first, and nobody guessed.
    if (count === 0) throw factorNotPending('totp');
    return true;
  };
};

function about(userId: string, at: Date, device: Device) {
  return { userId, at, resourceType: 'user', resourceId: userId, device };
}
