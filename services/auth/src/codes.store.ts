import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import { type InsideAccount, inAccount } from './account/account-row';
import { writeAudit } from './audit/entries';
import type { Auth, AuthTransaction } from './client';
import { accountLocked, emailUnverified, readInput } from './errors';
import { codeNotSent, codeTooSoon, factorOff } from './factor/errors';
import {
  type Channel,
  type CodePurpose,
  channelInput,
  codeHash,
  newOneTimeCode,
  phoneInput,
} from './factor/one-time-code';
import { type Proof, proofInput, withProofIfNeeded } from './factor/proof';
import { type Device, deviceInput, tokenInput } from './input';
import { readToken } from './session/tokens';

const LIFE_MS = 10 * 60_000;
const RESEND_MS = 60_000;

/** Sends a code to a person. Its error is not passed on, because it may contain the code. */
export type CodeSender = (message: {
  readonly channel: Channel;
  /** A phone number in E.164, or an email address. */
  readonly to: string;
  readonly code: string;
}) => Promise<unknown>;

interface SendTo {
  readonly channel: Channel;
  readonly send: CodeSender;
  readonly device?: Device;
}

export type SendCodeInput =
  /** To complete a sign-in with verifyMfa. */
  | (SendTo & { readonly purpose: 'sign_in'; readonly challengeToken: string })
  /** To enable the channel with confirmChannel. Channel sms needs the phone number. */
  | (SendTo & {
      readonly purpose: 'enable';
      readonly userId: string;
      readonly phoneNumber?: string;
      /** Required if a second factor is enabled. */
      readonly proof?: Proof;
    })
  /** For the proof that disableMfa and others require. */
  | (SendTo & { readonly purpose: 'confirm'; readonly userId: string });

export interface CodeSent {
  readonly expiresAt: Date;
  /** The earliest time for the next code over this channel. */
  readonly resendAt: Date;
}

const sendTo = {
  channel: channelInput,
  send: z.custom<CodeSender>((value) => typeof value === 'function', 'is not a function'),
  device: deviceInput,
};

const sendInput = z
  .discriminatedUnion('purpose', [
    z.strictObject({ ...sendTo, purpose: z.literal('sign_in'), challengeToken: tokenInput }),
    z.strictObject({
      ...sendTo,
      purpose: z.literal('enable'),
      userId: idInput,
      phoneNumber: phoneInput.optional(),
      proof: proofInput.optional(),
    }),
    z.strictObject({ ...sendTo, purpose: z.literal('confirm'), userId: idInput }),
  ])
  .refine((given) => given.purpose !== 'enable' || (given.channel === 'sms') === (given.phoneNumber !== undefined), {
    path: ['phoneNumber'],
    message: 'is required for sms and not allowed otherwise',
  });

type Given = z.infer<typeof sendInput>;

interface Prepared {
  readonly id: string;
  readonly to: string;
  readonly at: Date;
}

/**
 * Sends a code of six digits, valid for ten minutes, five attempts and one purpose. It revokes the previous code of the
 * channel. The code is stored before it is sent, and withdrawn if the sender fails.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.CODE_TOO_SOON`, `AUTH.CODE_NOT_SENT`, `AUTH.FACTOR_OFF`,
 * `AUTH.EMAIL_UNVERIFIED`, `AUTH.LOCKED`, `AUTH.NO_ENCRYPTION_KEY`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`; from
 * the challenge `AUTH.TOKEN_INVALID`, `AUTH.TOKEN_EXPIRED`, `AUTH.TOKEN_USED`; from the proof `AUTH.PROOF_REQUIRED`,
 * `AUTH.CODE_INVALID`, `AUTH.INVALID_CREDENTIALS`
 */
export async function sendCode(auth: Auth, input: SendCodeInput): Promise<CodeSent> {
  const given = readInput(sendInput, input);
  const { channel, purpose, send, device } = given;
  const userId = await userOf(auth, given);
  const code = newOneTimeCode();
  const hash = codeHash(auth.keyring, { userId, channel, purpose }, code);
  const prepare = (inside: InsideAccount) => writeCode(inside, given, hash);
  const { id, to, at } =
    given.purpose === 'enable'
      ? await withProofIfNeeded(auth, { userId, proof: given.proof, device }, prepare)
      : await inAccount(auth, userId, prepare);
  try {
    await send({ channel, to, code });
  } catch {
    await withdraw(auth, { id, userId, channel, purpose, device });
    throw codeNotSent(channel);
  }
  return { expiresAt: new Date(at.getTime() + LIFE_MS), resendAt: new Date(at.getTime() + RESEND_MS) };
}

async function userOf(auth: Auth, given: Given): Promise<string> {
  if (given.purpose !== 'sign_in') return given.userId;
  return (await readToken(auth, { kinds: ['mfa_challenge'], token: given.challengeToken })).userId;
}

async function writeCode({ tx, account, at }: InsideAccount, given: Given, hash: string): Promise<Prepared> {
  const { channel, purpose, device } = given;
  const userId = account.id;
  if (account.lockedUntil !== null && account.lockedUntil > at) throw accountLocked(account.lockedUntil);
  const to = given.purpose === 'enable' ? newAddress(given, account) : await addressOf(tx, channel, account);
  await refuseTooSoon(tx, { userId, channel, at });
  await tx.oneTimeCode.updateMany({
    where: { userId, channel, usedAt: null, revokedAt: null },
    data: { revokedAt: at, updatedAt: at },
  });
  const { id } = await tx.oneTimeCode.create({
    data: {
      userId,
      channel,
      purpose,
      sentTo: to,
      codeHash: hash,
      expiresAt: new Date(at.getTime() + LIFE_MS),
      createdAt: at,
      updatedAt: at,
    },
    select: { id: true },
  });
  await writeAudit(tx, {
    userId,
    action: 'CODE_REQUESTED',
    resourceType: 'code',
    resourceId: id,
    details: { channel, purpose },
    device,
  });
  return { id, to, at };
}

function newAddress(
  { phoneNumber }: { readonly phoneNumber?: string | undefined },
  { email, emailVerified }: InsideAccount['account'],
): string {
  if (phoneNumber !== undefined) return phoneNumber;
  if (!emailVerified) throw emailUnverified();
  return email;
}

/** The phone number or address of an enabled factor. */
async function addressOf(tx: AuthTransaction, channel: Channel, account: InsideAccount['account']): Promise<string> {
  const settings = await tx.mFASettings.findUnique({ where: { userId: account.id } });
  const to = channel === 'sms' ? settings?.phoneNumber : account.email;
  const isOn = channel === 'sms' ? settings?.smsEnabled : settings?.emailEnabled;
  if (!isOn || to === null || to === undefined) throw factorOff(channel);
  return to;
}

/** Ignores codes from the future, so that a clock that was set back does not block new codes. */
async function refuseTooSoon(
  tx: AuthTransaction,
  { userId, channel, at }: { readonly userId: string; readonly channel: Channel; readonly at: Date },
): Promise<void> {
  const last = await tx.oneTimeCode.findFirst({
    where: {
      userId,
      channel,
      createdAt: { gt: new Date(at.getTime() - RESEND_MS), lt: new Date(at.getTime() + RESEND_MS) },
    },
    orderBy: { createdAt: 'desc' },
    select: { createdAt: true },
  });
  if (last !== null) throw codeTooSoon(channel, new Date(last.createdAt.getTime() + RESEND_MS));
}

/** Deletes the code, so that the next one can be sent at once. */
async function withdraw(
  auth: Auth,
  code: {
    readonly id: string;
    readonly userId: string;
    readonly channel: Channel;
    readonly purpose: CodePurpose;
    readonly device: Device;
  },
): Promise<void> {
  const { id, userId, channel, purpose, device } = code;
  await auth.transaction(async (tx) => {
    await tx.oneTimeCode.deleteMany({ where: { id, usedAt: null } });
    await writeAudit(tx, {
      userId,
      action: 'CODE_NOT_SENT',
      resourceType: 'code',
      resourceId: id,
      details: { channel, purpose },
      device,
    });
  });
}
