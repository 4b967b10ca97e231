import {
  confirmChannel,
  confirmTotp,
  disableMfa,
  enrollTotp,
  login,
  regenerateRecoveryCodes,
  rotateEncryption,
  sendCode,
  verifyMfa,
} from '../../src/index';
import { MINUTE_MS, outcomes, PASSWORD } from '../given';
import {
  BY_PASSWORD,
  codeOf,
  givenChallenge,
  givenSender,
  givenTotp,
  givenVerifiedUser,
  KEY,
  OLDER_KEY,
  PHONE,
  wrongCodeOf,
} from '../given-factors';
import { another, type Call, FACTORS, type Given, HOME } from './given';

/** Calls that change second factors or use them. */
export function factorCalls({
  db,
  clock,
  open,
  fail,
  lock,
  givenTotpUser,
  givenSmsUser,
  givenProof,
}: Given): readonly Call[] {
  return [
    ...(['totp', 'recovery'] as const).map(
      (factor): Call => [
        'verifyMfa',
        `with ${factor}`,
        async (auth) => {
          const { email, secret, recovery } = await givenTotpUser(auth);
          const challengeToken = await givenChallenge(auth, email);
          const code = factor === 'totp' ? codeOf(clock, secret) : recovery;
          return () => verifyMfa(auth, { challengeToken, factor, code, device: HOME });
        },
      ],
    ),
    ...[0, 1].map(
      (isWrong): Call => [
        'verifyMfa',
        `with a ${isWrong ? 'wrong ' : ''}code that was sent`,
        async (auth) => {
          const { userId, email } = await givenSmsUser(auth);
          const challengeToken = await givenChallenge(auth, email);
          const send = givenSender();
          await sendCode(auth, { purpose: 'sign_in', channel: 'sms', challengeToken, send });
          await db().admin('UPDATE users SET factor_failed_count = 9 WHERE id = $1', [userId]);
          const code = isWrong ? another(send.last()) : send.last();
          return () => outcomes([verifyMfa(auth, { challengeToken, factor: 'sms', code, device: HOME })]);
        },
      ],
    ),
    [
      'verifyMfa',
      'with the hundredth wrong code',
      async (auth) => {
        const { userId, email, secret } = await givenTotpUser(auth);
        const challengeToken = await givenChallenge(auth, email);
        await db().admin('UPDATE users SET factor_failed_count = 99 WHERE id = $1', [userId]);
        return () => outcomes([verifyMfa(auth, { challengeToken, factor: 'totp', code: wrongCodeOf(clock, secret) })]);
      },
    ],
    [
      'enrollTotp',
      'as the first factor',
      async (auth) => {
        const { userId } = await givenVerifiedUser(auth);
        return () => enrollTotp(auth, { userId });
      },
    ],
    [
      'enrollTotp',
      'with a code that was sent',
      async (auth) => {
        const proven = await givenProof(auth, 'sms');
        return () => enrollTotp(auth, proven);
      },
    ],
    [
      'enrollTotp',
      'with the password during a lock',
      async (auth) => {
        const { userId, email } = await givenSmsUser(auth);
        await login(auth, { email, password: PASSWORD });
        await db().admin(
          `INSERT INTO sign_in_sources (id, user_id, network, known_until, expires_at)
        VALUES ($1, $2, $3, database_time() + interval '1 day', database_time() + interval '1 day')`,
          [`${HOME.ipAddress}|${userId}`, userId, HOME.ipAddress],
        );
        await lock(userId);
        return () => enrollTotp(auth, { userId, proof: BY_PASSWORD, device: HOME });
      },
    ],
    [
      'confirmTotp',
      'as the first factor',
      async (auth) => {
        const { userId } = await givenVerifiedUser(auth);
        const { secret } = await enrollTotp(auth, { userId });
        await fail(userId);
        return () => confirmTotp(auth, { userId, code: codeOf(clock, secret), proof: BY_PASSWORD, device: HOME });
      },
    ],
    [
      'confirmTotp',
      'with a recovery code',
      async (auth) => {
        const { userId, recovery: code } = await givenSmsUser(auth);
        const { secret } = await enrollTotp(auth, { userId, proof: BY_PASSWORD });
        const proof = { factor: 'recovery', code } as const;
        return () => confirmTotp(auth, { userId, code: codeOf(clock, secret), proof });
      },
    ],
    [
      'sendCode',
      'to enable a channel',
      async (auth) => {
        const { userId } = await givenVerifiedUser(auth);
        await sendCode(auth, { purpose: 'enable', userId, channel: 'email', send: givenSender() });
        await clock.move(MINUTE_MS);
        return () => sendCode(auth, { purpose: 'enable', userId, channel: 'email', send: givenSender(), device: HOME });
      },
    ],
    [
      'sendCode',
      'to enable a channel with a code of the app',
      async (auth) => {
        const proven = await givenProof(auth, 'totp');
        return () => sendCode(auth, { ...proven, purpose: 'enable', channel: 'email', send: givenSender() });
      },
    ],
    [
      'sendCode',
      'for a sign-in',
      async (auth) => {
        const { email } = await givenSmsUser(auth);
        const challengeToken = await givenChallenge(auth, email);
        return () => sendCode(auth, { purpose: 'sign_in', challengeToken, channel: 'sms', send: givenSender() });
      },
    ],
    [
      'confirmChannel',
      'with the password while an enrollment waits',
      async (auth) => {
        const { userId } = await givenVerifiedUser(auth);
        const send = givenSender();
        await sendCode(auth, { purpose: 'enable', userId, channel: 'sms', phoneNumber: PHONE, send });
        await enrollTotp(auth, { userId });
        await fail(userId);
        return () =>
          confirmChannel(auth, { userId, channel: 'sms', code: send.last(), proof: BY_PASSWORD, device: HOME });
      },
    ],
    ...FACTORS.map(
      (factor): Call => [
        'confirmChannel',
        `with a code of ${factor}`,
        async (auth) => {
          const { userId, proof } = await givenProof(auth, factor);
          const { factor: shown, code } = proof;
          if (factor === 'sms') await clock.move(MINUTE_MS);
          const send = givenSender();
          const phoneNumber = '+27115550199';
          await sendCode(auth, {
            purpose: 'enable',
            userId,
            channel: 'sms',
            phoneNumber,
            send,
            proof: BY_PASSWORD,
          });
          await fail(userId);
          return () =>
            confirmChannel(auth, {
              userId,
              channel: 'sms',
              code: send.last(),
              proof: { factor: shown, code },
              device: HOME,
            });
        },
      ],
    ),
    ...FACTORS.map(
      (factor): Call => [
        'disableMfa',
        `with a code of ${factor}`,
        async (auth) => {
          const proven = await givenProof(auth, factor);
          return () => disableMfa(auth, proven);
        },
      ],
    ),
    ...FACTORS.map(
      (factor): Call => [
        'regenerateRecoveryCodes',
        `with a code of ${factor}`,
        async (auth) => {
          const proven = await givenProof(auth, factor);
          return () => regenerateRecoveryCodes(auth, proven);
        },
      ],
    ),
    [
      'rotateEncryption',
      'of one secret',
      async (auth) => {
        await db().admin('DELETE FROM mfa_settings');
        const { userId } = await givenVerifiedUser(auth);
        await givenTotp(open({ encryptionKeys: OLDER_KEY }), clock, userId);
        const rotated = open({ encryptionKeys: `v2:${KEY},v1:${OLDER_KEY}` });
        return () => rotateEncryption(rotated);
      },
    ],
  ];
}
