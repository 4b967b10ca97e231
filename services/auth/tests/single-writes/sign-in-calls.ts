import {
  changePassword,
  enrollTotp,
  login,
  logout,
  logoutEverywhere,
  refresh,
  requestPasswordReset,
  resetPassword,
  revokeSession,
  revokeToken,
  type SignedIn,
  unlockAccount,
} from '../../src/index';
import { DAY_MS, givenSession, givenUser, MINUTE_MS, outcomes, PASSWORD, signIn } from '../given';
import { givenChallenge, givenTotp, givenVerifiedUser } from '../given-factors';
import { type Call, FACTORS, type Given, HOME, NEW } from './given';

/** Calls that sign in, end sessions and replace passwords. */
export function signInCalls({
  db,
  clock,
  open,
  fail,
  lock,
  givenTotpUser,
  givenProof,
  givenReset,
}: Given): readonly Call[] {
  return [
    [
      'unlockAccount',
      'after failures',
      async (auth) => {
        const { userId } = await givenTotpUser(auth);
        return () => unlockAccount(auth, { userId, actorId: 'support-7' });
      },
    ],
    [
      'requestPasswordReset',
      'of an account',
      async (auth) => {
        const { email } = await givenUser(auth);
        await givenReset(auth, email);
        await clock.move(MINUTE_MS);
        return () => requestPasswordReset(auth, { email, send: () => undefined, device: HOME });
      },
    ],
    [
      'requestPasswordReset',
      'of an unknown address',
      async (auth) => () =>
        requestPasswordReset(auth, { email: 'nobody@azora.world', send: () => undefined, device: HOME }),
    ],
    [
      'resetPassword',
      'during a lock',
      async (auth) => {
        const { userId, email } = await givenVerifiedUser(auth);
        await signIn(auth, email);
        const { token } = await givenReset(auth, email);
        await lock(userId);
        return () => resetPassword(auth, { token, newPassword: NEW, device: HOME });
      },
    ],
    [
      'resetPassword',
      'of an unverified account with a factor',
      async (auth) => {
        const { userId, email } = await givenUser(auth);
        await signIn(auth, email);
        await givenTotp(auth, clock, userId);
        await givenChallenge(auth, email);
        const { token } = await givenReset(auth, email);
        return () => resetPassword(auth, { token, newPassword: NEW, device: HOME });
      },
    ],
    [
      'changePassword',
      'with the password alone',
      async (auth) => {
        const { userId, email } = await givenVerifiedUser(auth);
        await signIn(auth, email);
        const { sessionId } = await signIn(auth, email);
        await enrollTotp(auth, { userId });
        await fail(userId);
        return () =>
          changePassword(auth, { userId, currentPassword: PASSWORD, newPassword: NEW, sessionId, device: HOME });
      },
    ],
    ...FACTORS.map(
      (factor): Call => [
        'changePassword',
        `with a code of ${factor}`,
        async (auth) => {
          const proven = await givenProof(auth, factor);
          return () => changePassword(auth, { ...proven, currentPassword: PASSWORD, newPassword: NEW, device: HOME });
        },
      ],
    ),
    [
      'changePassword',
      'with a wrong password',
      async (auth) => {
        const { userId } = await givenVerifiedUser(auth);
        await db().admin('UPDATE users SET failed_login_count = 9, first_failed_at = database_time() WHERE id = $1', [
          userId,
        ]);
        return () =>
          outcomes([changePassword(auth, { userId, currentPassword: 'a guess', newPassword: NEW, device: HOME })]);
      },
    ],
    [
      'login',
      'with the right password',
      async (auth) => {
        const { userId, email } = await givenUser(auth);
        await fail(userId);
        await outcomes([login(auth, { email, password: 'a guess', device: HOME })]);
        return () => login(auth, { email, password: PASSWORD, device: HOME });
      },
    ],
    [
      'login',
      'that replaces the hash',
      async (auth) => {
        const { email } = await givenUser(auth);
        const costlier = open({ bcryptCost: 5 });
        return () => login(costlier, { email, password: PASSWORD });
      },
    ],
    [
      'login',
      'that leads to a challenge and replaces the hash',
      async (auth) => {
        const { email } = await givenTotpUser(auth);
        await givenChallenge(auth, email);
        const costlier = open({ bcryptCost: 5 });
        return () => login(costlier, { email, password: PASSWORD, device: HOME });
      },
    ],
    [
      'login',
      'from a known network during a lock',
      async (auth) => {
        const { userId, email } = await givenUser(auth);
        await login(auth, { email, password: PASSWORD, device: HOME });
        await lock(userId);
        return () => login(auth, { email, password: PASSWORD, device: HOME });
      },
    ],
    [
      'login',
      'with the wrong password',
      async (auth) => {
        const { email } = await givenUser(auth);
        return () => outcomes([login(auth, { email, password: 'a guess', device: HOME })]);
      },
    ],
    [
      'login',
      'with the wrong password that locks',
      async (auth) => {
        const { userId, email } = await givenUser(auth);
        await db().admin('UPDATE users SET failed_login_count = 9, first_failed_at = database_time() WHERE id = $1', [
          userId,
        ]);
        return () => outcomes([login(auth, { email, password: 'a guess', device: HOME })]);
      },
    ],
    [
      'login',
      'with an unknown address',
      async (auth) => () => outcomes([login(auth, { email: 'nobody@azora.world', password: 'a guess', device: HOME })]),
    ],
    [
      'refresh',
      'once',
      async (auth) => {
        const { refreshToken } = await givenSession(auth);
        return () => refresh(auth, { refreshToken, device: HOME });
      },
    ],
    [
      'refresh',
      'with a used token',
      async (auth) => {
        const { refreshToken } = await givenSession(auth);
        await refresh(auth, { refreshToken });
        await clock.move(MINUTE_MS);
        return () => outcomes([refresh(auth, { refreshToken })]);
      },
    ],
    [
      'logout',
      'of a session',
      async (auth) => {
        const { sessionToken } = await givenSession(auth);
        return () => logout(auth, { sessionToken });
      },
    ],
    [
      'logoutEverywhere',
      'but one',
      async (auth) => {
        const { userId, email, sessionId } = await givenSession(auth);
        await login(auth, { email, password: PASSWORD, device: HOME });
        return () => logoutEverywhere(auth, { userId, exceptSessionId: sessionId });
      },
    ],
    [
      'revokeSession',
      'of a known network',
      async (auth) => {
        const { userId, email } = await givenUser(auth);
        const { sessionId } = (await login(auth, { email, password: PASSWORD, device: HOME })) as SignedIn;
        return () => revokeSession(auth, { userId, sessionId });
      },
    ],
    ...['once', 'again'].map(
      (turn): Call => [
        'revokeToken',
        turn,
        async (auth) => {
          const token = { jti: `single-writes-${turn}`, expiresAt: new Date(clock.now().getTime() + DAY_MS) };
          if (turn === 'again') await revokeToken(auth, token);
          return () => revokeToken(auth, { ...token, expiresAt: new Date(token.expiresAt.getTime() + 1) });
        },
      ],
    ),
  ];
}
