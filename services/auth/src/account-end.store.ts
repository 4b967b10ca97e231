import { idInput, textInput } from '@azora/db-core/input';
import { z } from 'zod';
import { writeAudit } from './audit';
import type { Auth, AuthTransaction } from './client';
import { readInput } from './errors';
import { type Device, deviceInput } from './input';
import { lockAccount } from './locked-account';
import { ownsOrganization } from './organization-errors';
import { endSessions } from './sessions.store';

export interface EndAccountInput {
  readonly userId: string;
  /** Who does it, when it is not the user. */
  readonly actorId?: string;
  /** Why, for the audit log; at most 200 characters. */
  readonly reason?: string;
  readonly device?: Device;
}

const endInput = z.strictObject({
  userId: idInput,
  actorId: idInput.optional(),
  reason: textInput(200).optional(),
  device: deviceInput,
});

/**
 * Ends all access to an account: its sessions, tokens and codes end, and nobody signs in to it. Again is the same as once.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.USER_NOT_FOUND`
 */
export async function deactivate(auth: Auth, input: EndAccountInput): Promise<void> {
  const given = readInput(endInput, input);
  const { userId } = given;
  return auth.transaction(async (tx) => {
    const at = auth.clock();
    const { isActive } = await lockAccount(tx, userId);
    if (!isActive) return;
    await tx.user.update({ where: { id: userId }, data: { isActive: false, updatedAt: at }, select: { id: true } });
    const sessions = await endAccess(tx, userId, at);
    await writeAudit(tx, { ...entry(given), at, action: 'USER_DEACTIVATED', details: details(given, sessions) });
  });
}

/**
 * Deletes an account so that it is found no more: inactive, out of every organization, its sessions, tokens and codes
 * ended. The row stays, for other services keep its id, and so does the address: nobody else can take over what was
 * registered with it. Erasure makes the row anonymous and the address free.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.USER_NOT_FOUND`, `AUTH.OWNS_ORGANIZATION` (`meta.orgIds`)
 */
export async function softDelete(auth: Auth, input: EndAccountInput): Promise<void> {
  const given = readInput(endInput, input);
  const { userId } = given;
  return auth.transaction(async (tx) => {
    const at = auth.clock();
    await lockAccount(tx, userId);
    const owned = await tx.organization.findMany({
      where: { ownerId: userId, deletedAt: null },
      select: { id: true },
      orderBy: { id: 'asc' },
    });
    if (owned.length > 0) throw ownsOrganization(owned.map(({ id }) => id));
    await tx.user.update({
      where: { id: userId },
      data: { deletedAt: at, isActive: false, orgId: null, updatedAt: at },
      select: { id: true },
    });
    const sessions = await endAccess(tx, userId, at);
    // The owner of a closed organization stays in its record.
    await tx.organizationMember.deleteMany({ where: { userId, role: { not: 'owner' } } });
    await writeAudit(tx, { ...entry(given), at, action: 'USER_DELETED', details: details(given, sessions) });
  });
}

/** Returns how many sessions ended. */
async function endAccess(tx: AuthTransaction, userId: string, at: Date): Promise<number> {
  const live = { where: { userId, usedAt: null, revokedAt: null }, data: { revokedAt: at, updatedAt: at } };
  await tx.token.updateMany(live);
  const sessions = await endSessions(tx, { userId, at });
  await tx.oneTimeCode.updateMany(live);
  return sessions;
}

type Given = z.infer<typeof endInput>;

function entry({ userId, device }: Given) {
  return { userId, resourceType: 'user', resourceId: userId, device };
}

function details({ actorId, reason }: Given, sessions: number) {
  return {
    sessions,
    ...(actorId === undefined ? {} : { by: actorId }),
    ...(reason === undefined ? {} : { reason }),
  };
}
