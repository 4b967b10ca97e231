import type { Auth, AuthTransaction } from '../client';
import { accountInactive, userNotFound } from '../errors';

/** An account whose row is locked until the transaction ends. */
export interface LockedAccount {
  readonly id: string;
  readonly email: string;
  readonly emailVerified: boolean;
  readonly isActive: boolean;
  /** The end of the lock of the second factor. */
  readonly factorLockedUntil: Date | null;
  readonly factorFailures: number;
  /** The database's time once the row was locked. */
  readonly at: Date;
}

export interface InsideAccount {
  readonly tx: AuthTransaction;
  readonly account: LockedAccount;
  readonly at: Date;
  /** Whether a proof ended a lock of the password, which the audit entry of the call must tell. */
  readonly unlocked?: boolean;
}

/**
 * Locks the row of an account until the transaction ends, so that changes to its factors, memberships and end are
 * serialized. Returns the time with it, by which the transaction judges what expires.
 * @throws {SuiteError} `AUTH.USER_NOT_FOUND`
 */
export async function lockAccount(tx: AuthTransaction, userId: string): Promise<LockedAccount> {
  // Weaker than FOR UPDATE, so that other transactions can still insert rows that refer to the user. The outer SELECT
  // reads the time when the inner one holds the lock.
  const [account] = await tx.$queryRaw<LockedAccount[]>`
    SELECT id, email, email_verified AS "emailVerified", is_active AS "isActive",
      factor_locked_until AS "factorLockedUntil", factor_failed_count AS "factorFailures", database_time() AS at
    FROM (SELECT * FROM users WHERE id = ${userId} AND deleted_at IS NULL FOR NO KEY UPDATE) AS account`;
  if (account === undefined) throw userNotFound(userId);
  return account;
}

/**
 * Locks the row of an account as `lockAccount` does, and rejects a deactivated account.
 * @throws {SuiteError} `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function lockActiveAccount(tx: AuthTransaction, userId: string): Promise<LockedAccount> {
  const account = await lockAccount(tx, userId);
  if (!account.isActive) throw accountInactive();
  return account;
}

/**
 * Locks the rows of accounts in the order of their ids, so that two changes of the same accounts cannot deadlock. Returns
 * the ids of those that are active.
 */
export async function lockAccounts(
  tx: AuthTransaction,
  userIds: readonly (string | null)[],
): Promise<ReadonlySet<string>> {
  const ids = userIds.filter((id) => id !== null);
  const accounts = await tx.$queryRaw<{ id: string; isActive: boolean }[]>`
    SELECT id, is_active AS "isActive" FROM users WHERE id = ANY (${ids}::text[])
    ORDER BY id COLLATE "C" FOR NO KEY UPDATE`;
  return new Set(accounts.filter(({ isActive }) => isActive).map(({ id }) => id));
}

/**
 * Locks the rows of active accounts as `lockAccounts` does. Returns the database's time once all of them are locked.
 * @throws {SuiteError} `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export async function lockActiveAccounts(
  tx: AuthTransaction,
  userIds: readonly string[],
): Promise<{ readonly at: Date }> {
  const accounts = await tx.$queryRaw<{ id: string; isActive: boolean; at: Date }[]>`
    WITH locked AS MATERIALIZED (
      SELECT id, is_active FROM users WHERE id = ANY (${userIds}::text[]) AND deleted_at IS NULL
      ORDER BY id COLLATE "C" FOR NO KEY UPDATE
    ), counted AS MATERIALIZED (SELECT count(*) FROM locked)
    SELECT id, is_active AS "isActive", database_time() AS at FROM counted CROSS JOIN locked`;
  for (const id of userIds) {
    const account = accounts.find((it) => it.id === id);
    if (account === undefined) throw userNotFound(id);
    if (!account.isActive) throw accountInactive();
  }
  const [locked] = accounts;
  if (locked === undefined) throw new Error('There is no account to lock');
  return { at: locked.at };
}

/**
 * Runs `work` in a transaction that holds the lock on an active account.
 * @throws {SuiteError} `AUTH.USER_NOT_FOUND`, `AUTH.ACCOUNT_INACTIVE`
 */
export function inAccount<Result>(
  auth: Auth,
  userId: string,
  work: (inside: InsideAccount) => Promise<Result>,
): Promise<Result> {
  return auth.transaction(async (tx) => {
    const account = await lockActiveAccount(tx, userId);
    return work({ tx, account, at: account.at });
  });
}
