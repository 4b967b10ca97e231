import type { Auth, AuthTransaction } from '../client';
import type { Device } from '../input';

/** Every message that a caller can ask for. `request_password_reset` counts its own in SQL. */
export type MessageKind = 'email_verification' | 'invitation' | 'code_sms' | 'code_email';

export interface LimitedMessage {
  readonly kind: MessageKind;
  /** Whom the message reaches: ids of accounts, addresses, numbers. Each is limited by itself. */
  readonly recipients: readonly string[];
  /** Who causes it, besides the network of the device: ids of accounts. */
  readonly senders?: readonly string[];
  readonly device: Device;
}

export interface TakenMessage {
  /** Whether the message may be sent. If not, nothing was counted. */
  readonly granted: boolean;
  /** The earliest time for the next one. */
  readonly nextAt: Date;
}

/** Counts a message that is about to be sent, if the limits of its recipients, its senders and its network allow it. */
export async function takeMessage(
  tx: AuthTransaction,
  { kind, recipients, senders = [], device }: LimitedMessage,
): Promise<TakenMessage> {
  const [taken] = await tx.$queryRaw<TakenMessage[]>`
    SELECT granted, next_at AS "nextAt"
    FROM take_message(${kind}, ${recipients}::text[], ${senders}::text[], ${device.ipAddress ?? null})`;
  if (taken === undefined) throw new Error('take_message returned no row');
  return taken;
}

/** Counts a registration, which sends a verification token, if the limit of its network allows it. */
export async function takeRegistration(auth: Auth, { ipAddress }: Device): Promise<TakenMessage> {
  const [taken] = await auth.query<TakenMessage>({
    text: `SELECT granted, next_at AS "nextAt" FROM take_message('registration', '{}', '{}', $1)`,
    values: [ipAddress ?? null],
  });
  if (taken === undefined) throw new Error('take_message returned no row');
  return taken;
}

type ToRecipients = Pick<LimitedMessage, 'kind' | 'recipients'>;

/** Lets the next message follow at once, because this one could not be sent. It stays counted. */
export async function withdrawMessage(tx: AuthTransaction, { kind, recipients }: ToRecipients): Promise<void> {
  await tx.$executeRaw`SELECT withdraw_message(${kind}, ${recipients}::text[])`;
}

/** Forgets the messages to recipients who answered one. */
export async function forgetMessages(tx: AuthTransaction, { kind, recipients }: ToRecipients): Promise<void> {
  await tx.$executeRaw`SELECT forget_messages(${kind}, ${recipients}::text[])`;
}
