/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { getRounds, hash } from 'bcrypt';
import { type Auth, type LoginInput, listSessions, login, register, resetPassword } from '../src/index';
import { actionsOf, dump, givenUser, MINUTE_MS, outcomes, PASSWORD, START, sha256, signIn, useAuth } from './given';

const WRONG = 'not the password';
const DEVICE = { ipAddress: '2001:db8::1', userAgent: 'Browser/1.0' };

describe('login', () => {
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

  it('opens a session whose tokens are stored only as hashes', async () => {
    const auth = open();
    const { userId } = await givenUser(auth, 'ada@azora.world');
    const signedIn = await login(auth, { email: ' ADA@azora.world', password: PASSWORD, device: DEVICE });

    expect(signedIn).toEqual({
      kind: 'session',
      userId,
      sessionId: expect.any(String),
      sessionToken: expect.stringMatching(/^[\w-]{43}$/),
      refreshToken: expect.stringMatching(/^[\w-]{43}$/),
      expiresAt: new Date('2026-03-08T12:00:00Z'),
      absoluteExpiresAt: new Date('2026-03-31T12:00:00Z'),
    });
    if (signedIn.kind !== 'session') return;
    const everything = await dump(db());
    expect(everything).not.toContain(signedIn.sessionToken);
    expect(everything).not.toContain(signedIn.refreshToken);
    expect(everything).toContain(sha256(signedIn.refreshToken));
    expect(await listSessions(auth, { userId })).toEqual([
      {
        id: signedIn.sessionId,
        ...DEVICE,
        createdAt: clock.now(),
        lastActivityAt: clock.now(),
        expiresAt: signedIn.expiresAt,
      },
    ]);
    expect(await actionsOf(db(), userId)).toEqual(['USER_REGISTERED', 'USER_LOGIN']);
  });

  it('answers a wrong password and an unknown address alike', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    const errors = await Promise.all(
      [email, 'nobody@azora.world'].map((it) => login(auth, { email: it, password: WRONG }).catch((error) => error)),
    );

    const [wrong, nobody] = errors.map(({ code, message, why, next, meta }) => ({ code, message, why, next, meta }));
    expect(wrong).toEqual(nobody);
    expect(wrong).toMatchObject({ code: 'AUTH.INVALID_CREDENTIALS', meta: {} });
    expect(await actionsOf(db(), userId)).toEqual(['USER_REGISTERED', 'LOGIN_FAILED']);
    expect(await actionsOf(db(), null)).toEqual(['LOGIN_FAILED']);
    const details = await db().admin(
      "SELECT to_jsonb(audit_log)::text AS row FROM audit_log WHERE action = 'LOGIN_FAILED'",
    );
    expect(JSON.stringify(details)).not.toContain('nobody@');
    expect(JSON.stringify(details)).not.toContain(WRONG);
  });

  it('runs the same statements for an unknown address as for a wrong password', async () => {
    const auth = open();
    const { email } = await givenUser(auth);
    const statementsOf = async (address: string) => {
      const texts: string[] = [];
      const recording: Auth = {
        ...auth,
        query: (statement) => {
          texts.push(statement.text);
          return auth.query(statement);
        },
      };
      await outcomes([login(recording, { email: address, password: WRONG })]);
      return texts;
    };

    const unknown = await statementsOf('nobody@azora.world');
    expect(unknown).toHaveLength(2);
    expect(unknown).toEqual(await statementsOf(email));
  });

  it('writes WAL for an unknown address too, so that both commits wait for the disk', async () => {
    const { userId } = await givenUser(open());
    const hasTransactionId = async (id: string | null) => {
      const judge = `SELECT judge_password($1, unknown_subject('nobody@example.com'), (SELECT password_hash FROM users WHERE id = $1), false, 'LOGIN_FAILED', 10,
        interval '1 h', interval '1 h', interval '1 h', '192.0.2.1', NULL)`;
      await db().admin('BEGIN');
      try {
        await db().admin(judge, [id]);
        const [row] = await db().admin('SELECT pg_current_xact_id_if_assigned() IS NOT NULL AS assigned');
        return row?.['assigned'];
      } finally {
        await db().admin('ROLLBACK');
      }
    };

    expect([await hasTransactionId(null), await hasTransactionId(userId)]).toEqual([true, true]);
  });

  it.each([
    ['a malformed address', { email: 'ada' }],
    ['an empty password', { password: '' }],
    ['a password of ten megabytes', { password: 'x'.repeat(10_000_000) }],
    ['a password with NUL', { password: 'x\0' }],
    ['half a surrogate pair', { password: '\udc00' }],
    ['an unknown field', { admin: true }],
  ])('rejects %s and writes nothing', async (_what, wrong) => {
    const before = await dump(db());
    const input: LoginInput = { email: 'ada@azora.world', password: PASSWORD, ...wrong };

    await expect(login(open(), input)).rejects.toMatchObject({ code: 'AUTH.INVALID_INPUT' });
    expect(await dump(db())).toBe(before);
  });

  it('treats SQL as a wrong password', async () => {
    const auth = open();
    const { email } = await givenUser(auth);

    await expect(login(auth, { email, password: "' OR 1=1 --" })).rejects.toMatchObject({
      code: 'AUTH.INVALID_CREDENTIALS',
    });
  });

  it('hashes with cost 12 by default, and replaces a hash of a lower cost', async () => {
    const [cheap, usual] = [open(), open({ bcryptCost: undefined as never })];
    const { userId, email } = await givenUser(cheap);
    const rounds = async () => {
      const [row] = await db().admin('SELECT password_hash FROM users WHERE id = $1', [userId]);
      return getRounds(String(row?.['password_hash']));
    };

    expect(await rounds()).toBe(4);
    await signIn(usual, email);
    expect(await rounds()).toBe(12);
    await signIn(cheap, email);
    expect(await rounds()).toBe(12);
  });

  it('does not replace the hash for a wrong password', async () => {
    const { userId, email } = await givenUser(open());
    await login(open({ bcryptCost: 5 }), { email, password: WRONG }).catch(() => undefined);

    const [row] = await db().admin('SELECT password_hash FROM users WHERE id = $1', [userId]);
    expect(getRounds(String(row?.['password_hash']))).toBe(4);
  });

  it.each([
    ['ASCII', 'x'.repeat(72)],
    ['letters of several bytes', 'ж'.repeat(36)],
  ])('compares all bytes of a password that is longer than 72 bytes: %s', async (_what, start) => {
    const auth = open();
    const email = `long${start.length}@azora.world`;
    await register(auth, { email, password: `${start}one` });

    expect(await outcomes([signIn(auth, email, `${start}one`)])).toEqual({ ok: 1 });
    for (const other of [`${start}two`, start, `${start}on`]) {
      expect(await outcomes([signIn(auth, email, other)])).toEqual({ 'AUTH.INVALID_CREDENTIALS': 1 });
    }
  });

  it('accepts a password in any Unicode form that a keyboard produces', async () => {
    const auth = open();
    await register(auth, { email: 'nfc@azora.world', password: 'cr\u00e8me br\u00fbl\u00e9e' });

    expect(await outcomes([signIn(auth, 'nfc@azora.world', 'cre\u0300me bru\u0302le\u0301e')])).toEqual({ ok: 1 });
  });

  it.each([
    // From the manual of PHP.
    ['$2y$', 'rasmuslerdorf', '$2y$10$.vGA1O9wmRjrwAVXD98HNOgsNpDczlqm3Jq7KnEd1rVAGv3Fykk1a'],
    // A test vector of jBCrypt.
    ['$2a$', 'abcdefghijklmnopqrstuvwxyz', '$2a$06$.rCVZVOThsIa97pEDOxvGuRRgzG64bvtJ0938xuqzv18d3ZpQhstC'],
  ])('accepts an imported hash with the prefix %s, and replaces it', async (prefix, password, imported) => {
    const auth = open();
    const email = `imported${prefix.charAt(2)}@azora.world`;
    const { userId } = await givenUser(auth, email);
    await db().app('UPDATE users SET password_hash = $2 WHERE id = $1', [userId, imported]);
    expect(await outcomes([signIn(auth, email, `${password}x`)])).toEqual({ 'AUTH.INVALID_CREDENTIALS': 1 });

    await signIn(auth, email, password);

    const [user] = await db().admin('SELECT password_hash AS hash FROM users WHERE id = $1', [userId]);
    expect(user?.['hash']).toMatch(/^\$2b\$04\$/);
    expect(await outcomes([signIn(auth, email, password)])).toEqual({ ok: 1 });
  });

  it('accepts an imported hash of a password of more than 72 bytes, if PHP made it of the first 72', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    const password = `${'cre\u0300me '.repeat(12)}end`;
    const imported = (await hash(Buffer.from(password).subarray(0, 72), 4)).replace('$2b$', '$2y$');
    await db().app('UPDATE users SET password_hash = $2 WHERE id = $1', [userId, imported]);

    await signIn(auth, email, password);

    // From now on every byte counts.
    expect(await outcomes([signIn(auth, email, `${password}!`)])).toEqual({ 'AUTH.INVALID_CREDENTIALS': 1 });
    expect(await outcomes([signIn(auth, email, password)])).toEqual({ ok: 1 });
  });

  it('stores no hash of the faulty algorithm, whose prefix is $2x$', async () => {
    const { userId } = await givenUser(open());
    const faulty = `$2x$04$${'a'.repeat(53)}`;

    await expect(db().app('UPDATE users SET password_hash = $2 WHERE id = $1', [userId, faulty])).rejects.toMatchObject(
      { constraint: 'users_password_hash_check' },
    );
  });

  it.each([
    ['ACCOUNT_INACTIVE', 'UPDATE users SET is_active = false WHERE id = $1', {}],
    ['PASSWORD_RESET_REQUIRED', 'UPDATE users SET password_reset_required = true WHERE id = $1', {}],
    ['EMAIL_UNVERIFIED', 'UPDATE users SET email_verified = false WHERE id = $1', { requireVerifiedEmail: true }],
  ])('reports %s only to a caller who knows the password', async (reason, sql, options) => {
    const auth = open(options);
    const { userId, email } = await givenUser(auth);
    await db().admin(sql, [userId]);

    expect(await outcomes([login(auth, { email, password: WRONG })])).toEqual({ 'AUTH.INVALID_CREDENTIALS': 1 });
    expect(await outcomes([signIn(auth, email)])).toEqual({ [`AUTH.${reason}`]: 1 });
    expect(await stateOf(userId)).toMatchObject({ failures: 1 });
    expect(await listSessions(auth, { userId })).toEqual([]);
    expect((await actionsOf(db(), userId)).at(-1)).toBe('LOGIN_REFUSED');
  });

  it('does not find a deleted account', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    await db().admin('UPDATE users SET is_active = false, deleted_at = now() WHERE id = $1', [userId]);

    expect(await outcomes([signIn(auth, email)])).toEqual({ 'AUTH.INVALID_CREDENTIALS': 1 });
  });

  it('opens no session if the password changes after its check', async () => {
    const { userId, email } = await givenUser(open());
    const newHash = await hash('something else', 4);
    const changed: Promise<unknown>[] = [];
    const auth = open();
    const original = auth.query;
    const racing: Auth = {
      ...auth,
      query: async (statement) => {
        if (statement.text.includes('finish_sign_in(') && changed.length === 0) {
          changed.push(db().admin('UPDATE users SET password_hash = $2 WHERE id = $1', [userId, newHash]));
          await Promise.all(changed);
        }
        return original(statement);
      },
    };

    await expect(login(racing, { email, password: PASSWORD })).rejects.toMatchObject({
      code: 'AUTH.INVALID_CREDENTIALS',
    });
    expect(changed).toHaveLength(1);
    expect(await listSessions(auth, { userId })).toEqual([]);
  });

  describe('with a second factor', () => {
    const givenFactors = async (auth: Auth) => {
      const user = await givenUser(auth);
      await db().admin(
        "INSERT INTO mfa_settings (id, user_id, email_enabled, sms_enabled, phone_number) VALUES ($1, $1, true, true, '+27115550100')",
        [user.userId],
      );
      return user;
    };

    it('returns a challenge and no session', async () => {
      const auth = open();
      const { userId, email } = await givenFactors(auth);
      const challenge = await login(auth, { email, password: PASSWORD });

      expect(challenge).toEqual({
        kind: 'mfa',
        challengeToken: expect.stringMatching(/^[\w-]{43}$/),
        factors: ['sms', 'email'],
        expiresAt: new Date(clock.now().getTime() + 10 * MINUTE_MS),
      });
      expect(await listSessions(auth, { userId })).toEqual([]);
      expect(await actionsOf(db(), userId)).toEqual(['USER_REGISTERED', 'MFA_CHALLENGED']);
    });

    it('gives no further attempts at other factors for a right password', async () => {
      const auth = open();
      const { userId, email } = await givenFactors(auth);
      await db().admin('UPDATE users SET factor_failed_count = 6 WHERE id = $1', [userId]);
      await fail(auth, email, 6);
      await login(auth, { email, password: PASSWORD });
      await login(auth, { email, password: PASSWORD });

      expect(await stateOf(userId)).toEqual({ failures: 0, locks: 0, until: null });
      const codes = 'SELECT factor_failed_count AS codes FROM users WHERE id = $1';
      expect(await db().admin(codes, [userId])).toEqual([{ codes: 6 }]);
    });

    it('leaves one live challenge when many sign-ins race', async () => {
      const auth = open();
      const { userId, email } = await givenFactors(auth);
      const calls = Array.from({ length: 8 }, () => login(auth, { email, password: PASSWORD }));

      expect(await outcomes(calls)).toEqual({ ok: 8 });
      const live =
        "SELECT count(*)::int AS live FROM tokens WHERE user_id = $1 AND kind = 'mfa_challenge' AND revoked_at IS NULL";
      expect(await db().admin(live, [userId])).toEqual([{ live: 1 }]);
    });

    it('rejects a challenge as a password reset token', async () => {
      const auth = open();
      const { email } = await givenFactors(auth);
      const challenge = await login(auth, { email, password: PASSWORD });
      if (challenge.kind !== 'mfa') throw new Error('expected a challenge');

      await expect(
        resetPassword(auth, { token: challenge.challengeToken, newPassword: 'five other unrelated words' }),
      ).rejects.toMatchObject({ code: 'AUTH.TOKEN_INVALID' });
    });
  });
});
