/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type Auth,
  listSessions,
  login,
  type PasswordResetMessage,
  refresh,
  requestEmailVerification,
  requestPasswordReset,
  resetPassword,
  verifyEmail,
  verifyMfa,
} from '../src/index';
import { MINUTE_MS, outcomes, PASSWORD, START, signIn, useAuth } from './given';
import { codeOf, givenChallenge, givenTotp, givenVerifiedUser, KEY } from './given-factors';

const NEW = 'five other unrelated words';
const OAUTH = "INSERT INTO oauth_providers (id, user_id, provider, provider_user_id) VALUES ($1, $1, 'github', $1)";

/** Someone registers the address of another person and waits until that person takes the account over by mail. */
describe('a password reset of an account whose address was never verified', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = () => openAuth({ encryptionKeys: KEY });

  const askForReset = (auth: Auth, email: string) =>
    new Promise<PasswordResetMessage>((resolve, reject) => {
      requestPasswordReset(auth, { email, send: resolve }).catch(reject);
    });
  const rowsOf = async (userId: string) => {
    const counts: Record<string, number> = {};
    for (const table of ['mfa_settings', 'recovery_codes', 'oauth_providers'])
      counts[table] = (await db().admin(`SELECT 1 FROM ${table} WHERE user_id = $1`, [userId])).length;
    return counts;
  };

  /** An account with a factor, recovery codes, an external account, a session, a challenge and a pending token. */
  async function givenRegistrant(auth: Auth, isVerified: boolean) {
    const { userId, email } = await givenVerifiedUser(auth);
    const session = await signIn(auth, email);
    const { secret, recoveryCodes } = await givenTotp(auth, clock, userId);
    await db().app(OAUTH, [userId]);
    await db().app('UPDATE users SET email_verified = $2 WHERE id = $1', [userId, isVerified]);
    const challengeToken = await givenChallenge(auth, email);
    const { verificationToken } = await requestEmailVerification(auth, { userId });
    return { userId, email, session, secret, recoveryCodes, challengeToken, verificationToken };
  }

  it('removes all that the registrant set up, and verifies the address', async () => {
    const auth = open();
    const registrant = await givenRegistrant(auth, false);
    const { userId, email, session, recoveryCodes, challengeToken } = registrant;
    const { token } = await askForReset(auth, email);

    await resetPassword(auth, { token, newPassword: NEW });

    expect(await rowsOf(userId)).toEqual({ mfa_settings: 0, recovery_codes: 0, oauth_providers: 0 });
    expect(await listSessions(auth, { userId })).toEqual([]);
    // The owner signs in with the new password alone, and the registrant with nothing.
    expect(await signIn(auth, email, NEW)).toMatchObject({ kind: 'session', userId });
    await clock.move(MINUTE_MS);
    const code = codeOf(clock, registrant.secret);
    expect(
      await outcomes([
        signIn(auth, email, PASSWORD),
        refresh(auth, { refreshToken: session.refreshToken }),
        verifyMfa(auth, { challengeToken, factor: 'totp', code }),
        verifyMfa(auth, { challengeToken, factor: 'recovery', code: recoveryCodes[0] ?? '' }),
        verifyEmail(auth, { token: registrant.verificationToken }),
      ]),
    ).toEqual({ 'AUTH.INVALID_CREDENTIALS': 1, 'AUTH.SESSION_ENDED': 1, 'AUTH.TOKEN_USED': 3 });
    const [user] = await db().admin('SELECT email_verified FROM users WHERE id = $1', [userId]);
    expect(user).toEqual({ email_verified: true });
    const [entry] = await db().admin("SELECT details FROM audit_log WHERE action = 'PASSWORD_RESET' AND user_id = $1", [
      userId,
    ]);
    expect(entry?.['details']).toEqual({ ended: 1, unverified: true, factors: 1, externalAccounts: 1 });
  });

  it('removes no factor if the address was verified', async () => {
    const auth = open();
    const { userId, email } = await givenRegistrant(auth, true);
    const { token } = await askForReset(auth, email);

    await resetPassword(auth, { token, newPassword: NEW });

    expect(await rowsOf(userId)).toEqual({ mfa_settings: 1, recovery_codes: 10, oauth_providers: 1 });
    expect(await login(auth, { email, password: NEW })).toMatchObject({ kind: 'mfa', factors: ['totp'] });
  });

  it('does not verify an address to which the token was not sent', async () => {
    const auth = open();
    const { userId, email } = await givenRegistrant(auth, false);
    const { token } = await askForReset(auth, email);
    await db().app("UPDATE tokens SET email = NULL WHERE user_id = $1 AND kind = 'password_reset'", [userId]);

    await resetPassword(auth, { token, newPassword: NEW });

    const [user] = await db().admin('SELECT email_verified FROM users WHERE id = $1', [userId]);
    expect(user).toEqual({ email_verified: false });
    expect(await rowsOf(userId)).toMatchObject({ mfa_settings: 0 });
  });
});
