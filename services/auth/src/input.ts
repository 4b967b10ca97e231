import { isIP } from 'node:net';
import { textInput } from '@azora/db-core/input';
import { z } from 'zod';
import { normalizeEmail } from './email';

/** An e-mail address in any spelling, read as its one spelling. */
export const emailInput: z.ZodType<string> = z.string().transform((text, context) => {
  const email = normalizeEmail(text);
  if (email !== undefined) return email;
  context.addIssue({ code: 'custom', message: 'is no e-mail address' });
  return z.NEVER;
});

/**
 * A token as it was given out: 256 random bits in base64url. What cannot be one is answered like one that is unknown.
 */
export const tokenInput: z.ZodType<string> = z.string().max(200);

/** A password that somebody claims to have: any text, for whether it is right is the hash's to say. */
export const claimedPasswordInput: z.ZodType<string> = textInput(4_096);

/** Where a request came from, for the audit log and the list of sessions. */
export interface Device {
  readonly ipAddress?: string;
  readonly userAgent?: string;
}

export const deviceInput = z
  .strictObject({
    ipAddress: z
      .string()
      .max(45)
      .refine((text) => isIP(text) !== 0, 'is no IP address')
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
