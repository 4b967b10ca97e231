import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import { writeAudit } from './audit';
import type { Auth, AuthTransaction } from './client';
import { accountLocked, emailUnverified, readInput } from './errors';
import type { InsideAccount } from './factor';
import { codeNotSent, codeTooSoon, factorOff } from './factor-errors';
import { type Device, deviceInput, tokenInput } from './input';
import { type Channel, type CodePurpose, channelInput, codeHash, newOneTimeCode, phoneInput } from './one-time-code';
import { inAccount, type Proof, proofInput, withProofIfNeeded } from './proof';
import { readToken } from './tokens';

const LIFE_MS = 10 * 60_000;
const RESEND_MS = 60_000;

/** Brings a code to a person. What it throws is not passed on, for it may hold the code. */
export type CodeSender = (message: {
  readonly channel: Channel;
  /** E.164, or an e-mail address. */
  readonly to: string;
  readonly code: string;
}) => Promise<unknown>;

interface SendTo {
  readonly channel: Channel;
  readonly send: CodeSender;
  readonly device?: Device;
}

export type SendCodeInput =
  /** To finish signing in by verifyMfa. */
  | (SendTo & { readonly purpose: 'sign_in'; readonly challengeToken: string })
  /** To switch the channel on by confirmChannel; with the telephone number for sms. */
  | (SendTo & {
      readonly purpose: 'enable';
      readonly userId: string;
      readonly phoneNumber?: string;
      /** Needed when a second factor is on. */
      readonly proof?: Proof;
    })
  /** As the proof that disableMfa and others ask for. */
  | (SendTo & { readonly purpose: 'confirm'; readonly userId: string });

export interface CodeSent {
  readonly expiresAt: Date;
  /** Not before this another code is sent by the same channel. */
  readonly resendAt: Date;
}

const sendTo = {
  channel: channelInput,
  send: z.custom<CodeSender>((value) => typeof value === 'function', 'is no function'),
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
    message: 'goes with sms and only with sms',
  });

type Given = z.infer<typeof sendInput>;

interface Prepared {
  readonly id: string;
  readonly to: string;
  readonly at: Date;
}

/**
 * Sends a code of six digits, good for ten minutes, five tries and the purpose; one that was sent by the channel before
 * ends. It is written before it is sent, and taken back when the sender fails.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.CODE_TOO_SOON`, `AUTH.CODE_NOT_SENT`, `AUTH.FACTOR_OFF`,
 * `AUTH.EMAIL_UNVERIFIED`, `AUTH.LOCKED`, `AUTH.NO_ENCRYPTION_KEY`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`; of the
 * challenge `AUTH.TOKEN_INVALID`, `AUTH.TOKEN_EXPIRED`, `AUTH.TOKEN_USED`; of the proof `AUTH.PROOF_REQUIRED`,
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
    await takeBack(auth, { id, userId, channel, purpose, device });
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
    at,
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

/** Where the codes of a factor go that is on. */
async function addressOf(tx: AuthTransaction, channel: Channel, account: InsideAccount['account']): Promise<string> {
  const settings = await tx.mFASettings.findUnique({ where: { userId: account.id } });
  const to = channel === 'sms' ? settings?.phoneNumber : account.email;
  const isOn = channel === 'sms' ? settings?.smsEnabled : settings?.emailEnabled;
  if (!isOn || to === null || to === undefined) throw factorOff(channel);
  return to;
}

/** A clock that was set back by more than the time between two codes does not keep them from being sent. */
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

/** Deleted, so that the next one can be sent at once. */
async function takeBack(
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
      at: auth.clock(),
      action: 'CODE_NOT_SENT',
      resourceType: 'code',
      resourceId: id,
      details: { channel, purpose },
      device,
    });
  });
}
