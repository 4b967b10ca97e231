import type { AuthTransaction } from './client';
import { accountInactive, userNotFound } from './errors';

export interface LockedAccount {
  readonly id: string;
  readonly email: string;
  readonly emailVerified: boolean;
  readonly isActive: boolean;
  readonly lockedUntil: Date | null;
}

/**
 * Locks an account's row to the end of the transaction: what changes its factors, memberships or end goes one after the
 * other.
 * @throws {SuiteError} `AUTH.USER_NOT_FOUND`
 */
export async function lockAccount(tx: AuthTransaction, userId: string): Promise<LockedAccount> {
  // Not FOR UPDATE: rows that refer to the user may be written meanwhile.
  const [account] = await tx.$queryRaw<LockedAccount[]>`
    SELECT id, email, email_verified AS "emailVerified", is_active AS "isActive", locked_until AS "lockedUntil"
    FROM users WHERE id = ${userId} AND deleted_at IS NULL FOR NO KEY UPDATE`;
  if (account === undefined) throw userNotFound(userId);
  return account;
}

/**
 * As `lockAccount`, of who may act.
 * @throws {SuiteError} `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function lockActiveAccount(tx: AuthTransaction, userId: string): Promise<LockedAccount> {
  const account = await lockAccount(tx, userId);
  if (!account.isActive) throw accountInactive();
  return account;
}
