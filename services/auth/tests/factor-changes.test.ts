/** @server any */
import { randomUUID } from 'node:crypto';
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { type Auth, disableMfa, login, regenerateRecoveryCodes, sendCode, verifyMfa } from '../src/index';
import { actionsOf, MINUTE_MS, outcomes, PASSWORD, START, sha256, useAuth } from './given';
import { codeOf, givenChallenge, givenSender, givenSms, givenTotp, givenVerifiedUser, KEY } from './given-factors';

describe('changes to second factors', () => {
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

  describe('disableMfa', () => {
    it.each([
      ['a code of the app', ({ secret }) => ({ factor: 'totp', code: codeOf(clock, secret) })],
      ['a recovery code', ({ recoveryCodes }) => ({ factor: 'recovery', code: recoveryCodes[0] ?? '' })],
    ] as [string, (user: Awaited<ReturnType<typeof givenTotpUser>>) => Parameters<typeof disableMfa>[1]['proof']][])(
      'disables all factors with %s',
      async (_what, proofOf) => {
        const auth = open();
        const user = await givenTotpUser(auth);
        const { userId, email } = user;
        const challengeToken = await givenChallenge(auth, email);

        await disableMfa(auth, { userId, proof: proofOf(user) });

        expect(await db().admin('SELECT * FROM mfa_settings WHERE user_id = $1', [userId])).toEqual([
          expect.objectContaining({ totp_enabled: false, totp_secret: null, totp_last_step: null }),
        ]);
        expect(await db().admin('SELECT id FROM recovery_codes WHERE user_id = $1', [userId])).toEqual([]);
        expect(await failuresOf(userId)).toMatchObject({ n: 0 });
        expect((await actionsOf(db(), userId)).at(-1)).toBe('MFA_DISABLED');
        expect(await outcomes([verifyMfa(auth, { challengeToken, factor: 'totp', code: '123456' })])).toEqual({
          'AUTH.TOKEN_USED': 1,
        });
        expect((await login(auth, { email, password: PASSWORD })).kind).toBe('session');
      },
    );

    it.each([
      ['a wrong recovery code', { factor: 'recovery', code: 'AAAA-AAAA-AAAA-AAAA' }, 'AUTH.CODE_INVALID', 0],
      ['a code that was never sent', { factor: 'sms', code: '123456' }, 'AUTH.CODE_INVALID', 1],
    ] as const)('rejects %s, and counts what can be guessed', async (_what, proof, code, codes) => {
      const auth = open();
      const { userId } = await givenTotpUser(auth);

      await expect(disableMfa(auth, { userId, proof })).rejects.toMatchObject({ code });

      expect(await failuresOf(userId)).toMatchObject({ n: codes });
      expect(await db().admin('SELECT totp_enabled FROM mfa_settings WHERE user_id = $1', [userId])).toEqual([
        { totp_enabled: true },
      ]);
    });

    it('rejects a code that was sent for another purpose', async () => {
      const auth = open();
      const { userId, email } = await givenVerifiedUser(auth);
      await givenSms(auth, clock, userId);
      const send = givenSender();
      const challengeToken = await givenChallenge(auth, email);
      await sendCode(auth, { purpose: 'sign_in', channel: 'sms', challengeToken, send });

      await expect(disableMfa(auth, { userId, proof: { factor: 'sms', code: send.last() } })).rejects.toMatchObject({
        code: 'AUTH.CODE_INVALID',
      });
      await clock.move(MINUTE_MS);
      await sendCode(auth, { purpose: 'confirm', channel: 'sms', userId, send });
      await disableMfa(auth, { userId, proof: { factor: 'sms', code: send.last() } });
    });

    it('rejects an account without a second factor', async () => {
      const auth = open();
      const { userId } = await givenVerifiedUser(auth);

      await expect(
        disableMfa(auth, { userId, proof: { factor: 'password', password: PASSWORD } }),
      ).rejects.toMatchObject({ code: 'AUTH.FACTOR_OFF' });
    });
  });

  describe('recovery codes', () => {
    it('sign in once each, also when concurrent calls use one code', async () => {
      const [one, other] = [open(), open()];
      const { userId, email, recoveryCodes } = await givenTotpUser(one);
      const code = recoveryCodes[3] ?? '';
      const challengeToken = await givenChallenge(one, email);

      const ends = await outcomes(
        Array.from({ length: 8 }, (_, n) =>
          verifyMfa(n % 2 === 0 ? one : other, { challengeToken, factor: 'recovery', code: code.toLowerCase() }),
        ),
      );

      expect(ends['ok']).toBe(1);
      expect(await sessionsOf(userId)).toBe(1);
      expect(
        await db().admin('SELECT count(used_at)::int AS used FROM recovery_codes WHERE user_id = $1', [userId]),
      ).toEqual([{ used: 1 }]);
      const again = { challengeToken: await givenChallenge(one, email), factor: 'recovery', code } as const;
      await expect(verifyMfa(one, again)).rejects.toMatchObject({ code: 'AUTH.CODE_INVALID' });
    });

    it('are invalid for another user', async () => {
      const auth = open();
      const ben = await givenTotpUser(auth);
      const { email } = await givenTotpUser(auth);
      const challengeToken = await givenChallenge(auth, email);

      await expect(
        verifyMfa(auth, { challengeToken, factor: 'recovery', code: ben.recoveryCodes[0] ?? '' }),
      ).rejects.toMatchObject({ code: 'AUTH.CODE_INVALID' });
    });

    it('are replaced as a set, by one of many concurrent calls', async () => {
      const [one, other] = [open(), open()];
      const { userId, email, recoveryCodes } = await givenTotpUser(one);
      const fresh: string[] = [];

      const ends = await outcomes(
        [one, other, one, other].map(async (auth, n) => {
          const proof = { factor: 'recovery', code: recoveryCodes[n] ?? '' } as const;
          fresh.push(...(await regenerateRecoveryCodes(auth, { userId, proof })).recoveryCodes);
        }),
      );

      // The other proofs are codes that were replaced.
      expect(ends).toEqual({ ok: 1, 'AUTH.CODE_INVALID': 3 });
      expect(await db().admin('SELECT count(*)::int AS n FROM recovery_codes WHERE user_id = $1', [userId])).toEqual([
        { n: 10 },
      ]);
      const challengeToken = await givenChallenge(one, email);
      const signIn = (code = '') => verifyMfa(one, { challengeToken, factor: 'recovery', code });
      await expect(signIn(recoveryCodes[9])).rejects.toMatchObject({ code: 'AUTH.CODE_INVALID' });
      await expect(signIn(fresh[0])).resolves.toMatchObject({ kind: 'session' });
    });

    it('of 16 characters, from older versions, stay valid until they are used', async () => {
      const auth = open();
      const { userId, email } = await givenTotpUser(auth);
      await db().admin('INSERT INTO recovery_codes (id, user_id, code_hash) VALUES ($1, $2, $3)', [
        randomUUID(),
        userId,
        sha256('ABCDEFGH2345WXYZ'),
      ]);
      const signIn = async () =>
        verifyMfa(auth, {
          challengeToken: await givenChallenge(auth, email),
          factor: 'recovery',
          code: 'abcd-efgh-2345-wxyz',
        });

      await expect(signIn()).resolves.toMatchObject({ kind: 'session' });
      await expect(signIn()).rejects.toMatchObject({ code: 'AUTH.CODE_INVALID' });
    });

    it('need a second factor and a proof', async () => {
      const auth = open();
      const { userId } = await givenVerifiedUser(auth);
      const proof = { factor: 'password', password: PASSWORD } as const;

      await expect(regenerateRecoveryCodes(auth, { userId, proof })).rejects.toMatchObject({ code: 'AUTH.FACTOR_OFF' });
      await expect(regenerateRecoveryCodes(auth, { userId } as never)).rejects.toMatchObject({
        code: 'AUTH.INVALID_INPUT',
      });
    });
  });
});
