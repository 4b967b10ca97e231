/** @server any */
import { setTimeout as sleep } from 'node:timers/promises';
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { type Auth, acceptInvitation, createOrganization, invite, register, revokeInvitation } from '../src/index';
import { actionsOf, DAY_MS, outcomes, PASSWORD, START, sha256, useAuth } from './given';
import { givenVerifiedUser } from './given-factors';

describe('invitations', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = () => openAuth();
  let organizations = 0;

  async function givenOrganization(auth: Auth) {
    organizations += 1;
    const { userId: actorId, email } = await givenVerifiedUser(auth);
    const slug = `inviting-${organizations}`;
    return { actorId, email, ...(await createOrganization(auth, { ownerId: actorId, name: 'Azora', slug })) };
  }

  async function givenInvitation(auth: Auth, role: 'admin' | 'member' = 'member') {
    const { orgId, actorId } = await givenOrganization(auth);
    const invited = await givenVerifiedUser(auth);
    return { orgId, actorId, ...invited, ...(await invite(auth, { orgId, actorId, email: invited.email, role })) };
  }

  const membersOf = (orgId: string) =>
    db().admin("SELECT user_id, role FROM organization_members WHERE org_id = $1 AND role <> 'owner'", [orgId]);
  const invitationsOf = (orgId: string) =>
    db().admin('SELECT * FROM org_invitations WHERE org_id = $1 ORDER BY created_at', [orgId]);

  /** Resolves when a session waits for a lock. */
  async function someoneWaits(): Promise<void> {
    const sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while ((await db().app(sql)).length === 0) await sleep(20);
  }

  it('return a token once, and keep its hash for seven days', async () => {
    const auth = open();
    const { orgId, actorId, token, expiresAt, email, invitationId } = await givenInvitation(auth, 'admin');

    expect(token).toMatch(/^[\w-]{43}$/);
    expect(await invitationsOf(orgId)).toEqual([
      expect.objectContaining({
        id: invitationId,
        email,
        role: 'admin',
        token_hash: sha256(token),
        invited_by: actorId,
        expires_at: new Date(clock.now().getTime() + 7 * DAY_MS),
      }),
    ]);
    expect(expiresAt).toEqual(new Date(clock.now().getTime() + 7 * DAY_MS));
    const log = JSON.stringify(await db().admin('SELECT * FROM audit_log'));
    expect(log).not.toContain(token);
    expect(log).not.toContain(email);
  });

  it('make the invited user a member, with the organization as the current one', async () => {
    const auth = open();
    const { orgId, token, userId } = await givenInvitation(auth, 'admin');

    expect(await acceptInvitation(auth, { token, userId })).toEqual({ orgId, role: 'admin' });

    expect(await membersOf(orgId)).toEqual([{ user_id: userId, role: 'admin' }]);
    expect(await db().admin('SELECT org_id FROM users WHERE id = $1', [userId])).toEqual([{ org_id: orgId }]);
    expect((await actionsOf(db(), userId)).at(-1)).toBe('INVITATION_ACCEPTED');
  });

  it('are accepted once when many calls race', async () => {
    const [one, other] = [open(), open()];
    const { orgId, token, userId } = await givenInvitation(one);

    const ends = await outcomes(
      Array.from({ length: 8 }, (_, n) => acceptInvitation(n % 2 === 0 ? one : other, { token, userId })),
    );

    expect(ends).toEqual({ ok: 1, 'AUTH.TOKEN_USED': 7 });
    expect(await membersOf(orgId)).toHaveLength(1);
    const accepted = (await actionsOf(db(), userId)).filter((action) => action === 'INVITATION_ACCEPTED');
    expect(accepted).toHaveLength(1);
  });

  it('are either accepted or revoked', async () => {
    const [one, other] = [open(), open()];
    const { orgId, actorId, token, userId, invitationId } = await givenInvitation(one);

    const ends = await outcomes([
      acceptInvitation(one, { token, userId }),
      revokeInvitation(other, { orgId, actorId, invitationId }),
    ]);

    expect(ends['ok']).toBe(1);
    const [row] = await invitationsOf(orgId);
    expect(await membersOf(orgId)).toHaveLength(row?.['accepted_at'] === null ? 0 : 1);
  });

  it('wait for a concurrent closing of the organization', async () => {
    const auth = open();
    const { orgId, token, userId } = await givenInvitation(auth);
    await db().admin('BEGIN');
    await db().admin('UPDATE organizations SET deleted_at = now() WHERE id = $1', [orgId]);

    const accepted = outcomes([acceptInvitation(auth, { token, userId })]);
    await Promise.race([accepted, someoneWaits()]);
    await db().admin('COMMIT');

    expect(await accepted).toEqual({ 'AUTH.ORGANIZATION_NOT_FOUND': 1 });
    expect(await membersOf(orgId)).toEqual([]);
  });

  it('can be accepted only by a user with the invited address, in any case and verified', async () => {
    const auth = open();
    const { orgId, actorId, token } = await givenInvitation(auth);
    const mallory = await givenVerifiedUser(auth);
    const unverified = await register(auth, { email: 'later@azora.world', password: PASSWORD });
    const later = await invite(auth, { orgId, actorId, email: ' LATER@Azora.World ' });

    expect(await outcomes([acceptInvitation(auth, { token, userId: mallory.userId })])).toEqual({
      'AUTH.INVITATION_NOT_YOURS': 1,
    });
    expect(await outcomes([acceptInvitation(auth, { token: later.token, userId: unverified.userId })])).toEqual({
      'AUTH.EMAIL_UNVERIFIED': 1,
    });
    expect(await membersOf(orgId)).toEqual([]);
    await db().admin("UPDATE users SET email_verified = true, email = 'Later@azora.world' WHERE id = $1", [
      unverified.userId,
    ]);
    await acceptInvitation(auth, { token: later.token, userId: unverified.userId });
    expect(await membersOf(orgId)).toHaveLength(1);
  });

  it('expire after seven days, after which the address can be invited again', async () => {
    const auth = open();
    const { orgId, actorId, token, userId, email } = await givenInvitation(auth);
    const again = () => invite(auth, { orgId, actorId, email: email.toUpperCase() });
    await clock.move(7 * DAY_MS - 1);
    await expect(again()).rejects.toMatchObject({ code: 'AUTH.ALREADY_INVITED' });

    await clock.move(1);

    await expect(acceptInvitation(auth, { token, userId })).rejects.toMatchObject({ code: 'AUTH.TOKEN_EXPIRED' });
    const next = await again();
    await expect(acceptInvitation(auth, { token, userId })).rejects.toMatchObject({ code: 'AUTH.TOKEN_USED' });
    await acceptInvitation(auth, { token: next.token, userId });
    await expect(again()).rejects.toMatchObject({ code: 'AUTH.ALREADY_MEMBER' });
  });

  it('are created once per address when many calls race', async () => {
    const [one, other] = [open(), open()];
    const { orgId, actorId } = await givenOrganization(one);

    const ends = await outcomes(
      Array.from({ length: 6 }, (_, n) =>
        invite(n % 2 === 0 ? one : other, { orgId, actorId, email: 'cy@azora.world' }),
      ),
    );

    expect(ends).toEqual({ ok: 1, 'AUTH.ALREADY_INVITED': 5 });
  });

  it('can be revoked, and then sent again', async () => {
    const auth = open();
    const { orgId, actorId, token, userId, email, invitationId } = await givenInvitation(auth);

    await revokeInvitation(auth, { orgId, actorId, invitationId });

    await expect(acceptInvitation(auth, { token, userId })).rejects.toMatchObject({ code: 'AUTH.TOKEN_USED' });
    await expect(revokeInvitation(auth, { orgId, actorId, invitationId })).rejects.toMatchObject({
      code: 'AUTH.INVITATION_NOT_FOUND',
    });
    await clock.move(60_000);
    await invite(auth, { orgId, actorId, email });
  });

  it('can be created and revoked only by the owner and admins', async () => {
    const auth = open();
    const { orgId, token, userId, invitationId, actorId } = await givenInvitation(auth);
    const other = await givenOrganization(auth);
    const second = await invite(auth, { orgId, actorId, email: 'second@azora.world' });
    await acceptInvitation(auth, { token, userId });
    const give = (by: string, id = orgId) =>
      outcomes([invite(auth, { orgId: id, actorId: by, email: 'x@azora.world' })]);
    const revoke = (by: string, id = orgId) =>
      outcomes([revokeInvitation(auth, { orgId: id, actorId: by, invitationId: second.invitationId })]);

    expect(await give(userId)).toEqual({ 'AUTH.NOT_ALLOWED': 1 });
    expect(await revoke(userId)).toEqual({ 'AUTH.NOT_ALLOWED': 1 });
    expect(await revoke(other.actorId, other.orgId)).toEqual({ 'AUTH.INVITATION_NOT_FOUND': 1 });
    expect(await give('nobody')).toEqual({ 'AUTH.USER_NOT_FOUND': 1 });
    expect(await give(actorId, 'nowhere')).toEqual({ 'AUTH.ORGANIZATION_NOT_FOUND': 1 });
    expect(await outcomes([revokeInvitation(auth, { orgId, actorId, invitationId })])).toEqual({
      'AUTH.INVITATION_NOT_FOUND': 1,
    });
  });

  it.each([
    ['an invalid address', { email: 'cy' }],
    ['a look-alike address', { email: 'c\u0443@azora.world' }],
    ['an address of ten megabytes', { email: `${'a'.repeat(10_000_000)}@azora.world` }],
    ['an address with NUL', { email: 'cy\0@azora.world' }],
    ['SQL as the address', { email: "'; DROP TABLE users; --" }],
    ['the role owner', { role: 'owner' }],
    ['an unknown field', { expiresAt: new Date() }],
  ])('are not created for %s', async (_what, wrong) => {
    const auth = open();
    const { orgId, actorId } = await givenOrganization(auth);

    await expect(invite(auth, { orgId, actorId, email: 'cy@azora.world', ...wrong } as never)).rejects.toMatchObject({
      code: 'AUTH.INVALID_INPUT',
    });
    expect(await invitationsOf(orgId)).toEqual([]);
  });

  it.each([
    ['made up', 'A'.repeat(43), 'AUTH.TOKEN_INVALID'],
    ['SQL', "' OR 1=1 --", 'AUTH.TOKEN_INVALID'],
    ['ten megabytes long', 'A'.repeat(10_000_000), 'AUTH.INVALID_INPUT'],
  ])('are not accepted with a token that is %s', async (_what, token, code) => {
    const auth = open();
    const { userId } = await givenVerifiedUser(auth);

    await expect(acceptInvitation(auth, { token, userId })).rejects.toMatchObject({ code });
  });
});
