import type { FaultTable } from '@azora/db-core';
import { emailTaken, usernameTaken } from './errors';
import { organizationFaults } from './organization-errors';

/** What the database refuses, by the constraint that did. */
export const faults: FaultTable = {
  idx_users_email: emailTaken,
  users_email_lower_key: emailTaken,
  users_username_lower_key: usernameTaken,
  ...organizationFaults,
};
