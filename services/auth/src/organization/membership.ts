import { lockActiveAccounts } from '../account/account-row';
import type { AuthTransaction } from '../client';
import { memberNotFound, notAllowed, organizationNotFound } from './errors';

export type OrganizationRole = 'owner' | 'admin' | 'member';

export interface LockedOrganization {
  readonly id: string;
  readonly ownerId: string | null;
}

/**
 * Locks the row of an organization until the transaction ends, so that changes to its members and owner are serialized.
 * Call it before locking accounts, so that two such changes cannot deadlock.
 * @throws {SuiteError} `AUTH.ORGANIZATION_NOT_FOUND`
 */
export async function lockOrganization(tx: AuthTransaction, orgId: string): Promise<LockedOrganization> {
  const [organization] = await tx.$queryRaw<LockedOrganization[]>`
    SELECT id, owner_id AS "ownerId" FROM organizations WHERE id = ${orgId} AND deleted_at IS NULL FOR NO KEY UPDATE`;
  if (organization === undefined) throw organizationNotFound(orgId);
  return organization;
}

/**
 * Locks the organization, then the accounts of the actor and of `others`, ordered by id, and returns the database's time
 * after that. The actor must have one of the roles.
 * @throws {SuiteError} `AUTH.ORGANIZATION_NOT_FOUND`, `AUTH.NOT_ALLOWED`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function lockForChange(
  tx: AuthTransaction,
  { orgId, actorId, roles, others = [] }: ChangeBy,
): Promise<{ readonly at: Date }> {
  await lockOrganization(tx, orgId);
  const { at } = await lockActiveAccounts(tx, [actorId, ...others]);
  const role = await findRole(tx, orgId, actorId);
  if (role === null || !roles.includes(role)) throw notAllowed(orgId, roles);
  return { at };
}

interface ChangeBy {
  readonly orgId: string;
  readonly actorId: string;
  readonly roles: readonly OrganizationRole[];
  readonly others?: readonly string[];
}

/** The role of a user in an organization; null for a user who is not a member. */
export async function findRole(tx: AuthTransaction, orgId: string, userId: string): Promise<OrganizationRole | null> {
  const member = await tx.organizationMember.findUnique({
    where: { orgId_userId: { orgId, userId } },
    select: { role: true },
  });
  // organization_members_role_check allows no other value.
  return (member?.role ?? null) as OrganizationRole | null;
}

/**
 * The role of a member.
 * @throws {SuiteError} `AUTH.MEMBER_NOT_FOUND`
 */
export async function getRole(tx: AuthTransaction, orgId: string, userId: string): Promise<OrganizationRole> {
  const role = await findRole(tx, orgId, userId);
  if (role === null) throw memberNotFound(orgId, userId);
  return role;
}

/** Makes a user a member. The organization becomes the user's current one if the user has none. */
export async function addMember(tx: AuthTransaction, { orgId, userId, role, at }: NewMember): Promise<void> {
  await tx.organizationMember.create({ data: { orgId, userId, role, createdAt: at, updatedAt: at } });
  await tx.user.updateMany({ where: { id: userId, orgId: null }, data: { orgId, updatedAt: at } });
}

interface NewMember {
  readonly orgId: string;
  readonly userId: string;
  readonly role: OrganizationRole;
  readonly at: Date;
}
