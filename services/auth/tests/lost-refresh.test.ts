/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { authenticate, deactivate, logout, refresh } from '../src/index';
import { actionsOf, dump, givenSession, outcomes, START, signIn, useAuth } from './given';

const PHONE_APP = { ipAddress: '192.0.2.7', userAgent: 'Azora/5 (Android 15)' };
const THIEF = { ipAddress: '203.0.113.66', userAgent: 'curl/8' };
const WINDOW_MS = 10_000;

describe('a refresh whose answer was lost', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);

  it('is answered again with the same tokens for ten seconds, and writes nothing', async () => {
    const auth = open();
    const { refreshToken, userId } = await givenSession(auth);
    const lost = await refresh(auth, { refreshToken, device: PHONE_APP });
    const before = await dump(db());
    await clock.move(WINDOW_MS);

    expect(await refresh(auth, { refreshToken, device: PHONE_APP })).toEqual(lost);
    expect(await refresh(open(), { refreshToken, device: PHONE_APP })).toEqual(lost);
    expect(await dump(db())).toBe(before);
    expect(await outcomes([authenticate(auth, { sessionToken: lost.sessionToken })])).toEqual({ ok: 1 });
    expect(await outcomes([refresh(auth, { refreshToken: lost.refreshToken, device: PHONE_APP })])).toEqual({ ok: 1 });
    expect(await actionsOf(db(), userId)).toEqual(['USER_REGISTERED', 'USER_LOGIN']);
  });

  it('gives all of twenty concurrent calls one answer', async () => {
    const auths = [open(), open()];
    const { refreshToken, userId } = await givenSession(open());
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => refresh(auths[n % 2] ?? open(), { refreshToken, device: PHONE_APP })),
    );

    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    const live = 'SELECT 1 FROM tokens WHERE user_id = $1 AND session_id IS NOT NULL AND used_at IS NULL';
    expect(await db().admin(live, [userId])).toHaveLength(1);
    const next = answers[0]?.refreshToken ?? '';
    expect(await outcomes([refresh(open(), { refreshToken: next, device: PHONE_APP })])).toEqual({ ok: 1 });
  });

  it('is theft after ten seconds', async () => {
    const auth = open();
    const { refreshToken, userId } = await givenSession(auth);
    const { refreshToken: next } = await refresh(auth, { refreshToken });
    await clock.move(WINDOW_MS + 1);

    expect(await outcomes([refresh(auth, { refreshToken })])).toEqual({ 'AUTH.TOKEN_REUSED': 1 });
    expect(await outcomes([refresh(auth, { refreshToken: next })])).toEqual({ 'AUTH.SESSION_ENDED': 1 });
    expect(await actionsOf(db(), userId)).toEqual(['USER_REGISTERED', 'USER_LOGIN', 'TOKEN_REUSED']);
  });

  it('is theft once the next token was used', async () => {
    const auth = open();
    const { refreshToken } = await givenSession(auth);
    const { refreshToken: next } = await refresh(auth, { refreshToken });
    const { refreshToken: last } = await refresh(auth, { refreshToken: next });

    expect(await outcomes([refresh(auth, { refreshToken })])).toEqual({ 'AUTH.TOKEN_REUSED': 1 });
    expect(await outcomes([refresh(auth, { refreshToken: last })])).toEqual({ 'AUTH.SESSION_ENDED': 1 });
  });

  it.each([
    ['another address', { ...PHONE_APP, ipAddress: THIEF.ipAddress }],
    ['another program', { ...PHONE_APP, userAgent: THIEF.userAgent }],
  ])('is theft from %s', async (_what, device) => {
    const auth = open();
    const { refreshToken } = await givenSession(auth);
    const { refreshToken: next } = await refresh(auth, { refreshToken, device: PHONE_APP });

    expect(await outcomes([refresh(auth, { refreshToken, device })])).toEqual({ 'AUTH.TOKEN_REUSED': 1 });
    expect(await outcomes([refresh(auth, { refreshToken: next, device: PHONE_APP })])).toEqual({
      'AUTH.SESSION_ENDED': 1,
    });
  });

  it('gives a thief nothing that outlives the next use of the same token by the owner', async () => {
    const auth = open();
    const { refreshToken } = await givenSession(auth);
    const owner = await refresh(auth, { refreshToken });
    const thief = await refresh(auth, { refreshToken });
    expect(thief).toEqual(owner);
    const stolen = await refresh(auth, { refreshToken: thief.refreshToken });
    await clock.move(WINDOW_MS + 1);

    expect(await outcomes([refresh(auth, { refreshToken: owner.refreshToken })])).toEqual({ 'AUTH.TOKEN_REUSED': 1 });
    expect(await outcomes([refresh(auth, { refreshToken: stolen.refreshToken })])).toEqual({ 'AUTH.SESSION_ENDED': 1 });
    expect(await outcomes([authenticate(auth, { sessionToken: stolen.sessionToken })])).toEqual({
      'AUTH.SESSION_ENDED': 1,
    });
  });

  it('is not answered after a sign-out or a deactivation', async () => {
    const auth = open();
    const one = await givenSession(auth);
    const other = await signIn(auth, one.email);
    const { sessionToken } = await refresh(auth, { refreshToken: one.refreshToken });
    await refresh(auth, { refreshToken: other.refreshToken });
    await logout(auth, { sessionToken });
    await deactivate(auth, { userId: one.userId });

    const ends = await outcomes([one, other].map(({ refreshToken }) => refresh(auth, { refreshToken })));
    expect(ends).toEqual({ 'AUTH.TOKEN_REUSED': 2 });
  });

  it('cannot be computed from the database alone', async () => {
    const auth = open();
    const { refreshToken, userId } = await givenSession(auth);
    const next = await refresh(auth, { refreshToken });
    const stored = JSON.stringify(await db().admin('SELECT * FROM tokens WHERE user_id = $1', [userId]));
    const [{ successor_salt: salt } = {}] = await db().admin(
      'SELECT successor_salt FROM tokens WHERE user_id = $1 AND used_at IS NOT NULL AND session_id IS NOT NULL',
      [userId],
    );

    expect(salt).toMatch(/^[\w-]{43}$/);
    for (const token of [refreshToken, next.refreshToken, next.sessionToken]) expect(stored).not.toContain(token);
    expect(await auth.prisma.token.findFirst({ where: { userId } })).not.toHaveProperty('successorSalt');
  });
});
