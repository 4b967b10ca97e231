/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { isRevoked, pruneExpired, revokeToken } from '../src/index';
import { actionsOf, DAY_MS, givenUser, START, useAuth } from './given';

describe('revoked tokens', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = () => openAuth();
  const rows = (jti: string) => db().admin('SELECT expires_at FROM token_blacklist WHERE jti = $1', [jti]);

  it('are reported as revoked, and no others', async () => {
    const auth = open();
    const { userId } = await givenUser(auth);

    await revokeToken(auth, { jti: 'first', expiresAt: new Date(clock.now().getTime() + DAY_MS), userId });

    expect(await Promise.all([isRevoked(auth, 'first'), isRevoked(auth, 'second')])).toEqual([true, false]);
    expect((await actionsOf(db(), userId)).at(-1)).toBe('TOKEN_REVOKED');
  });

  it('are revoked once when many calls race, and kept until the latest expiry', async () => {
    const [one, other] = [open(), open()];
    const { userId } = await givenUser(one);
    const expiries = [1, 5, 3, 2, 4].map((days) => new Date(clock.now().getTime() + days * DAY_MS));

    await Promise.all(
      expiries.map((expiresAt, n) => revokeToken(n % 2 === 0 ? one : other, { jti: 'race', expiresAt, userId })),
    );

    expect(await rows('race')).toEqual([{ expires_at: expiries[1] }]);
    expect((await actionsOf(db(), userId)).filter((action) => action === 'TOKEN_REVOKED')).toHaveLength(1);
  });

  it('are forgotten some time after their expiry', async () => {
    const auth = open();
    await revokeToken(auth, { jti: 'old', expiresAt: new Date(clock.now().getTime() - 2 * DAY_MS) });
    await revokeToken(auth, { jti: 'live', expiresAt: new Date(clock.now().getTime() + DAY_MS) });

    await pruneExpired(auth);

    expect(await Promise.all([isRevoked(auth, 'old'), isRevoked(auth, 'live')])).toEqual([false, true]);
  });

  it.each([
    ['empty text', ''],
    ['a space', ' '],
    ['NUL', 'a\0'],
    ['half a surrogate pair', '\ud800'],
    ['256 characters', 'a'.repeat(256)],
    ['ten megabytes', 'a'.repeat(10_000_000)],
  ])('cannot have %s as their id', async (_what, jti) => {
    const auth = open();

    await expect(revokeToken(auth, { jti, expiresAt: clock.now() })).rejects.toMatchObject({
      code: 'AUTH.INVALID_INPUT',
    });
    await expect(isRevoked(auth, jti)).rejects.toMatchObject({ code: 'AUTH.INVALID_INPUT' });
  });

  it('need a valid expiry, and accept SQL as an id', async () => {
    const auth = open();
    const jti = "'; DROP TABLE token_blacklist; --";

    await expect(revokeToken(auth, { jti, expiresAt: new Date(Number.NaN) })).rejects.toMatchObject({
      code: 'AUTH.INVALID_INPUT',
    });
    await revokeToken(auth, { jti, expiresAt: clock.now() });
    expect(await isRevoked(auth, jti)).toBe(true);
  });
});
