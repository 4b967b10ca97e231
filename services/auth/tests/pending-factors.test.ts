/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type Auth,
  changePassword,
  confirmChannel,
  confirmTotp,
  deactivate,
  disableMfa,
  enrollTotp,
  type Proof,
  regenerateRecoveryCodes,
  requestPasswordReset,
  resetPassword,
  sendCode,
  verifyMfa,
} from '../src/index';
import { DAY_MS, MINUTE_MS, outcomes, PASSWORD, START, useAuth } from './given';
import {
  BY_PASSWORD,
  barrierOf,
  codeOf,
  givenChallenge,
  givenEmail,
  givenSender,
  givenSms,
  givenTotp,
  givenVerifiedUser,
  KEY,
  PHONE,
} from './given-factors';

const THIEF = '+27829990000';

describe('what waits for a second factor', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = () => openAuth({ encryptionKeys: KEY, pool: { max: 10 } });
  const byRecovery = (codes: readonly string[], n = 0): Proof => ({ factor: 'recovery', code: codes[n] ?? '' });
  const settingsOf = async (userId: string) =>
    (await db().admin('SELECT * FROM mfa_settings WHERE user_id = $1', [userId]))[0];
  const recoveryHashes = (userId: string) =>
    db().admin('SELECT id, code_hash, used_at FROM recovery_codes WHERE user_id = $1 ORDER BY id', [userId]);
  const failuresOf = async (userId: string) =>
    (await db().admin("SELECT 1 FROM audit_log WHERE user_id = $1 AND action LIKE '%FAILED'", [userId])).length;

  /** Asks for a code that enables SMS or email. */
  async function givenEnablingCode(auth: Auth, userId: string, to: { phoneNumber?: string; proof?: Proof } = {}) {
    const send = givenSender();
    const channel = to.phoneNumber === undefined ? 'email' : 'sms';
    await sendCode(auth, { purpose: 'enable', userId, channel, send, ...to } as Parameters<typeof sendCode>[1]);
    return send.last();
  }

  /** The number of codes, challenges and enrollments that still wait. */
  async function waitingOf(userId: string) {
    const [row] = await db().admin(
      `SELECT (SELECT count(*)::int FROM one_time_codes WHERE user_id = $1 AND used_at IS NULL AND revoked_at IS NULL) AS codes,
        (SELECT count(*)::int FROM tokens WHERE user_id = $1 AND kind = 'mfa_challenge' AND used_at IS NULL
          AND revoked_at IS NULL) AS challenges,
        (SELECT count(*)::int FROM mfa_settings WHERE user_id = $1 AND NOT totp_enabled AND totp_secret IS NOT NULL) AS enrollments`,
      [userId],
    );
    return row;
  }

  describe('a stolen session', () => {
    it('cannot complete a TOTP enrollment that it began days ago, after the owner enabled SMS', async () => {
      const auth = open();
      const { userId, email } = await givenVerifiedUser(auth);
      const { secret } = await enrollTotp(auth, { userId });
      await clock.move(3 * DAY_MS);
      const { recoveryCodes } = await givenSms(auth, clock, userId);
      const before = await recoveryHashes(userId);
      await clock.move(3 * DAY_MS);
      const code = codeOf(clock, secret);

      const ends = await outcomes([
        confirmTotp(auth, { userId, code }),
        confirmTotp(auth, { userId, code, proof: BY_PASSWORD }),
        regenerateRecoveryCodes(auth, { userId, proof: BY_PASSWORD }),
        disableMfa(auth, { userId, proof: BY_PASSWORD }),
      ]);

      expect(ends).toEqual({ 'AUTH.PROOF_REQUIRED': 4 });
      expect(await settingsOf(userId)).toMatchObject({ totp_enabled: false, totp_secret: null, sms_enabled: true });
      expect(await recoveryHashes(userId)).toEqual(before);
      const challengeToken = await givenChallenge(auth, email);
      const signIn = { challengeToken, factor: 'recovery', code: recoveryCodes[0] ?? '' } as const;
      await expect(verifyMfa(auth, signIn)).resolves.toMatchObject({ kind: 'session' });
    });

    it('cannot enable its own number with a code that was sent days ago, after the owner enabled TOTP', async () => {
      const auth = open();
      const { userId } = await givenVerifiedUser(auth);
      const code = await givenEnablingCode(auth, userId, { phoneNumber: THIEF });
      await clock.move(3 * DAY_MS);
      const { recoveryCodes } = await givenTotp(auth, clock, userId);
      const before = await recoveryHashes(userId);
      await clock.move(3 * DAY_MS);
      const confirm = (proof?: Proof) =>
        confirmChannel(auth, { userId, channel: 'sms', code, ...(proof && { proof }) });

      expect(await outcomes([confirm(), confirm(BY_PASSWORD)])).toEqual({ 'AUTH.PROOF_REQUIRED': 2 });
      expect(await recoveryHashes(userId)).toEqual(before);
      expect(await outcomes([confirm(byRecovery(recoveryCodes))])).toEqual({ 'AUTH.CODE_INVALID': 1 });
      expect(await settingsOf(userId)).toMatchObject({ sms_enabled: false, phone_number: null, totp_enabled: true });
    });

    it.each([
      [
        'TOTP',
        async (auth: Auth, userId: string) => {
          const { secret } = await enrollTotp(auth, { userId });
          return (proof?: Proof) => confirmTotp(auth, { userId, code: codeOf(clock, secret), ...(proof && { proof }) });
        },
      ],
      [
        'SMS',
        async (auth: Auth, userId: string) => {
          const code = await givenEnablingCode(auth, userId, { phoneNumber: THIEF });
          return (proof?: Proof) => confirmChannel(auth, { userId, channel: 'sms', code, ...(proof && { proof }) });
        },
      ],
      [
        'email',
        async (auth: Auth, userId: string) => {
          const code = await givenEnablingCode(auth, userId);
          return (proof?: Proof) => confirmChannel(auth, { userId, channel: 'email', code, ...(proof && { proof }) });
        },
      ],
    ])('cannot enable %s as the first factor without the password', async (_factor, begin) => {
      const auth = open();
      const { userId } = await givenVerifiedUser(auth);
      const confirm = await begin(auth, userId);

      await expect(confirm()).rejects.toMatchObject({ code: 'AUTH.PROOF_REQUIRED', meta: { accepts: ['password'] } });
      await expect(confirm(byRecovery(['AAAA-AAAA-AAAA-AAAA']))).rejects.toMatchObject({ code: 'AUTH.PROOF_REQUIRED' });
      expect(await failuresOf(userId)).toBe(0);
      await expect(confirm({ factor: 'password', password: 'a guess' })).rejects.toMatchObject({
        code: 'AUTH.INVALID_CREDENTIALS',
      });
      await expect(confirm(BY_PASSWORD)).resolves.toMatchObject({ recoveryCodes: expect.any(Array) });
    });

    it('cannot use an enrollment or a code after ten minutes, even with the password', async () => {
      const auth = open();
      const { userId } = await givenVerifiedUser(auth);
      const { secret, expiresAt } = await enrollTotp(auth, { userId });
      const code = await givenEnablingCode(auth, userId, { phoneNumber: THIEF });
      expect(expiresAt).toEqual(new Date(clock.now().getTime() + 10 * MINUTE_MS));
      await clock.move(10 * MINUTE_MS);

      await expect(
        confirmTotp(auth, { userId, code: codeOf(clock, secret), proof: BY_PASSWORD }),
      ).rejects.toMatchObject({ code: 'AUTH.FACTOR_NOT_PENDING' });
      await expect(confirmChannel(auth, { userId, channel: 'sms', code, proof: BY_PASSWORD })).rejects.toMatchObject({
        code: 'AUTH.CODE_INVALID',
      });
    });

    it('can use an enrollment until then', async () => {
      const auth = open();
      const { userId } = await givenVerifiedUser(auth);
      const { secret } = await enrollTotp(auth, { userId });
      await clock.move(10 * MINUTE_MS - 1);

      const confirmed = await confirmTotp(auth, { userId, code: codeOf(clock, secret), proof: BY_PASSWORD });
      expect(confirmed.recoveryCodes).toHaveLength(10);
    });
  });

  describe('a password is not enough once a factor is enabled', () => {
    it.each([
      ['disableMfa', (auth: Auth, userId: string, proof: Proof) => disableMfa(auth, { userId, proof })],
      ['regenerateRecoveryCodes', (auth, userId, proof) => regenerateRecoveryCodes(auth, { userId, proof })],
      [
        'changePassword',
        (auth, userId, proof) =>
          changePassword(auth, { userId, currentPassword: PASSWORD, newPassword: 'five quite unrelated words', proof }),
      ],
    ] as [string, (auth: Auth, userId: string, proof: Proof) => Promise<unknown>][])(
      'for %s',
      async (_name, change) => {
        const auth = open();
        const { userId } = await givenVerifiedUser(auth);
        const { secret } = await givenTotp(auth, clock, userId);
        await clock.move(MINUTE_MS);

        await expect(change(auth, userId, BY_PASSWORD)).rejects.toMatchObject({
          code: 'AUTH.PROOF_REQUIRED',
          meta: { accepts: ['totp', 'recovery'] },
        });
        expect(await failuresOf(userId)).toBe(0);
        await change(auth, userId, { factor: 'totp', code: codeOf(clock, secret) });
      },
    );

    it('for changePassword without a proof', async () => {
      const auth = open();
      const { userId } = await givenVerifiedUser(auth);
      await givenTotp(auth, clock, userId);

      await expect(
        changePassword(auth, { userId, currentPassword: PASSWORD, newPassword: 'five quite unrelated words' }),
      ).rejects.toMatchObject({ code: 'AUTH.PROOF_REQUIRED' });
    });
  });

  it('is judged again under the lock, because a factor may have been enabled in the meantime', async () => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);
    const late: Auth = {
      ...auth,
      // Enables SMS as soon as the first decision has read that no factor is enabled.
      prisma: new Proxy(auth.prisma, {
        get: (prisma, key) =>
          key !== 'mFASettings'
            ? Reflect.get(prisma, key)
            : {
                findUnique: async (where: Parameters<typeof prisma.mFASettings.findUnique>[0]) => {
                  const found = await prisma.mFASettings.findUnique(where);
                  await db().admin(
                    `INSERT INTO mfa_settings (id, user_id, sms_enabled, phone_number) VALUES ($1, $1, true, '${PHONE}')`,
                    [userId],
                  );
                  return found;
                },
              },
      }),
    };

    await expect(
      changePassword(late, { userId, currentPassword: PASSWORD, newPassword: 'five quite unrelated words' }),
    ).rejects.toMatchObject({ code: 'AUTH.PROOF_REQUIRED', meta: { accepts: ['sms', 'recovery'] } });
  });

  describe('ends', () => {
    /** SMS is enabled, and a challenge, a sign-in code, a code for another number and an enrollment wait. */
    async function givenAllPending(auth: Auth) {
      const user = await givenVerifiedUser(auth);
      const { recoveryCodes } = await givenSms(auth, clock, user.userId);
      const challengeToken = await givenChallenge(auth, user.email);
      const send = givenSender();
      await sendCode(auth, { purpose: 'sign_in', channel: 'sms', challengeToken, send });
      await clock.move(MINUTE_MS);
      const proof = byRecovery(recoveryCodes, 9);
      const code = await givenEnablingCode(auth, user.userId, { phoneNumber: '+27115550199', proof });
      const { secret } = await enrollTotp(auth, { userId: user.userId, proof: byRecovery(recoveryCodes, 8) });
      await clock.move(MINUTE_MS);
      expect(await waitingOf(user.userId)).toEqual({ codes: 2, challenges: 1, enrollments: 1 });
      return { ...user, challengeToken, signInCode: send.last(), code, secret, recoveryCodes };
    }

    it.each([
      [
        'another factor is enabled',
        async (auth, { userId, recoveryCodes }) => {
          const code = await givenEnablingCode(auth, userId, { proof: byRecovery(recoveryCodes, 1) });
          await confirmChannel(auth, { userId, channel: 'email', code, proof: byRecovery(recoveryCodes, 2) });
        },
      ],
      [
        'the enrollment is confirmed',
        async (auth, { userId, secret, recoveryCodes }) =>
          confirmTotp(auth, { userId, code: codeOf(clock, secret), proof: byRecovery(recoveryCodes, 1) }),
      ],
      [
        'the number changes',
        async (auth, { userId, code, recoveryCodes }) =>
          confirmChannel(auth, { userId, channel: 'sms', code, proof: byRecovery(recoveryCodes, 1) }),
      ],
      [
        'the factors are disabled',
        async (auth, { userId, recoveryCodes }) => disableMfa(auth, { userId, proof: byRecovery(recoveryCodes, 1) }),
      ],
      [
        'the password changes',
        async (auth, { userId, recoveryCodes }) =>
          changePassword(auth, {
            userId,
            currentPassword: PASSWORD,
            newPassword: 'five quite unrelated words',
            proof: byRecovery(recoveryCodes, 1),
          }),
      ],
      [
        'the password is reset',
        async (auth, { email }) => {
          const token = await new Promise<string>((resolve) => {
            void requestPasswordReset(auth, { email, send: (message) => resolve(message.token) });
          });
          await resetPassword(auth, { token, newPassword: 'five quite unrelated words' });
        },
      ],
      ['the account is deactivated', (auth, { userId }) => deactivate(auth, { userId })],
      [
        'SQL changes the address',
        (_auth, { userId }) => db().app("UPDATE users SET email = 'elsewhere-' || email WHERE id = $1", [userId]),
      ],
      [
        'SQL disables SMS',
        (_auth, { userId }) => db().app('UPDATE mfa_settings SET sms_enabled = false WHERE user_id = $1', [userId]),
      ],
    ] as [string, (auth: Auth, user: Awaited<ReturnType<typeof givenAllPending>>) => Promise<unknown>][])(
      'when %s',
      async (_what, change) => {
        const auth = open();
        const user = await givenAllPending(auth);
        const { userId, challengeToken, signInCode } = user;

        await change(auth, user);

        expect(await waitingOf(userId)).toEqual({ codes: 0, challenges: 0, enrollments: 0 });
        await expect(verifyMfa(auth, { challengeToken, factor: 'sms', code: signInCode })).rejects.toMatchObject({
          code: 'AUTH.TOKEN_USED',
        });
      },
    );

    it('for all but one of the first factors that are confirmed at the same time', async () => {
      const auth = open();
      const { userId } = await givenVerifiedUser(auth);
      const { secret } = await enrollTotp(auth, { userId });
      const code = await givenEnablingCode(auth, userId, { phoneNumber: PHONE });
      const email = await givenEnablingCode(auth, userId);
      const barrier = barrierOf(auth, 3);

      const ends = await outcomes([
        confirmTotp(barrier, { userId, code: codeOf(clock, secret), proof: BY_PASSWORD }),
        confirmChannel(barrier, { userId, channel: 'sms', code, proof: BY_PASSWORD }),
        confirmChannel(barrier, { userId, channel: 'email', code: email, proof: BY_PASSWORD }),
      ]);

      // A call that comes late finds its code or enrollment ended before it holds the lock; the others need another proof.
      const refused = ['PROOF_REQUIRED', 'FACTOR_NOT_PENDING', 'CODE_INVALID'].map((code) => ends[`AUTH.${code}`] ?? 0);
      expect([ends['ok'], refused.reduce((sum, n) => sum + n)]).toEqual([1, 2]);
      const { totp_enabled, sms_enabled, email_enabled } = (await settingsOf(userId)) ?? {};
      expect([totp_enabled, sms_enabled, email_enabled].filter((isEnabled) => isEnabled === true)).toHaveLength(1);
      expect(await waitingOf(userId)).toEqual({ codes: 0, challenges: 0, enrollments: 0 });
      expect(await recoveryHashes(userId)).toHaveLength(10);
    });

    it.each([1, 2, 3])('for an enrollment that is confirmed while another factor is enabled (%i)', async () => {
      const auth = open();
      const { userId, secret, recoveryCodes } = await givenAllPending(auth);
      const code = await givenEnablingCode(auth, userId, { proof: byRecovery(recoveryCodes, 1) });
      const barrier = barrierOf(auth, 2);

      const ends = await outcomes([
        confirmTotp(barrier, { userId, code: codeOf(clock, secret), proof: byRecovery(recoveryCodes, 2) }),
        confirmChannel(barrier, { userId, channel: 'email', code, proof: byRecovery(recoveryCodes, 3) }),
      ]);

      // Confirmed TOTP replaces the recovery codes, so the other proof is invalid; otherwise the enrollment has ended.
      const { totp_enabled: totp, email_enabled: byEmail } = (await settingsOf(userId)) ?? {};
      expect(ends).toEqual({ ok: 1, [totp ? 'AUTH.CODE_INVALID' : 'AUTH.FACTOR_NOT_PENDING']: 1 });
      expect(byEmail).toBe(!totp);
      expect(await waitingOf(userId)).toEqual({ codes: 0, challenges: 0, enrollments: 0 });
    });
  });

  it('leaves the owner one factor that proves the next', async () => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);
    await givenEmail(auth, clock, userId);
    const { secret } = await enrollTotp(auth, { userId, proof: BY_PASSWORD });
    const send = givenSender();
    await sendCode(auth, { purpose: 'confirm', channel: 'email', userId, send });

    await confirmTotp(auth, { userId, code: codeOf(clock, secret), proof: { factor: 'email', code: send.last() } });

    expect(await settingsOf(userId)).toMatchObject({ totp_enabled: true, email_enabled: true });
  });
});
