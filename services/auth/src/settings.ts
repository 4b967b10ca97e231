import type { Environment, StoreOptions } from '@azora/db-core';
import { z } from 'zod';
import { type Keyring, readKeyring } from './encryption';
import { readInput } from './errors';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Tries of one account, whatever the factor, and the locks that they lead to. */
export interface LockoutSettings {
  /** So many failed tries within `windowMs` lock the account. */
  readonly attempts: number;
  readonly windowMs: number;
  /** How long the first lock lasts; each further one twice as long as the one before. */
  readonly lockMs: number;
  readonly maxLockMs: number;
}

/** What can be chosen for a handle; times in milliseconds. */
export interface AuthSettings {
  /** Rounds of bcrypt as a power of two: 12 takes about 0.2 s. */
  readonly bcryptCost: number;
  readonly lockout: LockoutSettings;
  /** A session's token is good for so long after sign-in or refresh. */
  readonly sessionTokenMs: number;
  /** A session that is not refreshed for so long is over. */
  readonly sessionIdleMs: number;
  /** A session is over after so long, however often it is refreshed (NIST SP 800-63B, 4.1.3: 30 days). */
  readonly sessionAbsoluteMs: number;
  readonly emailVerificationMs: number;
  readonly passwordResetMs: number;
  readonly mfaChallengeMs: number;
  /** Whether who has not verified the address yet is refused at sign-in. */
  readonly requireVerifiedEmail: boolean;
}

export interface AuthOptions extends StoreOptions, Partial<Omit<AuthSettings, 'lockout'>> {
  readonly lockout?: Partial<LockoutSettings>;
  /** Keys for secrets at rest, as `v2:<key>,v1:<key>`, newest first; without it `AZORA_ENCRYPTION_KEY` is read. */
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
  mfaChallengeMs: 10 * MINUTE_MS,
  requireVerifiedEmail: false,
};

/** Ten years: what is longer is a mistake of units. */
const duration = z
  .int()
  .min(1)
  .max(3_650 * DAY_MS);

const settingsInput = z.object({
  // bcrypt's own limits are 4 and 31; 20 takes a minute.
  bcryptCost: z.int().min(4).max(20),
  lockout: z.strictObject({
    attempts: z.int().min(1).max(1_000),
    windowMs: duration,
    lockMs: duration,
    maxLockMs: duration,
  }),
  sessionTokenMs: duration,
  sessionIdleMs: duration,
  sessionAbsoluteMs: duration,
  emailVerificationMs: duration,
  passwordResetMs: duration,
  mfaChallengeMs: duration,
  requireVerifiedEmail: z.boolean(),
});

/**
 * The options with the defaults of what is not given.
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
 * The keys of the option, else of the environment.
 * @throws {SuiteError} `AUTH.ENCRYPTION_KEY_INVALID`
 */
export function keyringOf({ encryptionKeys }: AuthOptions, environment: Environment): Keyring | undefined {
  return readKeyring(encryptionKeys ?? environment['AZORA_ENCRYPTION_KEY']);
}
