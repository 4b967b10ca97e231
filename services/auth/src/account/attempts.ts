import type { SuiteError } from '@azora/db-core';
import type { Auth } from '../client';
import { accountLocked, passwordBlocked, sourceLocked } from '../errors';
import type { Device } from '../input';

/** What the database decided about an attempt, under the lock on the account that counts the attempt. */
export interface Judgement {
  readonly outcome: string;
  /** The end of the lock, if the outcome names one. */
  readonly until: Date | null;
}

/** The error for a lock that applies to an attempt with a password, or with any factor from a locked source. */
export function lockError(locked: string, until: Date | null): SuiteError | undefined {
  if (locked === 'blocked') return passwordBlocked();
  if (until === null) return undefined;
  return locked === 'source' ? sourceLocked(until) : accountLocked(until);
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

/** The origin of an attempt, as the last two parameters of the SQL functions. */
export function deviceValues({ ipAddress, userAgent }: Device): readonly (string | null)[] {
  return [ipAddress ?? null, userAgent ?? null];
}
