import { generateSecret, generateURI, verifySync } from 'otplib';

/** What every authenticator app can do: SHA-1, six digits, 30 seconds (RFC 6238 leaves more open than they read). */
const STEP_SECONDS = 30;
/** RFC 4226, section 4, recommends 160 bits. */
const SECRET_BYTES = 20;

export interface TotpLabel {
  /** Who asks for the code, as the app shows it. */
  readonly issuer: string;
  /** Whose account it is, as the app shows it. */
  readonly account: string;
}

/** A new secret of 160 random bits in base32. */
export function newTotpSecret(): string {
  return generateSecret({ length: SECRET_BYTES });
}

/** What an app reads from a QR code: otpauth://totp/… */
export function totpUrl(secret: string, { issuer, account }: TotpLabel): string {
  return generateURI({ issuer, label: account, secret });
}

/**
 * The number of the 30-second step whose code it is, among that of `now`, the one before and the one after; null for
 * any other code. Whether that step was used already is the caller's to know.
 */
export function totpStepOf(secret: string, code: string, now: Date): bigint | null {
  const epoch = Math.floor(now.getTime() / 1_000);
  const result = verifySync({ secret, token: code, epoch, epochTolerance: STEP_SECONDS });
  return result.valid && 'timeStep' in result ? BigInt(result.timeStep) : null;
}
