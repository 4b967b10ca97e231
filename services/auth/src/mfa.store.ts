import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import { writeAudit } from './audit';
import type { Auth, AuthTransaction } from './client';
import { readInput } from './errors';
import { type AnyFactor, withFactor } from './factor';
import { codeInvalid, factorOff } from './factor-errors';
import { type Device, deviceInput, tokenInput } from './input';
import { type Channel, channelInput, digitsInput } from './one-time-code';
import { type Proof, proofInput, withProof } from './proof';
import { recoveryCodeInput } from './recovery-code';
import { replaceRecoveryCodes } from './recovery-code-set';
import { findSentCode } from './sent-code';
import { openSession, type SignedIn } from './sign-in.store';
import { readToken, takeToken } from './tokens';

export interface VerifyMfaInput {
  /** What `login` gave when it asked for a second factor. */
  readonly challengeToken: string;
  readonly factor: AnyFactor;
  readonly code: string;
  readonly device?: Device;
}

export interface ConfirmChannelInput {
  readonly userId: string;
  readonly channel: Channel;
  readonly code: string;
  readonly device?: Device;
}

export interface DisableMfaInput {
  readonly userId: string;
  readonly proof: Proof;
  readonly device?: Device;
}

const challenge = { challengeToken: tokenInput, device: deviceInput };
const verifyInput = z.discriminatedUnion('factor', [
  z.strictObject({ ...challenge, factor: z.enum(['totp', 'sms', 'email']), code: digitsInput }),
  z.strictObject({ ...challenge, factor: z.literal('recovery'), code: recoveryCodeInput }),
]);
const channelConfirmation = z.strictObject({
  userId: idInput,
  channel: channelInput,
  code: digitsInput,
  device: deviceInput,
});
const disableInput = z.strictObject({ userId: idInput, proof: proofInput, device: deviceInput });

/**
 * Finishes a sign-in by a second factor. The challenge is taken with the code, so that of many at once one signs in; after
 * a wrong code it stays good, until the account locks or the challenge expires.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.CODE_INVALID`, `AUTH.LOCKED`, `AUTH.FACTOR_OFF`, `AUTH.TOKEN_INVALID`,
 * `AUTH.TOKEN_EXPIRED`, `AUTH.TOKEN_USED`, `AUTH.ACCOUNT_INACTIVE`, `AUTH.USER_NOT_FOUND`, and of the keys
 * `AUTH.NO_ENCRYPTION_KEY`, `AUTH.KEY_UNKNOWN`, `AUTH.CIPHERTEXT_INVALID`
 */
export async function verifyMfa(auth: Auth, input: VerifyMfaInput): Promise<SignedIn> {
  const { challengeToken: token, factor, code, device } = readInput(verifyInput, input);
  const { userId } = await readToken(auth, { kinds: ['mfa_challenge'], token });
  const shown = { userId, factor, code, purpose: 'sign_in', device, opensSession: true } as const;
  return withFactor(auth, shown, async ({ tx, at }) => {
    await takeToken(tx, { kind: 'mfa_challenge', token, at });
    return openSession(auth, tx, { userId, at, method: factor, device });
  });
}

/**
 * Switches SMS or e-mail on as a second factor, by the code that `sendCode` sent there for `enable`: the number is the
 * user's. Gives ten recovery codes when the user has none left, else none.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.CODE_INVALID`, `AUTH.LOCKED`, `AUTH.NO_ENCRYPTION_KEY`,
 * `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function confirmChannel(
  auth: Auth,
  input: ConfirmChannelInput,
): Promise<{ readonly recoveryCodes: readonly string[] }> {
  const { userId, channel, code, device } = readInput(channelConfirmation, input);
  let sentTo: string | null = null;
  return withFactor(
    auth,
    { userId, factor: channel, code, purpose: 'enable', device },
    async ({ tx, account, at }) => {
      if (channel === 'email' && sentTo !== account.email) throw codeInvalid(channel);
      const on = channel === 'sms' ? { smsEnabled: true, phoneNumber: sentTo } : { emailEnabled: true };
      await tx.mFASettings.upsert({
        where: { userId },
        create: { userId, ...on, createdAt: at, updatedAt: at },
        update: { ...on, updatedAt: at },
      });
      const unused = await tx.recoveryCode.count({ where: { userId, usedAt: null } });
      const recoveryCodes = unused === 0 ? await replaceRecoveryCodes(tx, { userId, at }) : [];
      await writeAudit(tx, { ...about(userId, at, device), action: 'MFA_ENABLED', details: { factor: channel } });
      return { recoveryCodes };
    },
    async () => {
      const sent = await findSentCode(auth, { userId, channel, purpose: 'enable', code });
      sentTo = sent?.sentTo ?? null;
      return sent?.take ?? null;
    },
  );
}

/**
 * Switches every second factor off: the TOTP secret, the recovery codes, the codes that were sent and the open challenge end.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.FACTOR_OFF`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`, and of the
 * proof `AUTH.LOCKED`, `AUTH.CODE_INVALID`, `AUTH.INVALID_CREDENTIALS`
 */
export async function disableMfa(auth: Auth, input: DisableMfaInput): Promise<void> {
  const { userId, proof, device } = readInput(disableInput, input);
  return withProof(auth, { userId, proof, device }, async ({ tx, at }) => {
    const settings = await tx.mFASettings.findUnique({ where: { userId } });
    if (!settings?.totpEnabled && !settings?.smsEnabled && !settings?.emailEnabled) throw factorOff('any');
    await endFactors(tx, userId, at);
    await writeAudit(tx, { ...about(userId, at, device), action: 'MFA_DISABLED', details: { proof: proof.factor } });
  });
}

async function endFactors(tx: AuthTransaction, userId: string, at: Date): Promise<void> {
  const ended = { revokedAt: at, updatedAt: at };
  await tx.token.updateMany({
    where: { userId, kind: 'mfa_challenge', usedAt: null, revokedAt: null },
    data: ended,
  });
  await tx.mFASettings.update({
    where: { userId },
    data: {
      totpEnabled: false,
      totpSecret: null,
      totpLastStep: null,
      smsEnabled: false,
      phoneNumber: null,
      emailEnabled: false,
      updatedAt: at,
    },
  });
  await tx.recoveryCode.deleteMany({ where: { userId } });
  await tx.oneTimeCode.updateMany({ where: { userId, usedAt: null, revokedAt: null }, data: ended });
}

function about(userId: string, at: Date, device: Device) {
  return { userId, at, resourceType: 'user', resourceId: userId, device };
}
