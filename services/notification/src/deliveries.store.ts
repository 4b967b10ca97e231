import { newId } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { cursorInput, microsOf, pageOf, timeOfMicros } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Notifications } from './client';
import { readInput } from './errors';
import type { DeliveryStatus } from './generated/client';
import type { UserInput } from './notifications.store';
import type { SentChannel } from './notify.store';
import {
  type Delivery,
  NOTIFICATION_COLUMNS,
  type Notification,
  type NotificationRow,
  notificationOf,
  type Row,
} from './rows';

const MAX_CLAIMED = 1_000;
const DEFAULT_CLAIMED = 100;
const MAX_CONCURRENCY = 100;
const DEFAULT_CONCURRENCY = 10;
const MAX_LEASE_MS = 3_600_000;
const DEFAULT_LEASE_MS = 300_000;
const MAX_PAGE = 200;
const DEFAULT_PAGE = 50;

/** What a sender takes to a user: one notification, or a digest of several. */
export interface OutgoingMessage {
  /** The same when the message is sent again. A provider that knows it already need not deliver it twice. */
  readonly id: string;
  readonly channel: SentChannel;
  readonly userId: string;
  readonly isDigest: boolean;
  /** Oldest first. */
  readonly notifications: readonly Notification[];
  /** From 1; 5 is the last. */
  readonly attempt: number;
}

/**
 * Takes a message to its channel: an SMTP client, a push service. `undeliverable` means that another attempt is in vain, as for an
 * address that does not exist. An error means that it is tried again.
 */
export type Sender = (message: OutgoingMessage) => Promise<'sent' | 'undeliverable'>;

export interface DeliverInput {
  readonly sender: Sender;
  /** 1 to 1000 deliveries, and what belongs to the same digests; 100 when absent. */
  readonly limit?: number;
  /** How many messages the sender gets at the same time, 1 to 100; 10 when absent. */
  readonly concurrency?: number;
  /** Milliseconds, at most an hour, after which another worker may send what this one has not finished; 5 minutes when absent. */
  readonly leaseMs?: number;
}

/** The numbers are those of notifications, of which a digest has several. */
export interface DeliveryRun {
  readonly sent: number;
  /** They are tried again, after 30 s, 2, 8 and 32 minutes. */
  readonly retried: number;
  /** They are given up. */
  readonly failed: number;
  /** What the sender threw, by message. */
  readonly errors: readonly { readonly messageId: string; readonly error: unknown }[];
}

export interface ListDeliveriesInput extends UserInput {
  /** Only with these statuses. */
  readonly statuses?: readonly DeliveryStatus[];
  /** 1 to 200; 50 when absent. */
  readonly limit?: number;
  /** The `nextCursor` of the previous page. */
  readonly cursor?: string;
}

export interface DeliveryPage {
  /** Newest first. */
  readonly deliveries: readonly Delivery[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

const deliverInput = z.strictObject({
  sender: z.custom<Sender>((value) => typeof value === 'function', 'is not a function'),
  limit: z.int().min(1).max(MAX_CLAIMED).default(DEFAULT_CLAIMED),
  concurrency: z.int().min(1).max(MAX_CONCURRENCY).default(DEFAULT_CONCURRENCY),
  leaseMs: z.int().min(1).max(MAX_LEASE_MS).default(DEFAULT_LEASE_MS),
});

const CLAIM = `
  SELECT c.message_id, c.channel, c.is_digest, c.attempts, ${NOTIFICATION_COLUMNS}
  FROM claim_deliveries($1, $2, $3::interval) AS c
  JOIN notifications AS n ON n.id = c.notification_id
  JOIN recipients AS r ON r.user_id = n.user_id
  ORDER BY c.message_id COLLATE "C", n.created_at, n.id`;

type ClaimedRow = NotificationRow & {
  readonly message_id: string;
  readonly channel: SentChannel;
  readonly is_digest: boolean;
  readonly attempts: number;
};

/**
 * Sends what is due: claims deliveries, hands them to the sender, and records the outcomes. Call it again and again, while it sends
 * something at once, in any number of processes; each message is with one of them at a time. A process that dies leaves its claim to
 * others when the lease ends, so a message may be sent twice, with the same id.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export async function deliver(notifications: Notifications, input: DeliverInput): Promise<DeliveryRun> {
  const { sender, limit, concurrency, leaseMs } = readInput(deliverInput, input);
  const claimId = newId();
  const rows = await notifications.query<ClaimedRow>({
    text: CLAIM,
    values: [claimId, limit, `${leaseMs} milliseconds`],
  });
  const messages = messagesOf(rows);
  const outcomes: { readonly messageId: string; readonly outcome: string; readonly error?: unknown }[] = [];
  const waiting = messages.values();
  const work = async () => {
    for (const message of waiting) outcomes.push({ messageId: message.id, ...(await outcomeOf(sender, message)) });
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, messages.length) }, work));
  const counts = outcomes.length === 0 ? [] : await finish(notifications, claimId, outcomes);
  const countOf = (status: DeliveryStatus) => counts.find((row) => row.status === status)?.deliveries ?? 0;
  return {
    sent: countOf('sent'),
    retried: countOf('pending'),
    failed: countOf('failed'),
    errors: outcomes.flatMap(({ messageId, error }) => (error === undefined ? [] : [{ messageId, error }])),
  };
}

function messagesOf(rows: readonly ClaimedRow[]): readonly OutgoingMessage[] {
  const byMessage = new Map<string, ClaimedRow[]>();
  for (const row of rows) {
    const known = byMessage.get(row.message_id);
    if (known === undefined) byMessage.set(row.message_id, [row]);
    else known.push(row);
  }
  return [...byMessage].flatMap(([id, [first, ...others]]) =>
    first === undefined
      ? []
      : [
          {
            id,
            channel: first.channel,
            userId: first.user_id,
            isDigest: first.is_digest,
            notifications: [first, ...others].map(notificationOf),
            attempt: first.attempts,
          },
        ],
  );
}

async function outcomeOf(sender: Sender, message: OutgoingMessage) {
  try {
    return { outcome: await sender(message) };
  } catch (error) {
    return { outcome: 'retry', error: error ?? new Error('the sender threw nothing') };
  }
}

interface StatusCount {
  readonly status: DeliveryStatus;
  readonly deliveries: number;
}

function finish(
  notifications: Notifications,
  claimId: string,
  outcomes: readonly { readonly messageId: string; readonly outcome: string }[],
): Promise<readonly StatusCount[]> {
  return notifications.query<StatusCount & { readonly [column: string]: unknown }>({
    text: 'SELECT * FROM finish_deliveries($1, $2::text[], $3::text[])',
    values: [claimId, outcomes.map(({ messageId }) => messageId), outcomes.map(({ outcome }) => outcome)],
  });
}

const listInput = z.strictObject({
  userId: idInput,
  statuses: z
    .array(z.enum(['pending', 'sending', 'sent', 'failed', 'cancelled']))
    .min(1)
    .optional(),
  limit: z.int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE),
  cursor: cursorInput.optional(),
});

/** A notification has several deliveries, so the id of a place in the list is that of both keys. */
const LIST = `
  SELECT d.*, d.notification_id || '/' || d.channel AS id, ${microsOf('d.created_at')} AS micros
  FROM deliveries AS d
  WHERE d.user_id = $1 AND ($2::delivery_status[] IS NULL OR d.status = ANY ($2))
    AND ($3::bigint IS NULL OR (d.created_at, d.notification_id || '/' || d.channel) < (${timeOfMicros('$3')}, $4))
  ORDER BY d.created_at DESC, d.notification_id || '/' || d.channel DESC LIMIT $5`;

type DeliveryRow = Row<Delivery> & { readonly id: string; readonly micros: string };

/**
 * A page of the deliveries to a user, newest first.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export async function listDeliveries(notifications: Notifications, input: ListDeliveriesInput): Promise<DeliveryPage> {
  const { userId, statuses = null, limit, cursor } = readInput(listInput, input);
  const found = await notifications.query<DeliveryRow>({
    text: LIST,
    values: [userId, statuses, cursor?.micros ?? null, cursor?.id ?? null, limit + 1],
  });
  const { rows, nextCursor } = pageOf(found, limit);
  return { deliveries: rows.map(deliveryOf), nextCursor };
}

function deliveryOf(row: DeliveryRow): Delivery {
  return {
    notificationId: row.notification_id,
    channel: row.channel,
    userId: row.user_id,
    mode: row.mode,
    urgent: row.urgent,
    status: row.status,
    attempts: row.attempts,
    nextAt: row.next_at,
    messageId: row.message_id,
    sentAt: row.sent_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
