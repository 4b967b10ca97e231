/** @server any */
import { setTimeout as sleep } from 'node:timers/promises';
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type Auth,
  acceptInvitation,
  authenticate,
  changeMemberRole,
  closeOrganization,
  createOrganization,
  deactivate,
  invite,
  type PasswordResetMessage,
  refresh,
  removeMember,
  requestEmailVerification,
  requestPasswordReset,
  resetPassword,
  softDelete,
  verifyEmail,
} from '../src/index';
import { DAY_MS, givenSession, givenUser, outcomes, START, signIn, useAuth } from './given';
import { givenVerifiedUser } from './given-factors';

const NEW = 'five other unrelated words';

describe('authority is checked when it is used', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const open = useAuth(db);
  let organizations = 0;

  const askForReset = (auth: Auth, email: string) =>
    new Promise<PasswordResetMessage>((resolve, reject) => {
      requestPasswordReset(auth, { email, send: resolve }).catch(reject);
    });

  async function givenOrganization(auth: Auth) {
    organizations += 1;
    const { userId: ownerId } = await givenVerifiedUser(auth);
    const slug = `authority-${organizations}`;
    return { ownerId, ...(await createOrganization(auth, { ownerId, name: 'Azora', slug })) };
  }

  async function givenMember(
    auth: Auth,
    { orgId, ownerId }: { orgId: string; ownerId: string },
    role: 'admin' | 'member',
  ) {
    const { userId, email } = await givenVerifiedUser(auth);
    const { token } = await invite(auth, { orgId, actorId: ownerId, email, role });
    await acceptInvitation(auth, { token, userId });
    return userId;
  }

  /** An invitation that an admin has sent. */
  async function givenInvitation(auth: Auth) {
    const organization = await givenOrganization(auth);
    const { orgId, ownerId } = organization;
    const inviter = await givenMember(auth, organization, 'admin');
    const invited = await givenVerifiedUser(auth);
    const { token } = await invite(auth, { orgId, actorId: inviter, email: invited.email, role: 'admin' });
    return { orgId, ownerId, inviter, token, ...invited };
  }

  describe('for an invitation whose sender', () => {
    type Given = Awaited<ReturnType<typeof givenInvitation>>;
    it.each<[string, (auth: Auth, given: Given) => Promise<unknown>]>([
      [
        'was removed',
        (auth, { orgId, ownerId, inviter }) => removeMember(auth, { orgId, actorId: ownerId, userId: inviter }),
      ],
      ['has left', (auth, { orgId, inviter }) => removeMember(auth, { orgId, actorId: inviter, userId: inviter })],
      [
        'lost the role',
        (auth, { orgId, ownerId, inviter }) =>
          changeMemberRole(auth, { orgId, actorId: ownerId, userId: inviter, role: 'member' }),
      ],
      ['was deactivated', (auth, { inviter }) => deactivate(auth, { userId: inviter })],
      ['was deleted', (auth, { inviter }) => softDelete(auth, { userId: inviter })],
      [
        'was deactivated by SQL',
        (_, { inviter }) => db().app('UPDATE users SET is_active = false WHERE id = $1', [inviter]),
      ],
      ['has no account any more', (_, { inviter }) => db().admin('DELETE FROM users WHERE id = $1', [inviter])],
    ])('%s', async (_what, end) => {
      const auth = open();
      const given = await givenInvitation(auth);
      const { orgId, ownerId, token, userId, email } = given;
      await end(auth, given);

      await expect(acceptInvitation(auth, { token, userId })).rejects.toMatchObject({ code: 'AUTH.INVITATION_LAPSED' });
      const members = await db().admin('SELECT 1 FROM organization_members WHERE org_id = $1 AND user_id = $2', [
        orgId,
        userId,
      ]);
      expect(members).toEqual([]);
      // The invitation that lapsed does not stand in the way of another one.
      await clock.move(60_000);
      const again = await invite(auth, { orgId, actorId: ownerId, email });
      expect(await acceptInvitation(auth, { token: again.token, userId })).toEqual({ orgId, role: 'member' });
    });

    it('is deactivated while the invitation is accepted', async () => {
      const auth = open();
      const { inviter, token, userId } = await givenInvitation(auth);
      await db().admin('BEGIN');
      await db().admin('UPDATE users SET is_active = false WHERE id = $1', [inviter]);
      const accepted = outcomes([acceptInvitation(auth, { token, userId })]);
      const waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
      while ((await db().app(waiting)).length === 0) await sleep(20);
      await db().admin('COMMIT');

      expect(await accepted).toEqual({ 'AUTH.INVITATION_LAPSED': 1 });
    });
  });

  it('for an invitation into an organization that was closed', async () => {
    const auth = open();
    const { orgId, ownerId, token, userId } = await givenInvitation(auth);
    await closeOrganization(auth, { orgId, actorId: ownerId });

    expect(await outcomes([acceptInvitation(auth, { token, userId })])).toEqual({ 'AUTH.ORGANIZATION_NOT_FOUND': 1 });
  });

  it('for tokens of an account that was deactivated, by any client', async () => {
    const auth = open();
    const { userId, email, verificationToken } = await givenUser(auth);
    const session = await signIn(auth, email);
    const { token } = await askForReset(auth, email);
    await db().app('UPDATE users SET is_active = false WHERE id = $1', [userId]);

    const { sessionToken, refreshToken } = session;
    expect(await outcomes([authenticate(auth, { sessionToken }), refresh(auth, { refreshToken })])).toEqual({
      'AUTH.SESSION_ENDED': 2,
    });
    expect(
      await outcomes([
        resetPassword(auth, { token, newPassword: NEW }),
        verifyEmail(auth, { token: verificationToken }),
      ]),
    ).toEqual({ 'AUTH.TOKEN_INVALID': 2 });
    expect(await outcomes([requestEmailVerification(auth, { userId })])).toEqual({ 'AUTH.ACCOUNT_INACTIVE': 1 });
    const [user] = await db().admin('SELECT email_verified FROM users WHERE id = $1', [userId]);
    expect(user).toEqual({ email_verified: false });
  });

  it('for tokens that were sent to an address that the account no longer has', async () => {
    const auth = open();
    const { userId, email, verificationToken } = await givenUser(auth);
    const { token } = await askForReset(auth, email);
    await db().app("UPDATE users SET email = 'moved@azora.world' WHERE id = $1", [userId]);

    expect(
      await outcomes([
        resetPassword(auth, { token, newPassword: NEW }),
        verifyEmail(auth, { token: verificationToken }),
      ]),
    ).toEqual({ 'AUTH.TOKEN_USED': 1, 'AUTH.TOKEN_INVALID': 1 });
    expect(await outcomes([signIn(auth, 'moved@azora.world')])).toEqual({ ok: 1 });
    // The same address in another case is the same address.
    const next = await askForReset(auth, 'moved@azora.world');
    await db().app("UPDATE users SET email = 'Moved@Azora.World' WHERE id = $1", [userId]);
    expect(await outcomes([resetPassword(auth, { token: next.token, newPassword: NEW })])).toEqual({ ok: 1 });
  });

  it('for a reset that waits for a deactivation', async () => {
    const auth = open();
    const { userId, email } = await givenUser(auth);
    const { token } = await askForReset(auth, email);
    await db().admin('BEGIN');
    await db().admin('UPDATE users SET is_active = false WHERE id = $1', [userId]);
    const reset = outcomes([resetPassword(auth, { token, newPassword: NEW })]);
    const waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while ((await db().app(waiting)).length === 0) await sleep(20);
    await db().admin('COMMIT');

    expect(await reset).toEqual({ 'AUTH.TOKEN_INVALID': 1 });
  });

  it.each([
    ['the membership ended', 'DELETE FROM organization_members WHERE org_id = $1 AND user_id = $2'],
    [
      'the organization was closed',
      'UPDATE organizations SET deleted_at = database_time() WHERE id = $1 AND $2::text <> $1',
    ],
  ])('for the current organization of a session when %s', async (_what, end) => {
    const auth = open();
    const organization = await givenOrganization(auth);
    const { orgId, ownerId } = organization;
    const { userId, email, sessionToken } = await givenSession(auth);
    await db().app('UPDATE users SET email_verified = true WHERE id = $1', [userId]);
    const { token } = await invite(auth, { orgId, actorId: ownerId, email });
    await acceptInvitation(auth, { token, userId });
    expect(await authenticate(auth, { sessionToken })).toMatchObject({ orgId });

    await db().app(end, [orgId, userId]);

    expect(await authenticate(auth, { sessionToken })).toMatchObject({ orgId: null });
  });

  it.each([
    ['ada_l@azora.world', 'adaxl@azora.world', 'adayl@azora.world'],
    ['%@azora.world', 'bo@azora.world', 'cy@azora.world'],
    ['ed%@azora.world', 'eden@azora.world', 'edward@azora.world'],
  ])('for the address %s, which is not a pattern of %s', async (pattern, address, invited) => {
    const auth = open();
    const organization = await givenOrganization(auth);
    const { orgId, ownerId } = organization;
    const { userId, email } = await givenVerifiedUser(auth, address);
    const { token } = await invite(auth, { orgId, actorId: ownerId, email });
    await acceptInvitation(auth, { token, userId });
    const other = await invite(auth, { orgId, actorId: ownerId, email: invited });
    await clock.move(8 * DAY_MS);

    await invite(auth, { orgId, actorId: ownerId, email: pattern });

    expect(await db().admin('SELECT revoked_at FROM org_invitations WHERE id = $1', [other.invitationId])).toEqual([
      { revoked_at: null },
    ]);
    expect(await outcomes([invite(auth, { orgId, actorId: ownerId, email: email.toUpperCase() })])).toEqual({
      'AUTH.ALREADY_MEMBER': 1,
    });
  });
});
