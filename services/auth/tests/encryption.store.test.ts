/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { type Auth, confirmTotp, enrollTotp, rotateEncryption, verifyMfa } from '../src/index';
import { actionsOf, MINUTE_MS, START, useAuth } from './given';
import { BY_PASSWORD, codeOf, givenChallenge, givenTotp, givenVerifiedUser, KEY, OLDER_KEY } from './given-factors';

describe('rotateEncryption', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);
  const old = () => open({ encryptionKeys: OLDER_KEY });
  const both = () => open({ encryptionKeys: `v2:${KEY},v1:${OLDER_KEY}` });
  const versions = async () => {
    const rows = await db().admin(
      "SELECT split_part(totp_secret, '.', 1) AS version, count(*)::int AS n FROM mfa_settings GROUP BY 1 ORDER BY 1",
    );
    return Object.fromEntries(rows.map(({ version, n }) => [version, n]));
  };

  async function givenUsers(auth: Auth, count: number) {
    const users = [];
    for (let n = 0; n < count; n += 1) {
      const user = await givenVerifiedUser(auth);
      users.push({ ...user, ...(await givenTotp(auth, clock, user.userId)) });
    }
    return users;
  }

  beforeEach(() => db().admin('DELETE FROM mfa_settings'));

  it('re-encrypts in batches until the old key can be removed', async () => {
    const [ada] = await givenUsers(old(), 5);
    const auth = both();

    expect(await rotateEncryption(auth, { limit: 2 })).toEqual({ rotated: 2, unreadable: [], done: false });
    expect(await versions()).toEqual({ v1: 3, v2: 2 });
    expect(await rotateEncryption(auth, { limit: 4 })).toEqual({ rotated: 3, unreadable: [], done: true });
    expect(await rotateEncryption(auth)).toEqual({ rotated: 0, unreadable: [], done: true });

    expect(await versions()).toEqual({ v2: 5 });
    expect((await actionsOf(db(), ada?.userId ?? '')).filter((action) => action === 'SECRET_REENCRYPTED')).toHaveLength(
      1,
    );
    await clock.move(MINUTE_MS);
    const newOnly = open({ encryptionKeys: `v2:${KEY}` });
    const challengeToken = await givenChallenge(newOnly, ada?.email ?? '');
    await expect(
      verifyMfa(newOnly, { challengeToken, factor: 'totp', code: codeOf(clock, ada?.secret ?? '') }),
    ).resolves.toMatchObject({ kind: 'session' });
  });

  it('re-encrypts each secret once when calls race', async () => {
    await givenUsers(old(), 6);

    const results = await Promise.all([both(), both(), both()].map((auth) => rotateEncryption(auth)));

    expect(results.reduce((sum, { rotated }) => sum + rotated, 0)).toBe(6);
    expect(await versions()).toEqual({ v2: 6 });
  });

  it('reports unreadable secrets, leaves them unchanged and continues', async () => {
    const users = await givenUsers(old(), 3);
    await db().admin("UPDATE mfa_settings SET totp_secret = 'v1.AAAA.BBBB' WHERE user_id = $1", [users[0]?.userId]);
    await db().admin("UPDATE mfa_settings SET totp_secret = 'v9.AAAA.BBBB' WHERE user_id = $1", [users[1]?.userId]);

    const { rotated, unreadable, done } = await rotateEncryption(both(), { limit: 1 });

    expect([rotated, done]).toEqual([1, true]);
    expect(unreadable.map(({ table, code }) => [table, code]).sort()).toEqual([
      ['mfa_settings', 'AUTH.CIPHERTEXT_INVALID'],
      ['mfa_settings', 'AUTH.KEY_UNKNOWN'],
    ]);
    expect(await versions()).toEqual({ v1: 1, v2: 1, v9: 1 });
  });

  it('leaves out enrollments, which can still be confirmed with both keys', async () => {
    const { userId } = await givenVerifiedUser(old());
    const { secret } = await enrollTotp(old(), { userId });

    expect(await rotateEncryption(both())).toEqual({ rotated: 0, unreadable: [], done: true });

    await confirmTotp(both(), { userId, code: codeOf(clock, secret), proof: BY_PASSWORD });
    expect(await versions()).toEqual({ v2: 1 });
  });

  it('keeps the last TOTP step', async () => {
    await givenUsers(old(), 1);
    const before = await db().admin('SELECT totp_last_step, totp_enabled FROM mfa_settings');

    await rotateEncryption(both());

    expect(await db().admin('SELECT totp_last_step, totp_enabled FROM mfa_settings')).toEqual(before);
  });

  it('needs a key and a valid limit', async () => {
    await expect(rotateEncryption(open())).rejects.toMatchObject({ code: 'AUTH.NO_ENCRYPTION_KEY' });
    for (const limit of [0, -1, 1.5, Number.NaN, 1e9])
      await expect(rotateEncryption(both(), { limit })).rejects.toMatchObject({ code: 'AUTH.INVALID_INPUT' });
  });
});
