import {
  deactivate,
  register,
  requestEmailVerification,
  softDelete,
  updateProfile,
  verifyEmail,
} from '../../src/index';
import { givenSession, givenUser, PASSWORD } from '../given';
import { givenChallenge, givenTotp } from '../given-factors';
import { type Call, type Given, HOME } from './given';

/** Calls that change accounts. */
export function accountCalls({ clock, givenOrganization }: Given): readonly Call[] {
  return [
    [
      'register',
      'with a username',
      async (auth) => () =>
        register(auth, { email: 'once@azora.world', password: PASSWORD, username: 'once', device: HOME }),
    ],
    [
      'verifyEmail',
      'for a new account',
      async (auth) => {
        const { verificationToken: token } = await givenUser(auth);
        return () => verifyEmail(auth, { token });
      },
    ],
    [
      'requestEmailVerification',
      'again',
      async (auth) => {
        const { userId } = await givenUser(auth);
        return () => requestEmailVerification(auth, { userId, device: HOME });
      },
    ],
    [
      'updateProfile',
      'of both tables',
      async (auth) => {
        const { userId } = await givenUser(auth);
        return () => updateProfile(auth, { userId, name: 'Ada', city: 'Soweto' });
      },
    ],
    [
      'deactivate',
      'with sessions and a challenge',
      async (auth) => {
        const { userId, email } = await givenSession(auth);
        await givenTotp(auth, clock, userId);
        await givenChallenge(auth, email);
        return () => deactivate(auth, { userId });
      },
    ],
    [
      'softDelete',
      'of a member',
      async (auth) => {
        const { memberId, join } = await givenOrganization(auth);
        await join();
        return () => softDelete(auth, { userId: memberId });
      },
    ],
  ];
}
