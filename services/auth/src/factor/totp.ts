import { generateSecret, generateURI, verifySync } from 'otplib';
import type { Auth } from '../client';

/** The use of an encrypted TOTP secret, bound to its ciphertext. */
export const TOTP_USE = 'totp';

/**
 * The use of a secret that waits for its first right code until a time. A client that writes to the database and lacks the key
 * can neither enable the secret nor let it wait longer.
 */
export function pendingTotpUse(until: Date): string {
  return `totp until ${until.toISOString()}`;
}

/** All authenticator apps support SHA-1, six digits and 30 seconds; few support the other options of RFC 6238. */
const STEP_SECONDS = 30;
/** RFC 4226, section 4, recommends 160 bits. */
const SECRET_BYTES = 20;

export interface TotpLabel {
  /** The service that asks for the code, as the app shows it. */
  readonly issuer: string;
  /** The account, as the app shows it. */
  readonly account: string;
}

/** Generates a secret of 160 random bits in base32. */
export function newTotpSecret(): string {
  return generateSecret({ length: SECRET_BYTES });
}

/** The URL that an app reads from a QR code: otpauth://totp/… */
export function totpUrl(secret: string, { issuer, account }: TotpLabel): string {
  return generateURI({ issuer, label: account, secret });
}

/**
 * The number of the 30-second step that the code belongs to: the step of `now`, the previous one or the next one. Null
 * for any other code. The caller checks whether the step was already used.
 */
export function totpStepOf(secret: string, code: string, now: Date): bigint | null {
  const epoch = Math.floor(now.getTime() / 1_000);
  const result = verifySync({ secret, token: code, epoch, epochTolerance: STEP_SECONDS });
  return result.valid && 'timeStep' in result ? BigInt(result.timeStep) : null;
}

export interface TotpSettings {
  /** Encrypted. */
  readonly totpSecret: string | null;
  readonly totpEnabled: boolean;
  /** When a secret that is not enabled yet ends. */
  readonly pendingUntil: Date | null;
  /** The database's time of the read, to which a code belongs. */
  readonly at: Date;
}

/** Reads the secret of a user, with the time; undefined for a user who never had a second factor. */
export async function readTotp(auth: Auth, userId: string): Promise<TotpSettings | undefined> {
  const [settings] = await auth.query<TotpSettings>({
    text: `SELECT totp_secret AS "totpSecret", totp_enabled AS "totpEnabled", totp_pending_until AS "pendingUntil",
        database_time() AS at
      FROM mfa_settings WHERE user_id = $1`,
    values: [userId],
  });
  return settings;
}
