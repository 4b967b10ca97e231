import { domainToASCII } from 'node:url';

/** RFC 5321, 4.5.3.1, and the erratum 1690 of RFC 3696. */
const MAX_LOCAL = 64;
const MAX_EMAIL = 254;
/** A dot-atom of RFC 5322 in ASCII: a letter of another script that looks the same would be another mailbox. */
const LOCAL = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const DOMAIN = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The one spelling of an address, or undefined for what is none: without spaces around it, in lower case, its domain in
 * ASCII (UTS #46, so a look-alike domain shows as xn--…). The part before the @ is ASCII as it stands: were it
 * normalised, a mail to the spelling that was typed could reach somebody else's mailbox.
 */
export function normalizeEmail(text: string): string | undefined {
  const trimmed = text.trim();
  // Before anything that takes time: an address is short, in any script.
  if (trimmed.length > MAX_EMAIL) return undefined;
  const at = trimmed.lastIndexOf('@');
  const local = trimmed.slice(0, Math.max(at, 0));
  // Lower-cased only when in ASCII: other scripts have letters whose lower case is ASCII, such as the Kelvin sign.
  if (!/^[\x21-\x7e]+$/.test(local)) return undefined;
  const typed = trimmed.slice(at + 1);
  // These end a host name in a URL, and what follows would be lost.
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
