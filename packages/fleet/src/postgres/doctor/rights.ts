import { compareObjectRights, type ObjectRights, objectRightsSql, type RightsDifference } from '@azora/db-migrate';
import { compareRoleRights, type RoleRights, roleRightsSql } from '../rights';
import { type CheckContext, defineCheck, type Finding } from './check';

/** Finds powers and rights of the app role and of PUBLIC, on the database and its schema, other than those that setup gives. */
export const checkRoleRights = defineCheck<RoleRights>({
  sql: ({ role }) => roleRightsSql(role),
  judge: (rows, context) => findingsOf(compareRoleRights(rows, context.role), context),
});

/** Finds rights on tables, sequences, functions and future objects other than those of the annotations. */
export const checkObjectRights = defineCheck<ObjectRights>({
  sql: ({ role }) => objectRightsSql(role),
  judge: (rows, context) => findingsOf(compareObjectRights(rows, context.role, context.grants), context),
});

/** All connections of a companion are one superuser session, which no right limits. */
function findingsOf(differences: readonly RightsDifference[], { server }: CheckContext): readonly Finding[] {
  if (server === 'companion') return [];
  return differences.map(({ object, message, statements }) => ({
    check: 'rights',
    level: 'warning',
    object,
    message,
    next: `Run "npm run db:setup", or ${statements.join('; ')}`,
  }));
}
