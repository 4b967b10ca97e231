/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  acceptInvitation,
  changeMemberRole,
  closeOrganization,
  createOrganization,
  invite,
  removeMember,
  transferOwnership,
} from '../src/index';
import { actionsOf, outcomes, START, useAuth } from './given';
import { givenVerifiedUser } from './given-factors';
import { givenMember, givenOrganization, ownerIn, rolesIn } from './given-organizations';

const TABLES = ['organizations', 'organization_members', 'org_invitations', 'users', 'audit_log'];

describe('organizations', () => {
  const db = useDatabase('auth');
  const clock = useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = () => openAuth();
  const rolesOf = (orgId: string) => rolesIn(db(), orgId);
  const ownerOf = (orgId: string) => ownerIn(db(), orgId);
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
});
