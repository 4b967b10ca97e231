import type { Environment, StoreOptions } from '@azora/db-core';
import { z } from 'zod';
import { type Keyring, readKeyring } from './encryption/encryption';
import { readInput } from './errors';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** How long a code, an enrollment or, at most, a challenge waits for a second factor (ASVS 5.0, 6.5.5: 10 minutes). */
export const PENDING_MS = 10 * MINUTE_MS;

/**
 * The limit on attempts at an account, and the locks that follow. The password and the second factor have counters and locks of
 * their own. A network is locked for one account after half as many failures, and for all accounts after ten times as many.
 */
export interface LockoutSettings {
  /** The number of wrong passwords within `windowMs`, or of wrong codes in a row, that locks the account. */
  readonly attempts: number;
  readonly windowMs: number;
  /** The duration of the first lock. Each further lock lasts twice as long as the previous one, up to `maxLockMs`. */
  readonly lockMs: number;
  readonly maxLockMs: number;
}

/** The settings of a handle; durations in milliseconds. */
export interface AuthSettings {
  /** The bcrypt cost, as a power of two: a hash with cost 12 takes about 0.2 s. */
  readonly bcryptCost: number;
  readonly lockout: LockoutSettings;
  /** The lifetime of a session token after sign-in or refresh. */
  readonly sessionTokenMs: number;
  /** A session ends after this time without a refresh. */
  readonly sessionIdleMs: number;
  /** A session ends after this time in any case (NIST SP 800-63B, 4.1.3: 30 days). */
  readonly sessionAbsoluteMs: number;
  readonly emailVerificationMs: number;
  readonly passwordResetMs: number;
  /** The lifetime of a challenge for a second factor; at most ten minutes, as for every code that answers it. */
  readonly mfaChallengeMs: number;
  /** Whether a sign-in needs a verified address. */
  readonly requireVerifiedEmail: boolean;
}

export interface AuthOptions extends StoreOptions, Partial<Omit<AuthSettings, 'lockout'>> {
  readonly lockout?: Partial<LockoutSettings>;
  /** Keys for secrets at rest, as `v2:<key>,v1:<key>`, newest first. Default: `AZORA_ENCRYPTION_KEY`. */
  readonly encryptionKeys?: string;
}

export const DEFAULT_SETTINGS: AuthSettings = {
  bcryptCost: 12,
  lockout: { attempts: 10, windowMs: 15 * MINUTE_MS, lockMs: 15 * MINUTE_MS, maxLockMs: DAY_MS },
  sessionTokenMs: 15 * MINUTE_MS,
  sessionIdleMs: 7 * DAY_MS,
  sessionAbsoluteMs: 30 * DAY_MS,
  emailVerificationMs: DAY_MS,
  passwordResetMs: HOUR_MS,
  mfaChallengeMs: PENDING_MS,
  requireVerifiedEmail: false,
};

/** The longest lives that the constraints and triggers of the database permit. */
const LONGEST = {
  session: 366 * DAY_MS,
  verification: 31 * DAY_MS,
  reset: DAY_MS,
  challenge: PENDING_MS,
  lock: 31 * DAY_MS,
};

const duration = (longestMs: number) => z.int().min(1).max(longestMs);

const settingsInput = z.object({
  // bcrypt's own limits are 4 and 31; 20 takes a minute.
  bcryptCost: z.int().min(4).max(20),
  lockout: z.strictObject({
    attempts: z.int().min(1).max(1_000),
    windowMs: duration(LONGEST.lock),
    lockMs: duration(LONGEST.lock),
    maxLockMs: duration(LONGEST.lock),
  }),
  sessionTokenMs: duration(LONGEST.session),
  sessionIdleMs: duration(LONGEST.session),
  sessionAbsoluteMs: duration(LONGEST.session),
  emailVerificationMs: duration(LONGEST.verification),
  // Shorter ones could expire before the limit of messages permits the next.
  passwordResetMs: duration(LONGEST.reset).min(HOUR_MS),
  mfaChallengeMs: duration(LONGEST.challenge),
  requireVerifiedEmail: z.boolean(),
});

/**
 * Merges the options with the defaults.
 * @throws {SuiteError} `AUTH.INVALID_INPUT`
 */
export function readSettings(options: AuthOptions): AuthSettings {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  return readInput(settingsInput, {
    ...DEFAULT_SETTINGS,
    ...given,
    lockout: { ...DEFAULT_SETTINGS.lockout, ...options.lockout },
  });
}

/**
 * Reads the keys from the option or, without it, from the environment.
 * @throws {SuiteError} `AUTH.ENCRYPTION_KEY_INVALID`
 */
export function keyringOf({ encryptionKeys }: AuthOptions, environment: Environment): Keyring | undefined {
  return readKeyring(encryptionKeys ?? environment['AZORA_ENCRYPTION_KEY']);
}
