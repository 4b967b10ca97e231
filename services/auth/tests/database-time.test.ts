/** @server any */
import { setTimeout as pause } from 'node:timers/promises';
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  acceptInvitation,
  authenticate,
  createOrganization,
  disableMfa,
  invite,
  listSessions,
  login,
  logoutEverywhere,
  pruneExpired,
  refresh,
  regenerateRecoveryCodes,
  requestPasswordReset,
  resetPassword,
  sendCode,
  updateProfile,
  verifyMfa,
} from '../src/index';
import { takeToken } from '../src/session/tokens';
import { DAY_MS, givenSession, givenUser, MINUTE_MS, outcomes, PASSWORD, START, signIn, useAuth } from './given';
import { codeOf, givenChallenge, givenSender, givenSms, givenTotp, givenVerifiedUser, KEY } from './given-factors';

const HASH = 'a'.repeat(64);

describe.each(['2099-01-01T00:00:00Z', '1999-01-01T00:00:00Z'])('a process whose clock stands at %s', (time) => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);

  beforeEach(() => {
    jest.useFakeTimers({
      now: new Date(time),
      doNotFake: [
        'hrtime',
        'nextTick',
        'performance',
        'queueMicrotask',
        'setImmediate',
        'clearImmediate',
        'setInterval',
        'clearInterval',
        'setTimeout',
        'clearTimeout',
      ],
    });
  });
  afterEach(async () => {
    jest.useRealTimers();
    expect(await everyRow()).not.toContain(`"${time.slice(0, 5)}`);
  });

  /** Every row of every table, as one text. */
  const everyRow = async () => {
    const sql = "SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public'";
    const rows: unknown[] = [];
    for (const { name } of await db().admin(sql)) rows.push(await db().admin(`SELECT to_jsonb(it) FROM ${name} AS it`));
    return JSON.stringify(rows);
  };
  const inFuture = (milliseconds: number) => new Date(clock.now().getTime() + milliseconds);

  it('opens, refreshes and ends sessions as any other', async () => {
    const auth = open();
    const session = await givenSession(auth);
    const { userId, sessionToken, refreshToken } = session;
    expect(session).toMatchObject({ expiresAt: inFuture(7 * DAY_MS), absoluteExpiresAt: inFuture(30 * DAY_MS) });
    expect(await authenticate(auth, { sessionToken })).toMatchObject({ expiresAt: inFuture(15 * MINUTE_MS) });

    await clock.move(15 * MINUTE_MS);
    expect(await outcomes([authenticate(auth, { sessionToken })])).toEqual({ 'AUTH.TOKEN_EXPIRED': 1 });
    const renewed = await refresh(auth, { refreshToken });
    expect(renewed.expiresAt).toEqual(inFuture(7 * DAY_MS));
    expect(await listSessions(auth, { userId })).toHaveLength(1);
    expect((await pruneExpired(auth)).sessions).toBe(0);

    await clock.move(7 * DAY_MS);
    expect(await outcomes([refresh(auth, { refreshToken: renewed.refreshToken })])).toEqual({
      'AUTH.TOKEN_EXPIRED': 1,
    });
    expect(await listSessions(auth, { userId })).toEqual([]);
  });

  it('accepts the codes of second factors as any other', async () => {
    const auth = open({ encryptionKeys: KEY });
    const { userId, email } = await givenVerifiedUser(auth, 'factors@azora.world');
    const { secret, recoveryCodes: first } = await givenTotp(auth, clock, userId);
    const send = givenSender();
    const proof = { factor: 'password', password: PASSWORD } as const;
    expect(await sendCode(auth, { purpose: 'enable', userId, channel: 'email', send, proof })).toEqual({
      expiresAt: inFuture(10 * MINUTE_MS),
      resendAt: inFuture(MINUTE_MS),
    });
    await clock.move(MINUTE_MS);
    const challenge = await login(auth, { email, password: PASSWORD });
    expect(challenge).toMatchObject({ kind: 'mfa', expiresAt: inFuture(10 * MINUTE_MS) });
    const challengeToken = challenge.kind === 'mfa' ? challenge.challengeToken : '';
    await verifyMfa(auth, { challengeToken, factor: 'totp', code: codeOf(clock, secret) });
    const another = { factor: 'recovery', code: first[0] ?? '' } as const;
    const { recoveryCodes } = await regenerateRecoveryCodes(auth, { userId, proof: another });
    const recovery = { challengeToken: await givenChallenge(auth, email), factor: 'recovery' as const };

    expect(await verifyMfa(auth, { ...recovery, code: recoveryCodes[0] ?? '' })).toMatchObject({
      absoluteExpiresAt: inFuture(30 * DAY_MS),
    });
  });

  it('uses a sent code, and lets it expire, as any other', async () => {
    const auth = open({ encryptionKeys: KEY });
    const { userId, email } = await givenVerifiedUser(auth, 'sms@azora.world');
    await givenSms(auth, clock, userId);
    const send = givenSender();
    await sendCode(auth, { purpose: 'confirm', channel: 'sms', userId, send });
    await clock.move(10 * MINUTE_MS);
    const late = disableMfa(auth, { userId, proof: { factor: 'sms', code: send.last() } });
    expect(await outcomes([late])).toEqual({ 'AUTH.CODE_INVALID': 1 });

    const challengeToken = await givenChallenge(auth, email);
    await sendCode(auth, { purpose: 'sign_in', channel: 'sms', challengeToken, send });
    const inTime = verifyMfa(auth, { challengeToken, factor: 'sms', code: send.last() });
    expect(await outcomes([inTime])).toEqual({ ok: 1 });
  });

  it('invites, resets passwords, locks accounts and judges birth dates as any other', async () => {
    const auth = open();
    const owner = await givenVerifiedUser(auth, 'owner@azora.world');
    const guest = await givenVerifiedUser(auth, 'guest@azora.world');
    const { orgId } = await createOrganization(auth, { ownerId: owner.userId, name: 'Org', slug: 'org' });
    const { token, expiresAt } = await invite(auth, { orgId, actorId: owner.userId, email: guest.email });
    expect(expiresAt).toEqual(inFuture(7 * DAY_MS));
    expect(await acceptInvitation(auth, { token, userId: guest.userId })).toMatchObject({ orgId });

    const sent = await new Promise<{ readonly token: string; readonly expiresAt: Date }>((resolve) => {
      void requestPasswordReset(auth, { email: guest.email, send: resolve });
    });
    expect(sent.expiresAt).toEqual(inFuture(60 * MINUTE_MS));
    await resetPassword(auth, { token: sent.token, newPassword: 'another four words' });
    await signIn(auth, guest.email, 'another four words');

    const wrong = Array.from({ length: 10 }, () => login(auth, { email: guest.email, password: 'a wrong password' }));
    await outcomes(wrong);
    await expect(signIn(auth, guest.email, 'another four words')).rejects.toMatchObject({
      meta: { lockedUntil: inFuture(15 * MINUTE_MS).toISOString() },
    });
    const born = (birthDate: string) => updateProfile(auth, { userId: owner.userId, birthDate });
    expect(await outcomes([born('2026-02-28')])).toEqual({ ok: 1 });
    expect(await outcomes([born('2026-03-01')])).toEqual({ 'AUTH.INVALID_INPUT': 1 });
  });
});

describe('a call that waited for a lock', () => {
  const db = useDatabase('auth');
  const open = useAuth(db);

  // The time is a row here, so that a statement that is under way sees when it moves.
  beforeAll(() =>
    db().admin(`
      CREATE TABLE test_time (at timestamptz NOT NULL);
      INSERT INTO test_time VALUES ('${START}');
      GRANT SELECT ON test_time TO PUBLIC;
      CREATE OR REPLACE FUNCTION database_time() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
        AS $$ SELECT at FROM public.test_time $$`),
  );
  beforeEach(() => db().admin(`UPDATE test_time SET at = '${START}'`));

  /** Starts a call while the rows are locked, and moves the time by `milliseconds` before it continues. */
  async function waitedFor(rows: string, milliseconds: number, call: () => Promise<unknown>) {
    await db().admin('BEGIN');
    await db().admin(`${rows} FOR UPDATE`);
    const result = outcomes([call()]);
    const waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while ((await db().app(waiting)).length === 0) await pause(10);
    await db().admin(`UPDATE test_time SET at = at + ${milliseconds} * interval '1 ms'`);
    await db().admin('COMMIT');
    return result;
  }

  it('does not accept a token that expired meanwhile', async () => {
    const auth = open();
    const { userId, verificationToken: token } = await givenUser(auth);
    const rows = `SELECT FROM tokens WHERE user_id = '${userId}'`;
    const take = () => auth.transaction((tx) => takeToken(tx, { kind: 'email_verification', token }));

    expect(await waitedFor(rows, DAY_MS, take)).toEqual({ 'AUTH.TOKEN_EXPIRED': 1 });
  });

  it.each(['tokens', 'sessions'])('does not refresh a session that expired meanwhile: %s', async (table) => {
    const auth = open();
    const { userId, refreshToken } = await givenSession(auth);
    const rows = `SELECT FROM ${table} WHERE user_id = '${userId}'`;

    expect(await waitedFor(rows, 7 * DAY_MS, () => refresh(auth, { refreshToken }))).toEqual({
      'AUTH.TOKEN_EXPIRED': 1,
    });
  });

  it('does not accept an invitation that expired meanwhile', async () => {
    const auth = open();
    const owner = await givenVerifiedUser(auth, 'waiting-owner@azora.world');
    const guest = await givenVerifiedUser(auth, 'waiting-guest@azora.world');
    const { orgId } = await createOrganization(auth, { ownerId: owner.userId, name: 'Org', slug: 'waiting' });
    const { token } = await invite(auth, { orgId, actorId: owner.userId, email: guest.email });
    const rows = `SELECT FROM users WHERE id = '${guest.userId}'`;

    expect(await waitedFor(rows, 7 * DAY_MS, () => acceptInvitation(auth, { token, userId: guest.userId }))).toEqual({
      'AUTH.TOKEN_EXPIRED': 1,
    });
  });

  it('locks an account from the time of its attempt on', async () => {
    const auth = open({ lockout: { attempts: 1 } });
    const { userId, email } = await givenUser(auth);
    const rows = `SELECT FROM users WHERE id = '${userId}'`;
    await waitedFor(rows, DAY_MS, () => login(auth, { email, password: 'a wrong password' }));

    expect(await db().admin('SELECT locked_until - at AS lock FROM users, test_time WHERE id = $1', [userId])).toEqual([
      { lock: expect.objectContaining({ minutes: 15 }) },
    ]);
  });
});

describe('the times that the app role writes', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);

  beforeAll(() =>
    db().app(`
      INSERT INTO users (id, email, password_reset_required) VALUES ('ada', 'ada@azora.world', true);
      INSERT INTO organizations (id, name, slug) VALUES ('org', 'Org', 'org');
      INSERT INTO sessions (id, user_id, token_hash, expires_at) VALUES ('s', 'ada', '${HASH}', '2026-03-02');
      INSERT INTO tokens (id, user_id, kind, token_hash, family_id, session_id, expires_at, family_expires_at)
        VALUES ('t', 'ada', 'refresh', '${HASH}', 't', 's', '2026-03-02', '2026-03-31');
      INSERT INTO one_time_codes (id, user_id, channel, purpose, code_hash, expires_at)
        VALUES ('c', 'ada', 'sms', 'confirm', '${HASH}', '2026-03-01 12:10Z');
      INSERT INTO org_invitations (id, org_id, email, token_hash, expires_at)
        VALUES ('i', 'org', 'x@azora.world', '${HASH}', '2026-03-08 12:00Z')`),
  );

  const session = (columns: string, values: string) =>
    `INSERT INTO sessions (id, user_id, token_hash, ${columns}) VALUES ('x', 'ada', repeat('b', 64), ${values})`;
  const token = (kind: string, columns: string, values: string) =>
    `INSERT INTO tokens (id, user_id, kind, token_hash, ${columns})
     VALUES ('x', 'ada', '${kind}', repeat('b', 64), ${values})`;
  const code = (columns: string, values: string) =>
    `INSERT INTO one_time_codes (id, user_id, channel, purpose, code_hash, ${columns})
     VALUES ('x', 'ada', 'email', 'confirm', repeat('b', 64), ${values})`;
  const invitation = (columns: string, values: string) =>
    `INSERT INTO org_invitations (id, org_id, email, token_hash, ${columns})
     VALUES ('x', 'org', 'y@azora.world', repeat('b', 64), ${values})`;

  it.each([
    [session('expires_at', "'2099-01-01'"), 'sessions_life_check'],
    [session('created_at, expires_at', "'2098-12-31', '2099-01-01'"), 'sessions_time_check'],
    [session('last_activity_at, expires_at', "'2026-03-31', '2026-03-31'"), 'sessions_time_check'],
    [session('expires_at', "'infinity'"), 'sessions_life_check'],
    ["UPDATE sessions SET expires_at = '2099-01-01' WHERE id = 's'", 'sessions_life_check'],
    ["UPDATE sessions SET created_at = '2026-03-01 12:00:01Z' WHERE id = 's'", 'sessions_time_check'],
    ["UPDATE sessions SET last_activity_at = '2026-03-02' WHERE id = 's'", 'sessions_time_check'],
    [token('mfa_challenge', 'expires_at', "'2026-03-01 12:10:01Z'"), 'tokens_challenge_life_check'],
    [token('password_reset', 'expires_at', "'2026-03-03'"), 'tokens_life_check'],
    [token('invitation', 'expires_at', "'2026-05-01'"), 'tokens_life_check'],
    [token('refresh', 'family_id, expires_at', "'x', '2099-01-01'"), 'tokens_life_check'],
    [
      token('refresh', 'family_id, expires_at, family_expires_at', "'x', '2026-03-02', '2099-01-01'"),
      'tokens_life_check',
    ],
    [token('password_reset', 'created_at, expires_at', "'2026-03-31', '2026-03-31 01:00'"), 'tokens_time_check'],
    ["UPDATE tokens SET expires_at = '2026-03-03' WHERE id = 't'", 'tokens_time_check'],
    ["UPDATE tokens SET family_expires_at = '2026-04-01' WHERE id = 't'", 'tokens_time_check'],
    ["UPDATE tokens SET created_at = '2026-03-01 12:00:01Z' WHERE id = 't'", 'tokens_time_check'],
    [code('expires_at', "'2026-03-01 12:10:01Z'"), 'one_time_codes_life_check'],
    [code('created_at, expires_at', "'2026-03-02', '2026-03-02 00:10'"), 'one_time_codes_time_check'],
    ["UPDATE one_time_codes SET expires_at = '2026-03-01 12:10:01Z' WHERE id = 'c'", 'one_time_codes_time_check'],
    [invitation('expires_at', "'2026-03-08 12:00:01Z'"), 'org_invitations_life_check'],
    [invitation('created_at, expires_at', "'2026-03-31', '2026-04-01'"), 'org_invitations_time_check'],
    ["UPDATE org_invitations SET expires_at = '2026-03-08 12:00:01Z' WHERE id = 'i'", 'org_invitations_time_check'],
    ["UPDATE users SET locked_until = '2999-01-01' WHERE id = 'ada'", 'users_time_check'],
    ["UPDATE users SET locked_until = 'infinity' WHERE id = 'ada'", 'users_time_check'],
    ["UPDATE users SET first_failed_at = '2026-03-02' WHERE id = 'ada'", 'users_time_check'],
    [
      "INSERT INTO users (id, email, password_reset_required, locked_until) VALUES ('x', 'x@y.z', true, '2999-01-01')",
      'users_time_check',
    ],
  ])('are refused where a rule depends on them: %s', async (statement, constraint) => {
    await expect(db().app(statement)).rejects.toMatchObject({ code: '23514', constraint });
  });

  it('cannot come from another function', async () => {
    const replace = "CREATE OR REPLACE FUNCTION database_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'";

    await expect(db().app(replace)).rejects.toMatchObject({ code: '42501' });
  });

  it('do not keep a session open whose time lies in the future after the clock was set back', async () => {
    const auth = open();
    const { userId } = await givenSession(auth);
    await clock.move(-DAY_MS);

    expect(await logoutEverywhere(auth, { userId })).toEqual({ ended: 1 });
  });
});
