/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type Auth,
  changePassword,
  login,
  logout,
  logoutEverywhere,
  type PasswordResetMessage,
  refresh,
  requestPasswordReset,
  resetPassword,
  revokeSession,
  unlockAccount,
} from '../src/index';
import { DAY_MS, givenUser, MINUTE_MS, outcomes, PASSWORD, START, useAuth } from './given';

const HOME = { ipAddress: '198.51.100.7' };
const OFFICE = { ipAddress: '198.51.100.8' };
const THIEF = { ipAddress: '203.0.113.66' };
const NEW = 'five other unrelated words';

describe('the networks that are known for an account', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);

  const sessionAt = async (auth: Auth, email: string, device: { ipAddress: string }, password = PASSWORD) => {
    const answer = await login(auth, { email, password, device });
    if (answer.kind !== 'session') throw new Error('expected a session');
    return answer;
  };
  /** The result of a right sign-in from each device while the account is locked. */
  const knownAt = async (auth: Auth, userId: string, email: string, password = PASSWORD) => {
    await db().admin(
      `UPDATE users SET locked_until = database_time() + interval '1 hour', lockout_count = 1 WHERE id = $1`,
      [userId],
    );
    const known = await db().admin(
      `SELECT network FROM sign_in_sources WHERE user_id = $1 AND is_known_source(user_id, network) ORDER BY network`,
      [userId],
    );
    const ends = [];
    for (const device of [HOME, OFFICE, THIEF]) {
      const isKnown = known.some(({ network }) => network === device.ipAddress);
      const end = isKnown ? 'ok' : Object.keys(await outcomes([login(auth, { email, password, device })]))[0];
      ends.push(end);
    }
    return ends;
  };
  const given = async (auth: Auth) => {
    const user = await givenUser(auth);
    const home = await sessionAt(auth, user.email, HOME);
    const thief = await sessionAt(auth, user.email, THIEF);
    return { ...user, home, thief };
  };

  it('are those of its sign-ins within 90 days, also after a sign-out', async () => {
    const auth = open();
    const { userId, email, home } = await given(auth);
    await logout(auth, { sessionToken: home.sessionToken });

    expect(await knownAt(auth, userId, email)).toEqual(['ok', 'AUTH.LOCKED', 'ok']);
    expect(await outcomes([login(auth, { email, password: PASSWORD, device: HOME })])).toEqual({ ok: 1 });
    await clock.move(90 * DAY_MS);
    expect(await knownAt(auth, userId, email)).toEqual(['AUTH.LOCKED', 'AUTH.LOCKED', 'AUTH.LOCKED']);
  });

  it('do not include the one of a thief after a reset by mail', async () => {
    const auth = open();
    const { userId, email } = await given(auth);
    const { token } = await new Promise<PasswordResetMessage>((resolve, reject) => {
      requestPasswordReset(auth, { email, send: resolve }).catch(reject);
    });
    await resetPassword(auth, { token, newPassword: NEW, device: OFFICE });

    expect(await knownAt(auth, userId, email, NEW)).toEqual(['AUTH.LOCKED', 'ok', 'AUTH.LOCKED']);
    await clock.move(DAY_MS);
    expect(await knownAt(auth, userId, email, NEW)).toEqual(['AUTH.LOCKED', 'AUTH.LOCKED', 'AUTH.LOCKED']);
  });

  it('do not include the one of a thief after a change of the password', async () => {
    const auth = open();
    const { userId, email, home } = await given(auth);
    const { sessionId } = home;
    await changePassword(auth, { userId, currentPassword: PASSWORD, newPassword: NEW, sessionId, device: HOME });

    expect(await knownAt(auth, userId, email, NEW)).toEqual(['ok', 'AUTH.LOCKED', 'AUTH.LOCKED']);
  });

  it.each(['revokeSession', 'logoutEverywhere'] as const)('do not include the one of a thief after %s', async (how) => {
    const auth = open();
    const { userId, email, home, thief } = await given(auth);
    if (how === 'revokeSession') await revokeSession(auth, { userId, sessionId: thief.sessionId });
    else await logoutEverywhere(auth, { userId, exceptSessionId: home.sessionId });

    expect(await knownAt(auth, userId, email)).toEqual(['ok', 'AUTH.LOCKED', 'AUTH.LOCKED']);
  });

  it('do not include the one of a thief whose refresh token was used twice', async () => {
    const auth = open();
    const { userId, email, thief } = await given(auth);
    await refresh(auth, { refreshToken: thief.refreshToken, device: THIEF });
    await clock.move(MINUTE_MS);
    await outcomes([refresh(auth, { refreshToken: thief.refreshToken, device: THIEF })]);

    expect(await knownAt(auth, userId, email)).toEqual(['ok', 'AUTH.LOCKED', 'AUTH.LOCKED']);
  });

  it('do not include one that only refreshed a session', async () => {
    const auth = open();
    const { userId, email, home } = await given(auth);
    await refresh(auth, { refreshToken: home.refreshToken, device: OFFICE });

    expect(await knownAt(auth, userId, email)).toEqual(['ok', 'AUTH.LOCKED', 'ok']);
  });

  it('stay known when an operator unlocks the account', async () => {
    const auth = open();
    const { userId, email } = await given(auth);
    await outcomes([login(auth, { email, password: 'a guess', device: HOME })]);

    expect(await unlockAccount(auth, { userId, actorId: 'support-7' })).toEqual({ unlocked: true });
    expect(await unlockAccount(auth, { userId, actorId: 'support-7' })).toEqual({ unlocked: false });
    expect(await knownAt(auth, userId, email)).toEqual(['ok', 'AUTH.LOCKED', 'ok']);
  });

  it('are found by a key, however many sessions the user has', async () => {
    const auth = open();
    const { userId } = await given(auth);
    await db().admin(
      `INSERT INTO sessions (id, user_id, token_hash, ip_address, expires_at)
       SELECT 'many-' || n, $1, encode(sha256(convert_to('many ' || n, 'UTF8')), 'hex'), '192.0.2.1',
         database_time() + interval '1 day'
       FROM generate_series(1, 500) AS n`,
      [userId],
    );
    // The counters of a session still hold what its earlier transactions have not reported, so the difference counts.
    const rowsRead = `SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int AS n
      FROM pg_stat_xact_user_tables WHERE relname = 'sessions'`;
    const [row] = await db().admin(
      `WITH before AS MATERIALIZED (${rowsRead}),
         it AS MATERIALIZED (SELECT is_known_source($1, $2) AS known FROM before),
         after AS MATERIALIZED (SELECT r.n FROM it CROSS JOIN LATERAL (${rowsRead} AND it.known IS NOT NULL) AS r)
       SELECT known, after.n - before.n AS sessions FROM before, it, after`,
      [userId, HOME.ipAddress],
    );

    expect(row).toEqual({ known: true, sessions: 0 });
  });
});
