/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { type Auth, login, sendCode, verifyMfa } from '../src/index';
import { givenUser, MINUTE_MS, outcomes, PASSWORD, START, useAuth } from './given';
import { codeOf, givenChallenge, givenSender, givenSms, givenTotp, givenVerifiedUser, KEY } from './given-factors';

describe('the row of the user', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = (options = {}) => openAuth({ encryptionKeys: KEY, ...options });

  // A trigger counts every new version of a row, in the transaction that writes it.
  beforeAll(() =>
    db().admin(`
      CREATE TABLE user_writes (user_id text NOT NULL);
      CREATE FUNCTION note_user_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, public, pg_temp AS $$
        BEGIN INSERT INTO public.user_writes VALUES (NEW.id); RETURN NULL; END $$;
      CREATE TRIGGER note_user_write AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION note_user_write()`),
  );

  /** How often `work` writes the row of the user. */
  const writesOf = async (userId: string, work: () => Promise<unknown>) => {
    await db().admin('DELETE FROM user_writes');
    await work();
    const [row] = await db().admin('SELECT count(*)::int AS writes FROM user_writes WHERE user_id = $1', [userId]);
    return row?.['writes'];
  };
  const givenTotpUser = async (auth: Auth) => {
    const user = await givenVerifiedUser(auth);
    const { secret, recoveryCodes } = await givenTotp(auth, clock, user.userId);
    await clock.move(MINUTE_MS);
    return { ...user, secret, recoveryCode: recoveryCodes[0] ?? '' };
  };

  it('is written once by a sign-in, with its result', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);

    expect(await writesOf(userId, () => login(auth, { email, password: PASSWORD }))).toBe(1);
  });

  it('is written once by a sign-in that also replaces the password hash', async () => {
    const { userId, email } = await givenUser(open());

    expect(await writesOf(userId, () => login(open({ bcryptCost: 5 }), { email, password: PASSWORD }))).toBe(1);
    const [user] = await db().admin('SELECT password_hash FROM users WHERE id = $1', [userId]);
    expect(user?.['password_hash']).toMatch(/^\$2b\$05\$/);
  });

  it('is written once by a wrong password', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);

    expect(await writesOf(userId, () => outcomes([login(auth, { email, password: 'a guess' })]))).toBe(1);
  });

  it('is not written by a password that leads to a challenge, and once if the hash is replaced', async () => {
    const auth = open();
    const { userId, email } = await givenTotpUser(auth);

    expect(await writesOf(userId, () => givenChallenge(auth, email))).toBe(0);
    expect(await writesOf(userId, () => givenChallenge(open({ bcryptCost: 5 }), email))).toBe(1);
  });

  it.each(['totp', 'recovery'] as const)('is written once by a sign-in that ends with %s', async (factor) => {
    const auth = open();
    const { userId, email, secret, recoveryCode } = await givenTotpUser(auth);
    const challengeToken = await givenChallenge(auth, email);
    const code = factor === 'totp' ? codeOf(clock, secret) : recoveryCode;

    expect(await writesOf(userId, () => verifyMfa(auth, { challengeToken, factor, code }))).toBe(1);
  });

  it('is written once by a sign-in that ends with a code that was sent', async () => {
    const auth = open();
    const { userId, email } = await givenVerifiedUser(auth);
    await givenSms(auth, clock, userId);
    const challengeToken = await givenChallenge(auth, email);
    const send = givenSender();
    await sendCode(auth, { purpose: 'sign_in', channel: 'sms', challengeToken, send });

    expect(await writesOf(userId, () => verifyMfa(auth, { challengeToken, factor: 'sms', code: send.last() }))).toBe(1);
  });
});
