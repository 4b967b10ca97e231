/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  authenticate,
  listSessions,
  logout,
  logoutEverywhere,
  refresh,
  revokeSession,
  type SignedIn,
  verifyEmail,
} from '../src/index';
import { actionsOf, DAY_MS, dump, givenSession, givenUser, MINUTE_MS, outcomes, START, signIn, useAuth } from './given';

const SQL = "'; DROP TABLE sessions; --";

describe('sessions', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);

  it('keep their id when a refresh renews both tokens', async () => {
    const auth = open();
    const session = await givenSession(auth);
    await clock.move(DAY_MS);
    const renewed = await refresh(auth, { refreshToken: session.refreshToken, device: { ipAddress: '192.0.2.7' } });

    expect(renewed).toEqual({
      kind: 'session',
      userId: session.userId,
      sessionId: session.sessionId,
      sessionToken: expect.not.stringMatching(session.sessionToken),
      refreshToken: expect.not.stringMatching(session.refreshToken),
      expiresAt: new Date('2026-03-09T12:00:00Z'),
      absoluteExpiresAt: session.absoluteExpiresAt,
    });
    expect(await listSessions(auth, { userId: session.userId })).toEqual([
      expect.objectContaining({ id: session.sessionId, ipAddress: '192.0.2.7', lastActivityAt: clock.now() }),
    ]);
    expect(await outcomes([authenticate(auth, { sessionToken: session.sessionToken })])).toEqual({
      'AUTH.TOKEN_INVALID': 1,
    });
    expect(await authenticate(auth, { sessionToken: renewed.sessionToken })).toMatchObject({
      userId: session.userId,
      sessionId: session.sessionId,
      role: 'member',
    });
  });

  it('end when a used token returns, without other sessions of the user', async () => {
    const auth = open();
    const stolen = await givenSession(auth);
    const other = await signIn(auth, stolen.email);
    const second = await refresh(auth, { refreshToken: stolen.refreshToken });
    const third = await refresh(auth, { refreshToken: second.refreshToken });

    await expect(refresh(auth, { refreshToken: stolen.refreshToken })).rejects.toMatchObject({
      code: 'AUTH.TOKEN_REUSED',
    });
    const live =
      'SELECT session_id FROM tokens WHERE user_id = $1 AND used_at IS NULL AND revoked_at IS NULL AND session_id IS NOT NULL';
    expect(await db().admin(live, [stolen.userId])).toEqual([{ session_id: other.sessionId }]);
    await expect(refresh(auth, { refreshToken: third.refreshToken })).rejects.toMatchObject({
      code: 'AUTH.SESSION_ENDED',
    });
    await expect(authenticate(auth, { sessionToken: third.sessionToken })).rejects.toMatchObject({
      code: 'AUTH.SESSION_ENDED',
    });
    expect((await listSessions(auth, { userId: stolen.userId })).map(({ id }) => id)).toEqual([other.sessionId]);
  });

  it('end after the idle time, and always after the absolute time', async () => {
    const auth = open({ sessionIdleMs: 10 * MINUTE_MS, sessionAbsoluteMs: 25 * MINUTE_MS });
    const idle = await givenSession(auth);
    let busy: SignedIn = await givenSession(auth);
    const ends: Date[] = [];
    for (let n = 0; n < 3; n += 1) {
      await clock.move(8 * MINUTE_MS);
      busy = await refresh(auth, { refreshToken: busy.refreshToken });
      ends.push(busy.expiresAt);
    }

    expect(ends.map((end) => end.toISOString().slice(14, 16))).toEqual(['18', '25', '25']);
    expect(await outcomes([refresh(auth, { refreshToken: idle.refreshToken })])).toEqual({ 'AUTH.TOKEN_EXPIRED': 1 });
    expect(await outcomes([authenticate(auth, { sessionToken: idle.sessionToken })])).toEqual({
      'AUTH.SESSION_ENDED': 1,
    });
    await clock.move(MINUTE_MS);
    expect(await outcomes([refresh(auth, { refreshToken: busy.refreshToken })])).toEqual({ 'AUTH.TOKEN_EXPIRED': 1 });
    expect(await outcomes([authenticate(auth, { sessionToken: busy.sessionToken })])).toEqual({
      'AUTH.SESSION_ENDED': 1,
    });
  });

  it('accept a session token for its own lifetime, until the next refresh', async () => {
    const auth = open();
    const session = await givenSession(auth);
    await clock.move(15 * MINUTE_MS - 1);
    expect(await outcomes([authenticate(auth, { sessionToken: session.sessionToken })])).toEqual({ ok: 1 });

    await clock.move(1);
    expect(await outcomes([authenticate(auth, { sessionToken: session.sessionToken })])).toEqual({
      'AUTH.TOKEN_EXPIRED': 1,
    });
    const { sessionToken } = await refresh(auth, { refreshToken: session.refreshToken });
    expect(await outcomes([authenticate(auth, { sessionToken })])).toEqual({ ok: 1 });
  });

  it('are refreshed while the clock runs backwards', async () => {
    const auth = open();
    const session = await givenSession(auth);
    await clock.move(-DAY_MS);
    const { refreshToken, expiresAt } = await refresh(auth, { refreshToken: session.refreshToken });

    expect(expiresAt).toEqual(new Date('2026-03-07T12:00:00Z'));
    await clock.move(-30 * DAY_MS);
    const again = await refresh(auth, { refreshToken });
    await clock.move(MINUTE_MS);
    expect(await outcomes([refresh(auth, { refreshToken })])).toEqual({ 'AUTH.TOKEN_REUSED': 1 });
    expect(await outcomes([refresh(auth, { refreshToken: again.refreshToken })])).toEqual({ 'AUTH.SESSION_ENDED': 1 });
  });

  it('without an absolute end, as older versions wrote them, end with their token', async () => {
    const auth = open();
    const session = await givenSession(auth);
    await db().admin('UPDATE tokens SET family_expires_at = NULL WHERE session_id = $1', [session.sessionId]);
    await clock.move(DAY_MS);

    expect(await refresh(auth, { refreshToken: session.refreshToken })).toMatchObject({ expiresAt: session.expiresAt });
  });

  it('reject tokens of other kinds and malformed tokens, and write nothing', async () => {
    const auth = open();
    const { verificationToken } = await givenUser(auth);
    const { sessionToken, refreshToken } = await givenSession(auth);
    const before = await dump(db());

    for (const token of [verificationToken, sessionToken, '', SQL, 'a\0', '\ud800', 'x'.repeat(43)]) {
      expect(await outcomes([refresh(auth, { refreshToken: token })])).toEqual({ 'AUTH.TOKEN_INVALID': 1 });
    }
    for (const token of [verificationToken, refreshToken, '', SQL, 'a\0']) {
      expect(await outcomes([authenticate(auth, { sessionToken: token })])).toEqual({ 'AUTH.TOKEN_INVALID': 1 });
      expect(await outcomes([logout(auth, { sessionToken: token })])).toEqual({ 'AUTH.TOKEN_INVALID': 1 });
    }
    const huge = 'x'.repeat(10_000_000);
    const calls = [
      refresh(auth, { refreshToken: huge }),
      authenticate(auth, { sessionToken: huge }),
      logout(auth, { sessionToken: huge }),
    ];
    expect(await outcomes(calls)).toEqual({ 'AUTH.INVALID_INPUT': 3 });
    expect(await outcomes([verifyEmail(auth, { token: refreshToken })])).toEqual({ 'AUTH.TOKEN_INVALID': 1 });
    expect(await dump(db())).toBe(before);
  });

  it('end at sign-out, also with an expired session token, and once', async () => {
    const auth = open();
    const session = await givenSession(auth);
    await clock.move(MINUTE_MS * 20);
    await logout(auth, { sessionToken: session.sessionToken });
    await logout(auth, { sessionToken: session.sessionToken });

    expect(await outcomes([refresh(auth, { refreshToken: session.refreshToken })])).toEqual({
      'AUTH.SESSION_ENDED': 1,
    });
    expect(await actionsOf(db(), session.userId)).toEqual(['USER_REGISTERED', 'USER_LOGIN', 'USER_LOGOUT']);
  });

  it('end for a user, except one', async () => {
    const auth = open();
    const first = await givenSession(auth);
    const kept = await signIn(auth, first.email);
    const stranger = await givenSession(auth);
    await signIn(auth, first.email);

    expect(await logoutEverywhere(auth, { userId: first.userId, exceptSessionId: kept.sessionId })).toEqual({
      ended: 2,
    });
    expect((await listSessions(auth, { userId: first.userId })).map(({ id }) => id)).toEqual([kept.sessionId]);
    expect(await outcomes([refresh(auth, { refreshToken: first.refreshToken })])).toEqual({ 'AUTH.SESSION_ENDED': 1 });
    expect(await outcomes([refresh(auth, { refreshToken: kept.refreshToken })])).toEqual({ ok: 1 });
    expect(await outcomes([refresh(auth, { refreshToken: stranger.refreshToken })])).toEqual({ ok: 1 });
    expect(await logoutEverywhere(auth, { userId: first.userId })).toEqual({ ended: 1 });
    expect(await logoutEverywhere(auth, { userId: 'nobody' })).toEqual({ ended: 0 });
    expect((await actionsOf(db(), first.userId)).filter((it) => it === 'SESSIONS_REVOKED')).toHaveLength(2);
  });

  it('are all ended when refreshes race with logoutEverywhere', async () => {
    const auths = [open(), open()];
    const session = await givenSession(open());
    const sessions: SignedIn[] = [
      session,
      ...(await Promise.all(Array.from({ length: 7 }, () => signIn(open(), session.email)))),
    ];
    const calls = sessions.flatMap(({ refreshToken }, n) => [
      refresh(auths[n % 2] ?? open(), { refreshToken }),
      logoutEverywhere(auths[(n + 1) % 2] ?? open(), { userId: session.userId }),
    ]);
    const settled = await Promise.allSettled(calls);
    const renewed = settled.flatMap((it) =>
      it.status === 'fulfilled' && 'refreshToken' in it.value ? [it.value] : [],
    );

    expect(await listSessions(open(), { userId: session.userId })).toEqual([]);
    const again = renewed.map(({ refreshToken }) => refresh(open(), { refreshToken }));
    expect(await outcomes(again)).toEqual(renewed.length === 0 ? {} : { 'AUTH.SESSION_ENDED': renewed.length });
  });

  it('can be revoked only by their user, and once', async () => {
    const auth = open();
    const mine = await givenSession(auth);
    const theirs = await givenSession(auth);
    const before = await dump(db());

    for (const sessionId of [theirs.sessionId, 'none', 'x'.repeat(100)]) {
      expect(await outcomes([revokeSession(auth, { userId: mine.userId, sessionId })])).toEqual({
        'AUTH.SESSION_NOT_FOUND': 1,
      });
    }
    expect(await outcomes([revokeSession(auth, { userId: mine.userId, sessionId: SQL })])).toEqual({
      'AUTH.INVALID_INPUT': 1,
    });
    expect(await dump(db())).toBe(before);
    const calls = Array.from({ length: 6 }, () =>
      revokeSession(auth, { userId: mine.userId, sessionId: mine.sessionId }),
    );
    expect(await outcomes(calls)).toEqual({ ok: 1, 'AUTH.SESSION_NOT_FOUND': 5 });
    expect(await outcomes([authenticate(auth, { sessionToken: mine.sessionToken })])).toEqual({
      'AUTH.SESSION_ENDED': 1,
    });
  });

  it('that ended another way are not renewed, although their refresh token is live', async () => {
    const auth = open();
    const revoked = await givenSession(auth);
    const over = await givenSession(auth);
    await db().admin('UPDATE sessions SET revoked_at = now() WHERE id = $1', [revoked.sessionId]);
    await db().admin("UPDATE sessions SET expires_at = created_at + interval '1 ms' WHERE id = $1", [over.sessionId]);
    await clock.move(1);

    const calls = [revoked, over].map(({ refreshToken }) => refresh(auth, { refreshToken }));
    expect(await outcomes(calls)).toEqual({ 'AUTH.SESSION_ENDED': 2 });
  });

  it('end when their account is deactivated', async () => {
    const auth = open();
    const session = await givenSession(auth);
    await db().admin('UPDATE users SET is_active = false WHERE id = $1', [session.userId]);

    expect(await outcomes([authenticate(auth, { sessionToken: session.sessionToken })])).toEqual({
      'AUTH.SESSION_ENDED': 1,
    });
    expect(await outcomes([refresh(auth, { refreshToken: session.refreshToken })])).toEqual({
      'AUTH.SESSION_ENDED': 1,
    });
  });
});
