/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { type Auth, verifyMfa } from '../src/index';
import { actionsOf, dump, MINUTE_MS, outcomes, START, useAuth } from './given';
import {
  barrierOf,
  codeOf,
  givenChallenge,
  givenSms,
  givenTotp,
  givenVerifiedUser,
  KEY,
  wrongCodeOf,
} from './given-factors';

describe('a sign-in with a second factor', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = () => openAuth({ encryptionKeys: KEY });

  /** A user with TOTP, whose last code is two steps old. */
  async function givenTotpUser(auth: Auth) {
    const user = await givenVerifiedUser(auth);
    const totp = await givenTotp(auth, clock, user.userId);
    await clock.move(MINUTE_MS);
    return { ...user, ...totp };
  }

  const failuresOf = async (userId: string) =>
    (
      await db().admin(
        'SELECT factor_failed_count AS n, factor_locked_until AS locked_until FROM users WHERE id = $1',
        [userId],
      )
    )[0];

  const sessionsOf = async (userId: string) =>
    (await db().admin('SELECT count(*)::int AS n FROM sessions WHERE user_id = $1', [userId]))[0]?.['n'];

  describe('verifyMfa', () => {
    it.each([-1, 0, 1])('signs in with the code of a step that is %i away', async (steps) => {
      const auth = open();
      const { userId, email, secret } = await givenTotpUser(auth);
      const challengeToken = await givenChallenge(auth, email);
      const device = { ipAddress: '196.25.1.10', userAgent: 'Firefox' };

      const signedIn = await verifyMfa(auth, {
        challengeToken,
        factor: 'totp',
        code: codeOf(clock, secret, steps),
        device,
      });

      expect(signedIn).toMatchObject({ kind: 'session', userId });
      expect(await db().admin('SELECT id, ip_address FROM sessions WHERE user_id = $1', [userId])).toEqual([
        { id: signedIn.sessionId, ip_address: '196.25.1.10' },
      ]);
      const [entry] = await db().admin("SELECT details FROM audit_log WHERE user_id = $1 AND action = 'USER_LOGIN'", [
        userId,
      ]);
      expect(entry).toEqual({ details: { method: 'totp' } });
    });

    it.each([-2, 2])('rejects the code of a step that is %i away, and keeps the challenge valid', async (steps) => {
      const auth = open();
      const { userId, email, secret } = await givenTotpUser(auth);
      // Later than every code that was used, so that only the distance can be the reason.
      await clock.move(5 * MINUTE_MS);
      const challengeToken = await givenChallenge(auth, email);

      await expect(
        verifyMfa(auth, { challengeToken, factor: 'totp', code: codeOf(clock, secret, steps) }),
      ).rejects.toMatchObject({ code: 'AUTH.CODE_INVALID' });

      expect(await sessionsOf(userId)).toBe(0);
      await expect(
        verifyMfa(auth, { challengeToken, factor: 'totp', code: codeOf(clock, secret) }),
      ).resolves.toMatchObject({ kind: 'session' });
    });

    it('rejects the code that confirmed the enrollment', async () => {
      const auth = open();
      const { userId, email } = await givenVerifiedUser(auth);
      const { secret } = await givenTotp(auth, clock, userId);
      const challengeToken = await givenChallenge(auth, email);

      await expect(
        verifyMfa(auth, { challengeToken, factor: 'totp', code: codeOf(clock, secret) }),
      ).rejects.toMatchObject({ code: 'AUTH.CODE_INVALID' });
    });

    it('rejects a used code and codes of earlier steps, also when the clock runs backwards', async () => {
      const auth = open();
      const { email, secret } = await givenTotpUser(auth);
      const codes = [-1, 0].map((steps) => codeOf(clock, secret, steps));
      const verify = async (code = '') =>
        verifyMfa(auth, { challengeToken: await givenChallenge(auth, email), factor: 'totp', code });
      await verify(codes[1]);

      const refused = await outcomes([verify(codes[1])]);
      const earlier = await outcomes([verify(codes[0])]);
      await clock.move(-MINUTE_MS);
      const backwards = await outcomes([verify(codeOf(clock, secret))]);
      await clock.move(MINUTE_MS);

      expect([refused, earlier, backwards]).toEqual(Array(3).fill({ 'AUTH.CODE_INVALID': 1 }));
    });

    it('signs in one of many concurrent calls with the same code', async () => {
      const handles = [open(), open()];
      const { userId, email, secret } = await givenTotpUser(handles[0] as Auth);
      const challengeToken = await givenChallenge(handles[0] as Auth, email);
      const code = codeOf(clock, secret);

      const ends = await outcomes(
        Array.from({ length: 8 }, (_, n) =>
          verifyMfa(handles[n % 2] as Auth, { challengeToken, factor: 'totp', code }),
        ),
      );

      expect(ends['ok']).toBe(1);
      expect((ends['AUTH.CODE_INVALID'] ?? 0) + (ends['AUTH.TOKEN_USED'] ?? 0)).toBe(7);
      expect(await sessionsOf(userId)).toBe(1);
    });

    it.each([
      ['a TOTP code', 'totp'],
      ['a recovery code', 'recovery'],
    ] as const)('uses up %s once when concurrent calls found it unused', async (_what, factor) => {
      const auth = openAuth({ encryptionKeys: KEY, pool: { max: 10 } });
      const { userId, email, secret, recoveryCodes } = await givenTotpUser(auth);
      const challengeToken = await givenChallenge(auth, email);
      const code = factor === 'totp' ? codeOf(clock, secret) : (recoveryCodes[0] ?? '');
      const barrier = barrierOf(auth, 6);

      const ends = await outcomes(
        Array.from({ length: 6 }, () => verifyMfa(barrier, { challengeToken, factor, code })),
      );

      expect(ends).toEqual({ ok: 1, 'AUTH.CODE_INVALID': 5 });
      expect(await sessionsOf(userId)).toBe(1);
    });

    it('signs in one of two concurrent calls with different codes for one challenge', async () => {
      const [one, other] = [open(), open()];
      const { userId, email, secret, recoveryCodes } = await givenTotpUser(one);
      const challengeToken = await givenChallenge(one, email);

      const ends = await outcomes([
        verifyMfa(one, { challengeToken, factor: 'totp', code: codeOf(clock, secret) }),
        verifyMfa(other, { challengeToken, factor: 'recovery', code: recoveryCodes[0] ?? '' }),
      ]);

      expect(ends).toEqual({ ok: 1, 'AUTH.TOKEN_USED': 1 });
      expect(await sessionsOf(userId)).toBe(1);
      // The losing call keeps its code: the rollback restored it.
      const used = await db().admin('SELECT count(used_at)::int AS recovery FROM recovery_codes WHERE user_id = $1', [
        userId,
      ]);
      const methods = await db().admin(
        "SELECT details->>'method' AS method FROM audit_log WHERE user_id = $1 AND action = 'USER_LOGIN'",
        [userId],
      );
      expect(used).toEqual([{ recovery: methods[0]?.['method'] === 'recovery' ? 1 : 0 }]);
    });

    it('answers ten of fifty concurrent wrong codes, then locks the factor, except for recovery codes', async () => {
      const handles = [open(), open()] as const;
      const { userId, email, secret, recoveryCodes } = await givenTotpUser(handles[0]);
      const challengeToken = await givenChallenge(handles[0], email);
      const code = wrongCodeOf(clock, secret);

      const ends = await outcomes(
        Array.from({ length: 50 }, (_, n) =>
          verifyMfa(n % 2 === 0 ? handles[0] : handles[1], { challengeToken, factor: 'totp', code }),
        ),
      );

      expect(ends).toEqual({ 'AUTH.CODE_INVALID': 10, 'AUTH.LOCKED': 40 });
      expect(await failuresOf(userId)).toMatchObject({
        n: 10,
        locked_until: new Date(clock.now().getTime() + 15 * MINUTE_MS),
      });
      const shown = { challengeToken, factor: 'recovery', code: recoveryCodes[0] ?? '' } as const;
      await verifyMfa(handles[0], shown);
      expect(await failuresOf(userId)).toEqual({ n: 0, locked_until: null });
      const failed = (await actionsOf(db(), userId)).filter((action) => action === 'MFA_FAILED');
      expect(failed).toHaveLength(10);
    });

    it.each([
      ['a made-up token', 'A'.repeat(43), 'AUTH.TOKEN_INVALID'],
      ['ten megabytes', 'A'.repeat(10_000_000), 'AUTH.INVALID_INPUT'],
      ['SQL', "' OR 1=1 --", 'AUTH.TOKEN_INVALID'],
      ['NUL', '\0', 'AUTH.TOKEN_INVALID'],
    ])('rejects %s as a challenge and writes nothing', async (_what, challengeToken, code) => {
      const before = await dump(db());

      await expect(verifyMfa(open(), { challengeToken, factor: 'totp', code: '123456' })).rejects.toMatchObject({
        code,
      });
      expect(await dump(db())).toBe(before);
    });

    it('rejects an expired challenge, a used challenge, and a refresh token', async () => {
      const auth = open();
      const { userId, email, secret } = await givenTotpUser(auth);
      const over = await givenChallenge(auth, email);
      await clock.move(11 * MINUTE_MS);
      const used = await givenChallenge(auth, email);
      const { refreshToken } = await verifyMfa(auth, {
        challengeToken: used,
        factor: 'totp',
        code: codeOf(clock, secret),
      });
      const verify = (challengeToken: string) => verifyMfa(auth, { challengeToken, factor: 'totp', code: '123456' });

      expect(await outcomes([verify(over)])).toEqual({ 'AUTH.TOKEN_USED': 1 });
      expect(await outcomes([verify(used)])).toEqual({ 'AUTH.TOKEN_USED': 1 });
      expect(await outcomes([verify(refreshToken)])).toEqual({ 'AUTH.TOKEN_INVALID': 1 });
      const last = await givenChallenge(auth, email);
      await clock.move(11 * MINUTE_MS);
      expect(await outcomes([verify(last)])).toEqual({ 'AUTH.TOKEN_EXPIRED': 1 });
      expect(await failuresOf(userId)).toMatchObject({ n: 0 });
    });

    it.each([
      ['totp', '12345'],
      ['totp', '١٢٣٤٥٦'],
      ['sms', '1234567'],
      ['email', ''],
      ['recovery', '123456'],
      ['recovery', 'A'.repeat(10_000_000)],
      ['password', 'x'],
    ])('rejects a malformed %s code before it counts an attempt', async (factor, code) => {
      const auth = open();
      const { userId, email } = await givenTotpUser(auth);
      const challengeToken = await givenChallenge(auth, email);

      await expect(verifyMfa(auth, { challengeToken, factor, code } as never)).rejects.toMatchObject({
        code: 'AUTH.INVALID_INPUT',
      });
      expect(await failuresOf(userId)).toMatchObject({ n: 0 });
    });

    it('reports a disabled factor without counting an attempt', async () => {
      const auth = open();
      const { userId, email } = await givenVerifiedUser(auth);
      await givenSms(auth, clock, userId);
      const challengeToken = await givenChallenge(auth, email);

      await expect(verifyMfa(auth, { challengeToken, factor: 'totp', code: '123456' })).rejects.toMatchObject({
        code: 'AUTH.FACTOR_OFF',
      });
      expect(await failuresOf(userId)).toMatchObject({ n: 0 });
    });

    it('returns the attempt if the secret cannot be decrypted', async () => {
      const auth = open();
      const { userId, email } = await givenTotpUser(auth);
      const challengeToken = await givenChallenge(auth, email);
      const others = openAuth({ encryptionKeys: `v2:${KEY}` });
      const shown = { challengeToken, factor: 'totp', code: '123456' } as const;

      await expect(verifyMfa(others, shown)).rejects.toMatchObject({ code: 'AUTH.KEY_UNKNOWN' });
      await expect(verifyMfa(openAuth(), shown)).rejects.toMatchObject({ code: 'AUTH.NO_ENCRYPTION_KEY' });
      expect(await failuresOf(userId)).toMatchObject({ n: 0 });
    });

    it('rejects a secret that was copied from another user', async () => {
      const auth = open();
      const mallory = await givenTotpUser(auth);
      const { userId, email } = await givenTotpUser(auth);
      await db().admin(
        `UPDATE mfa_settings SET totp_secret = (SELECT totp_secret FROM mfa_settings WHERE user_id = $1)
         WHERE user_id = $2`,
        [mallory.userId, userId],
      );

      await expect(
        verifyMfa(auth, {
          challengeToken: await givenChallenge(auth, email),
          factor: 'totp',
          code: codeOf(clock, mallory.secret),
        }),
      ).rejects.toMatchObject({ code: 'AUTH.CIPHERTEXT_INVALID' });
    });

    it('rejects an account that was deactivated after the password check', async () => {
      const auth = open();
      const { userId, email, secret } = await givenTotpUser(auth);
      const challengeToken = await givenChallenge(auth, email);
      await db().admin('UPDATE users SET is_active = false WHERE id = $1', [userId]);

      await expect(
        verifyMfa(auth, { challengeToken, factor: 'totp', code: codeOf(clock, secret) }),
      ).rejects.toMatchObject({ code: 'AUTH.TOKEN_USED' });
      expect(await sessionsOf(userId)).toBe(0);
    });

    it('rejects an account that is deactivated while its code is checked', async () => {
      const auth = open();
      const { userId, email, secret } = await givenTotpUser(auth);
      const challengeToken = await givenChallenge(auth, email);
      const late: Auth = {
        ...auth,
        transaction: async (work) => {
          await db().admin('UPDATE users SET is_active = false WHERE id = $1', [userId]);
          return auth.transaction(work);
        },
      };

      await expect(
        verifyMfa(late, { challengeToken, factor: 'totp', code: codeOf(clock, secret) }),
      ).rejects.toMatchObject({ code: 'AUTH.ACCOUNT_INACTIVE' });
      expect(await sessionsOf(userId)).toBe(0);
    });
  });
});
