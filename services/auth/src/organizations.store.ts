import { newId } from '@azora/db-core';
import { rowIdInput } from '@azora/db-core/input';
import { z } from 'zod';
import { lockActiveAccount } from './account/account-row';
import { displayNameInput } from './account/names';
import { writeAudit } from './audit/entries';
import type { Auth } from './client';
import { readInput } from './errors';
import { type Device, deviceInput } from './input';
import { addMember, lockForChange } from './organization/membership';

export interface CreateOrganizationInput {
  readonly ownerId: string;
  readonly name: string;
  /** The name in URLs: lower-case letters and digits, separated by single - or _; at most 63 characters. */
  readonly slug: string;
  readonly device?: Device;
}

export interface CloseOrganizationInput {
  readonly orgId: string;
  /** The owner. */
  readonly actorId: string;
  readonly device?: Device;
}

const createInput = z.strictObject({
  ownerId: rowIdInput,
  name: displayNameInput(200),
  slug: z
    .string()
    .max(63)
    .regex(/^[a-z0-9]+([_-][a-z0-9]+)*$/, 'must be lower-case letters and digits, separated by single - or _'),
  device: deviceInput,
});

const closeInput = z.strictObject({ orgId: rowIdInput, actorId: rowIdInput, device: deviceInput });

/**
 * Creates an organization with its owner as the first member. Returns its id.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.SLUG_TAKEN`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function createOrganization(
  auth: Auth,
  input: CreateOrganizationInput,
): Promise<{ readonly orgId: string }> {
  const { ownerId, name, slug, device } = readInput(createInput, input);
  return auth.transaction(async (tx) => {
    const { at } = await lockActiveAccount(tx, ownerId);
    const orgId = newId();
    await tx.organization.create({ data: { id: orgId, name, slug, ownerId, createdAt: at, updatedAt: at } });
    await addMember(tx, { orgId, userId: ownerId, role: 'owner', at });
    await writeAudit(tx, {
      userId: ownerId,
      orgId,
      action: 'ORGANIZATION_CREATED',
      resourceType: 'organization',
      resourceId: orgId,
      device,
    });
    return { orgId };
  });
}

/**
 * Closes an organization: clears it as the current organization of users, and revokes its open invitations. Its row, slug
 * and members are kept.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.ORGANIZATION_NOT_FOUND`, `AUTH.NOT_ALLOWED`, `AUTH.USER_NOT_FOUND`,
 * `AUTH.ACCOUNT_INACTIVE`
 */
export async function closeOrganization(auth: Auth, input: CloseOrganizationInput): Promise<void> {
  const { orgId, actorId, device } = readInput(closeInput, input);
  return auth.transaction(async (tx) => {
    const { at } = await lockForChange(tx, { orgId, actorId, roles: ['owner'] });
    await tx.organization.update({ where: { id: orgId }, data: { deletedAt: at, updatedAt: at } });
    await tx.user.updateMany({ where: { orgId }, data: { orgId: null, updatedAt: at } });
    await tx.orgInvitation.updateMany({
      where: { orgId, acceptedAt: null, revokedAt: null },
      data: { revokedAt: at, updatedAt: at },
    });
    await writeAudit(tx, {
      userId: actorId,
      orgId,
      action: 'ORGANIZATION_CLOSED',
      resourceType: 'organization',
      resourceId: orgId,
      device,
    });
  });
}
