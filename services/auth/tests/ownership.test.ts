/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import { appointOwner, closeOrganization, deactivate, softDelete, transferOwnership } from '../src/index';
import { actionsOf, outcomes, START, useAuth } from './given';
import { givenVerifiedUser } from './given-factors';
import { givenMember, givenOrganization, ownerIn, rolesIn } from './given-organizations';

const TABLES = ['organizations', 'organization_members', 'org_invitations', 'users', 'audit_log'];

describe('the owner of an organization', () => {
  const db = useDatabase('auth');
  useTestClock(db, START);
  const openAuth = useAuth(db);
  const open = () => openAuth();
  const rolesOf = (orgId: string) => rolesIn(db(), orgId);
  const ownerOf = (orgId: string) => ownerIn(db(), orgId);
  const everything = async () => {
    const tables = [];
    for (const table of TABLES) tables.push(await db().admin(`SELECT * FROM ${table} ORDER BY id`));
    return JSON.stringify(tables);
  };

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
