import { useDatabase, useTestClock } from '@azora/db-testkit';
import * as store from '../src/index';
import { type Auth, login, type PasswordResetMessage, type SignedIn } from '../src/index';
import { DAY_MS, givenSession, givenUser, MINUTE_MS, outcomes, PASSWORD, START, signIn, useAuth } from './given';
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
  OLDER_KEY,
  PHONE,
  wrongCodeOf,
} from './given-factors';

const NEW = 'five other unrelated words';
const HOME = { ipAddress: '203.0.113.40' };
const READERS = [
  ...['openAuth', 'normalizeEmail', 'authenticate', 'isRevoked', 'listSessions', 'readAudit', 'verifyAuditChain'],
  // Deletes rows, and writes none.
  'pruneExpired',
];

type Written = Exclude<keyof typeof store, 'DEFAULT_SETTINGS' | '$Enums' | 'Prisma'>;
type Prepare = (auth: Auth) => Promise<() => Promise<unknown>>;
/** A function of the store, the way in which it is called, and what prepares the call. */
type Call = readonly [Written, string, Prepare];

describe('a call writes no row twice', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = (options = {}) => openAuth({ encryptionKeys: KEY, ...options });

  // Notes every version of a row that a statement writes, whichever transaction of a call it belongs to.
  beforeAll(async () => {
    await db().admin(`
      CREATE TABLE row_writes (place text NOT NULL, operation text NOT NULL);
      CREATE FUNCTION note_row_write() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog, public, pg_temp AS $$
        BEGIN
          INSERT INTO public.row_writes
          SELECT TG_TABLE_NAME || ' ' || coalesce(it ->> 'id', it ->> 'account', it ->> 'jti'), TG_OP
          FROM to_jsonb(NEW) AS it;
          RETURN NULL;
        END $$;
      DO $$ DECLARE it text; BEGIN
        FOR it IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
          AND relname NOT IN ('_prisma_migrations', 'row_writes')
        LOOP
          EXECUTE format('CREATE TRIGGER note_row_write AFTER INSERT OR UPDATE ON %I FOR EACH ROW
            EXECUTE FUNCTION note_row_write()', it);
        END LOOP;
      END $$`);
  });

  /** The rows that were written since the last call, with what was done to each. */
  const writes = async () => {
    const rows = await db().admin(
      `WITH gone AS (DELETE FROM row_writes RETURNING *)
       SELECT place, array_agg(operation) AS operations FROM gone GROUP BY place ORDER BY place`,
    );
    return rows.map(({ place, operations }) => [String(place), operations] as const);
  };

  /** Failures of both counters, so that a right proof has something to forget. */
  const fail = (userId: string) =>
    db().admin(
      `UPDATE users SET failed_login_count = 1, first_failed_at = database_time(), factor_failed_count = 1 WHERE id = $1`,
      [userId],
    );
  /** A lock of the password, which a known network does not meet. */
  const lock = (userId: string) =>
    db().admin(
      `UPDATE users SET locked_until = database_time() + interval '1 hour', lockout_count = 1,
         failed_login_count = 10, first_failed_at = database_time() WHERE id = $1`,
      [userId],
    );
  const another = (code: string) => String((Number(code) + 1) % 1_000_000).padStart(6, '0');

  async function givenTotpUser(auth: Auth) {
    const user = await givenVerifiedUser(auth);
    const { secret, recoveryCodes } = await givenTotp(auth, clock, user.userId);
    await clock.move(MINUTE_MS);
    await fail(user.userId);
    return { ...user, secret, recovery: recoveryCodes[0] ?? '' };
  }
  async function givenSmsUser(auth: Auth) {
    const user = await givenVerifiedUser(auth);
    const { recoveryCodes } = await givenSms(auth, clock, user.userId);
    await fail(user.userId);
    return { ...user, recovery: recoveryCodes[0] ?? '' };
  }
  /** A user with the proof by each kind of code. */
  async function givenProof(auth: Auth, factor: 'totp' | 'sms' | 'email' | 'recovery') {
    if (factor === 'totp') {
      const user = await givenTotpUser(auth);
      return { userId: user.userId, proof: { factor, code: codeOf(clock, user.secret) } } as const;
    }
    if (factor === 'recovery') {
      const user = await givenTotpUser(auth);
      return { userId: user.userId, proof: { factor, code: user.recovery } } as const;
    }
    const { userId } = await givenVerifiedUser(auth);
    await (factor === 'sms' ? givenSms(auth, clock, userId) : givenEmail(auth, clock, userId));
    await fail(userId);
    const send = givenSender();
    await store.sendCode(auth, { purpose: 'confirm', userId, channel: factor, send });
    return { userId, proof: { factor, code: send.last() } } as const;
  }
  async function givenReset(auth: Auth, email: string) {
    return new Promise<PasswordResetMessage>((resolve, reject) => {
      store.requestPasswordReset(auth, { email, send: resolve }).catch(reject);
    });
  }
  let organizations = 0;
  async function givenOrganization(auth: Auth, role: 'admin' | 'member' = 'member') {
    organizations += 1;
    const { userId: ownerId } = await givenUser(auth);
    const slug = `single-writes-${organizations}`;
    const { orgId } = await store.createOrganization(auth, { ownerId, name: 'Ours', slug });
    const { userId: memberId, email } = await givenVerifiedUser(auth);
    const { token, invitationId } = await store.invite(auth, { orgId, actorId: ownerId, email, role });
    const join = () => store.acceptInvitation(auth, { token, userId: memberId });
    return { orgId, ownerId, memberId, invitationId, join };
  }

  const FACTORS = ['totp', 'sms', 'email', 'recovery'] as const;
  const CALLS: readonly Call[] = [
    [
      'register',
      'with a username',
      async (auth) => () =>
        store.register(auth, { email: 'once@azora.world', password: PASSWORD, username: 'once', device: HOME }),
    ],
    [
      'verifyEmail',
      'for a new account',
      async (auth) => {
        const { verificationToken: token } = await givenUser(auth);
        return () => store.verifyEmail(auth, { token });
      },
    ],
    [
      'requestEmailVerification',
      'again',
      async (auth) => {
        const { userId } = await givenUser(auth);
        return () => store.requestEmailVerification(auth, { userId, device: HOME });
      },
    ],
    [
      'updateProfile',
      'of both tables',
      async (auth) => {
        const { userId } = await givenUser(auth);
        return () => store.updateProfile(auth, { userId, name: 'Ada', city: 'Soweto' });
      },
    ],
    [
      'deactivate',
      'with sessions and a challenge',
      async (auth) => {
        const { userId, email } = await givenSession(auth);
        await givenTotp(auth, clock, userId);
        await givenChallenge(auth, email);
        return () => store.deactivate(auth, { userId });
      },
    ],
    [
      'softDelete',
      'of a member',
      async (auth) => {
        const { memberId, join } = await givenOrganization(auth);
        await join();
        return () => store.softDelete(auth, { userId: memberId });
      },
    ],
    [
      'unlockAccount',
      'after failures',
      async (auth) => {
        const { userId } = await givenTotpUser(auth);
        return () => store.unlockAccount(auth, { userId, actorId: 'support-7' });
      },
    ],
    [
      'requestPasswordReset',
      'of an account',
      async (auth) => {
        const { email } = await givenUser(auth);
        await givenReset(auth, email);
        await clock.move(MINUTE_MS);
        return () => store.requestPasswordReset(auth, { email, send: () => undefined, device: HOME });
      },
    ],
    [
      'requestPasswordReset',
      'of an unknown address',
      async (auth) => () =>
        store.requestPasswordReset(auth, { email: 'nobody@azora.world', send: () => undefined, device: HOME }),
    ],
    [
      'resetPassword',
      'during a lock',
      async (auth) => {
        const { userId, email } = await givenVerifiedUser(auth);
        await signIn(auth, email);
        const { token } = await givenReset(auth, email);
        await lock(userId);
        return () => store.resetPassword(auth, { token, newPassword: NEW, device: HOME });
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
        return () => store.resetPassword(auth, { token, newPassword: NEW, device: HOME });
      },
    ],
    [
      'changePassword',
      'with the password alone',
      async (auth) => {
        const { userId, email } = await givenVerifiedUser(auth);
        await signIn(auth, email);
        const { sessionId } = await signIn(auth, email);
        await store.enrollTotp(auth, { userId });
        await fail(userId);
        return () =>
          store.changePassword(auth, { userId, currentPassword: PASSWORD, newPassword: NEW, sessionId, device: HOME });
      },
    ],
    ...FACTORS.map(
      (factor): Call => [
        'changePassword',
        `with a code of ${factor}`,
        async (auth) => {
          const proven = await givenProof(auth, factor);
          return () =>
            store.changePassword(auth, { ...proven, currentPassword: PASSWORD, newPassword: NEW, device: HOME });
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
          outcomes([
            store.changePassword(auth, { userId, currentPassword: 'a guess', newPassword: NEW, device: HOME }),
          ]);
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
    ...(['totp', 'recovery'] as const).map(
      (factor): Call => [
        'verifyMfa',
        `with ${factor}`,
        async (auth) => {
          const { email, secret, recovery } = await givenTotpUser(auth);
          const challengeToken = await givenChallenge(auth, email);
          const code = factor === 'totp' ? codeOf(clock, secret) : recovery;
          return () => store.verifyMfa(auth, { challengeToken, factor, code, device: HOME });
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
          await store.sendCode(auth, { purpose: 'sign_in', channel: 'sms', challengeToken, send });
          await db().admin('UPDATE users SET factor_failed_count = 9 WHERE id = $1', [userId]);
          const code = isWrong ? another(send.last()) : send.last();
          return () => outcomes([store.verifyMfa(auth, { challengeToken, factor: 'sms', code, device: HOME })]);
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
        return () =>
          outcomes([store.verifyMfa(auth, { challengeToken, factor: 'totp', code: wrongCodeOf(clock, secret) })]);
      },
    ],
    [
      'refresh',
      'once',
      async (auth) => {
        const { refreshToken } = await givenSession(auth);
        return () => store.refresh(auth, { refreshToken, device: HOME });
      },
    ],
    [
      'refresh',
      'with a used token',
      async (auth) => {
        const { refreshToken } = await givenSession(auth);
        await store.refresh(auth, { refreshToken });
        await clock.move(MINUTE_MS);
        return () => outcomes([store.refresh(auth, { refreshToken })]);
      },
    ],
    [
      'logout',
      'of a session',
      async (auth) => {
        const { sessionToken } = await givenSession(auth);
        return () => store.logout(auth, { sessionToken });
      },
    ],
    [
      'logoutEverywhere',
      'but one',
      async (auth) => {
        const { userId, email, sessionId } = await givenSession(auth);
        await login(auth, { email, password: PASSWORD, device: HOME });
        return () => store.logoutEverywhere(auth, { userId, exceptSessionId: sessionId });
      },
    ],
    [
      'revokeSession',
      'of a known network',
      async (auth) => {
        const { userId, email } = await givenUser(auth);
        const { sessionId } = (await login(auth, { email, password: PASSWORD, device: HOME })) as SignedIn;
        return () => store.revokeSession(auth, { userId, sessionId });
      },
    ],
    ...['once', 'again'].map(
      (turn): Call => [
        'revokeToken',
        turn,
        async (auth) => {
          const token = { jti: `single-writes-${turn}`, expiresAt: new Date(clock.now().getTime() + DAY_MS) };
          if (turn === 'again') await store.revokeToken(auth, token);
          return () => store.revokeToken(auth, { ...token, expiresAt: new Date(token.expiresAt.getTime() + 1) });
        },
      ],
    ),
    [
      'enrollTotp',
      'as the first factor',
      async (auth) => {
        const { userId } = await givenVerifiedUser(auth);
        return () => store.enrollTotp(auth, { userId });
      },
    ],
    [
      'enrollTotp',
      'with a code that was sent',
      async (auth) => {
        const proven = await givenProof(auth, 'sms');
        return () => store.enrollTotp(auth, proven);
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
        return () => store.enrollTotp(auth, { userId, proof: BY_PASSWORD, device: HOME });
      },
    ],
    [
      'confirmTotp',
      'as the first factor',
      async (auth) => {
        const { userId } = await givenVerifiedUser(auth);
        const { secret } = await store.enrollTotp(auth, { userId });
        await fail(userId);
        return () => store.confirmTotp(auth, { userId, code: codeOf(clock, secret), proof: BY_PASSWORD, device: HOME });
      },
    ],
    [
      'confirmTotp',
      'with a recovery code',
      async (auth) => {
        const { userId, recovery: code } = await givenSmsUser(auth);
        const { secret } = await store.enrollTotp(auth, { userId, proof: BY_PASSWORD });
        const proof = { factor: 'recovery', code } as const;
        return () => store.confirmTotp(auth, { userId, code: codeOf(clock, secret), proof });
      },
    ],
    [
      'sendCode',
      'to enable a channel',
      async (auth) => {
        const { userId } = await givenVerifiedUser(auth);
        await store.sendCode(auth, { purpose: 'enable', userId, channel: 'email', send: givenSender() });
        await clock.move(MINUTE_MS);
        return () =>
          store.sendCode(auth, { purpose: 'enable', userId, channel: 'email', send: givenSender(), device: HOME });
      },
    ],
    [
      'sendCode',
      'to enable a channel with a code of the app',
      async (auth) => {
        const proven = await givenProof(auth, 'totp');
        return () => store.sendCode(auth, { ...proven, purpose: 'enable', channel: 'email', send: givenSender() });
      },
    ],
    [
      'sendCode',
      'for a sign-in',
      async (auth) => {
        const { email } = await givenSmsUser(auth);
        const challengeToken = await givenChallenge(auth, email);
        return () => store.sendCode(auth, { purpose: 'sign_in', challengeToken, channel: 'sms', send: givenSender() });
      },
    ],
    [
      'confirmChannel',
      'with the password while an enrollment waits',
      async (auth) => {
        const { userId } = await givenVerifiedUser(auth);
        const send = givenSender();
        await store.sendCode(auth, { purpose: 'enable', userId, channel: 'sms', phoneNumber: PHONE, send });
        await store.enrollTotp(auth, { userId });
        await fail(userId);
        return () =>
          store.confirmChannel(auth, { userId, channel: 'sms', code: send.last(), proof: BY_PASSWORD, device: HOME });
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
          await store.sendCode(auth, {
            purpose: 'enable',
            userId,
            channel: 'sms',
            phoneNumber,
            send,
            proof: BY_PASSWORD,
          });
          await fail(userId);
          return () =>
            store.confirmChannel(auth, {
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
          return () => store.disableMfa(auth, proven);
        },
      ],
    ),
    ...FACTORS.map(
      (factor): Call => [
        'regenerateRecoveryCodes',
        `with a code of ${factor}`,
        async (auth) => {
          const proven = await givenProof(auth, factor);
          return () => store.regenerateRecoveryCodes(auth, proven);
        },
      ],
    ),
    [
      'createOrganization',
      'by a new user',
      async (auth) => {
        const { userId: ownerId } = await givenUser(auth);
        return () => store.createOrganization(auth, { ownerId, name: 'Ours', slug: 'single-writes' });
      },
    ],
    [
      'closeOrganization',
      'with a member and an invitation',
      async (auth) => {
        const { orgId, ownerId, join } = await givenOrganization(auth);
        await join();
        await store.invite(auth, { orgId, actorId: ownerId, email: 'later@azora.world' });
        return () => store.closeOrganization(auth, { orgId, actorId: ownerId });
      },
    ],
    [
      'invite',
      'again after an invitation has expired',
      async (auth) => {
        const { orgId, ownerId } = await givenOrganization(auth);
        const invitation = { orgId, actorId: ownerId, email: 'expired@azora.world' };
        await store.invite(auth, invitation);
        await clock.move(8 * DAY_MS);
        return () => store.invite(auth, { ...invitation, device: HOME });
      },
    ],
    ['acceptInvitation', 'by a new user', async (auth) => (await givenOrganization(auth)).join],
    [
      'revokeInvitation',
      'of an open invitation',
      async (auth) => {
        const { orgId, ownerId, invitationId } = await givenOrganization(auth);
        return () => store.revokeInvitation(auth, { orgId, actorId: ownerId, invitationId });
      },
    ],
    [
      'changeMemberRole',
      'to admin',
      async (auth) => {
        const { orgId, ownerId, memberId, join } = await givenOrganization(auth);
        await join();
        return () => store.changeMemberRole(auth, { orgId, actorId: ownerId, userId: memberId, role: 'admin' });
      },
    ],
    [
      'removeMember',
      'by the owner',
      async (auth) => {
        const { orgId, ownerId, memberId, join } = await givenOrganization(auth);
        await join();
        return () => store.removeMember(auth, { orgId, actorId: ownerId, userId: memberId });
      },
    ],
    [
      'transferOwnership',
      'to a member',
      async (auth) => {
        const { orgId, ownerId, memberId, join } = await givenOrganization(auth);
        await join();
        return () => store.transferOwnership(auth, { orgId, actorId: ownerId, userId: memberId });
      },
    ],
    [
      'appointOwner',
      'who is no member',
      async (auth) => {
        const { orgId, ownerId, memberId: userId } = await givenOrganization(auth);
        await store.deactivate(auth, { userId: ownerId });
        return () => store.appointOwner(auth, { orgId, userId, actorId: 'support-7', reason: 'the owner left' });
      },
    ],
    [
      'rotateEncryption',
      'of one secret',
      async (auth) => {
        await db().admin('DELETE FROM mfa_settings');
        const { userId } = await givenVerifiedUser(auth);
        await givenTotp(open({ encryptionKeys: OLDER_KEY }), clock, userId);
        const rotated = open({ encryptionKeys: `v2:${KEY},v1:${OLDER_KEY}` });
        return () => store.rotateEncryption(rotated);
      },
    ],
  ];

  it('is tested for every function of the store that writes', () => {
    const functions = Object.entries(store)
      .filter(([, value]) => typeof value === 'function')
      .map(([name]) => name);
    const tested = new Set<string>(CALLS.map(([name]) => name));

    expect(functions.filter((name) => /^[a-z]/.test(name) && !tested.has(name)).sort()).toEqual([...READERS].sort());
  });

  it.each(CALLS)('%s %s', async (_name, _how, prepare) => {
    const call = await prepare(open());
    await writes();
    await call();

    const written = await writes();
    expect(written.length).toBeGreaterThan(0);
    expect(written.filter(([, operations]) => operations.length > 1)).toEqual([]);
  });
});
