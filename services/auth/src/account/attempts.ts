import { type AuditDetails, writeEntry } from '../audit/entries';
import type { Auth, AuthTransaction } from '../client';
import { accountLocked, userNotFound } from '../errors';
import type { Device } from '../input';

export interface FailAttemptInput {
  readonly userId: string;
  /** What failed: LOGIN_FAILED, MFA_FAILED. */
  readonly action: string;
  readonly details?: AuditDetails | undefined;
  readonly device?: Device | undefined;
}

/**
 * Counts an attempt before a factor is checked, so concurrent guesses cannot exceed the limit.
 * If the factor is right, the caller returns the attempt; otherwise it stays counted.
 * @throws {SuiteError} `AUTH.LOCKED`, `AUTH.USER_NOT_FOUND`
 */
export async function claimAttempt(auth: Auth, { userId }: { readonly userId: string }): Promise<void> {
  const [claim] = await auth.query<{ admitted: boolean; until: Date | null }>({
    text: `SELECT admitted, until FROM claim_attempt($1, ${lockoutParameters(2)})`,
    values: [userId, ...lockoutValues(auth)],
  });
  if (claim?.admitted === true) return;
  throw claim?.until ? accountLocked(claim.until) : userNotFound(userId);
}

/** Returns an attempt whose factor was right although no sign-in is complete. Earlier failures stay counted. */
export async function returnAttempt(tx: AuthTransaction, userId: string): Promise<void> {
  await tx.$executeRaw`SELECT return_attempt(${userId})`;
}

/** Writes the audit entry of a failed attempt, which `claimAttempt` has already counted. */
export async function failAttempt(auth: Auth, input: FailAttemptInput): Promise<void> {
  await writeEntry(auth, { ...input, resourceType: 'user', resourceId: input.userId });
}

/** SQL for the lockout settings, as parameters from number `first`: limit, window, first lock, longest lock. */
export function lockoutParameters(first: number): string {
  const interval = (n: number) => `$${first + n}::float8 * interval '1 ms'`;
  return `$${first}::int, ${interval(1)}, ${interval(2)}, ${interval(3)}`;
}

/** The values of `lockoutParameters`. */
export function lockoutValues({ settings: { lockout } }: Auth): readonly number[] {
  return [lockout.attempts, lockout.windowMs, lockout.lockMs, lockout.maxLockMs];
}
