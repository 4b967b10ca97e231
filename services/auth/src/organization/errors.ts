import { SuiteError } from '@azora/db-core';

/** AUTH.SLUG_TAKEN: another organization, open or closed, has this slug. */
export function slugTaken(): SuiteError {
  return new SuiteError('AUTH.SLUG_TAKEN', 'Another organization has this slug', { next: 'Choose another slug' });
}

/** AUTH.ORGANIZATION_NOT_FOUND: no organization has this id, or it was closed. */
export function organizationNotFound(orgId: string): SuiteError {
  return new SuiteError('AUTH.ORGANIZATION_NOT_FOUND', 'The organization does not exist', {
    next: 'Check the id',
    meta: { orgId },
  });
}

/** AUTH.MEMBER_NOT_FOUND: the user is not a member of the organization. */
export function memberNotFound(orgId: string, userId: string): SuiteError {
  return new SuiteError('AUTH.MEMBER_NOT_FOUND', 'The user is not a member of the organization', {
    next: 'Invite the user first',
    meta: { orgId, userId },
  });
}

/** AUTH.NOT_ALLOWED: the caller has none of the roles that the operation needs. */
export function notAllowed(orgId: string, roles: readonly string[]): SuiteError {
  return new SuiteError('AUTH.NOT_ALLOWED', 'The operation needs another role in the organization', {
    why: `It needs the role ${roles.join(' or ')}.`,
    next: 'Ask a member with this role',
    meta: { orgId, roles },
  });
}

/** AUTH.ALREADY_MEMBER: the user to invite, or to add, is already a member. */
export function alreadyMember(): SuiteError {
  return new SuiteError('AUTH.ALREADY_MEMBER', 'The user is already a member of the organization', {
    next: 'To change the role, call changeMemberRole',
  });
}

/** AUTH.ALREADY_INVITED: an invitation to this address is open. */
export function alreadyInvited(): SuiteError {
  return new SuiteError('AUTH.ALREADY_INVITED', 'An invitation to this address is already open', {
    next: 'Wait for the answer, or revoke the invitation and invite again',
  });
}

/** AUTH.INVITATION_NOT_FOUND: the organization has no open invitation with this id. */
export function invitationNotFound(invitationId: string): SuiteError {
  return new SuiteError('AUTH.INVITATION_NOT_FOUND', 'The organization has no such open invitation', {
    why: 'The invitation does not exist, or was accepted or revoked.',
    next: 'Check the id',
    meta: { invitationId },
  });
}

/** AUTH.INVITATION_LAPSED: the sender of the invitation is no longer an active owner or admin of the organization. */
export function invitationLapsed(): SuiteError {
  return new SuiteError('AUTH.INVITATION_LAPSED', 'The invitation is no longer valid', {
    why: 'The member who sent it may no longer invite into the organization.',
    next: 'Ask an owner or admin of the organization for another invitation',
  });
}

/** AUTH.INVITATION_NOT_YOURS: the invitation was sent to an address that the accepting user does not have. */
export function invitationNotYours(): SuiteError {
  return new SuiteError('AUTH.INVITATION_NOT_YOURS', 'The invitation was sent to another address', {
    next: 'Sign in with the account of the invited address, or ask for an invitation to this account',
  });
}

/** AUTH.ROLE_CHANGE_REFUSED: no member can change from the first role to the second; `meta` names both. */
export function roleChangeRefused(from: string, to: string): SuiteError {
  return new SuiteError('AUTH.ROLE_CHANGE_REFUSED', `The role cannot change from ${from} to ${to}`, {
    next: nextRole(from, to),
    meta: { from, to },
  });
}

function nextRole(from: string, to: string): string {
  if (from === to) return 'Choose another member';
  return from === 'owner' ? 'Transfer the ownership with transferOwnership' : 'Choose another role';
}

/** AUTH.OWNER_ACTIVE: only the owner hands an organization over while the account of the owner is active. */
export function ownerActive(orgId: string): SuiteError {
  return new SuiteError('AUTH.OWNER_ACTIVE', 'The owner of the organization is active', {
    why: 'Another owner can be appointed only while the account of the owner is deactivated.',
    next: 'Ask the owner to transfer the ownership with transferOwnership, or deactivate the account of the owner first',
    meta: { orgId },
  });
}

/** AUTH.OWNER_STAYS: the owner can neither leave the organization nor lose the role without a transfer. */
export function ownerStays(): SuiteError {
  return new SuiteError('AUTH.OWNER_STAYS', 'The owner cannot leave the organization', {
    next: 'Transfer the ownership with transferOwnership, or close the organization with closeOrganization',
  });
}

/** AUTH.OWNS_ORGANIZATION: the deletion of the account would leave open organizations without an owner. */
export function ownsOrganization(orgIds: readonly string[]): SuiteError {
  return new SuiteError('AUTH.OWNS_ORGANIZATION', 'The account owns organizations', {
    next: 'Call transferOwnership or closeOrganization for each organization, then delete the account',
    meta: { orgIds },
  });
}
