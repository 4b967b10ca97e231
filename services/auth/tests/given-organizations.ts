import type { TestDatabase } from '@azora/db-testkit';
import { type Auth, acceptInvitation, createOrganization, invite } from '../src/index';
import { givenVerifiedUser } from './given-factors';

let organizations = 0;

/** An organization with its owner. */
export async function givenOrganization(auth: Auth) {
  organizations += 1;
  const owner = await givenVerifiedUser(auth);
  const slug = `org-${organizations}`;
  const { orgId } = await createOrganization(auth, { ownerId: owner.userId, name: 'Azora', slug });
  return { orgId, slug, ownerId: owner.userId };
}

/** A user who accepted an invitation. */
export async function givenMember(
  auth: Auth,
  { orgId, ownerId }: { readonly orgId: string; readonly ownerId: string },
  role: 'admin' | 'member' = 'member',
): Promise<string> {
  const { userId, email } = await givenVerifiedUser(auth);
  const { token } = await invite(auth, { orgId, actorId: ownerId, email, role });
  await acceptInvitation(auth, { token, userId });
  return userId;
}

/** The roles of the members by their ids. */
export async function rolesIn(db: TestDatabase, orgId: string): Promise<Readonly<Record<string, unknown>>> {
  const rows = await db.admin('SELECT user_id, role FROM organization_members WHERE org_id = $1', [orgId]);
  return Object.fromEntries(rows.map(({ user_id, role }) => [user_id, role]));
}

/** The id of the owner. */
export async function ownerIn(db: TestDatabase, orgId: string): Promise<unknown> {
  return (await db.admin('SELECT owner_id FROM organizations WHERE id = $1', [orgId]))[0]?.['owner_id'];
}
