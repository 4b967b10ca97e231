/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { type Auth, confirmTotp, enrollTotp, login } from '../src/index';
import { actionsOf, dump, outcomes, PASSWORD, START, useAuth } from './given';
import { BY_PASSWORD, barrierOf, codeOf, givenTotp, givenVerifiedUser, KEY, wrongCodeOf } from './given-factors';

describe('TOTP', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = () => openAuth({ encryptionKeys: KEY });
  const settingsOf = async (userId: string) =>
    (await db().admin('SELECT * FROM mfa_settings WHERE user_id = $1', [userId]))[0];

  it('stores a secret that waits for its first code, and needs no code at sign-in until then', async () => {
    const auth = open();
    const { userId, email } = await givenVerifiedUser(auth);

    const { secret, url } = await enrollTotp(auth, { userId, issuer: 'Azora World' });

    expect(secret).toMatch(/^[A-Z2-7]{32}$/);
    expect(url).toContain(`secret=${secret}`);
    expect(decodeURIComponent(url)).toContain(`/Azora World:${email}?`);
    expect(await settingsOf(userId)).toMatchObject({
      totp_enabled: false,
      totp_secret: expect.stringMatching(/^v1\./),
    });
    expect((await login(auth, { email, password: PASSWORD })).kind).toBe('session');
    expect(await dump(db())).not.toContain(secret);
  });

  it('is enabled by the first right code, with ten recovery codes', async () => {
    const auth = open();
    const { userId, email } = await givenVerifiedUser(auth);
    const { secret } = await enrollTotp(auth, { userId });

    const { recoveryCodes } = await confirmTotp(auth, { userId, code: codeOf(clock, secret), proof: BY_PASSWORD });

    expect(new Set(recoveryCodes).size).toBe(10);
    expect(await settingsOf(userId)).toMatchObject({
      totp_enabled: true,
      totp_last_step: String(Math.floor(clock.now().getTime() / 30_000)),
    });
    expect(await login(auth, { email, password: PASSWORD })).toMatchObject({ kind: 'mfa', factors: ['totp'] });
    expect(await actionsOf(db(), userId)).toEqual([
      'USER_REGISTERED',
      'EMAIL_VERIFIED',
      'MFA_ENROLLED',
      'MFA_ENABLED',
      'MFA_CHALLENGED',
    ]);
  });

  it.each([-1, 1])('accepts a first code that is %i steps away', async (steps) => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);
    const { secret } = await enrollTotp(auth, { userId });

    const { recoveryCodes } = await confirmTotp(auth, {
      userId,
      code: codeOf(clock, secret, steps),
      proof: BY_PASSWORD,
    });

    expect(recoveryCodes).toHaveLength(10);
    expect(await settingsOf(userId)).toMatchObject({ totp_enabled: true });
  });

  it('counts a wrong first code as a failed attempt, which a right one forgets', async () => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);
    const { secret } = await enrollTotp(auth, { userId });
    const failures = async () =>
      (await db().admin('SELECT factor_failed_count AS n FROM users WHERE id = $1', [userId]))[0]?.['n'];

    await expect(
      confirmTotp(auth, { userId, code: wrongCodeOf(clock, secret), proof: BY_PASSWORD }),
    ).rejects.toMatchObject({
      code: 'AUTH.CODE_INVALID',
    });

    expect(await failures()).toBe(1);
    expect(await settingsOf(userId)).toMatchObject({ totp_enabled: false });
    await confirmTotp(auth, { userId, code: codeOf(clock, secret), proof: BY_PASSWORD });
    expect(await failures()).toBe(0);
    expect((await actionsOf(db(), userId)).slice(-2)).toEqual(['MFA_FAILED', 'MFA_ENABLED']);
  });

  it('is confirmed once when many calls race', async () => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);
    const { secret } = await enrollTotp(auth, { userId });
    const code = codeOf(clock, secret);
    const barrier = barrierOf(auth, 8);

    const ends = await outcomes(
      Array.from({ length: 8 }, () => confirmTotp(barrier, { userId, code, proof: BY_PASSWORD })),
    );

    // A call that comes late finds TOTP enabled: before its code is checked, or under the lock.
    expect(ends['ok']).toBe(1);
    expect((ends['AUTH.FACTOR_ALREADY_ON'] ?? 0) + (ends['AUTH.PROOF_REQUIRED'] ?? 0)).toBe(7);
    expect(await db().admin('SELECT count(*)::int AS n FROM recovery_codes WHERE user_id = $1', [userId])).toEqual([
      { n: 10 },
    ]);
    expect(await db().admin('SELECT failed_login_count AS n FROM users WHERE id = $1', [userId])).toEqual([{ n: 0 }]);
  });

  it('replaces a waiting secret, and rejects codes of the replaced one', async () => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);
    const first = await enrollTotp(auth, { userId });
    const second = await enrollTotp(auth, { userId });

    await expect(
      confirmTotp(auth, { userId, code: codeOf(clock, first.secret), proof: BY_PASSWORD }),
    ).rejects.toMatchObject({
      code: 'AUTH.CODE_INVALID',
    });
    await confirmTotp(auth, { userId, code: codeOf(clock, second.secret), proof: BY_PASSWORD });
    expect(await settingsOf(userId)).toMatchObject({ totp_enabled: true });
  });

  it('needs a proof before it replaces an enabled secret', async () => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);
    await givenTotp(auth, clock, userId);
    const before = await settingsOf(userId);

    await expect(enrollTotp(auth, { userId })).rejects.toMatchObject({ code: 'AUTH.PROOF_REQUIRED' });
    await expect(enrollTotp(auth, { userId, proof: { factor: 'password', password: PASSWORD } })).rejects.toMatchObject(
      { code: 'AUTH.FACTOR_ALREADY_ON' },
    );
    expect(await settingsOf(userId)).toEqual(before);
  });

  it('writes nothing without an encryption key', async () => {
    const auth = openAuth();
    const { userId } = await givenVerifiedUser(auth);
    const before = await dump(db());

    await expect(enrollTotp(auth, { userId })).rejects.toMatchObject({ code: 'AUTH.NO_ENCRYPTION_KEY' });
    expect(await dump(db())).toBe(before);
  });

  it.each([
    ['an unknown user', { userId: 'nobody' }, 'AUTH.USER_NOT_FOUND'],
    ['an id with spaces', { userId: 'no body' }, 'AUTH.INVALID_INPUT'],
    ['an issuer with a colon', { userId: 'ada', issuer: 'a:b' }, 'AUTH.INVALID_INPUT'],
    ['an issuer of ten megabytes', { userId: 'ada', issuer: 'a'.repeat(10_000_000) }, 'AUTH.INVALID_INPUT'],
    ['an issuer with NUL', { userId: 'ada', issuer: 'a\0' }, 'AUTH.INVALID_INPUT'],
    ['an unknown field', { userId: 'ada', secret: 'x' }, 'AUTH.INVALID_INPUT'],
  ])('does not enrol %s', async (_what, input, code) => {
    const before = await dump(db());

    await expect(enrollTotp(open(), input)).rejects.toMatchObject({ code });
    expect(await dump(db())).toBe(before);
  });

  it.each([
    [
      'a user who did not enrol',
      async (auth) => (await givenVerifiedUser(auth)).userId,
      '123456',
      'AUTH.FACTOR_NOT_PENDING',
    ],
    ['an unknown user', async () => 'nobody', '123456', 'AUTH.USER_NOT_FOUND'],
    ['a code of five digits', async () => 'ada', '12345', 'AUTH.INVALID_INPUT'],
    ['SQL as the code', async () => 'ada', "'; --", 'AUTH.INVALID_INPUT'],
  ] as [string, (auth: Auth) => Promise<string>, string, string][])(
    'confirms no enrollment for %s',
    async (_who, userOf, code, error) => {
      const auth = open();
      const userId = await userOf(auth);
      const before = await db().admin('SELECT * FROM mfa_settings');

      await expect(confirmTotp(auth, { userId, code, proof: BY_PASSWORD })).rejects.toMatchObject({ code: error });
      expect(await db().admin('SELECT * FROM mfa_settings')).toEqual(before);
    },
  );
});
