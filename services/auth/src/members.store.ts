import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import { type AuditEntryInput, writeAudit } from './audit';
import type { Auth, AuthTransaction } from './client';
import { readInput } from './errors';
import { type Device, deviceInput } from './input';
import { getRole, lockForChange, type OrganizationRole } from './membership';
import { ownerStays, roleChangeRefused } from './organization-errors';

/** From each role to which. An owner is made and unmade by `transferOwnership` alone; the database says so too. */
const ROLE_CHANGES: Readonly<Record<OrganizationRole, readonly OrganizationRole[]>> = {
  owner: [],
  admin: ['member'],
  member: ['admin'],
};

export interface ChangeMemberRoleInput {
  readonly orgId: string;
  /** An owner or admin. */
  readonly actorId: string;
  readonly userId: string;
  readonly role: OrganizationRole;
  readonly device?: Device;
}

export interface TransferOwnershipInput {
  readonly orgId: string;
  /** The owner. */
  readonly actorId: string;
  /** A member, who becomes the owner. */
  readonly userId: string;
  readonly device?: Device;
}

export interface RemoveMemberInput {
  readonly orgId: string;
  /** An owner or admin, or the member, who then leaves. */
  readonly actorId: string;
  readonly userId: string;
  readonly device?: Device;
}

const memberInput = { orgId: idInput, actorId: idInput, userId: idInput, device: deviceInput };
const changeInput = z.strictObject({ ...memberInput, role: z.enum(['owner', 'admin', 'member']) });
const transferInput = z
  .strictObject(memberInput)
  .refine(({ actorId, userId }) => actorId !== userId, { path: ['userId'], message: 'is the owner already' });
const removeInput = z.strictObject(memberInput);

/**
 * Gives a member another role: admin or member.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.NOT_ALLOWED`, `AUTH.MEMBER_NOT_FOUND`, `AUTH.ROLE_CHANGE_REFUSED` (which
 * names both roles), `AUTH.ORGANIZATION_NOT_FOUND`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function changeMemberRole(auth: Auth, input: ChangeMemberRoleInput): Promise<void> {
  const { orgId, actorId, userId, role, device } = readInput(changeInput, input);
  return auth.transaction(async (tx) => {
    const at = auth.clock();
    await lockForChange(tx, { orgId, actorId, roles: ['owner', 'admin'] });
    const from = await getRole(tx, orgId, userId);
    if (!ROLE_CHANGES[from].includes(role)) throw roleChangeRefused(from, role);
    await setRole(tx, { orgId, userId, role, at });
    await writeAudit(tx, {
      ...entry({ orgId, actorId, userId, at, device }),
      action: 'MEMBER_ROLE_CHANGED',
      details: { from, to: role },
    });
  });
}

/**
 * Makes a member the owner, and the owner an admin.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.NOT_ALLOWED`, `AUTH.MEMBER_NOT_FOUND`, `AUTH.ORGANIZATION_NOT_FOUND`,
 * `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE` (also when the new owner is deactivated)
 */
export async function transferOwnership(auth: Auth, input: TransferOwnershipInput): Promise<void> {
  const { orgId, actorId, userId, device } = readInput(transferInput, input);
  return auth.transaction(async (tx) => {
    const at = auth.clock();
    await lockForChange(tx, { orgId, actorId, roles: ['owner'], others: [userId] });
    await getRole(tx, orgId, userId);
    // One owner at any moment: the old one steps back first. That they agree with owner_id is checked at commit.
    await setRole(tx, { orgId, userId: actorId, role: 'admin', at });
    await setRole(tx, { orgId, userId, role: 'owner', at });
    await tx.organization.update({ where: { id: orgId }, data: { ownerId: userId, updatedAt: at } });
    await writeAudit(tx, { ...entry({ orgId, actorId, userId, at, device }), action: 'OWNERSHIP_TRANSFERRED' });
  });
}

/**
 * Ends a membership: by an owner or admin, or by the member.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.NOT_ALLOWED`, `AUTH.MEMBER_NOT_FOUND`, `AUTH.OWNER_STAYS`,
 * `AUTH.ORGANIZATION_NOT_FOUND`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function removeMember(auth: Auth, input: RemoveMemberInput): Promise<void> {
  const { orgId, actorId, userId, device } = readInput(removeInput, input);
  return auth.transaction(async (tx) => {
    const at = auth.clock();
    await lockForChange(tx, {
      orgId,
      actorId,
      roles: actorId === userId ? ['owner', 'admin', 'member'] : ['owner', 'admin'],
    });
    if ((await getRole(tx, orgId, userId)) === 'owner') throw ownerStays();
    await tx.organizationMember.delete({ where: { orgId_userId: { orgId, userId } }, select: { id: true } });
    await tx.user.updateMany({ where: { id: userId, orgId }, data: { orgId: null, updatedAt: at } });
    await writeAudit(tx, {
      ...entry({ orgId, actorId, userId, at, device }),
      action: actorId === userId ? 'MEMBER_LEFT' : 'MEMBER_REMOVED',
    });
  });
}

async function setRole(
  tx: AuthTransaction,
  { orgId, userId, role, at }: { orgId: string; userId: string; role: OrganizationRole; at: Date },
): Promise<void> {
  await tx.organizationMember.update({
    where: { orgId_userId: { orgId, userId } },
    data: { role, updatedAt: at },
    select: { id: true },
  });
}

interface MemberChange {
  readonly orgId: string;
  readonly actorId: string;
  readonly userId: string;
  readonly at: Date;
  readonly device: Device;
}

/** In the chain of who acted, about whom. */
function entry({ orgId, actorId, userId, at, device }: MemberChange): Omit<AuditEntryInput, 'action'> {
  return { userId: actorId, orgId, at, resourceType: 'user', resourceId: userId, device };
}
