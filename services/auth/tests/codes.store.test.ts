/** @server any */
import { inspect } from 'node:util';
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { type Auth, confirmChannel, disableMfa, login, register, sendCode, verifyMfa } from '../src/index';
import { actionsOf, dump, MINUTE_MS, outcomes, PASSWORD, START, useAuth } from './given';
import {
  BY_PASSWORD,
  barrierOf,
  givenChallenge,
  givenSender,
  givenSms,
  givenTotp,
  givenVerifiedUser,
  KEY,
  OLDER_KEY,
  PHONE,
} from './given-factors';

describe('sent codes', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = () => openAuth({ encryptionKeys: KEY });
  const codesOf = (userId: string) =>
    db().admin('SELECT * FROM one_time_codes WHERE user_id = $1 ORDER BY created_at', [userId]);
  const another = (code: string) => String((Number(code) + 1) % 1_000_000).padStart(6, '0');

  /** A user with SMS enabled, a challenge, and the code that was sent for it. */
  async function givenCode(auth: Auth) {
    const user = await givenVerifiedUser(auth);
    await givenSms(auth, clock, user.userId);
    const challengeToken = await givenChallenge(auth, user.email);
    const send = givenSender();
    const sent = await sendCode(auth, { purpose: 'sign_in', channel: 'sms', challengeToken, send });
    return { ...user, challengeToken, send, sent, code: send.last() };
  }

  it('enable SMS, with recovery codes, once the user has entered the code sent to the number', async () => {
    const auth = open();
    const { userId, email } = await givenVerifiedUser(auth);
    const send = givenSender();

    const sent = await sendCode(auth, { purpose: 'enable', userId, channel: 'sms', phoneNumber: PHONE, send });
    const before = await login(auth, { email, password: PASSWORD });
    const { recoveryCodes } = await confirmChannel(auth, {
      userId,
      channel: 'sms',
      code: send.last(),
      proof: BY_PASSWORD,
    });

    expect(send.sent).toEqual([{ channel: 'sms', to: PHONE, code: expect.stringMatching(/^\d{6}$/) }]);
    expect(sent).toEqual({
      expiresAt: new Date(clock.now().getTime() + 10 * MINUTE_MS),
      resendAt: new Date(clock.now().getTime() + MINUTE_MS),
    });
    expect(before.kind).toBe('session');
    expect(recoveryCodes).toHaveLength(10);
    expect(await login(auth, { email, password: PASSWORD })).toMatchObject({ kind: 'mfa', factors: ['sms'] });
    expect(await actionsOf(db(), userId)).toEqual(expect.arrayContaining(['CODE_REQUESTED', 'MFA_ENABLED']));
  });

  it('sign in once', async () => {
    const auth = open();
    const { challengeToken, code, email } = await givenCode(auth);
    const barrier = barrierOf(auth, 5);

    const ends = await outcomes(
      Array.from({ length: 5 }, () => verifyMfa(barrier, { challengeToken, factor: 'sms', code })),
    );
    const again = verifyMfa(auth, { challengeToken: await givenChallenge(auth, email), factor: 'sms', code });

    expect(ends).toEqual({ ok: 1, 'AUTH.CODE_INVALID': 4 });
    await expect(again).rejects.toMatchObject({ code: 'AUTH.CODE_INVALID' });
  });

  it('sign in by email at the verified address', async () => {
    const auth = open();
    const { userId, email } = await givenVerifiedUser(auth);
    const send = givenSender();
    await sendCode(auth, { purpose: 'enable', userId, channel: 'email', send });
    await confirmChannel(auth, { userId, channel: 'email', code: send.last(), proof: BY_PASSWORD });
    await clock.move(MINUTE_MS);
    const challengeToken = await givenChallenge(auth, email);
    await sendCode(auth, { purpose: 'sign_in', channel: 'email', challengeToken, send });

    const signedIn = await verifyMfa(auth, { challengeToken, factor: 'email', code: send.last() });

    expect(signedIn.kind).toBe('session');
    expect(send.sent.map(({ to }) => to)).toEqual([email, email]);
  });

  it('are stored as a keyed hash, which differs from every plain hash of the code', async () => {
    const auth = open();
    const { userId, code } = await givenCode(auth);
    const rows = await codesOf(userId);

    expect(rows.at(-1)).toMatchObject({ code_hash: expect.stringMatching(/^[0-9a-f]{64}$/), sent_to: PHONE });
    // Plain hashes of the code, which a reader of the database could compute for all million codes.
    const { createHash } = await import('node:crypto');
    const plain = [code, `${userId}${code}`, JSON.stringify([userId, 'sms', 'sign_in', code])];
    expect(plain.map((text) => createHash('sha256').update(text).digest('hex'))).not.toContain(
      rows.at(-1)?.['code_hash'],
    );
  });

  it('stay valid after a new encryption key is added', async () => {
    const auth = openAuth({ encryptionKeys: OLDER_KEY });
    const { challengeToken, code } = await givenCode(auth);
    const rotated = openAuth({ encryptionKeys: `v2:${KEY},v1:${OLDER_KEY}` });

    await expect(verifyMfa(rotated, { challengeToken, factor: 'sms', code })).resolves.toMatchObject({
      kind: 'session',
    });
  });

  it('expire after ten minutes', async () => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);
    await givenSms(auth, clock, userId);
    const send = givenSender();
    await sendCode(auth, { purpose: 'confirm', userId, channel: 'sms', send });

    await clock.move(10 * MINUTE_MS);

    await expect(disableMfa(auth, { userId, proof: { factor: 'sms', code: send.last() } })).rejects.toMatchObject({
      code: 'AUTH.CODE_INVALID',
    });
  });

  it('are invalid after five wrong attempts, also when the attempts race', async () => {
    const auth = open();
    const { userId, challengeToken, code } = await givenCode(auth);

    const ends = await outcomes(
      Array.from({ length: 7 }, () => verifyMfa(auth, { challengeToken, factor: 'sms', code: another(code) })),
    );

    expect(ends).toEqual({ 'AUTH.CODE_INVALID': 7 });
    expect((await codesOf(userId)).at(-1)).toMatchObject({ attempts: 5, used_at: null });
    await expect(verifyMfa(auth, { challengeToken, factor: 'sms', code })).rejects.toMatchObject({
      code: 'AUTH.CODE_INVALID',
    });
  });

  it('are invalid once five wrong ones were answered, also if the right one was compared before them', async () => {
    const auth = open();
    const { userId, challengeToken, code } = await givenCode(auth);
    const guess = { challengeToken, factor: 'sms', code: another(code) } as const;
    const late: Auth = {
      ...auth,
      transaction: async (work) => {
        expect(await outcomes(Array.from({ length: 5 }, () => verifyMfa(auth, guess)))).toEqual({
          'AUTH.CODE_INVALID': 5,
        });
        return auth.transaction(work);
      },
    };

    expect(await outcomes([verifyMfa(late, { ...guess, code })])).toEqual({ 'AUTH.CODE_INVALID': 1 });
    expect((await codesOf(userId)).at(-1)).toMatchObject({ attempts: 5, used_at: null });
  });

  it('count only wrong attempts', async () => {
    const auth = open();
    const { userId, challengeToken, code } = await givenCode(auth);
    await outcomes([verifyMfa(auth, { challengeToken, factor: 'sms', code: another(code) })]);
    await verifyMfa(auth, { challengeToken, factor: 'sms', code });

    expect((await codesOf(userId)).at(-1)).toMatchObject({ attempts: 1, used_at: expect.any(Date) });
  });

  it('are valid at the fifth attempt', async () => {
    const auth = open();
    const { challengeToken, code } = await givenCode(auth);
    for (let n = 0; n < 4; n += 1)
      await outcomes([verifyMfa(auth, { challengeToken, factor: 'sms', code: another(code) })]);

    await expect(verifyMfa(auth, { challengeToken, factor: 'sms', code })).resolves.toMatchObject({ kind: 'session' });
  });

  it('are sent at most once a minute, and only the newest is valid', async () => {
    const auth = open();
    const { userId, challengeToken, code, send, sent } = await givenCode(auth);
    const again = () => sendCode(auth, { purpose: 'sign_in', channel: 'sms', challengeToken, send });
    await clock.move(MINUTE_MS - 1);

    await expect(again()).rejects.toMatchObject({ code: 'AUTH.CODE_TOO_SOON', meta: { resendAt: sent.resendAt } });
    await clock.move(1);
    await again();

    expect(send.sent).toHaveLength(2);
    const live = (await codesOf(userId)).filter(({ used_at, revoked_at }) => used_at === null && revoked_at === null);
    expect(live).toHaveLength(1);
    if (code !== send.last())
      await expect(verifyMfa(auth, { challengeToken, factor: 'sms', code })).rejects.toMatchObject({
        code: 'AUTH.CODE_INVALID',
      });
    await verifyMfa(auth, { challengeToken, factor: 'sms', code: send.last() });
  });

  it('are sent once when many requests race', async () => {
    const [one, other] = [open(), open()];
    const { userId } = await givenVerifiedUser(one);
    const send = givenSender();

    const ends = await outcomes(
      Array.from({ length: 8 }, (_, n) =>
        sendCode(n % 2 === 0 ? one : other, { purpose: 'enable', userId, channel: 'email', send }),
      ),
    );

    expect(ends).toEqual({ ok: 1, 'AUTH.CODE_TOO_SOON': 7 });
    expect(send.sent).toHaveLength(1);
  });

  it('are sent after the clock was set back by an hour', async () => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);
    const send = givenSender();
    const ask = () => sendCode(auth, { purpose: 'enable', userId, channel: 'email', send });
    await ask();

    await clock.move(-60 * MINUTE_MS);
    await ask();
    await clock.move(60 * MINUTE_MS);

    expect(send.sent).toHaveLength(2);
  });

  it('are withdrawn if the sender rejects, without its error', async () => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);
    let code = '';
    const failing = async (message: { readonly code: string }) => {
      code = message.code;
      expect((await codesOf(userId)).length).toBe(1);
      throw new Error(`could not send ${message.code} to the gateway`);
    };
    const input = { purpose: 'enable', userId, channel: 'sms', phoneNumber: PHONE } as const;

    const error = await sendCode(auth, { ...input, send: failing }).catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({ code: 'AUTH.CODE_NOT_SENT' });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(code);
    expect(await codesOf(userId)).toEqual([]);
    expect((await actionsOf(db(), userId)).slice(-2)).toEqual(['CODE_REQUESTED', 'CODE_NOT_SENT']);
    await expect(confirmChannel(auth, { userId, channel: 'sms', code, proof: BY_PASSWORD })).rejects.toMatchObject({
      code: 'AUTH.CODE_INVALID',
    });
    const send = givenSender();
    await sendCode(auth, { ...input, send });
    expect(send.sent).toHaveLength(1);
  });

  it('are withdrawn if the sender throws synchronously', async () => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);
    const send = () => {
      throw new Error('no gateway');
    };

    await expect(sendCode(auth, { purpose: 'enable', userId, channel: 'email', send })).rejects.toMatchObject({
      code: 'AUTH.CODE_NOT_SENT',
    });
    expect(await codesOf(userId)).toEqual([]);
  });

  it('are invalid for another purpose or channel', async () => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);
    const { recoveryCodes } = await givenSms(auth, clock, userId);
    const proof = { factor: 'recovery', code: recoveryCodes[0] ?? '' } as const;
    const send = givenSender();
    await sendCode(auth, { purpose: 'confirm', userId, channel: 'sms', send });

    await expect(confirmChannel(auth, { userId, channel: 'sms', code: send.last(), proof })).rejects.toMatchObject({
      code: 'AUTH.CODE_INVALID',
    });
    await expect(confirmChannel(auth, { userId, channel: 'email', code: send.last(), proof })).rejects.toMatchObject({
      code: 'AUTH.CODE_INVALID',
    });
  });

  it('need a proof before they add a number to an account that has a second factor', async () => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);
    const { recoveryCodes } = await givenTotp(auth, clock, userId);
    const send = givenSender();
    const input = { purpose: 'enable', userId, channel: 'sms', phoneNumber: PHONE, send } as const;

    await expect(sendCode(auth, input)).rejects.toMatchObject({ code: 'AUTH.PROOF_REQUIRED' });
    expect(send.sent).toEqual([]);
    await sendCode(auth, { ...input, proof: { factor: 'recovery', code: recoveryCodes[0] ?? '' } });
    const proof = { factor: 'recovery', code: recoveryCodes[1] ?? '' } as const;
    const confirmed = await confirmChannel(auth, { userId, channel: 'sms', code: send.last(), proof });
    expect(confirmed.recoveryCodes).toEqual([]);
  });

  it('are sent only to verified addresses and enabled channels', async () => {
    const auth = open();
    const { userId } = await register(auth, { email: 'unverified@azora.world', password: PASSWORD });
    const send = givenSender();

    await expect(sendCode(auth, { purpose: 'enable', userId, channel: 'email', send })).rejects.toMatchObject({
      code: 'AUTH.EMAIL_UNVERIFIED',
    });
    await expect(sendCode(auth, { purpose: 'confirm', userId, channel: 'sms', send })).rejects.toMatchObject({
      code: 'AUTH.FACTOR_OFF',
    });
    expect(send.sent).toEqual([]);
  });

  it('enable email only for the address that they were sent to', async () => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);
    const send = givenSender();
    await sendCode(auth, { purpose: 'enable', userId, channel: 'email', send });
    await db().admin("UPDATE users SET email = 'moved@azora.world' WHERE id = $1", [userId]);

    await expect(
      confirmChannel(auth, { userId, channel: 'email', code: send.last(), proof: BY_PASSWORD }),
    ).rejects.toMatchObject({ code: 'AUTH.CODE_INVALID' });
    expect(await db().admin('SELECT email_enabled FROM mfa_settings WHERE user_id = $1', [userId])).toEqual([]);
  });

  it('are revoked when the second factors are disabled', async () => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);
    const { recoveryCodes } = await givenSms(auth, clock, userId);
    const send = givenSender();
    await sendCode(auth, { purpose: 'confirm', userId, channel: 'sms', send });
    await disableMfa(auth, { userId, proof: { factor: 'recovery', code: recoveryCodes[0] ?? '' } });
    await clock.move(MINUTE_MS);
    await givenSms(auth, clock, userId);

    await expect(disableMfa(auth, { userId, proof: { factor: 'sms', code: send.last() } })).rejects.toMatchObject({
      code: 'AUTH.CODE_INVALID',
    });
  });

  it('are not sent while the factor is locked', async () => {
    const auth = open();
    const { challengeToken, code, send } = await givenCode(auth);
    const wrong = { challengeToken, factor: 'sms', code: another(code) } as const;
    await outcomes(Array.from({ length: 12 }, () => verifyMfa(auth, wrong)));
    await clock.move(2 * MINUTE_MS);

    await expect(sendCode(auth, { purpose: 'sign_in', channel: 'sms', challengeToken, send })).rejects.toMatchObject({
      code: 'AUTH.LOCKED',
    });
    expect(send.sent).toHaveLength(1);
  });

  it.each([
    ['an unknown channel', { channel: 'fax' }],
    ['an invalid sender', { send: 'me' }],
    ['sms without a number', { phoneNumber: undefined }],
    ['email with a number', { channel: 'email' }],
    ['a local number', { phoneNumber: '0115550100' }],
    ['SQL as the number', { phoneNumber: "'; DROP TABLE users; --" }],
    ['a number of ten megabytes', { phoneNumber: `+${'1'.repeat(10_000_000)}` }],
    ['an unknown purpose', { purpose: 'party' }],
    ['an id that contains NUL', { userId: 'a\0' }],
    ['an unknown field', { code: '123456' }],
  ])('are not sent for %s', async (_what, wrong) => {
    const auth = open();
    const send = givenSender();
    const before = await dump(db());
    const input = { purpose: 'enable', userId: 'ada', channel: 'sms', phoneNumber: PHONE, send, ...wrong };

    await expect(sendCode(auth, input as never)).rejects.toMatchObject({ code: 'AUTH.INVALID_INPUT' });

    expect(await dump(db())).toBe(before);
    expect(send.sent).toEqual([]);
  });

  it('are not sent without an encryption key', async () => {
    const auth = openAuth();
    const { userId } = await givenVerifiedUser(auth);
    const before = await dump(db());
    const send = givenSender();

    await expect(sendCode(auth, { purpose: 'enable', userId, channel: 'email', send })).rejects.toMatchObject({
      code: 'AUTH.NO_ENCRYPTION_KEY',
    });
    expect(await dump(db())).toBe(before);
  });
});
