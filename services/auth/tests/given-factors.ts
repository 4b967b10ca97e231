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
import { type givenClock, MINUTE_MS, PASSWORD } from './given';

export const KEY = Buffer.alloc(32, 7).toString('base64');
export const OLDER_KEY = Buffer.alloc(32, 6).toString('base64');
export const PHONE = '+27115550100';

let users = 0;

/** A user whose address is verified. */
export async function givenVerifiedUser(auth: Auth, address?: string): Promise<{ userId: string; email: string }> {
  users += 1;
  const email = address ?? `verified${users}@azora.world`;
  const { userId, verificationToken } = await register(auth, { email, password: PASSWORD });
  await verifyEmail(auth, { token: verificationToken });
  return { userId, email };
}

/** The code of an authenticator app at the handle's time, or some steps of 30 seconds away. */
export function codeOf(auth: Auth, secret: string, steps = 0): string {
  return generateSync({ secret, epoch: Math.floor(auth.clock().getTime() / 1_000) + steps * 30 });
}

/** A code that no step around the handle's time has. */
export function wrongCodeOf(auth: Auth, secret: string): string {
  const right = [-2, -1, 0, 1, 2].map((steps) => codeOf(auth, secret, steps));
  return ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !right.includes(code)) ?? '';
}

/** Switches TOTP on for a user; the step of the code is used from then on. */
export async function givenTotp(auth: Auth, userId: string) {
  const { secret, url } = await enrollTotp(auth, { userId });
  const { recoveryCodes } = await confirmTotp(auth, { userId, code: codeOf(auth, secret) });
  return { secret, url, recoveryCodes };
}

/** A sender that keeps what it was given. */
export function givenSender() {
  const sent: Parameters<CodeSender>[0][] = [];
  const send: CodeSender = async (message) => {
    sent.push(message);
  };
  return Object.assign(send, { sent, last: () => sent.at(-1)?.code ?? '' });
}

/** Switches SMS on for a user, and lets the minute pass before the next code. */
export async function givenSms(auth: Auth, clock: ReturnType<typeof givenClock>, userId: string) {
  const send = givenSender();
  await sendCode(auth, { purpose: 'enable', userId, channel: 'sms', phoneNumber: PHONE, send });
  const confirmed = await confirmChannel(auth, { userId, channel: 'sms', code: send.last() });
  clock.move(MINUTE_MS);
  return confirmed;
}

/** The challenge that a sign-in by password leads to. */
export async function givenChallenge(auth: Auth, email: string): Promise<string> {
  const answer = await login(auth, { email, password: PASSWORD });
  if (answer.kind !== 'mfa') throw new Error('a second factor was expected');
  return answer.challengeToken;
}

/**
 * A handle whose first transactions wait until so many of them are asked for: whatever they read before, they read it
 * before any of them wrote.
 */
export function meetingOf(auth: Auth, count: number): Auth {
  let [asked, open] = [0, () => {}];
  const allAreHere = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    ...auth,
    transaction: async (work) => {
      asked += 1;
      if (asked >= count) open();
      await allAreHere;
      return auth.transaction(work);
    },
  };
}
