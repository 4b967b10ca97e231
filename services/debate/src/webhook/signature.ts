import { createHmac, timingSafeEqual } from 'node:crypto';

const PREFIX = 'whsec_';
/** How far the time of a message may be from the receiver's clock, as the specification recommends. */
const TOLERANCE_SECONDS = 300;

/** A message that is signed as standardwebhooks.com specifies. */
export interface SignedMessage {
  readonly messageId: string;
  /** Seconds since 1970. */
  readonly timestamp: number;
  /** The exact text of the body. */
  readonly body: string;
}

export interface VerifyWebhookInput extends SignedMessage {
  readonly secret: string;
  /** The header `webhook-signature`: signatures with spaces between them. */
  readonly signature: string;
  /** The receiver's time. */
  readonly now: Date;
}

/** The header `webhook-signature` of a message: `v1,` and the HMAC-SHA-256 of id, time and body in base64. */
export function signWebhook(secret: string, { messageId, timestamp, body }: SignedMessage): string {
  const key = Buffer.from(secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret, 'base64');
  return `v1,${createHmac('sha256', key).update(`${messageId}.${timestamp}.${body}`).digest('base64')}`;
}

/** Whether a received message was signed with the secret, at most five minutes before or after the receiver's time. */
export function verifyWebhook({ secret, signature, now, ...message }: VerifyWebhookInput): boolean {
  if (!(Math.abs(now.getTime() / 1_000 - message.timestamp) <= TOLERANCE_SECONDS)) return false;
  const expected = Buffer.from(signWebhook(secret, message));
  return signature.split(' ').some((each) => {
    const given = Buffer.from(each);
    return given.length === expected.length && timingSafeEqual(given, expected);
  });
}
