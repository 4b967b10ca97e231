/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { type Auth, disableMfa, login, sendCode, unlockAccount, verifyMfa } from '../src/index';
import { actionsOf, DAY_MS, givenUser, MINUTE_MS, outcomes, PASSWORD, START, useAuth } from './given';
import { codeOf, givenChallenge, givenSender, givenTotp, givenVerifiedUser, KEY, wrongCodeOf } from './given-factors';

describe('the lockout of a second factor', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  // A busy machine makes calls wait for a connection for longer than by default.
  const open = () => openAuth({ encryptionKeys: KEY, pool: { connectTimeoutMs: 120_000 } });

  const givenTotpUser = async (auth: Auth) => {
    const user = await givenVerifiedUser(auth);
    const totp = await givenTotp(auth, clock, user.userId);
    await clock.move(MINUTE_MS);
    return { ...user, ...totp };
  };
  const stateOf = async (userId: string) => {
    const sql = `SELECT failed_login_count AS passwords, factor_failed_count AS codes, factor_locked_until AS "until"
      FROM users WHERE id = $1`;
    return (await db().admin(sql, [userId]))[0];
  };
  const guess = async (auth: Auth, { email, secret }: { email: string; secret: string }, times: number) => {
    const challengeToken = await givenChallenge(auth, email);
    const code = wrongCodeOf(clock, secret);
    return outcomes(Array.from({ length: times }, () => verifyMfa(auth, { challengeToken, factor: 'totp', code })));
  };

  it('answers ten of a hundred concurrent wrong codes, and locks the factor alone', async () => {
    const auths = [open(), open()] as const;
    const user = await givenTotpUser(auths[0]);
    const challengeToken = await givenChallenge(auths[0], user.email);
    const code = wrongCodeOf(clock, user.secret);
    const calls = Array.from({ length: 100 }, (_, n) =>
      verifyMfa(auths[n % 2 === 0 ? 0 : 1], { challengeToken, factor: 'totp', code }),
    );

    expect(await outcomes(calls)).toEqual({ 'AUTH.CODE_INVALID': 10, 'AUTH.LOCKED': 90 });
    const until = new Date(clock.now().getTime() + 15 * MINUTE_MS);
    expect(await stateOf(user.userId)).toEqual({ passwords: 0, codes: 10, until });
    const right = { challengeToken, factor: 'totp', code: codeOf(clock, user.secret) } as const;
    await expect(verifyMfa(auths[0], right)).rejects.toMatchObject({
      code: 'AUTH.LOCKED',
      meta: { lockedUntil: until.toISOString(), lock: 'factor' },
    });
    expect((await login(auths[0], { email: user.email, password: PASSWORD })).kind).toBe('mfa');
  });

  it('lets wrong passwords lock the password alone, so that they do not keep the owner from a code', async () => {
    const auth = open();
    const user = await givenTotpUser(auth);
    const device = { ipAddress: '203.0.113.21' };
    const challengeToken = await givenChallenge(auth, user.email);
    await outcomes(Array.from({ length: 5 }, () => login(auth, { email: user.email, password: 'a guess', device })));
    await outcomes(Array.from({ length: 5 }, () => login(auth, { email: user.email, password: 'a guess' })));

    expect(await outcomes([login(auth, { email: user.email, password: PASSWORD })])).toEqual({ 'AUTH.LOCKED': 1 });
    expect(await outcomes([login(auth, { email: user.email, password: PASSWORD, device })])).toEqual({
      'AUTH.SOURCE_LOCKED': 1,
    });
    const shown = { challengeToken, factor: 'totp', code: codeOf(clock, user.secret), device } as const;
    expect(await verifyMfa(auth, shown)).toMatchObject({ kind: 'session' });
  });

  it('answers a hundred wrong codes in a row at most, however slowly they come', async () => {
    const auth = open();
    const user = await givenTotpUser(auth);
    let answered = 0;
    for (let turn = 0; turn < 30 && answered < 100; turn += 1) {
      // Nine in a quarter of an hour never reached the limit of a window.
      answered += (await guess(auth, user, 9))['AUTH.CODE_INVALID'] ?? 0;
      const until = (await stateOf(user.userId))?.['until'];
      await clock.move(until instanceof Date ? until.getTime() - clock.now().getTime() : 15 * MINUTE_MS);
    }

    expect(answered).toBe(100);
    expect(await guess(auth, user, 1)).toEqual({ 'AUTH.FACTOR_BLOCKED': 1 });
    await clock.move(30 * DAY_MS);
    const challengeToken = await givenChallenge(auth, user.email);
    const right = { challengeToken, factor: 'totp', code: codeOf(clock, user.secret) } as const;
    expect(await outcomes([verifyMfa(auth, right)])).toEqual({ 'AUTH.FACTOR_BLOCKED': 1 });
    const proof = { factor: 'totp', code: codeOf(clock, user.secret) } as const;
    expect(await outcomes([disableMfa(auth, { userId: user.userId, proof })])).toEqual({ 'AUTH.FACTOR_BLOCKED': 1 });
    expect((await actionsOf(db(), user.userId)).filter((it) => it === 'FACTOR_BLOCKED')).toHaveLength(1);
  });

  describe('after a hundred wrong codes', () => {
    const givenBlockedUser = async (auth: Auth) => {
      const user = await givenTotpUser(auth);
      await db().admin('UPDATE users SET factor_failed_count = 99 WHERE id = $1', [user.userId]);
      expect(await guess(auth, user, 1)).toEqual({ 'AUTH.CODE_INVALID': 1 });
      return user;
    };

    it('accepts a recovery code, which starts a new count', async () => {
      const auth = open();
      const { userId, email, secret, recoveryCodes } = await givenBlockedUser(auth);
      const recovery = (code = '') =>
        givenChallenge(auth, email).then((challengeToken) =>
          verifyMfa(auth, { challengeToken, factor: 'recovery', code }),
        );

      expect(
        await outcomes([recovery('AAAA-AAAA-AAAA-AAAA-AAAA-AAAA'), recovery('AAAA-AAAA-AAAA-AAAA')]),
      ).not.toHaveProperty('ok');
      expect(await recovery(recoveryCodes[0])).toMatchObject({ kind: 'session' });
      expect(await stateOf(userId)).toEqual({ passwords: 0, codes: 0, until: null });
      const challengeToken = await givenChallenge(auth, email);
      const right = { challengeToken, factor: 'totp', code: codeOf(clock, secret) } as const;
      expect(await verifyMfa(auth, right)).toMatchObject({ kind: 'session' });
    });

    it('accepts a code again after unlockAccount', async () => {
      const auth = open();
      const { userId, email, secret } = await givenBlockedUser(auth);

      expect(await unlockAccount(auth, { userId, actorId: 'support-7' })).toEqual({ unlocked: true });
      const challengeToken = await givenChallenge(auth, email);
      const right = { challengeToken, factor: 'totp', code: codeOf(clock, secret) } as const;
      expect(await verifyMfa(auth, right)).toMatchObject({ kind: 'session' });
    });

    it('sends no code', async () => {
      const auth = open();
      const { userId } = await givenUser(auth);
      await db().admin('UPDATE users SET email_verified = true, factor_failed_count = 100 WHERE id = $1', [userId]);
      const send = givenSender();

      expect(await outcomes([sendCode(auth, { purpose: 'enable', channel: 'email', userId, send })])).toEqual({
        'AUTH.FACTOR_BLOCKED': 1,
      });
      expect(send.sent).toEqual([]);
    });
  });

  it('doubles each lock of ten failures in a row, and forgets them at a right code', async () => {
    const auth = open();
    const user = await givenTotpUser(auth);
    const minutes: number[] = [];
    for (let lock = 0; lock < 3; lock += 1) {
      await guess(auth, user, 10);
      const until = (await stateOf(user.userId))?.['until'];
      if (!(until instanceof Date)) throw new Error('the factor is not locked');
      minutes.push((until.getTime() - clock.now().getTime()) / MINUTE_MS);
      await clock.move(until.getTime() - clock.now().getTime());
    }

    expect(minutes).toEqual([15, 30, 60]);
    const proof = { factor: 'totp', code: codeOf(clock, user.secret) } as const;
    await disableMfa(auth, { userId: user.userId, proof });
    expect(await stateOf(user.userId)).toEqual({ passwords: 0, codes: 0, until: null });
  });

  it('counts failed codes against the network, for all accounts', async () => {
    const auth = open();
    const device = { ipAddress: '203.0.113.20' };
    const users: Awaited<ReturnType<typeof givenTotpUser>>[] = [];
    for (let n = 0; n < 12; n += 1) users.push(await givenTotpUser(auth));
    const calls = await Promise.all(
      users.map(async ({ email, secret }) => {
        const challengeToken = await givenChallenge(auth, email);
        const code = wrongCodeOf(clock, secret);
        return Array.from({ length: 9 }, () => ({ challengeToken, factor: 'totp', code, device }) as const);
      }),
    );

    expect(await outcomes(calls.flat().map((shown) => verifyMfa(auth, shown)))).toEqual({
      'AUTH.CODE_INVALID': 100,
      'AUTH.SOURCE_LOCKED': 8,
    });
  });
});
