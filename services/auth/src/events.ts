import { defineEvent } from '@azora/db-core/events';
import { z } from 'zod';

/** An id of this service, as `newId` and the seed make them. */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._|-]{0,254}$/);
const role = z.enum(['owner', 'admin', 'member']);

/** The entry of the audit log that the event stands for. */
const entry = { auditId: id, occurredAt: z.iso.datetime({ offset: true }) };
const ofUser = { ...entry, userId: id, resourceType: z.literal('user'), resourceId: id };
const ofSession = { ...entry, userId: id, resourceType: z.literal('session'), resourceId: id };
/** `userId` is who did it. */
const ofOrganization = { ...entry, userId: id, organizationId: id, resourceId: id };

const user = z.strictObject(ofUser);
const session = z.strictObject(ofSession);
const locked = z.strictObject({ ...ofUser, lock: z.enum(['password', 'factor']).optional() });
const organization = z.strictObject({ ...ofOrganization, resourceType: z.literal('organization') });
const member = z.strictObject({ ...ofOrganization, resourceType: z.literal('user') });
const memberWithRole = z.strictObject({ ...ofOrganization, resourceType: z.literal('user'), role });
const invitation = z.strictObject({ ...ofOrganization, resourceType: z.literal('invitation') });
const invitationWithRole = z.strictObject({ ...ofOrganization, resourceType: z.literal('invitation'), role });

const auth = { service: 'auth', version: 1 } as const;
/** The account orders its events, as its chain in the audit log does. */
const byUser = ({ userId }: { readonly userId: string }) => userId;
/** The organization orders the events of its members: each is written while the organization is locked. */
const byOrganization = ({ organizationId }: { readonly organizationId: string }) => organizationId;

const account = (name: string, about: string) => defineEvent({ ...auth, name, about, data: user, key: byUser });
const lock = (name: string, about: string) => defineEvent({ ...auth, name, about, data: locked, key: byUser });
const signIn = (name: string, about: string) => defineEvent({ ...auth, name, about, data: session, key: byUser });

export const userRegistered = account('user-registered', 'An account was created; its address is not verified yet.');
export const emailVerified = account('email-verified', 'The address of an account was verified.');
export const profileUpdated = account('profile-updated', 'The user changed the name, the username or the profile.');
export const userDeactivated = account('user-deactivated', 'All access to an account ended.');
export const userDeleted = account(
  'user-deleted',
  'An account was deleted, and with it its memberships in all organizations.',
);

export const passwordChanged = account(
  'password-changed',
  'The user set a new password, and all other sessions ended.',
);
export const passwordReset = account('password-reset', 'The user set a new password by email, and all sessions ended.');
export const accountLocked = lock('account-locked', 'Too many wrong passwords or codes locked an account for a time.');
export const accountUnlocked = lock('account-unlocked', 'A lock of an account ended before its time.');
export const factorBlocked = account(
  'factor-blocked',
  'After 100 wrong codes in a row, only a recovery code is accepted.',
);

export const userLogin = signIn('user-login', 'A user signed in; resourceId is the new session.');
export const userLogout = signIn('user-logout', 'A user signed out of a session.');
export const sessionRevoked = signIn('session-revoked', 'One session of a user was ended.');
export const sessionsRevoked = account('sessions-revoked', 'All sessions of a user were ended, possibly except one.');
export const tokenReused = signIn(
  'token-reused',
  'A refresh token was used twice, so that someone else may have it; its session ended.',
);

export const mfaEnabled = account('mfa-enabled', 'A second factor was enabled.');
export const mfaDisabled = account('mfa-disabled', 'All second factors of an account were disabled.');
export const recoveryCodesReplaced = account(
  'recovery-codes-replaced',
  'New recovery codes replaced the earlier ones.',
);

export const organizationCreated = defineEvent({
  ...auth,
  name: 'organization-created',
  about: 'An organization was created; the user is its owner.',
  data: organization,
  key: byOrganization,
});

export const organizationClosed = defineEvent({
  ...auth,
  name: 'organization-closed',
  about: 'An organization was closed, and its open invitations were revoked.',
  data: organization,
  key: byOrganization,
});

export const memberInvited = defineEvent({
  ...auth,
  name: 'member-invited',
  about: 'An address was invited into an organization with a role; the event names the invitation.',
  data: invitationWithRole,
  key: byOrganization,
});

export const invitationAccepted = defineEvent({
  ...auth,
  name: 'invitation-accepted',
  about: 'The user became a member of the organization with this role.',
  data: invitationWithRole,
  key: byOrganization,
});

export const invitationRevoked = defineEvent({
  ...auth,
  name: 'invitation-revoked',
  about: 'An open invitation was revoked.',
  data: invitation,
  key: byOrganization,
});

export const memberRoleChanged = defineEvent({
  ...auth,
  name: 'member-role-changed',
  about: 'A member, the resource, has another role.',
  data: memberWithRole,
  key: byOrganization,
});

export const ownershipTransferred = defineEvent({
  ...auth,
  name: 'ownership-transferred',
  about: 'A user, the resource, is the owner now; the previous owner is an admin.',
  data: member,
  key: byOrganization,
});

export const memberLeft = defineEvent({
  ...auth,
  name: 'member-left',
  about: 'A member left the organization.',
  data: member,
  key: byOrganization,
});

export const memberRemoved = defineEvent({
  ...auth,
  name: 'member-removed',
  about: 'A member, the resource, was removed from the organization.',
  data: member,
  key: byOrganization,
});

/** The events that auth publishes; prisma/migrations/20261201000002_publish writes them from the audit log. */
export const EVENTS = [
  userRegistered,
  emailVerified,
  profileUpdated,
  userDeactivated,
  userDeleted,
  passwordChanged,
  passwordReset,
  accountLocked,
  accountUnlocked,
  factorBlocked,
  userLogin,
  userLogout,
  sessionRevoked,
  sessionsRevoked,
  tokenReused,
  mfaEnabled,
  mfaDisabled,
  recoveryCodesReplaced,
  organizationCreated,
  organizationClosed,
  memberInvited,
  invitationAccepted,
  invitationRevoked,
  memberRoleChanged,
  ownershipTransferred,
  memberLeft,
  memberRemoved,
] as const;
