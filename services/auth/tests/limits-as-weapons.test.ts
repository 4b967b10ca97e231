/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  createOrganization,
  invite,
  login,
  refresh,
  register,
  revokeInvitation,
  sendCode,
  verifyMfa,
} from '../src/index';
import { DAY_MS, givenSession, givenUser, MINUTE_MS, outcomes, PASSWORD, START, useAuth } from './given';
import {
  codeOf,
  givenChallenge,
  givenSender,
  givenSms,
  givenTotp,
  givenVerifiedUser,
  KEY,
  PHONE,
} from './given-factors';

const STRANGER = { ipAddress: '203.0.113.9' };

describe('the limits of auth as weapons of a stranger', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);
  const givenAuth = (options = {}) => open({ encryptionKeys: KEY, ...options });

  it('do not keep codes from the owner of a phone number to which others ask for codes', async () => {
    const auth = givenAuth();
    const owner = await givenVerifiedUser(auth);
    await givenSms(auth, clock, owner.userId);
    await clock.move(DAY_MS);
    const stranger = await givenUser(auth);
    const send = givenSender();
    const ask = () =>
      sendCode(auth, {
        ...{ purpose: 'enable', userId: stranger.userId, channel: 'sms', phoneNumber: PHONE, send, device: STRANGER },
        proof: { factor: 'password', password: PASSWORD },
      });
    for (let minute = 0; minute < 7; minute += 1) {
      await outcomes([ask()]);
      await clock.move(MINUTE_MS);
    }
    expect(await outcomes([ask()])).toEqual({ 'AUTH.CODE_TOO_SOON': 1 });

    const challengeToken = await givenChallenge(auth, owner.email);
    expect(await outcomes([sendCode(auth, { purpose: 'sign_in', challengeToken, channel: 'sms', send })])).toEqual({
      ok: 1,
    });
  });

  it('do not keep the invitations of one organization from those of another', async () => {
    const auth = givenAuth();
    const [stranger, owner] = [await givenUser(auth), await givenUser(auth)];
    const theirs = await createOrganization(auth, { ownerId: stranger.userId, name: 'Theirs', slug: 'theirs' });
    const ours = await createOrganization(auth, { ownerId: owner.userId, name: 'Ours', slug: 'ours' });
    const by = { orgId: theirs.orgId, actorId: stranger.userId };
    for (let times = 0; times < 5; times += 1) {
      const { invitationId } = await invite(auth, { ...by, email: 'new@azora.world' });
      await revokeInvitation(auth, { ...by, invitationId });
      await clock.move(MINUTE_MS);
    }

    const invited = invite(auth, { orgId: ours.orgId, actorId: owner.userId, email: 'new@azora.world' });

    expect(await outcomes([invited])).toEqual({ ok: 1 });
  });

  it('count wrong passwords after many locks of the longest first duration too', async () => {
    const auth = givenAuth({ lockout: { lockMs: 31 * DAY_MS, maxLockMs: 31 * DAY_MS } });
    const { userId, email } = await givenUser(auth);
    await db().admin('UPDATE users SET lockout_count = 1000 WHERE id = $1', [userId]);

    const guesses = await outcomes(Array.from({ length: 20 }, () => login(auth, { email, password: 'wrong' })));

    expect(guesses).toEqual({ 'AUTH.INVALID_CREDENTIALS': 10, 'AUTH.LOCKED': 10 });
  });

  it('end a challenge when a new password becomes required', async () => {
    const auth = givenAuth();
    const { userId, email } = await givenVerifiedUser(auth);
    const { secret } = await givenTotp(auth, clock, userId);
    await clock.move(MINUTE_MS);
    const challengeToken = await givenChallenge(auth, email);
    await db().admin('UPDATE users SET password_reset_required = true WHERE id = $1', [userId]);

    const verified = verifyMfa(auth, { challengeToken, factor: 'totp', code: codeOf(clock, secret) });

    expect(await outcomes([verified])).toEqual({ 'AUTH.TOKEN_USED': 1 });
  });

  it.each(['admi\u0307n', 'adm\u0131\u0307n'])('reject %j beside "admin", which looks alike', async (username) => {
    const auth = givenAuth();
    await outcomes([register(auth, { email: 'admin@azora.world', password: PASSWORD, username: 'admin' })]);

    const registered = register(auth, { email: 'other@azora.world', password: PASSWORD, username });

    expect(await outcomes([registered])).toEqual({ 'AUTH.USERNAME_TAKEN': 1 });
  });

  it('let a client repeat a refresh from another address of its IPv6 network', async () => {
    const auth = givenAuth();
    const { email } = await givenSession(auth);
    const deviceAt = (ipAddress: string) => ({ ipAddress, userAgent: 'browser' });
    const signedIn = await login(auth, { email, password: PASSWORD, device: deviceAt('2001:db8::1') });
    if (signedIn.kind !== 'session') throw new Error('expected a session');
    const { refreshToken } = signedIn;

    const lost = await refresh(auth, { refreshToken, device: deviceAt('2001:db8::1') });
    const repeated = await refresh(auth, { refreshToken, device: deviceAt('2001:db8::2') });

    expect(repeated.refreshToken).toBe(lost.refreshToken);
    const elsewhere = refresh(auth, { refreshToken, device: deviceAt('2001:db8:1::1') });
    expect(await outcomes([elsewhere])).toEqual({ 'AUTH.TOKEN_REUSED': 1 });
  });
});
