import { rowIdInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import { lockAccounts, lockActiveAccount } from './account/account-row';
import { type AuditEntryInput, writeAudit } from './audit/entries';
import type { Auth, AuthTransaction } from './client';
import { readInput } from './errors';
import { type Device, deviceInput } from './input';
import { ownerActive, ownerStays, roleChangeRefused } from './organization/errors';
import {
  addMember,
  findRole,
  getRole,
  lockForChange,
  lockOrganization,
  type OrganizationRole,
} from './organization/membership';

/** The roles that each role can change to. Only `transferOwnership` changes the owner; the database enforces it too. */
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
  /** The owner, or an admin while the account of the owner is deactivated. */
  readonly actorId: string;
  /** The member who becomes the owner. */
  readonly userId: string;
  readonly device?: Device;
}

export interface AppointOwnerInput {
  readonly orgId: string;
  /** An active account, which becomes a member if it is not one. */
  readonly userId: string;
  /** The operator who appoints the owner, for the audit log. */
  readonly actorId: string;
  /** The reason, for the audit log; at most 200 characters. */
  readonly reason: string;
  readonly device?: Device;
}

export interface RemoveMemberInput {
  readonly orgId: string;
  /** An owner or admin, or the member who leaves. */
  readonly actorId: string;
  readonly userId: string;
  readonly device?: Device;
}

const memberInput = { orgId: rowIdInput, actorId: rowIdInput, userId: rowIdInput, device: deviceInput };
const changeInput = z.strictObject({ ...memberInput, role: z.enum(['owner', 'admin', 'member']) });
const transferInput = z.strictObject(memberInput);
const appointInput = z.strictObject({ ...memberInput, reason: textInput(200) });
const removeInput = z.strictObject(memberInput);

/**
 * Changes the role of a member to admin or member.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.NOT_ALLOWED`, `AUTH.MEMBER_NOT_FOUND`, `AUTH.ROLE_CHANGE_REFUSED` (with
 * both roles), `AUTH.ORGANIZATION_NOT_FOUND`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function changeMemberRole(auth: Auth, input: ChangeMemberRoleInput): Promise<void> {
  const { orgId, actorId, userId, role, device } = readInput(changeInput, input);
  return auth.transaction(async (tx) => {
    const { at } = await lockForChange(tx, { orgId, actorId, roles: ['owner', 'admin'] });
    const from = await getRole(tx, orgId, userId);
    if (!ROLE_CHANGES[from].includes(role)) throw roleChangeRefused(from, role);
    await setRole(tx, { orgId, userId, role, at });
    await writeAudit(tx, {
      ...entry({ orgId, actorId, userId, device }),
      action: 'MEMBER_ROLE_CHANGED',
      details: { from, to: role },
    });
  });
}

/**
 * Makes a member the owner, and the previous owner an admin. While the account of the owner is deactivated, an admin can do
 * this too, so that the organization is not stuck.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.NOT_ALLOWED`, `AUTH.MEMBER_NOT_FOUND`, `AUTH.ROLE_CHANGE_REFUSED` (the
 * member is already the owner), `AUTH.ORGANIZATION_NOT_FOUND`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE` (also if the
 * new owner is deactivated)
 */
export async function transferOwnership(auth: Auth, input: TransferOwnershipInput): Promise<void> {
  const { orgId, actorId, userId, device } = readInput(transferInput, input);
  return auth.transaction(async (tx) => {
    const { ownerId, isOwnerActive } = await lockOwner(tx, orgId, [actorId, userId]);
    const roles = isOwnerActive ? (['owner'] as const) : (['owner', 'admin'] as const);
    const { at } = await lockForChange(tx, { orgId, actorId, roles, others: [userId] });
    await getRole(tx, orgId, userId);
    if (userId === ownerId) throw roleChangeRefused('owner', 'owner');
    await replaceOwner(tx, { orgId, ownerId, userId, at });
    await writeAudit(tx, {
      ...entry({ orgId, actorId, userId, device }),
      action: 'OWNERSHIP_TRANSFERRED',
      details: { from: ownerId, isOwnerActive },
    });
  });
}

/**
 * Makes an account the owner of an organization whose owner is deactivated, on behalf of an operator, for an organization that
 * has no admin who could do it. The caller decides who is an operator.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.OWNER_ACTIVE`, `AUTH.ORGANIZATION_NOT_FOUND`, `AUTH.USER_NOT_FOUND`,
 * `AUTH.ACCOUNT_INACTIVE`
 */
export async function appointOwner(auth: Auth, input: AppointOwnerInput): Promise<void> {
  const { orgId, userId, actorId, reason, device } = readInput(appointInput, input);
  return auth.transaction(async (tx) => {
    const { ownerId, isOwnerActive } = await lockOwner(tx, orgId, [userId]);
    if (isOwnerActive) throw ownerActive(orgId);
    const { at } = await lockActiveAccount(tx, userId);
    await replaceOwner(tx, { orgId, ownerId, userId, at });
    await writeAudit(tx, {
      ...entry({ orgId, actorId, userId, device }),
      action: 'OWNERSHIP_TRANSFERRED',
      details: { from: ownerId, isOwnerActive, reason },
    });
  });
}

/** Locks the organization, then the account of its owner with the others, and returns whether the owner can act. */
async function lockOwner(tx: AuthTransaction, orgId: string, others: readonly string[]) {
  const { ownerId } = await lockOrganization(tx, orgId);
  const active = await lockAccounts(tx, [ownerId, ...others]);
  return { ownerId, isOwnerActive: ownerId !== null && active.has(ownerId) };
}

interface NewOwner {
  readonly orgId: string;
  readonly ownerId: string | null;
  readonly userId: string;
  readonly at: Date;
}

/** A unique index allows one owner at any time, so the previous one changes first. Triggers compare both at commit. */
async function replaceOwner(tx: AuthTransaction, { orgId, ownerId, userId, at }: NewOwner): Promise<void> {
  if (ownerId !== null) await setRole(tx, { orgId, userId: ownerId, role: 'admin', at });
  if ((await findRole(tx, orgId, userId)) === null) await addMember(tx, { orgId, userId, role: 'owner', at });
  else await setRole(tx, { orgId, userId, role: 'owner', at });
  await tx.organization.update({ where: { id: orgId }, data: { ownerId: userId, updatedAt: at } });
}

/**
 * Ends a membership, on behalf of an owner or admin, or of the member.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.NOT_ALLOWED`, `AUTH.MEMBER_NOT_FOUND`, `AUTH.OWNER_STAYS`,
 * `AUTH.ORGANIZATION_NOT_FOUND`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function removeMember(auth: Auth, input: RemoveMemberInput): Promise<void> {
  const { orgId, actorId, userId, device } = readInput(removeInput, input);
  return auth.transaction(async (tx) => {
    const { at } = await lockForChange(tx, {
      orgId,
      actorId,
      roles: actorId === userId ? ['owner', 'admin', 'member'] : ['owner', 'admin'],
    });
    if ((await getRole(tx, orgId, userId)) === 'owner') throw ownerStays();
    await tx.organizationMember.delete({ where: { orgId_userId: { orgId, userId } }, select: { id: true } });
    await tx.user.updateMany({ where: { id: userId, orgId }, data: { orgId: null, updatedAt: at } });
    await writeAudit(tx, {
      ...entry({ orgId, actorId, userId, device }),
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
  readonly device: Device;
}

/** The entry is in the chain of the actor; its resource is the member. */
function entry({ orgId, actorId, userId, device }: MemberChange): Omit<AuditEntryInput, 'action'> {
  return { userId: actorId, orgId, resourceType: 'user', resourceId: userId, device };
}
