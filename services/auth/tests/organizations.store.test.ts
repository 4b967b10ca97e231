import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type Auth,
  acceptInvitation,
  appointOwner,
  changeMemberRole,
  closeOrganization,
  createOrganization,
  deactivate,
  invite,
  removeMember,
  softDelete,
  transferOwnership,
} from '../src/index';
import { actionsOf, outcomes, START, useAuth } from './given';
import { givenVerifiedUser } from './given-factors';

const TABLES = ['organizations', 'organization_members', 'org_invitations', 'users', 'audit_log'];

describe('organizations', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = () => openAuth();
  let organizations = 0;

  async function givenOrganization(auth: Auth) {
    organizations += 1;
    const owner = await givenVerifiedUser(auth);
    const slug = `org-${organizations}`;
    const { orgId } = await createOrganization(auth, { ownerId: owner.userId, name: 'Azora', slug });
    return { orgId, slug, ownerId: owner.userId };
  }

  /** A user who accepted an invitation. */
  async function givenMember(
    auth: Auth,
    { orgId, ownerId }: { orgId: string; ownerId: string },
    role: 'admin' | 'member' = 'member',
  ) {
    const { userId, email } = await givenVerifiedUser(auth);
    const { token } = await invite(auth, { orgId, actorId: ownerId, email, role });
    await acceptInvitation(auth, { token, userId });
    return userId;
  }

  const rolesOf = async (orgId: string) => {
    const rows = await db().admin('SELECT user_id, role FROM organization_members WHERE org_id = $1', [orgId]);
    return Object.fromEntries(rows.map(({ user_id, role }) => [user_id, role]));
  };
  const ownerOf = async (orgId: string) =>
    (await db().admin('SELECT owner_id FROM organizations WHERE id = $1', [orgId]))[0]?.['owner_id'];
  const everything = async () => {
    const tables = [];
    for (const table of TABLES) tables.push(await db().admin(`SELECT * FROM ${table} ORDER BY id`));
    return JSON.stringify(tables);
  };

  describe('createOrganization', () => {
    it('creates the organization with its owner as the first member', async () => {
      const auth = open();
      const { orgId, slug, ownerId } = await givenOrganization(auth);

      expect(
        await db().admin('SELECT name, slug, owner_id, created_at FROM organizations WHERE id = $1', [orgId]),
      ).toEqual([{ name: 'Azora', slug, owner_id: ownerId, created_at: clock.now() }]);
      expect(await rolesOf(orgId)).toEqual({ [ownerId]: 'owner' });
      expect(await db().admin('SELECT org_id FROM users WHERE id = $1', [ownerId])).toEqual([{ org_id: orgId }]);
      const [entry] = await db().admin(
        "SELECT * FROM audit_log WHERE action = 'ORGANIZATION_CREATED' AND org_id = $1",
        [orgId],
      );
      expect(entry).toMatchObject({ user_id: ownerId, resource_type: 'organization', resource_id: orgId });
    });

    it('gives a slug to one of many concurrent calls', async () => {
      const [one, other] = [open(), open()];
      const { userId: ownerId } = await givenVerifiedUser(one);
      const { userId: rival } = await givenVerifiedUser(one);

      const ends = await outcomes(
        Array.from({ length: 6 }, (_, n) =>
          createOrganization(n % 2 === 0 ? one : other, {
            ownerId: n < 3 ? ownerId : rival,
            name: 'Race',
            slug: 'race',
          }),
        ),
      );

      expect(ends).toEqual({ ok: 1, 'AUTH.SLUG_TAKEN': 5 });
      expect(await db().admin("SELECT count(*)::int AS n FROM organizations WHERE slug = 'race'")).toEqual([{ n: 1 }]);
    });

    it.each([
      ['an unknown owner', { ownerId: 'nobody' }, 'AUTH.USER_NOT_FOUND'],
      ['a blank name', { name: ' ' }, 'AUTH.INVALID_INPUT'],
      ['a name of ten megabytes', { name: 'a'.repeat(10_000_000) }, 'AUTH.INVALID_INPUT'],
      ['a name with NUL', { name: 'a\0' }, 'AUTH.INVALID_INPUT'],
      ['a slug in upper case', { slug: 'Azora' }, 'AUTH.INVALID_INPUT'],
      ['a slug with two hyphens', { slug: 'a--b' }, 'AUTH.INVALID_INPUT'],
      ['a slug with a look-alike letter', { slug: '\u0430zora' }, 'AUTH.INVALID_INPUT'],
      ['SQL as the slug', { slug: "'; DROP TABLE users; --" }, 'AUTH.INVALID_INPUT'],
      ['a slug with a newline', { slug: 'azora\n' }, 'AUTH.INVALID_INPUT'],
      ['a tier', { tier: 'gold' }, 'AUTH.INVALID_INPUT'],
    ])('rejects %s and writes nothing', async (_what, wrong, code) => {
      const auth = open();
      const { userId: ownerId } = await givenVerifiedUser(auth);
      const before = await everything();

      await expect(
        createOrganization(auth, { ownerId, name: 'Azora', slug: 'refused', ...wrong }),
      ).rejects.toMatchObject({ code });
      expect(await everything()).toBe(before);
    });
  });

  describe('changeMemberRole', () => {
    it('makes a member an admin and back, on behalf of the owner or an admin', async () => {
      const auth = open();
      const organization = await givenOrganization(auth);
      const { orgId, ownerId } = organization;
      const userId = await givenMember(auth, organization);

      await changeMemberRole(auth, { orgId, actorId: ownerId, userId, role: 'admin' });
      const admin = await rolesOf(orgId);
      await changeMemberRole(auth, { orgId, actorId: userId, userId, role: 'member' });

      expect(admin).toEqual({ [ownerId]: 'owner', [userId]: 'admin' });
      expect(await rolesOf(orgId)).toEqual({ [ownerId]: 'owner', [userId]: 'member' });
      const entries = await db().admin(
        "SELECT user_id, details FROM audit_log WHERE action = 'MEMBER_ROLE_CHANGED' AND org_id = $1 ORDER BY timestamp, seq",
        [orgId],
      );
      expect(entries).toEqual(
        expect.arrayContaining([
          { user_id: ownerId, details: { from: 'member', to: 'admin' } },
          { user_id: userId, details: { from: 'admin', to: 'member' } },
        ]),
      );
    });

    it('reports both roles of a change that is not allowed', async () => {
      const auth = open();
      const organization = await givenOrganization(auth);
      const { orgId, ownerId } = organization;
      const admin = await givenMember(auth, organization, 'admin');
      const change = (actorId: string, userId: string, role: 'owner' | 'admin' | 'member') =>
        changeMemberRole(auth, { orgId, actorId, userId, role });
      const before = await everything();

      for (const [userId, from, to] of [
        [ownerId, 'owner', 'member'],
        [ownerId, 'owner', 'admin'],
        [admin, 'admin', 'owner'],
        [admin, 'admin', 'admin'],
      ] as const)
        await expect(change(admin, userId, to)).rejects.toMatchObject({
          code: 'AUTH.ROLE_CHANGE_REFUSED',
          meta: { from, to },
        });
      expect(await everything()).toBe(before);
    });

    it('needs an owner or admin as the actor and a member as the target', async () => {
      const auth = open();
      const organization = await givenOrganization(auth);
      const other = await givenOrganization(auth);
      const { orgId, ownerId } = organization;
      const member = await givenMember(auth, organization);
      const { userId: stranger } = await givenVerifiedUser(auth);
      const change = (actorId: string, userId: string, id = orgId) =>
        outcomes([changeMemberRole(auth, { orgId: id, actorId, userId, role: 'admin' })]);

      expect(await change(member, member)).toEqual({ 'AUTH.NOT_ALLOWED': 1 });
      expect(await change(stranger, member)).toEqual({ 'AUTH.NOT_ALLOWED': 1 });
      expect(await change(other.ownerId, member)).toEqual({ 'AUTH.NOT_ALLOWED': 1 });
      expect(await change(ownerId, stranger)).toEqual({ 'AUTH.MEMBER_NOT_FOUND': 1 });
      expect(await change(ownerId, member, 'nowhere')).toEqual({ 'AUTH.ORGANIZATION_NOT_FOUND': 1 });
      await db().admin('UPDATE users SET is_active = false WHERE id = $1', [ownerId]);
      expect(await change(ownerId, member)).toEqual({ 'AUTH.ACCOUNT_INACTIVE': 1 });
    });
  });

  describe('transferOwnership', () => {
    it('makes a member the owner and the previous owner an admin', async () => {
      const auth = open();
      const organization = await givenOrganization(auth);
      const { orgId, ownerId } = organization;
      const userId = await givenMember(auth, organization);

      await transferOwnership(auth, { orgId, actorId: ownerId, userId });

      expect(await ownerOf(orgId)).toBe(userId);
      expect(await rolesOf(orgId)).toEqual({ [ownerId]: 'admin', [userId]: 'owner' });
      expect((await actionsOf(db(), ownerId)).at(-1)).toBe('OWNERSHIP_TRANSFERRED');
    });

    it('leaves one owner when concurrent calls transfer to different members', async () => {
      const [one, other] = [open(), open()];
      const organization = await givenOrganization(one);
      const { orgId, ownerId } = organization;
      const members = [];
      for (let n = 0; n < 4; n += 1) members.push(await givenMember(one, organization));

      const ends = await outcomes(
        members.map((userId, n) => transferOwnership(n % 2 === 0 ? one : other, { orgId, actorId: ownerId, userId })),
      );

      expect(ends).toEqual({ ok: 1, 'AUTH.NOT_ALLOWED': 3 });
      const owners = Object.entries(await rolesOf(orgId)).filter(([, role]) => role === 'owner');
      expect(owners).toEqual([[await ownerOf(orgId), 'owner']]);
      expect(members).toContain(await ownerOf(orgId));
    });

    it('rejects a target that is not a member, is deactivated, or is already the owner', async () => {
      const auth = open();
      const organization = await givenOrganization(auth);
      const { orgId, ownerId: actorId } = organization;
      const { userId: stranger } = await givenVerifiedUser(auth);
      const member = await givenMember(auth, organization);
      await deactivate(auth, { userId: member });
      const before = await everything();
      const transfer = (userId: string, by = actorId) =>
        outcomes([transferOwnership(auth, { orgId, actorId: by, userId })]);

      expect(await transfer(stranger)).toEqual({ 'AUTH.MEMBER_NOT_FOUND': 1 });
      expect(await transfer(member)).toEqual({ 'AUTH.ACCOUNT_INACTIVE': 1 });
      expect(await transfer(actorId)).toEqual({ 'AUTH.ROLE_CHANGE_REFUSED': 1 });
      expect(await transfer(actorId, stranger)).toEqual({ 'AUTH.NOT_ALLOWED': 1 });
      expect(await everything()).toBe(before);
    });
  });

  describe('an organization whose owner is deactivated', () => {
    const transferredBy = async (userId: string) => {
      const [entry] = await db().admin(
        "SELECT details FROM audit_log WHERE user_id = $1 AND action = 'OWNERSHIP_TRANSFERRED' ORDER BY seq DESC",
        [userId],
      );
      return entry?.['details'];
    };

    it('is taken over by an admin, who may then close it', async () => {
      const auth = open();
      const organization = await givenOrganization(auth);
      const { orgId, ownerId } = organization;
      const admin = await givenMember(auth, organization, 'admin');
      const take = (actorId: string) => outcomes([transferOwnership(auth, { orgId, actorId, userId: actorId })]);
      expect(await take(admin)).toEqual({ 'AUTH.NOT_ALLOWED': 1 });
      await deactivate(auth, { userId: ownerId });

      expect(await take(admin)).toEqual({ ok: 1 });

      expect(await rolesOf(orgId)).toEqual({ [ownerId]: 'admin', [admin]: 'owner' });
      expect(await ownerOf(orgId)).toBe(admin);
      expect(await transferredBy(admin)).toEqual({ from: ownerId, isOwnerActive: false });
      await softDelete(auth, { userId: ownerId });
      await closeOrganization(auth, { orgId, actorId: admin });
    });

    it('is not taken over by a member, by a stranger, or by two admins', async () => {
      const auth = open();
      const organization = await givenOrganization(auth);
      const { orgId, ownerId } = organization;
      const member = await givenMember(auth, organization);
      const admins = [await givenMember(auth, organization, 'admin'), await givenMember(auth, organization, 'admin')];
      const { userId: stranger } = await givenVerifiedUser(auth);
      await deactivate(auth, { userId: ownerId });
      const take = (actorId: string) => transferOwnership(auth, { orgId, actorId, userId: actorId });

      expect(await outcomes([take(member), take(stranger)])).toEqual({ 'AUTH.NOT_ALLOWED': 2 });
      expect(await outcomes(admins.map(take))).toEqual({ ok: 1, 'AUTH.NOT_ALLOWED': 1 });
      expect(admins).toContain(await ownerOf(orgId));
    });

    it('gets an owner from an operator, even if it has no other member', async () => {
      const auth = open();
      const { orgId, ownerId } = await givenOrganization(auth);
      const { userId } = await givenVerifiedUser(auth);
      const appoint = () => appointOwner(auth, { orgId, userId, actorId: 'operator', reason: 'ticket 4711' });
      const before = await everything();
      expect(await outcomes([appoint()])).toEqual({ 'AUTH.OWNER_ACTIVE': 1 });
      expect(await everything()).toBe(before);
      await deactivate(auth, { userId: ownerId });

      expect(await outcomes([appoint(), appoint()])).toEqual({ ok: 1, 'AUTH.OWNER_ACTIVE': 1 });

      expect(await rolesOf(orgId)).toEqual({ [ownerId]: 'admin', [userId]: 'owner' });
      expect(await transferredBy('operator')).toEqual({ from: ownerId, isOwnerActive: false, reason: 'ticket 4711' });
    });

    it('gets no owner who is deactivated or unknown', async () => {
      const auth = open();
      const { orgId, ownerId } = await givenOrganization(auth);
      const { userId } = await givenVerifiedUser(auth);
      await deactivate(auth, { userId: ownerId });
      await deactivate(auth, { userId });
      const appoint = (to: string, id = orgId) =>
        outcomes([appointOwner(auth, { orgId: id, userId: to, actorId: 'operator', reason: 'a test' })]);

      expect(await appoint(userId)).toEqual({ 'AUTH.ACCOUNT_INACTIVE': 1 });
      expect(await appoint(ownerId)).toEqual({ 'AUTH.ACCOUNT_INACTIVE': 1 });
      expect(await appoint('nobody')).toEqual({ 'AUTH.USER_NOT_FOUND': 1 });
      expect(await appoint(userId, 'nowhere')).toEqual({ 'AUTH.ORGANIZATION_NOT_FOUND': 1 });
    });
  });

  describe('removeMember', () => {
    it('lets a member leave and an admin remove a member, and clears the current organization', async () => {
      const auth = open();
      const organization = await givenOrganization(auth);
      const { orgId, ownerId } = organization;
      const [leaving, removed] = [await givenMember(auth, organization), await givenMember(auth, organization)];
      const admin = await givenMember(auth, organization, 'admin');

      await removeMember(auth, { orgId, actorId: leaving, userId: leaving });
      await removeMember(auth, { orgId, actorId: admin, userId: removed });

      expect(await rolesOf(orgId)).toEqual({ [ownerId]: 'owner', [admin]: 'admin' });
      expect(await db().admin('SELECT org_id FROM users WHERE id = ANY ($1)', [[leaving, removed]])).toEqual(
        Array(2).fill({ org_id: null }),
      );
      expect((await actionsOf(db(), leaving)).at(-1)).toBe('MEMBER_LEFT');
      expect((await actionsOf(db(), admin)).at(-1)).toBe('MEMBER_REMOVED');
    });

    it('rejects the removal of the owner, and removals by members', async () => {
      const auth = open();
      const organization = await givenOrganization(auth);
      const { orgId, ownerId } = organization;
      const [member, other] = [await givenMember(auth, organization), await givenMember(auth, organization)];
      const admin = await givenMember(auth, organization, 'admin');
      const before = await everything();
      const remove = (actorId: string, userId: string) => outcomes([removeMember(auth, { orgId, actorId, userId })]);

      expect(await remove(ownerId, ownerId)).toEqual({ 'AUTH.OWNER_STAYS': 1 });
      expect(await remove(admin, ownerId)).toEqual({ 'AUTH.OWNER_STAYS': 1 });
      expect(await remove(member, other)).toEqual({ 'AUTH.NOT_ALLOWED': 1 });
      expect(await remove(ownerId, 'nobody')).toEqual({ 'AUTH.MEMBER_NOT_FOUND': 1 });
      expect(await everything()).toBe(before);
    });

    it('never removes a member who becomes the owner at the same time', async () => {
      const [one, other] = [open(), open()];
      const organization = await givenOrganization(one);
      const { orgId, ownerId } = organization;
      const userId = await givenMember(one, organization);

      await outcomes([
        transferOwnership(one, { orgId, actorId: ownerId, userId }),
        removeMember(other, { orgId, actorId: ownerId, userId }),
        removeMember(other, { orgId, actorId: userId, userId }),
      ]);

      const owner = await ownerOf(orgId);
      expect((await rolesOf(orgId))[String(owner)]).toBe('owner');
    });
  });

  describe('closeOrganization', () => {
    it('revokes the invitations and clears the current organization, once and only by the owner', async () => {
      const auth = open();
      const organization = await givenOrganization(auth);
      const { orgId, ownerId } = organization;
      const admin = await givenMember(auth, organization, 'admin');
      const { userId, email } = await givenVerifiedUser(auth);
      const { token } = await invite(auth, { orgId, actorId: admin, email });

      expect(await outcomes([closeOrganization(auth, { orgId, actorId: admin })])).toEqual({ 'AUTH.NOT_ALLOWED': 1 });
      await closeOrganization(auth, { orgId, actorId: ownerId });

      expect(await outcomes([acceptInvitation(auth, { token, userId })])).toEqual({ 'AUTH.ORGANIZATION_NOT_FOUND': 1 });
      expect(await outcomes([closeOrganization(auth, { orgId, actorId: ownerId })])).toEqual({
        'AUTH.ORGANIZATION_NOT_FOUND': 1,
      });
      expect(await db().admin('SELECT id FROM users WHERE org_id = $1', [orgId])).toEqual([]);
      expect((await actionsOf(db(), ownerId)).at(-1)).toBe('ORGANIZATION_CLOSED');
    });
  });

  describe('the database, for the app role', () => {
    it.each([
      ['demote', "UPDATE organization_members SET role = 'member' WHERE org_id = $1 AND role = 'owner'"],
      ['delete', "DELETE FROM organization_members WHERE org_id = $1 AND role = 'owner'"],
    ])('rejects SQL to %s the owner without a transfer', async (_what, sql) => {
      const { orgId, ownerId } = await givenOrganization(open());

      await expect(db().app(sql, [orgId])).rejects.toMatchObject({ message: 'organization_owner_stays' });

      expect(await rolesOf(orgId)).toEqual({ [ownerId]: 'owner' });
    });

    it('rejects SQL to replace the owner without a transfer', async () => {
      const auth = open();
      const { orgId, ownerId } = await givenOrganization(auth);
      const { userId } = await givenVerifiedUser(auth);
      const sql = "UPDATE organization_members SET user_id = $2 WHERE org_id = $1 AND role = 'owner'";

      await expect(db().app(sql, [orgId, userId])).rejects.toMatchObject({
        constraint: 'organization_members_owner_check',
      });

      expect(await rolesOf(orgId)).toEqual({ [ownerId]: 'owner' });
    });

    it('reports the rule, the organization and the user', async () => {
      const { orgId, ownerId } = await givenOrganization(open());

      await expect(
        db().app("UPDATE organization_members SET role = 'member' WHERE org_id = $1", [orgId]),
      ).rejects.toMatchObject({
        code: 'AZ001',
        message: 'organization_owner_stays',
        detail: JSON.stringify({ orgId, userId: ownerId }).replaceAll(':', ': ').replaceAll(',', ', '),
      });
    });

    it('deletes the membership of the owner together with the organization', async () => {
      const { orgId } = await givenOrganization(open());

      await db().app('DELETE FROM organizations WHERE id = $1', [orgId]);

      expect(await rolesOf(orgId)).toEqual({});
    });
  });
});
