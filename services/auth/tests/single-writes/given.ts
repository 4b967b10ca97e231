import type { TestClock, TestDatabase } from '@azora/db-testkit';
import type * as auth from '../../src/index';
import {
  type Auth,
  type AuthOptions,
  acceptInvitation,
  createOrganization,
  invite,
  type PasswordResetMessage,
  requestPasswordReset,
  sendCode,
} from '../../src/index';
import { givenUser, MINUTE_MS } from '../given';
import { codeOf, givenEmail, givenSender, givenSms, givenTotp, givenVerifiedUser } from '../given-factors';

export const NEW = 'five other unrelated words';
export const HOME = { ipAddress: '203.0.113.40' };
export const FACTORS = ['totp', 'sms', 'email', 'recovery'] as const;

/** A function of the store that writes. */
export type Written = Exclude<keyof typeof auth, 'DEFAULT_SETTINGS' | '$Enums' | 'Prisma'>;

/** A function of the store, the way in which it is called, and what prepares the call. */
export type Call = readonly [Written, string, (auth: Auth) => Promise<() => Promise<unknown>>];

export interface World {
  readonly db: () => TestDatabase;
  readonly clock: TestClock;
  readonly open: (options?: AuthOptions) => Auth;
}

/** What the calls start from. */
export type Given = ReturnType<typeof givenIn>;

/** Another code of six digits. */
export const another = (code: string) => String((Number(code) + 1) % 1_000_000).padStart(6, '0');

export function givenIn({ db, clock, open }: World) {
  /** Failures of both counters, so that a right proof has something to forget. */
  const fail = (userId: string) =>
    db().admin(
      `UPDATE users SET failed_login_count = 1, first_failed_at = database_time(), factor_failed_count = 1 WHERE id = $1`,
      [userId],
    );
  /** A lock of the password, which a known network does not meet. */
  const lock = (userId: string) =>
    db().admin(
      `UPDATE users SET locked_until = database_time() + interval '1 hour', lockout_count = 1,
         failed_login_count = 10, first_failed_at = database_time() WHERE id = $1`,
      [userId],
    );

  async function givenTotpUser(auth: Auth) {
    const user = await givenVerifiedUser(auth);
    const { secret, recoveryCodes } = await givenTotp(auth, clock, user.userId);
    await clock.move(MINUTE_MS);
    await fail(user.userId);
    return { ...user, secret, recovery: recoveryCodes[0] ?? '' };
  }
  async function givenSmsUser(auth: Auth) {
    const user = await givenVerifiedUser(auth);
    const { recoveryCodes } = await givenSms(auth, clock, user.userId);
    await fail(user.userId);
    return { ...user, recovery: recoveryCodes[0] ?? '' };
  }
  /** A user with the proof by each kind of code. */
  async function givenProof(auth: Auth, factor: 'totp' | 'sms' | 'email' | 'recovery') {
    if (factor === 'totp') {
      const user = await givenTotpUser(auth);
      return { userId: user.userId, proof: { factor, code: codeOf(clock, user.secret) } } as const;
    }
    if (factor === 'recovery') {
      const user = await givenTotpUser(auth);
      return { userId: user.userId, proof: { factor, code: user.recovery } } as const;
    }
    const { userId } = await givenVerifiedUser(auth);
    await (factor === 'sms' ? givenSms(auth, clock, userId) : givenEmail(auth, clock, userId));
    await fail(userId);
    const send = givenSender();
    await sendCode(auth, { purpose: 'confirm', userId, channel: factor, send });
    return { userId, proof: { factor, code: send.last() } } as const;
  }
  async function givenReset(auth: Auth, email: string) {
    return new Promise<PasswordResetMessage>((resolve, reject) => {
      requestPasswordReset(auth, { email, send: resolve }).catch(reject);
    });
  }
  let organizations = 0;
  async function givenOrganization(auth: Auth, role: 'admin' | 'member' = 'member') {
    organizations += 1;
    const { userId: ownerId } = await givenUser(auth);
    const slug = `single-writes-${organizations}`;
    const { orgId } = await createOrganization(auth, { ownerId, name: 'Ours', slug });
    const { userId: memberId, email } = await givenVerifiedUser(auth);
    const { token, invitationId } = await invite(auth, { orgId, actorId: ownerId, email, role });
    const join = () => acceptInvitation(auth, { token, userId: memberId });
    return { orgId, ownerId, memberId, invitationId, join };
  }

  return { db, clock, open, fail, lock, givenTotpUser, givenSmsUser, givenProof, givenReset, givenOrganization };
}
