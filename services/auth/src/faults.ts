import type { ConstraintErrors } from '@azora/db-core';
import { emailTaken, usernameTaken } from './errors';
import { organizationFaults } from './organization-errors';

/** What the database refuses, by the constraint that did. */
export const faults: ConstraintErrors = {
  idx_users_email: emailTaken,
  users_email_lower_key: emailTaken,
  users_username_lower_key: usernameTaken,
  ...organizationFaults,
};
