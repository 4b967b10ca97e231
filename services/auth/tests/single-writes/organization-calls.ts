import {
  appointOwner,
  changeMemberRole,
  closeOrganization,
  createOrganization,
  deactivate,
  invite,
  removeMember,
  revokeInvitation,
  transferOwnership,
} from '../../src/index';
import { DAY_MS, givenUser } from '../given';
import { type Call, type Given, HOME } from './given';

/** Calls that change organizations and their members. */
export function organizationCalls({ clock, givenOrganization }: Given): readonly Call[] {
  return [
    [
      'createOrganization',
      'by a new user',
      async (auth) => {
        const { userId: ownerId } = await givenUser(auth);
        return () => createOrganization(auth, { ownerId, name: 'Ours', slug: 'single-writes' });
      },
    ],
    [
      'closeOrganization',
      'with a member and an invitation',
      async (auth) => {
        const { orgId, ownerId, join } = await givenOrganization(auth);
        await join();
        await invite(auth, { orgId, actorId: ownerId, email: 'later@azora.world' });
        return () => closeOrganization(auth, { orgId, actorId: ownerId });
      },
    ],
    [
      'invite',
      'again after an invitation has expired',
      async (auth) => {
        const { orgId, ownerId } = await givenOrganization(auth);
        const invitation = { orgId, actorId: ownerId, email: 'expired@azora.world' };
        await invite(auth, invitation);
        await clock.move(8 * DAY_MS);
        return () => invite(auth, { ...invitation, device: HOME });
      },
    ],
    ['acceptInvitation', 'by a new user', async (auth) => (await givenOrganization(auth)).join],
    [
      'revokeInvitation',
      'of an open invitation',
      async (auth) => {
        const { orgId, ownerId, invitationId } = await givenOrganization(auth);
        return () => revokeInvitation(auth, { orgId, actorId: ownerId, invitationId });
      },
    ],
    [
      'changeMemberRole',
      'to admin',
      async (auth) => {
        const { orgId, ownerId, memberId, join } = await givenOrganization(auth);
        await join();
        return () => changeMemberRole(auth, { orgId, actorId: ownerId, userId: memberId, role: 'admin' });
      },
    ],
    [
      'removeMember',
      'by the owner',
      async (auth) => {
        const { orgId, ownerId, memberId, join } = await givenOrganization(auth);
        await join();
        return () => removeMember(auth, { orgId, actorId: ownerId, userId: memberId });
      },
    ],
    [
      'transferOwnership',
      'to a member',
      async (auth) => {
        const { orgId, ownerId, memberId, join } = await givenOrganization(auth);
        await join();
        return () => transferOwnership(auth, { orgId, actorId: ownerId, userId: memberId });
      },
    ],
    [
      'appointOwner',
      'who is no member',
      async (auth) => {
        const { orgId, ownerId, memberId: userId } = await givenOrganization(auth);
        await deactivate(auth, { userId: ownerId });
        return () => appointOwner(auth, { orgId, userId, actorId: 'support-7', reason: 'the owner left' });
      },
    ],
  ];
}
