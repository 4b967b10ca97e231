import { newId } from '@azora/db-core';
import { rowIdInput } from '@azora/db-core/input';
import { z } from 'zod';
import { lockAccounts, lockActiveAccount } from './account/account-row';
import { takeMessage } from './account/message-limits';
import { writeAudit } from './audit/entries';
import type { Auth, AuthTransaction } from './client';
import { emailUnverified, messageTooSoon, readInput, tokenExpired, tokenInvalid, tokenUsed } from './errors';
import { type Device, deviceInput, emailInput, isSameEmail, tokenInput } from './input';
import { alreadyMember, invitationLapsed, invitationNotFound, invitationNotYours } from './organization/errors';
import { addMember, lockForChange, lockOrganization, type OrganizationRole } from './organization/membership';
import { hashToken, newToken } from './session/tokens';

const LIFE_MS = 7 * 86_400_000;

export type InvitedRole = Exclude<OrganizationRole, 'owner'>;

export interface InviteInput {
  readonly orgId: string;
  /** An owner or admin. */
  readonly actorId: string;
  readonly email: string;
  /** `member` by default. */
  readonly role?: InvitedRole;
  readonly device?: Device;
}

export interface Invitation {
  readonly invitationId: string;
  /** For the link in the email. Returned once: the database has only its hash. */
  readonly token: string;
  readonly expiresAt: Date;
}

export interface AcceptInvitationInput {
  readonly token: string;
  /** The signed-in user. The invitation must have been sent to the verified address of this account. */
  readonly userId: string;
  readonly device?: Device;
}

export interface RevokeInvitationInput {
  readonly orgId: string;
  /** An owner or admin. */
  readonly actorId: string;
  readonly invitationId: string;
  readonly device?: Device;
}

const byActor = { orgId: rowIdInput, actorId: rowIdInput, device: deviceInput };
const inviteInput = z.strictObject({
  ...byActor,
  email: emailInput,
  role: z.enum(['admin', 'member']).default('member'),
});
const acceptInput = z.strictObject({ token: tokenInput, userId: rowIdInput, device: deviceInput });
const revokeInput = z.strictObject({ ...byActor, invitationId: rowIdInput });

/**
 * Invites an address into an organization for seven days. An address has one open invitation per organization, and an
 * invitation is valid while its sender is an active owner or admin.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.NOT_ALLOWED`, `AUTH.ALREADY_MEMBER`, `AUTH.ALREADY_INVITED`,
 * `AUTH.MESSAGE_TOO_SOON`, `AUTH.ORGANIZATION_NOT_FOUND`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function invite(auth: Auth, input: InviteInput): Promise<Invitation> {
  const { orgId, actorId, email, role, device } = readInput(inviteInput, input);
  return auth.transaction(async (tx) => {
    const { at } = await lockForChange(tx, { orgId, actorId, roles: ['owner', 'admin'] });
    const { token, hash } = newToken();
    const [invitationId, expiresAt] = [newId(), new Date(at.getTime() + LIFE_MS)];
    const members = await tx.$queryRaw<unknown[]>`
      SELECT FROM organization_members AS member JOIN users ON users.id = member.user_id
      WHERE member.org_id = ${orgId} AND lower(users.email) = ${email}`;
    if (members.length > 0) throw alreadyMember();
    // An invitation that has expired, or whose sender may no longer invite, counts as open until it is revoked.
    await tx.$executeRaw`
      UPDATE org_invitations SET revoked_at = ${at}, updated_at = ${at}
      WHERE org_id = ${orgId} AND lower(email) = ${email} AND accepted_at IS NULL AND revoked_at IS NULL
        AND (expires_at <= ${at} OR NOT may_invite(invited_by, org_id))`;
    await tx.orgInvitation.create({
      data: {
        id: invitationId,
        orgId,
        email,
        role,
        tokenHash: hash,
        invitedBy: actorId,
        expiresAt,
        createdAt: at,
        updatedAt: at,
      },
      select: { id: true },
    });
    // Counted for each organization, whose messages another one must not use up, and for an account with many organizations.
    const recipients = [`${orgId} ${email}`, `${actorId} ${email}`];
    const message = { kind: 'invitation', recipients, senders: [actorId], device } as const;
    const { granted, nextAt } = await takeMessage(tx, message);
    if (!granted) throw messageTooSoon(nextAt);
    await writeAudit(tx, {
      ...about(invitationId, device),
      userId: actorId,
      orgId,
      action: 'MEMBER_INVITED',
      details: { role },
    });
    return { invitationId, token, expiresAt };
  });
}

/**
 * Accepts an invitation, once: makes the user a member of the organization. Its sender must still be allowed to invite.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.TOKEN_INVALID`, `AUTH.TOKEN_EXPIRED`, `AUTH.TOKEN_USED` (also for a
 * revoked invitation), `AUTH.INVITATION_LAPSED`, `AUTH.INVITATION_NOT_YOURS`, `AUTH.EMAIL_UNVERIFIED`, `AUTH.ALREADY_MEMBER`, `AUTH.ORGANIZATION_NOT_FOUND`,
 * `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function acceptInvitation(
  auth: Auth,
  input: AcceptInvitationInput,
): Promise<{ readonly orgId: string; readonly role: OrganizationRole }> {
  const { token, userId, device } = readInput(acceptInput, input);
  const found = await auth.prisma.orgInvitation.findUnique({ where: { tokenHash: hashToken(token) } });
  if (found === null) throw tokenInvalid();
  const { id, orgId } = found;
  const role = found.role === 'admin' ? 'admin' : 'member';
  return auth.transaction(async (tx) => {
    await lockOrganization(tx, orgId);
    await lockAccounts(tx, [userId, found.invitedBy]);
    const { email, emailVerified, at } = await lockActiveAccount(tx, userId);
    if (!isSameEmail(email, found.email)) throw invitationNotYours();
    if (!emailVerified) throw emailUnverified();
    await takeInvitation(tx, id, at);
    const [inviter] = await tx.$queryRaw<{ may: boolean }[]>`SELECT may_invite(${found.invitedBy}, ${orgId}) AS may`;
    if (inviter?.may !== true) throw invitationLapsed();
    await addMember(tx, { orgId, userId, role, at });
    await writeAudit(tx, { ...about(id, device), userId, orgId, action: 'INVITATION_ACCEPTED', details: { role } });
    return { orgId, role };
  });
}

/**
 * Revokes an open invitation.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`, `AUTH.INVITATION_NOT_FOUND`, `AUTH.NOT_ALLOWED`,
 * `AUTH.ORGANIZATION_NOT_FOUND`, `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function revokeInvitation(auth: Auth, input: RevokeInvitationInput): Promise<void> {
  const { orgId, actorId, invitationId: id, device } = readInput(revokeInput, input);
  return auth.transaction(async (tx) => {
    const { at } = await lockForChange(tx, { orgId, actorId, roles: ['owner', 'admin'] });
    const { count } = await tx.orgInvitation.updateMany({
      where: { id, orgId, acceptedAt: null, revokedAt: null },
      data: { revokedAt: at, updatedAt: at },
    });
    if (count === 0) throw invitationNotFound(id);
    await writeAudit(tx, { ...about(id, device), userId: actorId, orgId, action: 'INVITATION_REVOKED' });
  });
}

async function takeInvitation(tx: AuthTransaction, id: string, at: Date): Promise<void> {
  const { count } = await tx.orgInvitation.updateMany({
    where: { id, acceptedAt: null, revokedAt: null, expiresAt: { gt: at } },
    data: { acceptedAt: at, updatedAt: at },
  });
  if (count === 1) return;
  const ended = await tx.orgInvitation.count({
    where: { id, OR: [{ acceptedAt: { not: null } }, { revokedAt: { not: null } }] },
  });
  throw ended === 0 ? tokenExpired() : tokenUsed();
}

function about(invitationId: string, device: Device) {
  return { resourceType: 'invitation', resourceId: invitationId, device };
}
