import type { TestClock } from '@azora/db-testkit';
import { generateSync } from 'otplib';
import {
  type Auth,
  type CodeSender,
  confirmChannel,
  confirmTotp,
  enrollTotp,
  login,
  register,
  sendCode,
  verifyEmail,
} from '../src/index';
import { MINUTE_MS, PASSWORD } from './given';

export const KEY = Buffer.alloc(32, 7).toString('base64');
export const OLDER_KEY = Buffer.alloc(32, 6).toString('base64');
export const PHONE = '+27115550100';
export const BY_PASSWORD = { factor: 'password', password: PASSWORD } as const;

let users = 0;

/** A user with a verified address. */
export async function givenVerifiedUser(auth: Auth, address?: string): Promise<{ userId: string; email: string }> {
  users += 1;
  const email = address ?? `verified${users}@azora.world`;
  const { userId, verificationToken } = await register(auth, { email, password: PASSWORD });
  await verifyEmail(auth, { token: verificationToken });
  return { userId, email };
}

/** The code of an authenticator app at the time of the database, or some 30-second steps away. */
export function codeOf(clock: TestClock, secret: string, steps = 0): string {
  return generateSync({ secret, epoch: Math.floor(clock.now().getTime() / 1_000) + steps * 30 });
}

/** A code of no step near the time of the database. */
export function wrongCodeOf(clock: TestClock, secret: string): string {
  const right = [-2, -1, 0, 1, 2].map((steps) => codeOf(clock, secret, steps));
  return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !right.includes(code)) ?? '';
}

/** Enables TOTP as the first factor of a user, which uses up the current step. */
export async function givenTotp(auth: Auth, clock: TestClock, userId: string) {
  const { secret, url } = await enrollTotp(auth, { userId });
  const { recoveryCodes } = await confirmTotp(auth, { userId, code: codeOf(clock, secret), proof: BY_PASSWORD });
  return { secret, url, recoveryCodes };
}

/** A sender that records its messages. */
export function givenSender() {
  const sent: Parameters<CodeSender>[0][] = [];
  const send: CodeSender = async (message) => {
    sent.push(message);
  };
  return Object.assign(send, { sent, last: () => sent.at(-1)?.code ?? '' });
}

/** Enables SMS as the first factor of a user, and advances the clock until the next code can be sent. */
export async function givenSms(auth: Auth, clock: TestClock, userId: string) {
  const send = givenSender();
  await sendCode(auth, { purpose: 'enable', userId, channel: 'sms', phoneNumber: PHONE, send });
  const confirmed = await confirmChannel(auth, { userId, channel: 'sms', code: send.last(), proof: BY_PASSWORD });
  await clock.move(MINUTE_MS);
  return confirmed;
}

/** Enables email as the first factor of a user, and advances the clock until the next code can be sent. */
export async function givenEmail(auth: Auth, clock: TestClock, userId: string) {
  const send = givenSender();
  await sendCode(auth, { purpose: 'enable', userId, channel: 'email', send });
  const confirmed = await confirmChannel(auth, { userId, channel: 'email', code: send.last(), proof: BY_PASSWORD });
  await clock.move(MINUTE_MS);
  return confirmed;
}

/** The challenge token of a sign-in with the password. */
export async function givenChallenge(auth: Auth, email: string): Promise<string> {
  const answer = await login(auth, { email, password: PASSWORD });
  if (answer.kind !== 'mfa') throw new Error('expected a challenge for a second factor');
  return answer.challengeToken;
}

/**
 * A handle whose transactions wait until `count` of them have been requested, so that all calls have read their data before
 * any of them writes.
 */
export function barrierOf(auth: Auth, count: number): Auth {
  let [requested, release] = [0, () => {}];
  const allRequested = new Promise<void>((resolve) => {
    release = resolve;
  });
  return {
    ...auth,
    transaction: async (work) => {
      requested += 1;
      if (requested >= count) release();
      await allRequested;
      return auth.transaction(work);
    },
  };
}
