import { type AuditDetails, writeEntry } from './audit';
import type { Auth, AuthTransaction } from './client';
import { accountLocked, userNotFound } from './errors';
import type { Device } from './input';

export interface FailAttemptInput {
  readonly userId: string;
  /** What failed: LOGIN_FAILED, MFA_FAILED. */
  readonly action: string;
  readonly details?: AuditDetails | undefined;
  readonly device?: Device | undefined;
}

/**
 * Takes one of the account's tries, before a factor is looked at: of any number at once, no more than the limit are
 * looked at. Who succeeds gives it back; who does not leaves it counted.
 * @throws {SuiteError} `AUTH.LOCKED`, `AUTH.USER_NOT_FOUND`
 */
export async function claimAttempt(auth: Auth, { userId }: { readonly userId: string }): Promise<void> {
  const [claim] = await auth.query<{ admitted: boolean; until: Date | null }>({
    text: `SELECT admitted, until FROM claim_attempt($1, $2, ${lockoutParameters(3)})`,
    values: [userId, auth.clock(), ...lockoutValues(auth)],
  });
  if (claim?.admitted === true) return;
  throw claim?.until ? accountLocked(claim.until) : userNotFound(userId);
}

/** Gives a try back, whose factor was right though the sign-in is not complete; earlier failures stay counted. */
export async function returnAttempt(
  tx: AuthTransaction,
  { userId, at }: { readonly userId: string; readonly at: Date },
): Promise<void> {
  await tx.$executeRaw`SELECT return_attempt(${userId}, ${at})`;
}

/** Writes down that a try failed. It was counted when it was claimed. */
export async function failAttempt(auth: Auth, input: FailAttemptInput): Promise<void> {
  await writeEntry(auth, { at: auth.clock(), ...input, resourceType: 'user', resourceId: input.userId });
}

/** The lockout's settings as SQL, from a parameter on: limit, window, first lock, longest lock. */
export function lockoutParameters(first: number): string {
  const interval = (n: number) => `$${first + n}::float8 * interval '1 ms'`;
  return `$${first}::int, ${interval(1)}, ${interval(2)}, ${interval(3)}`;
}

export function lockoutValues({ settings: { lockout } }: Auth): readonly number[] {
  return [lockout.attempts, lockout.windowMs, lockout.lockMs, lockout.maxLockMs];
}
