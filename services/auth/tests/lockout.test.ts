import { useDatabase, useTestClock } from '@azora/db-testkit';
import { type Auth, login } from '../src/index';
import { actionsOf, DAY_MS, givenUser, MINUTE_MS, outcomes, START, signIn, useAuth } from './given';

const WRONG = 'not the password';

describe('the lockout of an account', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);

  const stateOf = async (userId: string) => {
    const sql = `SELECT failed_login_count AS failures, lockout_count AS locks, locked_until AS "until" FROM users
      WHERE id = $1`;
    return (await db().admin(sql, [userId]))[0];
  };
  const fail = (auth: Auth, email: string, times: number) =>
    outcomes(Array.from({ length: times }, () => login(auth, { email, password: WRONG })));

  it('checks ten of fifty concurrent wrong passwords, and locks the account until a reported time', async () => {
    const auths = [open(), open()];
    const { userId, email } = await givenUser(open());
    const calls = Array.from({ length: 50 }, (_, n) => login(auths[n % 2] ?? open(), { email, password: WRONG }));

    expect(await outcomes(calls)).toEqual({ 'AUTH.INVALID_CREDENTIALS': 10, 'AUTH.LOCKED': 40 });
    const until = new Date(clock.now().getTime() + 15 * MINUTE_MS);
    expect(await stateOf(userId)).toEqual({ failures: 10, locks: 1, until });
    await expect(signIn(open(), email)).rejects.toMatchObject({
      code: 'AUTH.LOCKED',
      meta: { lockedUntil: until.toISOString() },
    });
    const actions = await actionsOf(db(), userId);
    expect(actions.filter((it) => it === 'LOGIN_FAILED')).toHaveLength(10);
    expect(actions.filter((it) => it === 'ACCOUNT_LOCKED')).toHaveLength(1);
  });

  it('doubles each lock, up to a day, until a sign-in succeeds', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    const minutes: number[] = [];
    for (let lock = 0; lock < 9; lock += 1) {
      expect(await fail(auth, email, 10)).toEqual({ 'AUTH.INVALID_CREDENTIALS': 10 });
      const until = (await stateOf(userId))?.['until'];
      if (!(until instanceof Date)) throw new Error('the account is not locked');
      minutes.push((until.getTime() - clock.now().getTime()) / MINUTE_MS);
      await clock.move(until.getTime() - clock.now().getTime());
    }

    expect(minutes).toEqual([15, 30, 60, 120, 240, 480, 960, 1440, 1440]);
    await signIn(auth, email);
    expect(await stateOf(userId)).toEqual({ failures: 0, locks: 0, until: null });
    await fail(auth, email, 10);
    expect(await stateOf(userId)).toMatchObject({ locks: 1, until: new Date(clock.now().getTime() + 15 * MINUTE_MS) });
  });

  it('starts a new count if the first failure is more than 15 minutes old', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    await fail(auth, email, 9);
    await clock.move(15 * MINUTE_MS);
    await fail(auth, email, 1);

    expect(await stateOf(userId)).toEqual({ failures: 1, locks: 0, until: null });
  });

  it('forgets failures at a sign-in, and accepts a right password at the tenth attempt', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    await fail(auth, email, 9);
    await signIn(auth, email);

    expect(await stateOf(userId)).toEqual({ failures: 0, locks: 0, until: null });
    expect((await actionsOf(db(), userId)).slice(-3)).toEqual(['ACCOUNT_LOCKED', 'ACCOUNT_UNLOCKED', 'USER_LOGIN']);
  });

  it('stays locked while the clock runs backwards, and keeps the window', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    await fail(auth, email, 5);
    await clock.move(-DAY_MS);
    await fail(auth, email, 5);
    await clock.move(-DAY_MS);

    expect(await stateOf(userId)).toMatchObject({ failures: 10, locks: 1 });
    await expect(signIn(auth, email)).rejects.toMatchObject({ code: 'AUTH.LOCKED' });
  });

  it('uses the limits of the options', async () => {
    const auth = open({ lockout: { attempts: 3, lockMs: 1_000 } });
    const { userId, email } = await givenUser(auth);

    expect(await fail(auth, email, 5)).toEqual({ 'AUTH.INVALID_CREDENTIALS': 3, 'AUTH.LOCKED': 2 });
    expect(await stateOf(userId)).toMatchObject({ until: new Date(clock.now().getTime() + 1_000) });
  });
});
