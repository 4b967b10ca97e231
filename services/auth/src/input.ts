import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { textInput } from '@azora/db-core/input';
import { z } from 'zod';

/** RFC 5321, section 4.5.3.1, and erratum 1690 of RFC 3696. */
const MAX_LOCAL = 64;
const MAX_EMAIL = 254;
/** A dot-atom of RFC 5322 in ASCII. A look-alike letter of another script would be another mailbox. */
const LOCAL = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const DOMAIN = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The canonical form of an email address, or undefined for text that is not one. The form has no surrounding spaces, is in
 * lower case, and has its domain in ASCII (UTS #46, so a look-alike domain appears as xn--…). The part before the @ must
 * be ASCII already: if it were normalized, mail to the typed address could reach another person's mailbox.
 */
export function normalizeEmail(text: string): string | undefined {
  const trimmed = text.trim();
  // Before anything that takes time: an address is short, in any script.
  if (trimmed.length > MAX_EMAIL) return undefined;
  const at = trimmed.lastIndexOf('@');
  const local = trimmed.slice(0, Math.max(at, 0));
  // Before lower-casing: other scripts have letters whose lower case is ASCII, such as the Kelvin sign.
  if (!/^[\x21-\x7e]+$/.test(local)) return undefined;
  const typed = trimmed.slice(at + 1);
  // These characters end a host name in a URL, and domainToASCII would drop the rest.
  if (/[\s/?#\\:@[\]%]/.test(typed)) return undefined;
  const domain = domainToASCII(typed);
  const email = `${local.toLowerCase()}@${domain}`;
  const isAddress =
    local.length <= MAX_LOCAL &&
    email.length <= MAX_EMAIL &&
    LOCAL.test(local.toLowerCase()) &&
    DOMAIN.test(domain) &&
    !/\.\d+$/.test(domain);
  return isAddress ? email : undefined;
}

/**
 * Whether two stored addresses are the same: their canonical forms are equal. In SQL the rule is `lower(email)` compared
 * with a canonical address by `=`, because `_` and `%` are letters of an address and patterns of LIKE.
 */
export function isSameEmail(one: string, other: string): boolean {
  return (normalizeEmail(one) ?? one.toLowerCase()) === (normalizeEmail(other) ?? other.toLowerCase());
}

/** An email address, parsed into its canonical form. */
export const emailInput: z.ZodType<string> = z.string().transform((text, context) => {
  const email = normalizeEmail(text);
  if (email !== undefined) return email;
  context.addIssue({ code: 'custom', message: 'is not an email address' });
  return z.NEVER;
});

/** A token as it was issued: 256 random bits in base64url. Malformed text gets the same answer as an unknown token. */
export const tokenInput: z.ZodType<string> = z.string().max(200);

/** A password to check: any text, because only its hash decides. */
export const claimedPasswordInput: z.ZodType<string> = textInput(4_096);

/** The origin of a request, for the audit log and the list of sessions. */
export interface Device {
  readonly ipAddress?: string;
  readonly userAgent?: string;
}

export const deviceInput = z
  .strictObject({
    ipAddress: z
      .string()
      .max(45)
      .refine((text) => isIP(text) !== 0, 'is not an IP address')
      .optional(),
    userAgent: textInput(1_000).optional(),
  })
  .transform(
    ({ ipAddress, userAgent }): Device => ({
      ...(ipAddress === undefined ? {} : { ipAddress }),
      ...(userAgent === undefined ? {} : { userAgent }),
    }),
  )
  .default({});
