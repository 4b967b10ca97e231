/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type Auth,
  changePassword,
  listSessions,
  login,
  type PasswordResetMessage,
  refresh,
  requestPasswordReset,
  resetPassword,
} from '../src/index';
import {
  actionsOf,
  DAY_MS,
  dump,
  givenSession,
  givenUser,
  MINUTE_MS,
  outcomes,
  PASSWORD,
  START,
  signIn,
  useAuth,
} from './given';

const NEW = 'five other unrelated words';
const SQL = "'; DROP TABLE tokens; --";

describe('passwords', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);

  /** Requests a reset and resolves with the message that is sent. */
  const askForReset = (auth: Auth, email: string) =>
    new Promise<PasswordResetMessage>((resolve, reject) => {
      requestPasswordReset(auth, { email, send: resolve }).catch(reject);
    });

  /** Resolves after a message that was due: it is sent in an immediate, and immediates run in their order. */
  const afterSending = () => new Promise((resolve) => setImmediate(resolve));

  describe('changePassword', () => {
    it("replaces the password, and ends all sessions except the caller's", async () => {
      const auth = open();
      const asking = await givenSession(auth);
      const other = await signIn(auth, asking.email);
      const { userId, sessionId, email } = asking;
      const change = { userId, sessionId, currentPassword: PASSWORD, newPassword: NEW };

      expect(await changePassword(auth, change)).toEqual({ ended: 1 });
      expect((await listSessions(auth, { userId })).map(({ id }) => id)).toEqual([sessionId]);
      expect(await outcomes([refresh(auth, { refreshToken: other.refreshToken })])).toEqual({
        'AUTH.SESSION_ENDED': 1,
      });
      expect(await outcomes([refresh(auth, { refreshToken: asking.refreshToken })])).toEqual({ ok: 1 });
      expect(await outcomes([signIn(auth, email)])).toEqual({ 'AUTH.INVALID_CREDENTIALS': 1 });
      expect(await outcomes([signIn(auth, email, NEW)])).toEqual({ ok: 1 });
      expect(await actionsOf(db(), userId)).toContain('PASSWORD_CHANGED');
    });

    it('counts wrong passwords with those of sign-ins, until one is right', async () => {
      const auth = open();
      const { userId, email } = await givenUser(auth);
      const change = (currentPassword: string, newPassword: string) =>
        changePassword(auth, { userId, currentPassword, newPassword });
      await outcomes(Array.from({ length: 9 }, () => login(auth, { email, password: 'wrong' })));
      await change(PASSWORD, NEW);
      await outcomes(Array.from({ length: 4 }, () => login(auth, { email, password: 'wrong' })));

      const calls = Array.from({ length: 9 }, () => change('wrong', PASSWORD));
      expect(await outcomes(calls)).toEqual({ 'AUTH.INVALID_CREDENTIALS': 6, 'AUTH.LOCKED': 3 });
      expect(await outcomes([change(NEW, PASSWORD), signIn(auth, email, NEW)])).toEqual({ 'AUTH.LOCKED': 2 });
    });

    it('rejects a deactivated account', async () => {
      const auth = open();
      const { userId } = await givenUser(auth);
      await db().admin('UPDATE users SET is_active = false WHERE id = $1', [userId]);
      const change = { userId, currentPassword: PASSWORD, newPassword: NEW };

      expect(await outcomes([changePassword(auth, change)])).toEqual({ 'AUTH.ACCOUNT_INACTIVE': 1 });
    });

    it('lets one of several concurrent changes win', async () => {
      const auths = [open(), open()];
      const { userId, email } = await givenUser(open());
      const news = Array.from({ length: 6 }, (_, n) => `${NEW} ${n}`);
      const calls = news.map((newPassword, n) =>
        changePassword(auths[n % 2] ?? open(), { userId, currentPassword: PASSWORD, newPassword }),
      );

      expect(await outcomes(calls)).toEqual({ ok: 1, 'AUTH.INVALID_CREDENTIALS': 5 });
      const signIns: Record<string, number> = {};
      for (const password of news) {
        const [end = ''] = Object.keys(await outcomes([signIn(open(), email, password)]));
        signIns[end] = (signIns[end] ?? 0) + 1;
      }
      expect(signIns).toMatchObject({ ok: 1 });
    });

    it.each([
      ['a short password', { newPassword: 'short' }, 'AUTH.INVALID_INPUT'],
      ['a common password', { newPassword: 'qwertyuiop' }, 'AUTH.PASSWORD_REFUSED'],
      ['an unknown user', { userId: 'nobody' }, 'AUTH.USER_NOT_FOUND'],
      ['SQL as the user id', { userId: SQL }, 'AUTH.INVALID_INPUT'],
      ['a password of ten megabytes', { currentPassword: 'x'.repeat(10_000_000) }, 'AUTH.INVALID_INPUT'],
    ])('rejects %s and changes nothing', async (_what, wrong, code) => {
      const auth = open();
      const { userId } = await givenUser(auth);
      const secrets = () => db().admin('SELECT password_hash FROM users WHERE id = $1', [userId]);
      const before = await secrets();
      const change = { userId, currentPassword: PASSWORD, newPassword: NEW, ...wrong };

      await expect(changePassword(auth, change)).rejects.toMatchObject({ code });
      expect(await secrets()).toEqual(before);
      expect(await actionsOf(db(), userId)).toEqual(['USER_REGISTERED']);
    });
  });

  describe('requestPasswordReset and resetPassword', () => {
    it('set a new password with the token that was sent, once, and end all sessions', async () => {
      const auth = open();
      const session = await givenSession(auth);
      const message = await askForReset(auth, ` ${session.email.toUpperCase()} `);

      expect(message).toEqual({
        userId: session.userId,
        email: session.email,
        token: expect.stringMatching(/^[\w-]{43}$/),
        expiresAt: new Date(clock.now().getTime() + 60 * MINUTE_MS),
      });
      expect(await dump(db())).not.toContain(message.token);
      const reset = { token: message.token, newPassword: NEW };
      expect(await resetPassword(auth, reset)).toEqual({ userId: session.userId });
      expect(await outcomes([resetPassword(auth, reset)])).toEqual({ 'AUTH.TOKEN_USED': 1 });
      expect(await listSessions(auth, { userId: session.userId })).toEqual([]);
      expect(await outcomes([signIn(auth, session.email, NEW)])).toEqual({ ok: 1 });
      expect(await outcomes([signIn(auth, session.email)])).toEqual({ 'AUTH.INVALID_CREDENTIALS': 1 });
    });

    it('use up a token once when ten resets race', async () => {
      const auths = [open(), open()];
      const { email } = await givenUser(open());
      const { token } = await askForReset(open(), email);
      const calls = Array.from({ length: 10 }, (_, n) =>
        resetPassword(auths[n % 2] ?? open(), { token, newPassword: `${NEW} ${n}` }),
      );

      expect(await outcomes(calls)).toEqual({ ok: 1, 'AUTH.TOKEN_USED': 9 });
    });

    it('return the same for an unknown address and an inactive account, and send nothing', async () => {
      const auth = open();
      const { userId, email } = await givenUser(auth);
      await db().admin('UPDATE users SET is_active = false WHERE id = $1', [userId]);
      const send = jest.fn();

      expect(await requestPasswordReset(auth, { email: 'nobody@azora.world', send })).toBeUndefined();
      expect(await requestPasswordReset(auth, { email, send })).toBeUndefined();
      await afterSending();
      expect(send).not.toHaveBeenCalled();
      expect(
        await db().admin("SELECT id FROM tokens WHERE kind = 'password_reset' AND user_id = $1", [userId]),
      ).toEqual([]);
      expect(await actionsOf(db(), null)).toContain('PASSWORD_RESET_REQUESTED');
    });

    it('return before the message is sent, and log a failure without the token', async () => {
      const warn = jest.fn();
      const auth = open({ logger: { warn }, slowQueryMs: Number.POSITIVE_INFINITY });
      const { userId, email } = await givenUser(auth);
      const never = () => Promise.reject(new TypeError('mailbox of ada@azora.world is full'));

      expect(await requestPasswordReset(auth, { email, send: never })).toBeUndefined();
      await afterSending();
      expect(warn.mock.calls).toEqual([
        ['the password reset message was not sent', { service: 'auth', userId, error: 'TypeError' }],
      ]);
    });

    it('accept only the newest token, for one hour', async () => {
      const auth = open();
      const { email, userId } = await givenUser(auth);
      const first = await askForReset(auth, email);
      await clock.move(MINUTE_MS);
      const second = await askForReset(auth, email);

      expect(await outcomes([resetPassword(auth, { token: first.token, newPassword: NEW })])).toEqual({
        'AUTH.TOKEN_USED': 1,
      });
      await clock.move(60 * MINUTE_MS);
      const before = await dump(db());
      expect(await outcomes([resetPassword(auth, { token: second.token, newPassword: NEW })])).toEqual({
        'AUTH.TOKEN_EXPIRED': 1,
      });
      expect(await dump(db())).toBe(before);
      await clock.move(-DAY_MS);
      expect(await resetPassword(auth, { token: second.token, newPassword: NEW })).toEqual({ userId });
    });

    it('reject a pending reset after a change of the password', async () => {
      const auth = open();
      const { email, userId } = await givenUser(auth);
      const { token } = await askForReset(auth, email);
      await changePassword(auth, { userId, currentPassword: PASSWORD, newPassword: NEW });

      expect(await outcomes([resetPassword(auth, { token, newPassword: PASSWORD })])).toEqual({ 'AUTH.TOKEN_USED': 1 });
    });

    it('end a lock of the password, also for a user with a second factor', async () => {
      const auth = open();
      const plain = await givenUser(auth);
      const careful = await givenUser(auth);
      await db().admin('INSERT INTO mfa_settings (id, user_id, email_enabled) VALUES ($1, $1, true)', [careful.userId]);
      await db().admin('UPDATE users SET email_verified = true WHERE id = $1', [careful.userId]);
      for (const { email } of [plain, careful]) {
        await outcomes(Array.from({ length: 10 }, () => login(auth, { email, password: 'wrong' })));
        const { token } = await askForReset(auth, email);
        await resetPassword(auth, { token, newPassword: NEW });
      }

      expect(await outcomes([signIn(auth, plain.email, NEW)])).toEqual({ ok: 1 });
      expect(await login(auth, { email: careful.email, password: NEW })).toMatchObject({ kind: 'mfa' });
    });

    it('set the first password of a created account and of an imported one', async () => {
      const auth = open();
      await db().admin(`INSERT INTO users (id, email, legacy_password_hash, password_salt, password_reset_required)
        VALUES ('old', 'old@azora.world', 'sha256', 'salt', true)`);
      expect(await outcomes([login(auth, { email: 'old@azora.world', password: PASSWORD })])).toEqual({
        'AUTH.INVALID_CREDENTIALS': 1,
      });
      const { token } = await askForReset(auth, 'old@azora.world');
      await resetPassword(auth, { token, newPassword: NEW });

      expect(await outcomes([signIn(auth, 'old@azora.world', NEW)])).toEqual({ ok: 1 });
      const [user] = await db().admin(
        "SELECT legacy_password_hash AS legacy, password_salt AS salt FROM users WHERE id = 'old'",
      );
      expect(user).toEqual({ legacy: null, salt: null });
    });

    it('reject tokens of other kinds, malformed tokens and weak passwords, and write nothing', async () => {
      const auth = open();
      const { verificationToken, email } = await givenUser(auth);
      const { refreshToken } = await givenSession(auth);
      const { token: right } = await askForReset(auth, email);
      const before = await dump(db());

      for (const token of [verificationToken, refreshToken, '', SQL, 'x\0', '\ud800']) {
        expect(await outcomes([resetPassword(auth, { token, newPassword: NEW })])).toEqual({ 'AUTH.TOKEN_INVALID': 1 });
      }
      for (const newPassword of ['short', 'x\0'.repeat(8), 'x'.repeat(10_000_000)]) {
        expect(await outcomes([resetPassword(auth, { token: right, newPassword })])).toEqual({
          'AUTH.INVALID_INPUT': 1,
        });
      }
      expect(await outcomes([resetPassword(auth, { token: right, newPassword: 'password123' })])).toEqual({
        'AUTH.PASSWORD_REFUSED': 1,
      });
      const noSend = { email, send: 'console.log' as never };
      expect(await outcomes([requestPasswordReset(auth, noSend)])).toEqual({ 'AUTH.INVALID_INPUT': 1 });
      expect(await dump(db())).toBe(before);
    });
  });
});
