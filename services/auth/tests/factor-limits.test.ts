/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { type Auth, confirmChannel, confirmTotp, enrollTotp, type Proof, sendCode, verifyMfa } from '../src/index';
import { MINUTE_MS, START, useAuth } from './given';
import {
  BY_PASSWORD,
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

describe('codes, challenges and enrollments', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = () => openAuth({ encryptionKeys: KEY });

  /** A user with SMS enabled, a challenge, and the code that was sent for it. */
  async function givenSignInCode(auth: Auth) {
    const user = await givenVerifiedUser(auth);
    const { recoveryCodes } = await givenSms(auth, clock, user.userId);
    const challengeToken = await givenChallenge(auth, user.email);
    const send = givenSender();
    await sendCode(auth, { purpose: 'sign_in', channel: 'sms', challengeToken, send });
    return { ...user, challengeToken, code: send.last(), recoveryCodes };
  }

  /** A user without a second factor, and a code that was sent to enable SMS with a number. */
  async function givenEnablingCode(auth: Auth, phoneNumber: string) {
    const user = await givenVerifiedUser(auth);
    const send = givenSender();
    await sendCode(auth, { purpose: 'enable', channel: 'sms', userId: user.userId, phoneNumber, send });
    return { ...user, code: send.last() };
  }

  const signIn = (auth: Auth, { challengeToken, code }: { challengeToken: string; code: string }) =>
    verifyMfa(auth, { challengeToken, factor: 'sms', code });
  const INVALID = { code: 'AUTH.CODE_INVALID' };

  describe('a code that was sent', () => {
    it('for a sign-in enables no factor and proves nothing', async () => {
      const auth = open();
      const { userId, code, recoveryCodes } = await givenSignInCode(auth);
      const proof: Proof = { factor: 'recovery', code: recoveryCodes[0] ?? '' };
      const { secret } = await enrollTotp(auth, { userId, proof: BY_PASSWORD });

      await expect(confirmChannel(auth, { userId, channel: 'sms', code, proof })).rejects.toMatchObject(INVALID);
      await expect(
        confirmTotp(auth, { userId, code: codeOf(clock, secret), proof: { factor: 'sms', code } }),
      ).rejects.toMatchObject(INVALID);
    });

    it('for a challenge answers no later one', async () => {
      const auth = open();
      const { email, code } = await givenSignInCode(auth);
      const challengeToken = await givenChallenge(auth, email);

      await expect(signIn(auth, { challengeToken, code })).rejects.toMatchObject(INVALID);
    });

    it('answers no other challenge, even if SQL moves it there', async () => {
      const auth = open();
      const { userId, email, code } = await givenSignInCode(auth);
      const challengeToken = await givenChallenge(auth, email);
      await db().app(
        `UPDATE one_time_codes SET challenge_id =
           (SELECT id FROM tokens WHERE user_id = $1 AND kind = 'mfa_challenge' AND revoked_at IS NULL)
         WHERE user_id = $1 AND purpose = 'sign_in'`,
        [userId],
      );

      await expect(signIn(auth, { challengeToken, code })).rejects.toMatchObject(INVALID);
    });

    it('is not sent for a challenge that ends while the call waits for the account', async () => {
      const auth = open();
      const { email, userId } = await givenVerifiedUser(auth);
      await givenSms(auth, clock, userId);
      const challengeToken = await givenChallenge(auth, email);
      const send = givenSender();
      const late: Auth = {
        ...auth,
        transaction: async (work) => {
          await givenChallenge(auth, email);
          return auth.transaction(work);
        },
      };

      await expect(sendCode(late, { purpose: 'sign_in', channel: 'sms', challengeToken, send })).rejects.toMatchObject({
        code: 'AUTH.TOKEN_USED',
      });
      expect(send.sent).toEqual([]);
    });

    it('to one number enables no other one, even if SQL changes the row', async () => {
      const auth = open();
      const { userId, code } = await givenEnablingCode(auth, THIEF);
      await db().app('UPDATE one_time_codes SET sent_to = $2 WHERE user_id = $1', [userId, PHONE]);

      await expect(confirmChannel(auth, { userId, channel: 'sms', code, proof: BY_PASSWORD })).rejects.toMatchObject(
        INVALID,
      );
    });

    it('expires, even if SQL inserts its row again with a later end', async () => {
      const auth = open();
      const { userId, code } = await givenEnablingCode(auth, THIEF);
      await clock.move(11 * MINUTE_MS);
      await db().app(
        `WITH gone AS (DELETE FROM one_time_codes WHERE user_id = $1 RETURNING *)
         INSERT INTO one_time_codes (id, user_id, channel, purpose, sent_to, code_hash, expires_at)
         SELECT id || '2', user_id, channel, purpose, sent_to, code_hash, database_time() + interval '9 minutes' FROM gone`,
        [userId],
      );

      await expect(confirmChannel(auth, { userId, channel: 'sms', code, proof: BY_PASSWORD })).rejects.toMatchObject(
        INVALID,
      );
    });

    it.each([
      ['SMS was disabled', 'UPDATE mfa_settings SET sms_enabled = false WHERE user_id = $1'],
      ['the number changed', "UPDATE mfa_settings SET phone_number = '+27115550188' WHERE user_id = $1"],
      ['the account was deactivated', 'UPDATE users SET is_active = false WHERE id = $1'],
    ])('loses its authority when %s, whatever ends it', async (_what, change) => {
      const auth = open();
      const { userId, code } = await givenSignInCode(auth);
      const [{ id } = {}] = await db().admin('SELECT id FROM one_time_codes WHERE user_id = $1 AND used_at IS NULL', [
        userId,
      ]);
      // Without the triggers, the function that takes a code decides alone.
      await db().admin('ALTER TABLE mfa_settings DISABLE TRIGGER USER; ALTER TABLE users DISABLE TRIGGER USER');
      await db().admin(change, [userId]);
      await db().admin('ALTER TABLE mfa_settings ENABLE TRIGGER USER; ALTER TABLE users ENABLE TRIGGER USER');

      expect(code).toMatch(/^\d{6}$/);
      expect(await db().app('SELECT take_one_time_code($1) AS ok', [id])).toEqual([{ ok: false }]);
    });

    it.each([
      ['the address changed', "UPDATE users SET email = 'else-' || email WHERE id = $1"],
      ['the address is not verified any more', 'UPDATE users SET email_verified = false WHERE id = $1'],
      ['email was disabled', 'UPDATE mfa_settings SET email_enabled = false WHERE user_id = $1'],
    ])('by email loses its authority when %s', async (_what, change) => {
      const auth = open();
      const { userId } = await givenVerifiedUser(auth);
      await givenEmail(auth, clock, userId);
      const send = givenSender();
      await sendCode(auth, { purpose: 'confirm', channel: 'email', userId, send });
      const [{ id } = {}] = await db().admin(
        "SELECT id FROM one_time_codes WHERE user_id = $1 AND purpose = 'confirm'",
        [userId],
      );
      await db().admin('ALTER TABLE mfa_settings DISABLE TRIGGER USER; ALTER TABLE users DISABLE TRIGGER USER');
      await db().admin(change, [userId]);
      await db().admin('ALTER TABLE mfa_settings ENABLE TRIGGER USER; ALTER TABLE users ENABLE TRIGGER USER');

      expect(await db().app('SELECT take_one_time_code($1) AS ok', [id])).toEqual([{ ok: false }]);
    });
  });

  describe('an enrollment', () => {
    it('is useless as an enabled secret, even if SQL enables it in time', async () => {
      const auth = open();
      const { userId, email } = await givenVerifiedUser(auth);
      const { secret } = await enrollTotp(auth, { userId });
      await db().app('UPDATE mfa_settings SET totp_enabled = true, totp_pending_until = NULL WHERE user_id = $1', [
        userId,
      ]);

      const challengeToken = await givenChallenge(auth, email);
      await expect(
        verifyMfa(auth, { challengeToken, factor: 'totp', code: codeOf(clock, secret) }),
      ).rejects.toMatchObject({ code: 'AUTH.CIPHERTEXT_INVALID' });
    });

    it('expires, even if SQL gives it a later end', async () => {
      const auth = open();
      const { userId } = await givenVerifiedUser(auth);
      const { secret } = await enrollTotp(auth, { userId });
      await clock.move(11 * MINUTE_MS);
      await db().app(
        "UPDATE mfa_settings SET totp_pending_until = database_time() + interval '9 minutes' WHERE user_id = $1",
        [userId],
      );

      await expect(
        confirmTotp(auth, { userId, code: codeOf(clock, secret), proof: BY_PASSWORD }),
      ).rejects.toMatchObject({ code: 'AUTH.CIPHERTEXT_INVALID' });
    });
  });

  it.each([
    [
      'a code',
      'UPDATE one_time_codes SET used_at = expires_at WHERE user_id = $1 AND used_at IS NULL AND revoked_at IS NULL',
      'CODE_INVALID',
    ],
    [
      'a challenge',
      "UPDATE tokens SET used_at = expires_at WHERE user_id = $1 AND kind = 'mfa_challenge' AND revoked_at IS NULL",
      'TOKEN_EXPIRED',
    ],
    [
      'an enrollment',
      'UPDATE mfa_settings SET totp_enabled = true, totp_pending_until = NULL WHERE user_id = $1',
      'FACTOR_NOT_PENDING',
    ],
  ])('reports %s that expires in the moment of its use', async (_what, statement, code) => {
    const auth = open();
    const { userId, recoveryCodes } = await givenSignInCode(auth);
    await enrollTotp(auth, { userId, proof: { factor: 'recovery', code: recoveryCodes[0] ?? '' } });
    await clock.move(11 * MINUTE_MS);

    await expect(auth.transaction((tx) => tx.$executeRawUnsafe(statement, userId))).rejects.toMatchObject({
      code: `AUTH.${code}`,
    });
  });

  describe('the app role cannot', () => {
    it.each([
      [
        'use an expired code',
        'UPDATE one_time_codes SET used_at = expires_at WHERE user_id = $1 AND used_at IS NULL AND revoked_at IS NULL',
        'one_time_code_expired',
        11,
      ],
      [
        'use a code for ever',
        'UPDATE one_time_codes SET used_at = NULL WHERE user_id = $1 AND used_at IS NOT NULL',
        'one_time_code_spent',
        0,
      ],
      [
        'restore the attempts of a code',
        'UPDATE one_time_codes SET attempts = -1 WHERE user_id = $1',
        'one_time_code_spent',
        0,
      ],
      [
        'use an expired challenge',
        "UPDATE tokens SET used_at = expires_at WHERE user_id = $1 AND kind = 'mfa_challenge' AND used_at IS NULL AND revoked_at IS NULL",
        'token_expired',
        11,
      ],
      [
        'revive a token',
        "UPDATE tokens SET used_at = NULL WHERE user_id = $1 AND kind = 'email_verification'",
        'token_spent',
        0,
      ],
      [
        'enable an expired enrollment',
        'UPDATE mfa_settings SET totp_enabled = true, totp_pending_until = NULL WHERE user_id = $1',
        'totp_enrollment_expired',
        11,
      ],
      [
        'extend an enrollment beyond ten minutes',
        "UPDATE mfa_settings SET totp_pending_until = database_time() + interval '11 minutes' WHERE user_id = $1",
        'totp_enrollment_too_long',
        0,
      ],
      [
        'keep an enrollment without an end',
        'UPDATE mfa_settings SET totp_pending_until = NULL WHERE user_id = $1',
        'mfa_settings_totp_pending_until_check',
        0,
      ],
      [
        'send a sign-in code without a challenge',
        "UPDATE one_time_codes SET challenge_id = NULL WHERE user_id = $1 AND purpose = 'sign_in'",
        'one_time_codes_challenge_id_check',
        0,
      ],
    ])('%s', async (_what, statement, rule, minutes) => {
      const auth = open();
      const { userId, recoveryCodes } = await givenSignInCode(auth);
      await enrollTotp(auth, { userId, proof: { factor: 'recovery', code: recoveryCodes[0] ?? '' } });
      await clock.move(minutes * MINUTE_MS);

      await expect(db().app(statement, [userId])).rejects.toThrow(rule);
    });

    it('insert a challenge that lives longer than ten minutes', async () => {
      const auth = open();
      const { userId } = await givenVerifiedUser(auth);

      await expect(
        db().app(
          `INSERT INTO tokens (id, user_id, kind, token_hash, expires_at)
           VALUES ('long', $1, 'mfa_challenge', repeat('a', 64), database_time() + interval '11 minutes')`,
          [userId],
        ),
      ).rejects.toThrow('tokens_challenge_life_check');
    });

    it('keep a code alive past the enabling of a factor', async () => {
      const auth = open();
      const { userId } = await givenEnablingCode(auth, THIEF);
      await givenTotp(auth, clock, userId);

      await expect(
        db().app('UPDATE one_time_codes SET revoked_at = NULL WHERE user_id = $1', [userId]),
      ).rejects.toThrow('one_time_code_spent');
    });
  });
});
