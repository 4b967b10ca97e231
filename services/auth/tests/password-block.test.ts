/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type Auth,
  changePassword,
  login,
  type PasswordResetMessage,
  requestPasswordReset,
  resetPassword,
  unlockAccount,
} from '../src/index';
import { actionsOf, DAY_MS, givenUser, MINUTE_MS, outcomes, PASSWORD, START, useAuth } from './given';

const WRONG = 'not the password';
const NEW = 'five other unrelated words';
const HOME = { ipAddress: '198.51.100.7' };

describe('a hundred wrong passwords in a row', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  // A busy machine makes calls wait for a connection for longer than by default.
  const open = (options = {}) => openAuth({ pool: { connectTimeoutMs: 120_000 }, ...options });

  const attempt = (auth: Auth, email: string, password: string, device = {}) =>
    login(auth, { email, password, device });
  const failures = async (userId: string, count: number) =>
    db().admin('UPDATE users SET failures_in_row = $2 WHERE id = $1', [userId, count]);
  const inRow = async (userId: string) =>
    (await db().admin('SELECT failures_in_row AS n FROM users WHERE id = $1', [userId]))[0]?.['n'];
  const givenBlocked = async (auth: Auth) => {
    const user = await givenUser(auth);
    await attempt(auth, user.email, PASSWORD, HOME);
    await failures(user.userId, 99);
    expect(await outcomes([attempt(auth, user.email, WRONG)])).toEqual({ 'AUTH.INVALID_CREDENTIALS': 1 });
    return user;
  };

  it('are all that is answered, however slowly and from however many networks they come', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    let answered = 0;
    // Nine in a quarter of an hour stay below the limit of a window, and four from a network below the limit of a source.
    for (let turn = 0; turn < 20; turn += 1) {
      const guesses = Array.from({ length: 9 }, (_, n) =>
        attempt(auth, email, WRONG, { ipAddress: `192.0.${turn}.${n >> 2}` }),
      );
      answered += (await outcomes(guesses))['AUTH.INVALID_CREDENTIALS'] ?? 0;
      await clock.move(15 * MINUTE_MS);
    }

    expect(answered).toBe(100);
    await clock.move(30 * DAY_MS);
    expect(await outcomes([attempt(auth, email, PASSWORD)])).toEqual({ 'AUTH.PASSWORD_BLOCKED': 1 });
    expect((await actionsOf(db(), userId)).filter((it) => it === 'PASSWORD_BLOCKED')).toHaveLength(1);
  });

  it('are not exceeded when guesses race', async () => {
    const auths = [open({ lockout: { attempts: 1_000 } }), open({ lockout: { attempts: 1_000 } })] as const;
    const { userId, email } = await givenUser(auths[0]);
    await failures(userId, 95);
    const calls = Array.from({ length: 20 }, (_, n) => attempt(auths[n % 2 === 0 ? 0 : 1], email, WRONG));

    expect(await outcomes(calls)).toEqual({ 'AUTH.INVALID_CREDENTIALS': 5, 'AUTH.PASSWORD_BLOCKED': 15 });
    expect(await inRow(userId)).toBe(100);
  });

  it('block the right password everywhere but at the networks of the owner, whose sign-in starts a new count', async () => {
    const auth = open();
    const { userId, email } = await givenBlocked(auth);
    const change = () => changePassword(auth, { userId, currentPassword: PASSWORD, newPassword: NEW });

    expect(await outcomes([attempt(auth, email, PASSWORD), change()])).toEqual({ 'AUTH.PASSWORD_BLOCKED': 2 });
    expect(await outcomes([attempt(auth, email, PASSWORD, HOME)])).toEqual({ ok: 1 });
    expect(await inRow(userId)).toBe(0);
    expect(await outcomes([attempt(auth, email, PASSWORD)])).toEqual({ ok: 1 });
  });

  it('are all that is answered to a known network after that', async () => {
    const auth = open();
    const { userId, email } = await givenBlocked(auth);
    let answered = 0;
    for (let day = 0; day < 25; day += 1) {
      const guesses = Array.from({ length: 6 }, () => attempt(auth, email, WRONG, HOME));
      answered += (await outcomes(guesses))['AUTH.INVALID_CREDENTIALS'] ?? 0;
      await clock.move(DAY_MS);
    }

    expect(answered).toBe(100);
    expect(await outcomes([attempt(auth, email, PASSWORD, HOME)])).toEqual({ 'AUTH.PASSWORD_BLOCKED': 1 });
    expect(await unlockAccount(auth, { userId, actorId: 'support-7' })).toEqual({ unlocked: true });
    expect(await outcomes([attempt(auth, email, PASSWORD, HOME)])).toEqual({ ok: 1 });
  });

  it('are forgotten by a reset by mail', async () => {
    const auth = open();
    const { userId, email } = await givenBlocked(auth);
    const { token } = await new Promise<PasswordResetMessage>((resolve, reject) => {
      requestPasswordReset(auth, { email, send: resolve }).catch(reject);
    });
    await resetPassword(auth, { token, newPassword: NEW });

    expect(await inRow(userId)).toBe(0);
    expect(await outcomes([attempt(auth, email, NEW)])).toEqual({ ok: 1 });
  });

  it('are forgotten by unlockAccount', async () => {
    const auth = open();
    const { userId, email } = await givenBlocked(auth);

    expect(await unlockAccount(auth, { userId, actorId: 'support-7' })).toEqual({ unlocked: true });
    expect(await outcomes([attempt(auth, email, PASSWORD)])).toEqual({ ok: 1 });
  });

  it('do not add up over a right password', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    await failures(userId, 99);
    await attempt(auth, email, PASSWORD);

    expect(await inRow(userId)).toBe(0);
  });
});
