/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { login, unlockAccount } from '../src/index';
import { givenUser, outcomes, PASSWORD, START, useAuth } from './given';

describe('a lock of a network that a client writes', () => {
  const db = useDatabase('auth');
  useTestClock(db, START);
  const open = useAuth(db);
  const given = async (days: number) => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    const lock = auth.query({
      text: `INSERT INTO sign_in_sources (id, user_id, network, locked_until, expires_at)
        VALUES ('192.0.2.7|' || $1, $1, '192.0.2.7', database_time() + $2::int * interval '1 day',
          database_time() + interval '90 days')`,
      values: [userId, days],
    });
    const signIn = () => outcomes([login(auth, { email, password: PASSWORD, device: { ipAddress: '192.0.2.7' } })]);
    return { auth, userId, lock, signIn };
  };

  it('lasts 31 days at most', async () => {
    const { lock, signIn } = await given(32);

    await expect(lock).rejects.toMatchObject({ code: 'DATABASE.FAILED' });
    expect(await signIn()).toEqual({ ok: 1 });
  });

  it('is ended by an operator', async () => {
    const { auth, userId, lock, signIn } = await given(31);
    await lock;
    expect(await signIn()).toEqual({ 'AUTH.SOURCE_LOCKED': 1 });

    expect(await unlockAccount(auth, { userId, actorId: 'support-7' })).toEqual({ unlocked: true });
    expect(await signIn()).toEqual({ ok: 1 });
  });
});
