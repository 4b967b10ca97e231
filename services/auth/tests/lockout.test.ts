/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { Client } from 'pg';
import {
  type Auth,
  changePassword,
  login,
  type PasswordResetMessage,
  requestPasswordReset,
  resetPassword,
  unlockAccount,
} from '../src/index';
import { actionsOf, DAY_MS, givenUser, MINUTE_MS, outcomes, PASSWORD, START, signIn, useAuth } from './given';

const WRONG = 'not the password';
const NEW = 'five other unrelated words';
/** A busy machine makes calls wait for a connection for longer than by default. */
const PATIENT = { pool: { connectTimeoutMs: 120_000 } };

describe('the lockout of an account', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);

  const stateOf = async (userId: string) => {
    const sql = `SELECT failed_login_count AS failures, lockout_count AS locks, locked_until AS "until" FROM users
      WHERE id = $1`;
    return (await db().admin(sql, [userId]))[0];
  };
  const attempt = (auth: Auth, email: string, password: string, ipAddress?: string) =>
    login(auth, { email, password, ...(ipAddress === undefined ? {} : { device: { ipAddress } }) });
  const fail = (auth: Auth, email: string, times: number, ipAddress?: string) =>
    outcomes(Array.from({ length: times }, () => attempt(auth, email, WRONG, ipAddress)));
  /** Wrong passwords from addresses that each stay below the limit of a source. */
  const failFrom = (auth: Auth, email: string, networks: readonly string[]) =>
    outcomes(networks.flatMap((ip) => Array.from({ length: 4 }, () => attempt(auth, email, WRONG, ip))));
  const resetBy = async (auth: Auth, email: string, ipAddress?: string) => {
    const message = await new Promise<PasswordResetMessage>((resolve, reject) => {
      requestPasswordReset(auth, { email, send: resolve }).catch(reject);
    });
    const device = ipAddress === undefined ? {} : { ipAddress };
    await resetPassword(auth, { token: message.token, newPassword: NEW, device });
  };

  it('answers ten of a hundred concurrent wrong passwords, and locks the account until a reported time', async () => {
    const auths = [open(PATIENT), open(PATIENT)];
    const { userId, email } = await givenUser(open());
    const calls = Array.from({ length: 100 }, (_, n) => attempt(auths[n % 2] ?? open(), email, WRONG));

    expect(await outcomes(calls)).toEqual({ 'AUTH.INVALID_CREDENTIALS': 10, 'AUTH.LOCKED': 90 });
    const until = new Date(clock.now().getTime() + 15 * MINUTE_MS);
    expect(await stateOf(userId)).toEqual({ failures: 10, locks: 1, until });
    await expect(signIn(open(), email)).rejects.toMatchObject({
      code: 'AUTH.LOCKED',
      meta: { lockedUntil: until.toISOString(), lock: 'password' },
    });
    const actions = await actionsOf(db(), userId);
    expect(actions.filter((it) => it === 'LOGIN_FAILED')).toHaveLength(10);
    expect(actions.filter((it) => it === 'ACCOUNT_LOCKED')).toHaveLength(1);
  });

  it('rejects the right password among concurrent guesses once ten wrong ones were answered', async () => {
    const auth = open({ pool: { max: 1 } });
    const { userId, email } = await givenUser(auth);
    // The check of the right password ends before the account is locked, and its judgement comes afterwards.
    const late: Auth = {
      ...auth,
      query: async (statement) => {
        if (statement.text.includes('finish_sign_in(')) await fail(auth, email, 10);
        return auth.query(statement);
      },
    };

    expect(await outcomes([attempt(late, email, PASSWORD)])).toEqual({ 'AUTH.LOCKED': 1 });
    expect(await stateOf(userId)).toMatchObject({ failures: 10 });
  });

  it('lets twenty concurrent right sign-ins pass, whatever the limit', async () => {
    const auths = [open(PATIENT), open(PATIENT)];
    const { userId, email } = await givenUser(open());
    const calls = Array.from({ length: 20 }, (_, n) => attempt(auths[n % 2] ?? open(), email, PASSWORD));

    expect(await outcomes(calls)).toEqual({ ok: 20 });
    expect(await stateOf(userId)).toEqual({ failures: 0, locks: 0, until: null });
    expect(await actionsOf(db(), userId)).not.toContain('ACCOUNT_LOCKED');
  });

  it('lets eight concurrent sign-ins pass while the bcrypt cost rises, and stores one new hash', async () => {
    const { userId, email } = await givenUser(open());
    const auths = [open({ ...PATIENT, bcryptCost: 5 }), open({ ...PATIENT, bcryptCost: 5 })];
    await db().admin(`
      CREATE TABLE hashes (hash text NOT NULL);
      CREATE FUNCTION note_hash() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, public, pg_temp AS $$
        BEGIN INSERT INTO public.hashes VALUES (NEW.password_hash); RETURN NULL; END $$;
      CREATE TRIGGER note_hash AFTER UPDATE ON users FOR EACH ROW
        WHEN (NEW.password_hash IS DISTINCT FROM OLD.password_hash) EXECUTE FUNCTION note_hash()`);
    const calls = Array.from({ length: 8 }, (_, n) => attempt(auths[n % 2] ?? open(), email, PASSWORD));

    expect(await outcomes(calls)).toEqual({ ok: 8 });
    expect(await stateOf(userId)).toEqual({ failures: 0, locks: 0, until: null });
    const hashes = await db().admin('SELECT hash FROM hashes');
    expect(hashes).toEqual([{ hash: expect.stringMatching(/^\$2b\$05\$/) }]);
    const [user] = await db().admin('SELECT password_hash AS hash FROM users WHERE id = $1', [userId]);
    expect([user]).toEqual(hashes);
  });

  it('lets a password check pass while a sign-in replaces the hash', async () => {
    const { userId, email } = await givenUser(open());
    const auth = open();
    const rehashing: Promise<unknown>[] = [];
    const racing: Auth = {
      ...auth,
      transaction: async (work) => {
        if (rehashing.length === 0) rehashing.push(signIn(open({ bcryptCost: 5 }), email));
        await Promise.all(rehashing);
        return auth.transaction(work);
      },
    };

    await changePassword(racing, { userId, currentPassword: PASSWORD, newPassword: NEW });
    expect(await outcomes([attempt(auth, email, NEW)])).toEqual({ ok: 1 });
  });

  it('counts no sign-in whose process ended between the two statements', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    const killed: Auth = {
      ...auth,
      query: (statement) =>
        statement.text.includes('finish_sign_in(') ? Promise.reject(new Error('killed')) : auth.query(statement),
    };
    await outcomes(Array.from({ length: 30 }, () => attempt(killed, email, PASSWORD)));

    expect(await stateOf(userId)).toEqual({ failures: 0, locks: 0, until: null });
    expect(await outcomes([attempt(auth, email, PASSWORD)])).toEqual({ ok: 1 });
  });

  it('counts no sign-in that another transaction kept waiting until its limit', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    const frozen = new Client({ connectionString: db().url });
    await frozen.connect();
    const waiting = open({ url: `${db().url}${db().url.includes('?') ? '&' : '?'}options=-c%20lock_timeout%3D50ms` });
    try {
      await frozen.query('BEGIN');
      await frozen.query('SELECT FROM users WHERE id = $1 FOR UPDATE', [userId]);
      for (const password of [PASSWORD, WRONG]) {
        const calls = Array.from({ length: 15 }, () => attempt(waiting, email, password));
        expect(await outcomes(calls)).toEqual({ 'DATABASE.TIMEOUT': 15 });
      }
    } finally {
      await frozen.end();
    }

    expect(await stateOf(userId)).toEqual({ failures: 0, locks: 0, until: null });
    expect(await outcomes([attempt(auth, email, PASSWORD)])).toEqual({ ok: 1 });
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
    expect((await actionsOf(db(), userId)).slice(-2)).toEqual(['LOGIN_FAILED', 'USER_LOGIN']);
  });

  it('stays locked while the clock runs backwards, and keeps the window', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    await fail(auth, email, 5);
    await clock.move(-3_000);
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

  describe('as a weapon against its owner', () => {
    const NETWORKS = ['203.0.113.1', '203.0.113.2', '203.0.113.3'];

    it('stops one source before the account is locked', async () => {
      const auth = open();
      const { userId, email } = await givenUser(auth);

      expect(await fail(auth, email, 20, '203.0.113.1')).toEqual({
        'AUTH.INVALID_CREDENTIALS': 5,
        'AUTH.SOURCE_LOCKED': 15,
      });
      expect(await stateOf(userId)).toMatchObject({ failures: 5, until: null });
      expect(await outcomes([attempt(auth, email, PASSWORD, '203.0.113.1')])).toEqual({ 'AUTH.SOURCE_LOCKED': 1 });
      expect(await outcomes([attempt(auth, email, PASSWORD, '198.51.100.7')])).toEqual({ ok: 1 });
    });

    it('never locks the account from one source, which is locked for longer each time', async () => {
      const auth = open();
      const { userId, email } = await givenUser(auth);
      const answered: (number | undefined)[] = [];
      for (let hour = 0; hour < 24; hour += 1) {
        answered.push((await fail(auth, email, 20, '203.0.113.1'))['AUTH.INVALID_CREDENTIALS']);
        await clock.move(60 * MINUTE_MS);
      }

      expect(answered.filter((it) => it === 5).length).toBeLessThanOrEqual(7);
      expect(await actionsOf(db(), userId)).not.toContain('ACCOUNT_LOCKED');
    });

    it('does not lock out the owner at a network from which the owner signed in before', async () => {
      const auth = open();
      const { userId, email } = await givenUser(auth);
      await attempt(auth, email, PASSWORD, '2001:db8:0:1::7');
      await failFrom(auth, email, NETWORKS);

      expect((await stateOf(userId))?.['until']).toBeInstanceOf(Date);
      expect(await outcomes([attempt(auth, email, PASSWORD, '198.51.100.7')])).toEqual({ 'AUTH.LOCKED': 1 });
      // Another address of the same /64.
      expect(await outcomes([attempt(auth, email, PASSWORD, '2001:db8:0:1::8')])).toEqual({ ok: 1 });
      // Its failures count against the network alone.
      await failFrom(auth, email, NETWORKS);
      expect(await fail(auth, email, 9, '2001:db8:0:1::9')).toEqual({
        'AUTH.INVALID_CREDENTIALS': 5,
        'AUTH.SOURCE_LOCKED': 4,
      });
    });

    it('ends by a reset by mail, also for an owner with a second factor, whose source the next lock spares', async () => {
      const auth = open();
      const { userId, email } = await givenUser(auth);
      await db().admin('INSERT INTO mfa_settings (id, user_id, email_enabled) VALUES ($1, $1, true)', [userId]);
      for (let lock = 0; lock < 3; lock += 1) {
        await fail(auth, email, 10);
        const until = (await stateOf(userId))?.['until'];
        if (!(until instanceof Date)) throw new Error('the account is not locked');
        if (lock < 2) await clock.move(until.getTime() - clock.now().getTime());
      }
      await resetBy(auth, email, '198.51.100.7');

      expect(await stateOf(userId)).toEqual({ failures: 0, locks: 0, until: null });
      expect(await outcomes([attempt(auth, email, NEW)])).toEqual({ ok: 1 });
      expect((await actionsOf(db(), userId)).filter((it) => it === 'ACCOUNT_UNLOCKED')).toHaveLength(1);
      await fail(auth, email, 10);
      expect(await outcomes([attempt(auth, email, NEW), attempt(auth, email, NEW, '198.51.100.7')])).toEqual({
        'AUTH.LOCKED': 1,
        ok: 1,
      });
    });

    it('ends by a reset by mail for the source of the owner too', async () => {
      const auth = open();
      const { email } = await givenUser(auth);
      await fail(auth, email, 5, '198.51.100.7');
      await resetBy(auth, email);

      expect(await outcomes([attempt(auth, email, NEW, '198.51.100.7')])).toEqual({ ok: 1 });
    });

    it('ends by unlockAccount, which writes who unlocked the account and why', async () => {
      const auth = open();
      const { userId, email } = await givenUser(auth);
      await fail(auth, email, 10);
      const unlock = { userId, actorId: 'support-7', reason: 'identified by phone' };

      expect(await unlockAccount(auth, unlock)).toEqual({ unlocked: true });
      expect(await unlockAccount(auth, unlock)).toEqual({ unlocked: false });
      expect(await outcomes([attempt(auth, email, PASSWORD)])).toEqual({ ok: 1 });
      expect(
        await db().admin("SELECT details FROM audit_log WHERE user_id = $1 AND action = 'ACCOUNT_UNLOCKED'", [userId]),
      ).toEqual([{ details: { by: 'support-7', reason: 'identified by phone' } }]);
      expect(await outcomes([unlockAccount(auth, { ...unlock, userId: 'nobody' })])).toEqual({
        'AUTH.USER_NOT_FOUND': 1,
      });
    });
  });

  describe('of a network', () => {
    it('answers a hundred of many concurrent failures at different accounts, known or not', async () => {
      const auths = [open(PATIENT), open(PATIENT)];
      const { email } = await givenUser(open());
      const calls = Array.from({ length: 130 }, (_, n) =>
        attempt(auths[n % 2] ?? open(), n % 30 === 0 ? email : `nobody${n}@azora.world`, WRONG, '203.0.113.9'),
      );

      expect(await outcomes(calls)).toEqual({ 'AUTH.INVALID_CREDENTIALS': 100, 'AUTH.SOURCE_LOCKED': 30 });
      await expect(attempt(open(), email, PASSWORD, '203.0.113.9')).rejects.toMatchObject({
        code: 'AUTH.SOURCE_LOCKED',
        meta: { lockedUntil: new Date(clock.now().getTime() + 15 * MINUTE_MS).toISOString() },
      });
      await clock.move(15 * MINUTE_MS);
      expect(await outcomes([attempt(open(), email, PASSWORD, '203.0.113.9')])).toEqual({ ok: 1 });
    });

    it('does not apply to users who signed in from it before', async () => {
      const auth = open(PATIENT);
      const { email } = await givenUser(auth);
      await attempt(auth, email, PASSWORD, '203.0.113.10');
      await outcomes(
        Array.from({ length: 100 }, (_, n) => attempt(auth, `nobody${n}@azora.world`, WRONG, '203.0.113.10')),
      );

      expect(await outcomes([attempt(auth, 'nobody@azora.world', WRONG, '203.0.113.10')])).toEqual({
        'AUTH.SOURCE_LOCKED': 1,
      });
      expect(await outcomes([attempt(auth, email, PASSWORD, '203.0.113.10')])).toEqual({ ok: 1 });
    });

    it.each([
      ['203.0.113.7', '203.0.113.7'],
      ['::ffff:203.0.113.7', '203.0.113.7'],
      ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
      ['fe80::1%eth0', 'fe80::/64'],
      ['no address', null],
    ])('is, for %s, %s', async (ip, network) => {
      expect(await db().app('SELECT network_of($1) AS network', [ip])).toEqual([{ network }]);
    });

    it('leaves no row behind for long', async () => {
      const auth = open();
      const { email } = await givenUser(auth);
      await outcomes(Array.from({ length: 20 }, (_, n) => attempt(auth, email, WRONG, `192.0.2.${n}`)));
      await clock.move(2 * DAY_MS);
      await fail(auth, email, 9, '192.0.2.99');

      const rows =
        "SELECT count(*)::int AS n FROM sign_in_sources WHERE network LIKE '192.0.2.%' AND network <> '192.0.2.99'";
      expect((await db().admin(rows))[0]?.['n']).toBeLessThan(20);
    });
  });
});
