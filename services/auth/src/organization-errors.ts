import { type ConstraintErrors, SuiteError } from '@azora/db-core';

/** AUTH.SLUG_TAKEN: another organization has this name in addresses, also one that was closed. */
export function slugTaken(): SuiteError {
  return new SuiteError('AUTH.SLUG_TAKEN', 'Another organization has this slug', { next: 'Choose another one' });
}

/** AUTH.ORGANIZATION_NOT_FOUND: unknown, or closed. */
export function organizationNotFound(orgId: string): SuiteError {
  return new SuiteError('AUTH.ORGANIZATION_NOT_FOUND', 'There is no such organization', {
    next: 'Check the id',
    meta: { orgId },
  });
}

/** AUTH.MEMBER_NOT_FOUND: the user is no member of the organization. */
export function memberNotFound(orgId: string, userId: string): SuiteError {
  return new SuiteError('AUTH.MEMBER_NOT_FOUND', 'The organization has no such member', {
    next: 'Invite the user first',
    meta: { orgId, userId },
  });
}

/** AUTH.NOT_ALLOWED: who asks does not have one of the roles that may do this. */
export function notAllowed(orgId: string, roles: readonly string[]): SuiteError {
  return new SuiteError('AUTH.NOT_ALLOWED', 'This needs another role in the organization', {
    why: `It may be done by ${roles.join(' or ')}.`,
    next: 'Ask a member with this role',
    meta: { orgId, roles },
  });
}

/** AUTH.ALREADY_MEMBER: who is invited, or accepts, is a member already. */
export function alreadyMember(): SuiteError {
  return new SuiteError('AUTH.ALREADY_MEMBER', 'The user is a member of the organization already', {
    next: 'Change the role by changeMemberRole if another one is meant',
  });
}

/** AUTH.ALREADY_INVITED: an invitation to this address is open. */
export function alreadyInvited(): SuiteError {
  return new SuiteError('AUTH.ALREADY_INVITED', 'This address is invited already', {
    next: 'Wait for the answer, or revoke the invitation and invite again',
  });
}

/** AUTH.INVITATION_NOT_FOUND: the organization has no open invitation with this id. */
export function invitationNotFound(invitationId: string): SuiteError {
  return new SuiteError('AUTH.INVITATION_NOT_FOUND', 'There is no such open invitation', {
    why: 'It is unknown, or was accepted or revoked.',
    next: 'Check the id',
    meta: { invitationId },
  });
}

/** AUTH.INVITATION_NOT_YOURS: the invitation went to another address than that of who accepts it. */
export function invitationNotYours(): SuiteError {
  return new SuiteError('AUTH.INVITATION_NOT_YOURS', 'The invitation went to another address', {
    next: 'Sign in with the account of the address that was invited, or ask for an invitation to this one',
  });
}

/** AUTH.ROLE_CHANGE_REFUSED: no member goes from this role to that one; both are named. */
export function roleChangeRefused(from: string, to: string): SuiteError {
  return new SuiteError('AUTH.ROLE_CHANGE_REFUSED', `The role cannot go from ${from} to ${to}`, {
    next: from === 'owner' ? 'Hand the organization over by transferOwnership' : 'Choose another role',
    meta: { from, to },
  });
}

/** AUTH.OWNER_STAYS: the owner can neither leave the organization nor lose the role. */
export function ownerStays(): SuiteError {
  return new SuiteError('AUTH.OWNER_STAYS', 'The owner cannot leave the organization', {
    next: 'Hand the organization over by transferOwnership, or close it by closeOrganization',
  });
}

/** AUTH.OWNS_ORGANIZATION: the account owns organizations, which would be left without an owner. */
export function ownsOrganization(orgIds: readonly string[]): SuiteError {
  return new SuiteError('AUTH.OWNS_ORGANIZATION', 'The account owns organizations', {
    next: 'Hand them over by transferOwnership, or close them by closeOrganization, then delete the account',
    meta: { orgIds },
  });
}

/** What the database refuses of organizations, by the constraint or the rule that did. */
export const organizationFaults: ConstraintErrors = {
  idx_orgs_slug: slugTaken,
  organization_members_org_id_user_id_key: alreadyMember,
  org_invitations_open_key: alreadyInvited,
  organization_owner_stays: ownerStays,
};
