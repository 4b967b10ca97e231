/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type Auth,
  confirmChannel,
  createOrganization,
  type Device,
  invite,
  type PasswordResetMessage,
  register,
  requestEmailVerification,
  requestPasswordReset,
  resetPassword,
  revokeInvitation,
  sendCode,
} from '../src/index';
import { dump, givenUser, MINUTE_MS, outcomes, PASSWORD, START, useAuth } from './given';
import { BY_PASSWORD, givenSender, givenVerifiedUser, KEY, PHONE } from './given-factors';

const NEW = 'five other unrelated words';
const DAY_MINUTES = 24 * 60;

describe('the limits of messages', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  // A busy machine makes calls wait for a connection for longer than by default.
  const open = () => openAuth({ encryptionKeys: KEY, pool: { connectTimeoutMs: 120_000 } });

  /** Records the messages of password resets. */
  const givenMailbox = () => {
    const received: PasswordResetMessage[] = [];
    const ask = async (auth: Auth, email: string, device = {}) => {
      const answer = await requestPasswordReset(auth, { email, send: (message) => received.push(message), device });
      // The message is sent in an immediate, and immediates run in their order.
      await new Promise((resolve) => setImmediate(resolve));
      return answer;
    };
    return { received, ask };
  };

  describe('of password resets', () => {
    it('let an address receive at most 29 in a day, and always leave the last link valid', async () => {
      const auth = open();
      const { userId, email } = await givenUser(auth);
      const { received, ask } = givenMailbox();
      let gaps = 0;
      for (let minute = 0; minute < DAY_MINUTES; minute += 15) {
        await ask(auth, email);
        const [{ n } = { n: 0 }] = await db().admin(
          `SELECT count(*)::int AS n FROM tokens WHERE user_id = $1 AND kind = 'password_reset'
             AND revoked_at IS NULL AND expires_at > database_time()`,
          [userId],
        );
        if (n !== 1) gaps += 1;
        await clock.move(15 * MINUTE_MS);
      }

      expect(received.length).toBeGreaterThanOrEqual(24);
      expect(received.length).toBeLessThanOrEqual(29);
      expect(gaps).toBe(0);
      await clock.move(-15 * MINUTE_MS);
      const { token = '' } = received.at(-1) ?? {};
      expect(await resetPassword(auth, { token, newPassword: NEW })).toEqual({ userId });
    });

    it('leave the previous link valid when they refuse a request', async () => {
      const auth = open();
      const { userId, email } = await givenUser(auth);
      const { received, ask } = givenMailbox();
      const before = await ask(auth, email);
      await clock.move(MINUTE_MS - 1);

      expect(await ask(auth, email)).toBe(before);
      expect(received).toHaveLength(1);
      expect(await resetPassword(auth, { token: received[0]?.token ?? '', newPassword: NEW })).toEqual({ userId });
      await clock.move(1);
      await ask(auth, email);
      expect(received).toHaveLength(2);
    });

    it('send one message when many requests race', async () => {
      const auths = [open(), open()] as const;
      const { email } = await givenUser(auths[0]);
      const { received, ask } = givenMailbox();
      await Promise.all(Array.from({ length: 20 }, (_, n) => ask(auths[n % 2 === 0 ? 0 : 1], email)));

      expect(received).toHaveLength(1);
    });

    it('treat an unknown address as they treat an account', async () => {
      const auth = open();
      const { email } = await givenUser(auth);
      const { received, ask } = givenMailbox();
      const work = async (address: string) => {
        const begin = Number((await db().admin('SELECT count(*)::int AS n FROM audit_log'))[0]?.['n']);
        await ask(auth, address);
        return Number((await db().admin('SELECT count(*)::int AS n FROM audit_log'))[0]?.['n']) - begin;
      };
      const limits = async () => (await db().admin('SELECT count(*)::int AS n FROM message_limits'))[0]?.['n'];

      const rows = await limits();
      expect([await work(email), await work('nobody@azora.world')]).toEqual([1, 1]);
      expect(await limits()).toBe(Number(rows) + 2);
      const before = await dump(db());
      expect([await work(email), await work('nobody@azora.world')]).toEqual([0, 0]);
      expect(await dump(db())).toBe(before);
      expect(received).toHaveLength(1);
    });

    it('stop a source that asks for many addresses', async () => {
      const auth = open();
      const { email } = await givenUser(auth);
      const { received, ask } = givenMailbox();
      const device = { ipAddress: '203.0.113.30' };
      await Promise.all(Array.from({ length: 100 }, (_, n) => ask(auth, `nobody${n}@azora.world`, device)));
      await ask(auth, email, device);
      expect(received).toEqual([]);
      await clock.move(10_000);
      await ask(auth, email, device);
      expect(received).toHaveLength(1);
    });

    it('keep neither the address nor the network, and no row for long', async () => {
      const auth = open();
      const { ask } = givenMailbox();
      await ask(auth, 'ada.lovelace@azora.world', { ipAddress: '203.0.113.31' });
      const row = 'SELECT to_jsonb(it)::text AS row FROM message_limits AS it';

      const text = JSON.stringify(await db().admin(row));
      expect(text).not.toContain('lovelace');
      expect(text).not.toContain('203.0.113');
      await clock.move(6 * 60 * MINUTE_MS);
      for (let n = 0; n < 40; n += 1) await ask(auth, `other${n}@azora.world`);
      const [left] = await db().admin(
        'SELECT count(*)::int AS n FROM message_limits WHERE expires_at <= database_time()',
      );
      expect(left).toEqual({ n: 0 });
    });
  });

  describe('of codes', () => {
    const sms = (auth: Auth, userId: string, send = givenSender(), phoneNumber = PHONE) =>
      sendCode(auth, { purpose: 'enable', channel: 'sms', userId, phoneNumber, send });

    it('let an account receive five, one a minute, and then one an hour', async () => {
      const auth = open();
      const { userId } = await givenVerifiedUser(auth);
      const times: (Date | undefined)[] = [];
      for (let n = 0; n < 5; n += 1) {
        times.push((await sms(auth, userId)).resendAt);
        expect(await outcomes([sms(auth, userId)])).toEqual({ 'AUTH.CODE_TOO_SOON': 1 });
        await clock.move(MINUTE_MS);
      }
      const hour = new Date(new Date(START).getTime() + 60 * MINUTE_MS);

      expect(times.at(-1)).toEqual(hour);
      await expect(sms(auth, userId)).rejects.toMatchObject({ code: 'AUTH.CODE_TOO_SOON', meta: { resendAt: hour } });
      await clock.set(hour);
      expect(await outcomes([sms(auth, userId)])).toEqual({ ok: 1 });
    });

    it('limit a number, whichever accounts ask for it', async () => {
      const auth = open();
      const users = await Promise.all([1, 2, 3].map(() => givenVerifiedUser(auth)));
      const phoneNumber = '+27115550177';
      const send = givenSender();
      const calls = users.map(({ userId }) =>
        sendCode(auth, { purpose: 'enable', channel: 'sms', userId, phoneNumber, send }),
      );

      expect(await outcomes(calls)).toEqual({ ok: 1, 'AUTH.CODE_TOO_SOON': 2 });
      expect(send.sent).toHaveLength(1);
    });

    it('forget the codes of an owner who entered one', async () => {
      const auth = open();
      const { userId } = await givenVerifiedUser(auth);
      const send = givenSender();
      for (let n = 0; n < 5; n += 1) {
        await clock.move(MINUTE_MS);
        await sms(auth, userId, send, '+27115550179');
      }
      await confirmChannel(auth, { userId, channel: 'sms', code: send.last(), proof: BY_PASSWORD });

      expect(await outcomes([sendCode(auth, { purpose: 'confirm', channel: 'sms', userId, send })])).toEqual({ ok: 1 });
    });

    it('count a code that could not be sent, without the pause', async () => {
      const auth = open();
      const { userId } = await givenVerifiedUser(auth);
      const failing = () => Promise.reject(new Error('no route'));
      const phoneNumber = '+27115550178';
      const ends: unknown[] = [];
      for (let n = 0; n < 6; n += 1) {
        ends.push(
          await outcomes([sendCode(auth, { purpose: 'enable', channel: 'sms', userId, phoneNumber, send: failing })]),
        );
      }

      expect(ends).toEqual([...Array(5).fill({ 'AUTH.CODE_NOT_SENT': 1 }), { 'AUTH.CODE_TOO_SOON': 1 }]);
    });
  });

  describe('of registrations', () => {
    const device = { ipAddress: '203.0.113.32' };
    const registration = (auth: Auth, email: string, origin: Device = device) =>
      register(auth, { email, password: PASSWORD, device: origin });

    it('stop a source after a hundred, and name the time of the next one', async () => {
      const auth = open();
      const emails = Array.from({ length: 104 }, (_, n) => `registered${n}@azora.world`);

      expect(await outcomes(emails.map((email) => registration(auth, email)))).toEqual({
        ok: 100,
        'AUTH.MESSAGE_TOO_SOON': 4,
      });
      const next = registration(auth, 'next@azora.world');
      await expect(next).rejects.toMatchObject({
        code: 'AUTH.MESSAGE_TOO_SOON',
        meta: { resendAt: new Date(clock.now().getTime() + 10_000) },
      });
      expect(await outcomes([registration(auth, 'next@azora.world', { ipAddress: '203.0.113.33' })])).toEqual({
        ok: 1,
      });
      await clock.move(10_000);
      expect(await outcomes([registration(auth, 'later@azora.world')])).toEqual({ ok: 1 });
    });

    it('count one that only tells that the address is taken', async () => {
      const auth = open();
      const { email } = await givenUser(auth);

      expect(await outcomes(Array.from({ length: 104 }, () => registration(auth, email)))).toEqual({
        'AUTH.EMAIL_TAKEN': 100,
        'AUTH.MESSAGE_TOO_SOON': 4,
      });
    });
  });

  it('let an address receive one verification token a minute', async () => {
    const auth = open();
    const { userId } = await givenUser(auth);
    const calls = Array.from({ length: 5 }, () => requestEmailVerification(auth, { userId }));

    expect(await outcomes(calls)).toEqual({ ok: 1, 'AUTH.MESSAGE_TOO_SOON': 4 });
    await expect(requestEmailVerification(auth, { userId })).rejects.toMatchObject({
      meta: { resendAt: new Date(clock.now().getTime() + MINUTE_MS) },
    });
  });

  it('let an address receive one invitation a minute, also when each is revoked', async () => {
    const auth = open();
    const { userId: actorId } = await givenUser(auth);
    const { orgId } = await createOrganization(auth, { ownerId: actorId, name: 'Org', slug: 'flood' });
    const email = 'invited@azora.world';
    const { invitationId } = await invite(auth, { orgId, actorId, email });
    await revokeInvitation(auth, { orgId, actorId, invitationId });

    expect(await outcomes([invite(auth, { orgId, actorId, email })])).toEqual({ 'AUTH.MESSAGE_TOO_SOON': 1 });
    await clock.move(MINUTE_MS);
    expect(await outcomes([invite(auth, { orgId, actorId, email })])).toEqual({ ok: 1 });
  });
});
