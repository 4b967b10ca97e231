import { rowIdInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { InsideAccount } from './account/account-row';
import { writeAudit } from './audit/entries';
import type { Auth, AuthTransaction } from './client';
import { readInput } from './errors';
import type { FactorChange } from './factor/checked-code';
import { factorOff } from './factor/errors';
import { changeFactors, type FindCode, withCodes } from './factor/factor';
import { type AnyFactor, type Channel, channelInput, digitsInput } from './factor/one-time-code';
import { type Proof, proofInput, withProof } from './factor/proof';
import { recoveryCodeInput, replaceRecoveryCodes } from './factor/recovery-codes';
import { findSentCode } from './factor/sent-code';
import { type Device, deviceInput, tokenInput } from './input';
import { openSession, type SignedIn } from './session/session';
import { readToken, takeToken } from './session/tokens';

export interface VerifyMfaInput {
  /** The token that `login` returned with the challenge. */
  readonly challengeToken: string;
  readonly factor: AnyFactor;
  readonly code: string;
  readonly device?: Device;
}

export interface ConfirmChannelInput {
  readonly userId: string;
  readonly channel: Channel;
  /** The code that `sendCode` sent for `enable`. */
  readonly code: string;
  /** The password for the first factor; otherwise a code of an enabled factor, or a recovery code. */
  readonly proof?: Proof;
  readonly device?: Device;
}

export interface RegenerateRecoveryCodesInput {
  readonly userId: string;
  /** A code of an enabled factor, or a recovery code. */
  readonly proof: Proof;
  readonly device?: Device;
}

export interface DisableMfaInput {
  readonly userId: string;
  /** A code of an enabled factor, or a recovery code. */
  readonly proof: Proof;
  readonly device?: Device;
}

/** The trigger `mfa_settings_change_ends_pending` ends the codes that were sent and the open challenge. */
const NO_FACTORS: FactorChange = {
  totpEnabled: false,
  totpSecret: null,
  totpPendingUntil: null,
  totpLastStep: null,
  smsEnabled: false,
  phoneNumber: null,
  emailEnabled: false,
};

const challenge = { challengeToken: tokenInput, device: deviceInput };
const verifyInput = z.discriminatedUnion('factor', [
  z.strictObject({ ...challenge, factor: z.enum(['totp', 'sms', 'email']), code: digitsInput }),
  z.strictObject({ ...challenge, factor: z.literal('recovery'), code: recoveryCodeInput }),
]);
const channelConfirmation = z.strictObject({
  userId: rowIdInput,
  channel: channelInput,
  code: digitsInput,
  proof: proofInput.optional(),
  device: deviceInput,
});
const provenInput = z.strictObject({ userId: rowIdInput, proof: proofInput, device: deviceInput });

/**
 * Completes a sign-in with a second factor. The challenge is used up together with the code, so only one of several
 * concurrent calls signs in. A code that was sent must have been sent for this challenge. After a wrong code the challenge
 * stays valid until the account is locked or the challenge expires.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.CODE_INVALID`, `AUTH.LOCKED`, `AUTH.FACTOR_OFF`, `AUTH.TOKEN_INVALID`,
 * `AUTH.TOKEN_EXPIRED`, `AUTH.TOKEN_USED`, `AUTH.ACCOUNT_INACTIVE`, `AUTH.USER_NOT_FOUND`; from the keys
 * `AUTH.NO_ENCRYPTION_KEY`, `AUTH.KEY_UNKNOWN`, `AUTH.CIPHERTEXT_INVALID`
 */
export async function verifyMfa(auth: Auth, input: VerifyMfaInput): Promise<SignedIn> {
  const { challengeToken: token, factor, code, device } = readInput(verifyInput, input);
  const { userId, id: challengeId } = await readToken(auth, { kinds: ['mfa_challenge'], token });
  const codes = [{ factor, code, purpose: 'sign_in', challengeId }] as const;
  return withCodes(auth, { userId, codes, device }, async (inside, used) => {
    const { tx } = inside;
    await takeToken(tx, { kind: 'mfa_challenge', token });
    await changeFactors(inside, used);
    return openSession(auth, tx, { userId, method: factor, device });
  });
}

/**
 * Enables SMS or email as a second factor, with the code that `sendCode` sent for `enable`, which proves that the user
 * receives messages there, and a proof. Ends all other codes, enrollments and challenges of the account. Returns ten
 * recovery codes if the user has none left, otherwise an empty list.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.CODE_INVALID`, `AUTH.LOCKED`, `AUTH.NO_ENCRYPTION_KEY`,
 * `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`; from the proof `AUTH.PROOF_REQUIRED`, `AUTH.INVALID_CREDENTIALS`,
 * `AUTH.FACTOR_OFF`
 */
export async function confirmChannel(
  auth: Auth,
  input: ConfirmChannelInput,
): Promise<{ readonly recoveryCodes: readonly string[] }> {
  const { userId, channel, code, proof, device } = readInput(channelConfirmation, input);
  const enabled = (sentTo: string) =>
    channel === 'sms' ? { smsEnabled: true, phoneNumber: sentTo } : { emailEnabled: true };
  const find: FindCode = () =>
    findSentCode(auth, { userId, channel, purpose: 'enable', challengeId: null }, code, enabled);
  const enrollment = { factor: channel, code, purpose: 'enable', find } as const;
  return withProof(auth, { userId, proof, enrollment, device }, async ({ tx, at, unlocked }) => {
    const unused = await tx.recoveryCode.count({ where: { userId, usedAt: null } });
    const recoveryCodes = unused === 0 ? await replaceRecoveryCodes(tx, { userId, at }) : [];
    await writeAudit(tx, { ...about(userId, device), action: 'MFA_ENABLED', details: { factor: channel }, unlocked });
    return { recoveryCodes };
  });
}

/**
 * Disables all second factors, and deletes or revokes the TOTP secret, the recovery codes, the sent codes and the open
 * challenge.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.FACTOR_OFF`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`; from the
 * proof `AUTH.PROOF_REQUIRED`, `AUTH.LOCKED`, `AUTH.CODE_INVALID`
 */
export async function disableMfa(auth: Auth, input: DisableMfaInput): Promise<void> {
  const { userId, proof, device } = readInput(provenInput, input);
  const factors = async ({ tx }: InsideAccount) => {
    await requireFactor(tx, userId);
    return NO_FACTORS;
  };
  return withProof(auth, { userId, proof, device, factors }, async ({ tx }) => {
    await tx.recoveryCode.deleteMany({ where: { userId } });
    await writeAudit(tx, { ...about(userId, device), action: 'MFA_DISABLED', details: { proof: proof.factor } });
  });
}

/**
 * Replaces all recovery codes of a user with ten new ones, which are returned once.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.FACTOR_OFF`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`; from the
 * proof `AUTH.PROOF_REQUIRED`, `AUTH.LOCKED`, `AUTH.CODE_INVALID`
 */
export async function regenerateRecoveryCodes(
  auth: Auth,
  input: RegenerateRecoveryCodesInput,
): Promise<{ readonly recoveryCodes: readonly string[] }> {
  const { userId, proof, device } = readInput(provenInput, input);
  return withProof(auth, { userId, proof, device }, async ({ tx, at }) => {
    await requireFactor(tx, userId);
    const recoveryCodes = await replaceRecoveryCodes(tx, { userId, at });
    await writeAudit(tx, { ...about(userId, device), action: 'RECOVERY_CODES_REPLACED' });
    return { recoveryCodes };
  });
}

async function requireFactor(tx: AuthTransaction, userId: string): Promise<void> {
  const settings = await tx.mFASettings.findUnique({ where: { userId } });
  if (!settings?.totpEnabled && !settings?.smsEnabled && !settings?.emailEnabled) throw factorOff('any');
}

function about(userId: string, device: Device) {
  return { userId, resourceType: 'user', resourceId: userId, device };
}
