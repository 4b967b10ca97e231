import type { AuthTransaction } from './client';
import { type LockedAccount, lockActiveAccount } from './locked-account';
import { memberNotFound, notAllowed, organizationNotFound } from './organization-errors';

export type OrganizationRole = 'owner' | 'admin' | 'member';

export interface LockedOrganization {
  readonly id: string;
  readonly ownerId: string | null;
}

/**
 * Locks an organization's row to the end of the transaction: its members and its owner change one after the other.
 * Always before the accounts, so that two such changes do not wait for each other.
 * @throws {SuiteError} `AUTH.ORGANIZATION_NOT_FOUND`
 */
export async function lockOrganization(tx: AuthTransaction, orgId: string): Promise<LockedOrganization> {
  const [organization] = await tx.$queryRaw<LockedOrganization[]>`
    SELECT id, owner_id AS "ownerId" FROM organizations WHERE id = ${orgId} AND deleted_at IS NULL FOR NO KEY UPDATE`;
  if (organization === undefined) throw organizationNotFound(orgId);
  return organization;
}

/**
 * Locks the organization, then the accounts of who acts and of others, in one order; who acts must have one of the roles.
 * @throws {SuiteError} `AUTH.ORGANIZATION_NOT_FOUND`, `AUTH.NOT_ALLOWED`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function lockForChange(
  tx: AuthTransaction,
  { orgId, actorId, roles, others = [] }: ChangeBy,
): Promise<ReadonlyMap<string, LockedAccount>> {
  await lockOrganization(tx, orgId);
  const accounts = new Map<string, LockedAccount>();
  for (const id of [...new Set([actorId, ...others])].sort()) accounts.set(id, await lockActiveAccount(tx, id));
  const role = await findRole(tx, orgId, actorId);
  if (role === null || !roles.includes(role)) throw notAllowed(orgId, roles);
  return accounts;
}

interface ChangeBy {
  readonly orgId: string;
  readonly actorId: string;
  readonly roles: readonly OrganizationRole[];
  readonly others?: readonly string[];
}

/** A user's role in an organization; null for who is no member. */
export async function findRole(tx: AuthTransaction, orgId: string, userId: string): Promise<OrganizationRole | null> {
  const member = await tx.organizationMember.findUnique({
    where: { orgId_userId: { orgId, userId } },
    select: { role: true },
  });
  // A CHECK holds the column to these three.
  return (member?.role ?? null) as OrganizationRole | null;
}

/** @throws {SuiteError} `AUTH.MEMBER_NOT_FOUND` */
export async function getRole(tx: AuthTransaction, orgId: string, userId: string): Promise<OrganizationRole> {
  const role = await findRole(tx, orgId, userId);
  if (role === null) throw memberNotFound(orgId, userId);
  return role;
}

/** Makes a user a member, who works there from now on if nowhere else. */
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
