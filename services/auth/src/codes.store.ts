import { rowIdInput } from '@azora/db-core/input';
import { z } from 'zod';
import { type InsideAccount, inAccount } from './account/account-row';
import { takeMessage, withdrawMessage } from './account/message-limits';
import { writeAudit } from './audit/entries';
import type { Auth, AuthTransaction } from './client';
import { emailUnverified, readInput } from './errors';
import { codeNotSent, codeTooSoon, factorBlocked, factorLocked, factorOff } from './factor/errors';
import {
  type Channel,
  type CodePurpose,
  channelInput,
  codeHash,
  newOneTimeCode,
  phoneInput,
} from './factor/one-time-code';
import { type Proof, proofInput, withProofToBegin } from './factor/proof';
import { type Device, deviceInput, tokenInput } from './input';
import { readToken, refuseEndedToken } from './session/tokens';
import { PENDING_MS } from './settings';

/** As in the SQL function `judge_factor`. */
const MAX_FACTOR_FAILURES = 100;

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
      userId: rowIdInput,
      phoneNumber: phoneInput.optional(),
      proof: proofInput.optional(),
    }),
    z.strictObject({ ...sendTo, purpose: z.literal('confirm'), userId: rowIdInput }),
  ])
  .refine((given) => given.purpose !== 'enable' || (given.channel === 'sms') === (given.phoneNumber !== undefined), {
    path: ['phoneNumber'],
    message: 'is required for sms and not allowed otherwise',
  });

type Given = z.infer<typeof sendInput>;

/** Whose code to send, for which purpose, and for which challenge; null unless the purpose is `sign_in`. */
interface Request {
  readonly userId: string;
  readonly challengeId: string | null;
}

interface Prepared {
  readonly id: string;
  readonly to: string;
  readonly expiresAt: Date;
  readonly resendAt: Date;
}

/**
 * Sends a code of six digits, valid for ten minutes, five attempts, one purpose and one number or address. A code for a
 * sign-in answers only the given challenge. Revokes the previous code of the channel and purpose. The code is stored before
 * it is sent, and withdrawn if the sender fails.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.CODE_TOO_SOON`, `AUTH.CODE_NOT_SENT`, `AUTH.FACTOR_OFF`,
 * `AUTH.EMAIL_UNVERIFIED`, `AUTH.LOCKED`, `AUTH.FACTOR_BLOCKED`, `AUTH.NO_ENCRYPTION_KEY`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`; from
 * the challenge `AUTH.TOKEN_INVALID`, `AUTH.TOKEN_EXPIRED`, `AUTH.TOKEN_USED`; from the proof `AUTH.PROOF_REQUIRED`,
 * `AUTH.CODE_INVALID`, `AUTH.INVALID_CREDENTIALS`
 */
export async function sendCode(auth: Auth, input: SendCodeInput): Promise<CodeSent> {
  const given = readInput(sendInput, input);
  const { channel, purpose, send, device } = given;
  const request = await requestOf(auth, given);
  const { userId } = request;
  const code = newOneTimeCode();
  const prepare = (inside: InsideAccount) => writeCode(auth, inside, { ...request, given, code });
  const { id, to, ...times } =
    given.purpose === 'enable'
      ? await withProofToBegin(auth, { userId, proof: given.proof, device }, prepare)
      : await inAccount(auth, userId, prepare);
  try {
    await send({ channel, to, code });
  } catch {
    await withdraw(auth, { id, userId, channel, to, purpose, device });
    throw codeNotSent(channel);
  }
  return times;
}

async function requestOf(auth: Auth, given: Given): Promise<Request> {
  if (given.purpose !== 'sign_in') return { userId: given.userId, challengeId: null };
  const { userId, id } = await readToken(auth, { kinds: ['mfa_challenge'], token: given.challengeToken });
  return { userId, challengeId: id };
}

async function writeCode(
  auth: Auth,
  { tx, account, at, unlocked }: InsideAccount,
  { given, code, userId, challengeId }: Request & { readonly given: Given; readonly code: string },
): Promise<Prepared> {
  const { channel, purpose, device } = given;
  // It may have ended while this call waited for the lock.
  if (challengeId !== null) await refuseEndedToken(tx, challengeId);
  if (account.factorFailures >= MAX_FACTOR_FAILURES) throw factorBlocked();
  if (account.factorLockedUntil !== null && account.factorLockedUntil > at)
    throw factorLocked(account.factorLockedUntil);
  const to = given.purpose === 'enable' ? newAddress(given, account) : await addressOf(tx, channel, account);
  // Anyone can ask for codes to a new address. Those must not use up the codes that its owner signs in with.
  const recipients = purpose === 'enable' ? [userId, to] : [userId];
  const { granted, nextAt } = await takeMessage(tx, {
    kind: `code_${channel}`,
    recipients,
    senders: [userId],
    device,
  });
  if (!granted) throw codeTooSoon(channel, nextAt);
  await tx.oneTimeCode.updateMany({
    where: { userId, channel, purpose, usedAt: null, revokedAt: null },
    data: { revokedAt: at, updatedAt: at },
  });
  const expiresAt = new Date(at.getTime() + PENDING_MS);
  const owner = { userId, channel, purpose, challengeId, sentTo: to, expiresAt };
  const { id } = await tx.oneTimeCode.create({
    data: {
      ...owner,
      codeHash: codeHash(auth.keyring, owner, code),
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
    unlocked,
  });
  return { id, to, expiresAt, resendAt: nextAt };
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
  if (channel === 'email' && !account.emailVerified) throw emailUnverified();
  return to;
}

/** Deletes the code, and lets the next one follow at once. */
async function withdraw(
  auth: Auth,
  code: {
    readonly id: string;
    readonly userId: string;
    readonly channel: Channel;
    readonly to: string;
    readonly purpose: CodePurpose;
    readonly device: Device;
  },
): Promise<void> {
  const { id, userId, channel, to, purpose, device } = code;
  await auth.transaction(async (tx) => {
    await withdrawMessage(tx, { kind: `code_${channel}`, recipients: [userId, to] });
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
