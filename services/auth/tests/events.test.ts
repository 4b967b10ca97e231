/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import Ajv from 'ajv/dist/2020';
import * as store from '../src/index';
import { type Auth, EVENTS, type PasswordResetMessage } from '../src/index';
import { countPublished, namesOf, publishedAfter } from './events-given';
import { DAY_MS, givenSession, MINUTE_MS, outcomes, PASSWORD, START, signIn, useAuth } from './given';
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
} from './given-factors';

const NEW = 'five other unrelated words';
/** What callers pass about people, which no event repeats. */
const PERSONAL = ['Ada Lovelace', 'azora.world', '203.0.113.7', 'Firefox of Ada', 'of the tooth', PHONE];
const device = { ipAddress: '203.0.113.7', userAgent: 'Firefox of Ada' };
const reason = 'because of the tooth of Ada Lovelace';

const BY_NAME = new Map<string, (typeof EVENTS)[number]>(EVENTS.map((event) => [event.type, event]));

/** A function, the way in which it is called, what prepares the call, and the events of the call. */
type Call = readonly [
  name: string,
  how: string,
  prepare: (auth: Auth) => Promise<() => Promise<unknown>>,
  events: readonly string[],
];

/** Functions that read, or that change only what no other service must know. */
const SILENT = [
  'openAuth',
  'normalizeEmail',
  'authenticate',
  'isRevoked',
  'listSessions',
  'readAudit',
  'verifyAuditChain',
];

describe('the events of auth', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = (options = {}) => openAuth({ encryptionKeys: KEY, ...options });
  const ajv = new Ajv({ strict: false, validateFormats: false });
  const seen = new Set<string>();
  let made = 0;
  const fresh = (what: string) => {
    made += 1;
    return `${what}-${made}`;
  };

  const reset = (auth: Auth, email: string) =>
    new Promise<PasswordResetMessage>((resolve, reject) => {
      store.requestPasswordReset(auth, { email, send: resolve, device }).catch(reject);
    });
  async function givenTotpUser(auth: Auth) {
    const user = await givenVerifiedUser(auth);
    const { secret, recoveryCodes } = await givenTotp(auth, clock, user.userId);
    await clock.move(MINUTE_MS);
    return { ...user, secret, recovery: recoveryCodes[0] ?? '' };
  }
  async function givenOrganization(auth: Auth) {
    const { userId: ownerId } = await givenVerifiedUser(auth);
    const { orgId } = await store.createOrganization(auth, {
      ownerId,
      name: 'Ada Lovelace Ltd',
      slug: fresh('org'),
      device,
    });
    const { userId: memberId, email } = await givenVerifiedUser(auth);
    const { token, invitationId } = await store.invite(auth, { orgId, actorId: ownerId, email, device });
    const join = () => store.acceptInvitation(auth, { token, userId: memberId, device });
    return { orgId, ownerId, memberId, invitationId, join };
  }
  async function givenMember(auth: Auth) {
    const { orgId, ownerId, memberId, join } = await givenOrganization(auth);
    await join();
    return { orgId, actorId: ownerId, userId: memberId, device };
  }
  const failures = (userId: string, passwords: number, codes: number) =>
    db().admin(
      `UPDATE users SET failed_login_count = $2, first_failed_at = database_time(), factor_failed_count = $3 WHERE id = $1`,
      [userId, passwords, codes],
    );

  const CALLS: readonly Call[] = [
    [
      'register',
      'with a name',
      async (auth) => () => {
        const [username, email] = [fresh('ada'), `${fresh('ada')}@azora.world`];
        return store.register(auth, { email, password: PASSWORD, name: 'Ada Lovelace', username, device });
      },
      ['user-registered'],
    ],
    [
      'requestEmailVerification',
      'again',
      async (auth) => {
        const { userId } = await store.register(auth, { email: `${fresh('ada')}@azora.world`, password: PASSWORD });
        return () => store.requestEmailVerification(auth, { userId, device });
      },
      [],
    ],
    [
      'verifyEmail',
      'of a new account',
      async (auth) => {
        const email = `${fresh('ada')}@azora.world`;
        const { verificationToken: token } = await store.register(auth, { email, password: PASSWORD });
        return () => store.verifyEmail(auth, { token, device });
      },
      ['email-verified'],
    ],
    [
      'updateProfile',
      'with a name and a city',
      async (auth) => {
        const { userId } = await givenVerifiedUser(auth);
        return () => store.updateProfile(auth, { userId, name: 'Ada Lovelace', bio: reason, phone: PHONE, device });
      },
      ['profile-updated'],
    ],
    [
      'deactivate',
      'for a reason',
      async (auth) => {
        const { userId } = await givenSession(auth);
        return () => store.deactivate(auth, { userId, actorId: 'support-7', reason, device });
      },
      ['user-deactivated'],
    ],
    [
      'softDelete',
      'of a member',
      async (auth) => {
        const { userId } = await givenMember(auth);
        return () => store.softDelete(auth, { userId, reason, device });
      },
      ['user-deleted'],
    ],
    [
      'unlockAccount',
      'after failures',
      async (auth) => {
        const { userId } = await givenVerifiedUser(auth);
        await failures(userId, 3, 3);
        return () => store.unlockAccount(auth, { userId, actorId: 'support-7', reason, device });
      },
      ['account-unlocked'],
    ],
    [
      'changePassword',
      'with the password',
      async (auth) => {
        const { userId } = await givenSession(auth);
        return () => store.changePassword(auth, { userId, currentPassword: PASSWORD, newPassword: NEW, device });
      },
      ['password-changed'],
    ],
    [
      'requestPasswordReset',
      'of an account and of nobody',
      async (auth) => {
        const { email } = await givenVerifiedUser(auth);
        return async () => {
          await reset(auth, email);
          await store.requestPasswordReset(auth, { email: 'nobody@azora.world', send: () => undefined, device });
        };
      },
      [],
    ],
    [
      'resetPassword',
      'during a lock',
      async (auth) => {
        const { userId, email } = await givenVerifiedUser(auth);
        const { token } = await reset(auth, email);
        await db().admin(
          "UPDATE users SET locked_until = database_time() + interval '1 hour', lockout_count = 1 WHERE id = $1",
          [userId],
        );
        return () => store.resetPassword(auth, { token, newPassword: NEW, device });
      },
      ['account-unlocked', 'password-reset'],
    ],
    [
      'login',
      'with the password',
      async (auth) => {
        const { email } = await givenVerifiedUser(auth);
        return () => store.login(auth, { email, password: PASSWORD, device });
      },
      ['user-login'],
    ],
    [
      'login',
      'that asks for a second factor',
      async (auth) => {
        const { email } = await givenTotpUser(auth);
        return () => store.login(auth, { email, password: PASSWORD, device });
      },
      [],
    ],
    [
      'login',
      'with wrong passwords and unknown addresses',
      async (auth) => {
        const { email } = await givenVerifiedUser(auth);
        return () =>
          outcomes(
            [email, 'nobody@azora.world'].map((it) => store.login(auth, { email: it, password: 'a guess', device })),
          );
      },
      [],
    ],
    [
      'login',
      'with the wrong password that locks',
      async (auth) => {
        const { userId, email } = await givenVerifiedUser(auth);
        await failures(userId, 9, 0);
        return () => outcomes([store.login(auth, { email, password: 'a guess' })]);
      },
      ['account-locked'],
    ],
    [
      'verifyMfa',
      'with a code',
      async (auth) => {
        const { email, secret } = await givenTotpUser(auth);
        const challengeToken = await givenChallenge(auth, email);
        return () => store.verifyMfa(auth, { challengeToken, factor: 'totp', code: codeOf(clock, secret), device });
      },
      ['user-login'],
    ],
    ...[
      [9, 'account-locked'],
      [99, 'factor-blocked'],
    ].map(
      ([before, event]): Call => [
        'verifyMfa',
        `with a wrong code after ${before}`,
        async (auth) => {
          const { userId, email, secret } = await givenTotpUser(auth);
          const challengeToken = await givenChallenge(auth, email);
          await failures(userId, 0, Number(before));
          const code = wrongCodeOf(clock, secret);
          return () => outcomes([store.verifyMfa(auth, { challengeToken, factor: 'totp', code })]);
        },
        [String(event)],
      ],
    ),
    [
      'refresh',
      'once, and once more after a minute',
      async (auth) => {
        const { refreshToken } = await givenSession(auth);
        return async () => {
          await store.refresh(auth, { refreshToken, device });
          await clock.move(MINUTE_MS);
          await outcomes([store.refresh(auth, { refreshToken, device })]);
        };
      },
      ['token-reused'],
    ],
    [
      'logout',
      'of a session',
      async (auth) => {
        const { sessionToken } = await givenSession(auth);
        return () => store.logout(auth, { sessionToken, device });
      },
      ['user-logout'],
    ],
    [
      'logoutEverywhere',
      'but one',
      async (auth) => {
        const { userId, email, sessionId } = await givenSession(auth);
        await signIn(auth, email);
        return () => store.logoutEverywhere(auth, { userId, exceptSessionId: sessionId, device });
      },
      ['sessions-revoked'],
    ],
    [
      'revokeSession',
      'of a user',
      async (auth) => {
        const { userId, sessionId } = await givenSession(auth);
        return () => store.revokeSession(auth, { userId, sessionId, device });
      },
      ['session-revoked'],
    ],
    [
      'revokeToken',
      'with any jti',
      async (auth) => () =>
        store.revokeToken(auth, {
          jti: `Ada Lovelace ${fresh('jti')}`,
          expiresAt: new Date(clock.now().getTime() + DAY_MS),
          device,
        }),
      [],
    ],
    [
      'enrollTotp',
      'as the first factor',
      async (auth) => {
        const { userId } = await givenVerifiedUser(auth);
        return () => store.enrollTotp(auth, { userId, device });
      },
      [],
    ],
    [
      'confirmTotp',
      'as the first factor',
      async (auth) => {
        const { userId } = await givenVerifiedUser(auth);
        const { secret } = await store.enrollTotp(auth, { userId });
        return () => store.confirmTotp(auth, { userId, code: codeOf(clock, secret), proof: BY_PASSWORD, device });
      },
      ['mfa-enabled'],
    ],
    [
      'sendCode',
      'to a number',
      async (auth) => {
        const { userId } = await givenVerifiedUser(auth);
        const to = {
          purpose: 'enable',
          userId,
          channel: 'sms',
          phoneNumber: PHONE,
          send: givenSender(),
          device,
        } as const;
        return () => store.sendCode(auth, to);
      },
      [],
    ],
    [
      'confirmChannel',
      'of a number',
      async (auth) => {
        const { userId } = await givenVerifiedUser(auth);
        const send = givenSender();
        await store.sendCode(auth, { purpose: 'enable', userId, channel: 'sms', phoneNumber: PHONE, send, device });
        const sent = { userId, channel: 'sms', code: send.last(), proof: BY_PASSWORD, device } as const;
        return () => store.confirmChannel(auth, sent);
      },
      ['mfa-enabled'],
    ],
    [
      'disableMfa',
      'with a recovery code',
      async (auth) => {
        const { userId, recovery: code } = await givenTotpUser(auth);
        return () => store.disableMfa(auth, { userId, proof: { factor: 'recovery', code }, device });
      },
      ['mfa-disabled'],
    ],
    [
      'regenerateRecoveryCodes',
      'with a recovery code',
      async (auth) => {
        const { userId, recovery: code } = await givenTotpUser(auth);
        return () => store.regenerateRecoveryCodes(auth, { userId, proof: { factor: 'recovery', code }, device });
      },
      ['recovery-codes-replaced'],
    ],
    [
      'createOrganization',
      'by a user',
      async (auth) => {
        const { userId: ownerId } = await givenVerifiedUser(auth);
        return () => store.createOrganization(auth, { ownerId, name: 'Ada Lovelace Ltd', slug: fresh('org'), device });
      },
      ['organization-created'],
    ],
    [
      'closeOrganization',
      'with a member',
      async (auth) => {
        const { orgId, actorId } = await givenMember(auth);
        return () => store.closeOrganization(auth, { orgId, actorId, device });
      },
      ['organization-closed'],
    ],
    [
      'invite',
      'of an address',
      async (auth) => {
        const { orgId, actorId } = await givenMember(auth);
        return () =>
          store.invite(auth, { orgId, actorId, email: `${fresh('eve')}@azora.world`, role: 'admin', device });
      },
      ['member-invited'],
    ],
    ['acceptInvitation', 'by a user', async (auth) => (await givenOrganization(auth)).join, ['invitation-accepted']],
    [
      'revokeInvitation',
      'that is open',
      async (auth) => {
        const { orgId, ownerId: actorId, invitationId } = await givenOrganization(auth);
        return () => store.revokeInvitation(auth, { orgId, actorId, invitationId, device });
      },
      ['invitation-revoked'],
    ],
    [
      'changeMemberRole',
      'to admin',
      async (auth) => {
        const change = { ...(await givenMember(auth)), role: 'admin' } as const;
        return () => store.changeMemberRole(auth, change);
      },
      ['member-role-changed'],
    ],
    [
      'transferOwnership',
      'to a member',
      async (auth) => {
        const member = await givenMember(auth);
        return () => store.transferOwnership(auth, member);
      },
      ['ownership-transferred'],
    ],
    [
      'appointOwner',
      'for a reason',
      async (auth) => {
        const { orgId, actorId, userId } = await givenMember(auth);
        await store.deactivate(auth, { userId: actorId });
        return () => store.appointOwner(auth, { orgId, userId, actorId: 'support-7', reason, device });
      },
      ['ownership-transferred'],
    ],
    [
      'removeMember',
      'by the owner',
      async (auth) => {
        const member = await givenMember(auth);
        return () => store.removeMember(auth, member);
      },
      ['member-removed'],
    ],
    [
      'removeMember',
      'by the member',
      async (auth) => {
        const member = await givenMember(auth);
        return () => store.removeMember(auth, { ...member, actorId: member.userId });
      },
      ['member-left'],
    ],
    [
      'rotateEncryption',
      'of a secret',
      async (auth) => {
        await db().admin('DELETE FROM mfa_settings');
        const { userId } = await givenVerifiedUser(auth);
        await givenTotp(open({ encryptionKeys: OLDER_KEY }), clock, userId);
        const rotated = open({ encryptionKeys: `v2:${KEY},v1:${OLDER_KEY}` });
        return () => store.rotateEncryption(rotated);
      },
      [],
    ],
    ['pruneExpired', 'of everything', async (auth) => () => store.pruneExpired(auth), []],
  ];

  it.each(CALLS)('%s %s publishes its events, as they are declared', async (_name, _how, prepare, expected) => {
    const call = await prepare(open());
    const before = await countPublished(db());

    await call();

    const events = await publishedAfter(db(), before);
    expect(namesOf(events)).toEqual(expected);
    for (const { type, key, payload } of events) {
      const declared = BY_NAME.get(type);
      if (declared === undefined) throw new Error(`${type} is not declared`);
      const validate = ajv.compile(declared.jsonSchema);
      validate(payload);
      expect([type, validate.errors]).toEqual([type, null]);
      expect(key).toBe(declared.key(declared.data.parse(payload) as never));
      const [entry] = await db().admin('SELECT user_id, resource_id, timestamp FROM audit_log WHERE id = $1', [
        payload['auditId'],
      ]);
      expect([payload['userId'], payload['resourceId'], new Date(String(payload['occurredAt']))]).toEqual([
        entry?.['user_id'],
        entry?.['resource_id'],
        entry?.['timestamp'],
      ]);
      seen.add(type);
    }
    for (const text of PERSONAL) expect(JSON.stringify(events)).not.toContain(text);
  });

  it('are tested for every function of the store, and every declared type was published', () => {
    const functions = Object.entries(store)
      .filter(([name, value]) => typeof value === 'function' && /^[a-z]/.test(name))
      .map(([name]) => name);
    const tested = new Set<string>(CALLS.map(([name]) => name));

    expect(functions.filter((name) => !tested.has(name)).sort()).toEqual([...SILENT].sort());
    expect([...BY_NAME.keys()].filter((type) => !seen.has(type))).toEqual([]);
  });

  describe('in a transaction that fails in the end', () => {
    beforeAll(() =>
      db().admin(`
        CREATE FUNCTION fail_in_the_end() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'in the end'; END $$;
        CREATE CONSTRAINT TRIGGER fail_in_the_end AFTER INSERT ON outbox DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
          EXECUTE FUNCTION fail_in_the_end();
        ALTER TABLE outbox DISABLE TRIGGER fail_in_the_end`),
    );
    afterAll(() => db().admin('DROP TRIGGER fail_in_the_end ON outbox'));

    /** The events, and the entries of the audit log that stand behind them. */
    const state = async () => {
      const actions = EVENTS.map(({ name }) => name.replaceAll('-', '_').toUpperCase());
      const entries = await db().admin('SELECT count(*)::int AS count FROM audit_log WHERE action = ANY($1)', [
        actions,
      ]);
      return { events: await countPublished(db()), entries: entries[0]?.['count'] };
    };

    it.each(CALLS.filter(([, , , events]) => events.length > 0))(
      '%s %s publishes nothing',
      async (_name, _how, prepare) => {
        const call = await prepare(open());
        const before = await state();
        expect(before.entries).toBe(before.events);
        await db().admin('ALTER TABLE outbox ENABLE TRIGGER fail_in_the_end');
        await call().catch(() => undefined);
        await db().admin('ALTER TABLE outbox DISABLE TRIGGER fail_in_the_end');

        expect(await state()).toEqual(before);
      },
    );
  });
});
