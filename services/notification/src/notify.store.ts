import { newId, requestHash, type Statement } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Notifications, NotificationsTransaction } from './client';
import { readInput } from './errors';
import type { NotificationType } from './generated/client';
import {
  channelInput,
  keyInput,
  messageInput,
  metadataInput,
  pathInput,
  sourceInput,
  templateNameInput,
  titleInput,
  typeInput,
  valuesInput,
} from './input';
import { type Notification, type NotificationRow, notificationOf, onlyRow } from './rows';

/** The number of recipients of one call of notifyMany. */
const MAX_RECIPIENTS = 100_000;
/** A notification expires within the year for which it is kept. notify_user has no limit of its own. */
const MAX_EXPIRES_IN_MS = 365 * 86_400_000;
const DEFAULT_SOURCE = 'azora';

/** A channel beyond the app. */
export type SentChannel = z.infer<typeof channelInput>;
/** The values of a template, by the names of its places. */
export type TemplateValues = Readonly<Record<string, string>>;

/** What a notification says: its own text, or a template. */
export type NotificationText =
  | { readonly title: string; readonly message: string; readonly template?: never }
  | { readonly template: string; readonly title?: never; readonly message?: never };

interface Sending {
  /** `info` when absent, or the type of the template. */
  readonly type?: NotificationType;
  /** The service that sends; `azora` when absent. Users choose by it what they want to get. */
  readonly source?: string;
  /** A path of the app, the target of a click. */
  readonly actionUrl?: string;
  /** A JSON object of at most 16384 characters. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Milliseconds, at most 365 days, after which nobody sees the notification. */
  readonly expiresIn?: number;
  /** Sends it also by these channels, unless the user has switched them off for the source. */
  readonly channels?: readonly SentChannel[];
  /** Sends it at once on every channel, whatever the user prefers: for the safety of an account. */
  readonly urgent?: boolean;
  readonly idempotencyKey: string;
}

export type NotifyInput = Sending &
  NotificationText & {
    /** An auth.User. */
    readonly userId: string;
    readonly values?: TemplateValues;
  };

export type NotifyManyInput = Sending &
  NotificationText & {
    /** Ids of users, or users with the values of the template for each; 1 to 100000, each user once. */
    readonly recipients: readonly string[] | readonly { readonly userId: string; readonly values: TemplateValues }[];
  };

/** A notification that was sent to many users. */
export interface Batch {
  readonly id: string;
  /** The number of users. */
  readonly notified: number;
  readonly createdAt: Date;
}

const sending = {
  title: titleInput.optional(),
  message: messageInput.optional(),
  template: templateNameInput.optional(),
  type: typeInput.optional(),
  source: sourceInput.default(DEFAULT_SOURCE),
  actionUrl: pathInput.optional(),
  metadata: metadataInput.default({}),
  expiresIn: z.int().min(1).max(MAX_EXPIRES_IN_MS).optional(),
  channels: z
    .array(channelInput)
    .refine((channels) => new Set(channels).size === channels.length, 'names a channel twice')
    .default([]),
  urgent: z.boolean().default(false),
  idempotencyKey: keyInput,
};

interface Text {
  readonly title?: string | undefined;
  readonly message?: string | undefined;
  readonly template?: string | undefined;
}

const hasOneText = ({ title, message, template }: Text) =>
  template === undefined ? title !== undefined && message !== undefined : title === undefined && message === undefined;
const ONE_TEXT = { message: 'needs a title and a message, or a template without them', path: ['title'] };

const notifyInput = z
  .strictObject({ ...sending, userId: idInput, values: valuesInput.default({}) })
  .refine(hasOneText, ONE_TEXT);
const recipientsInput = z.union([
  z.array(idInput).min(1).max(MAX_RECIPIENTS),
  z
    .array(z.strictObject({ userId: idInput, values: valuesInput }))
    .min(1)
    .max(MAX_RECIPIENTS),
]);
const notifyManyInput = z.strictObject({ ...sending, recipients: recipientsInput }).refine(hasOneText, ONE_TEXT);

/**
 * Sends a notification to a user, once per user and key: the app shows it, and deliver() takes it to the other channels. Returns the
 * notification as it was sent, to a repeated call too.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`, `NOTIFICATION.KEY_REUSED`, `NOTIFICATION.TEMPLATE_NOT_FOUND`,
 *   `NOTIFICATION.TEMPLATE_VALUES`
 */
export async function notify(notifications: Notifications, input: NotifyInput): Promise<Notification> {
  return notificationOf(onlyRow(await notifications.query<NotificationRow>(notifyStatement(input))));
}

/**
 * Sends a notification in the transaction of its cause, as {@link notify} does: a consumer of events calls it with its `tx`.
 * @throws {SuiteError} as {@link notify}
 */
export async function notifyWithin(tx: NotificationsTransaction, input: NotifyInput): Promise<Notification> {
  const { text, values } = notifyStatement(input);
  return notificationOf(onlyRow(await tx.$queryRawUnsafe<NotificationRow[]>(text, ...values)));
}

const NOTIFY = `SELECT id, user_id, type, title, message, source, action_url, metadata, is_read, read_at, expires_at, created_at,
    updated_at, deleted_at
  FROM notify_user($1, $2, $3, $4, $5::notification_type, $6, $7, $8, $9::jsonb, $10, $11, $12::jsonb, $13::interval,
    $14::channel[], $15)`;

function notifyStatement(input: NotifyInput): Statement {
  const { idempotencyKey, userId, values, ...content } = readInput(notifyInput, input);
  const hash = requestHash({ ...content, userId, values });
  return {
    text: NOTIFY,
    values: [idempotencyKey, hash, newId(), userId, ...contentOf(content, JSON.stringify(values))],
  };
}

const NOTIFY_MANY = `SELECT id, notified, created_at
  FROM notify_many($1, $2, $3, $4::text[], $5::notification_type, $6, $7, $8, $9::jsonb[], $10, $11, $12::jsonb, $13::interval,
    $14::channel[], $15)`;

/**
 * Sends a notification to many users in one statement, once per key: to all of them or to none. Returns the batch, to a repeated
 * call too.
 * @throws {SuiteError} as {@link notify}
 */
export async function notifyMany(notifications: Notifications, input: NotifyManyInput): Promise<Batch> {
  const { idempotencyKey, recipients, ...content } = readInput(notifyManyInput, input);
  const userIds = recipients.map((recipient) => (typeof recipient === 'string' ? recipient : recipient.userId));
  if (new Set(userIds).size < userIds.length) readInput(noRecipientTwice, input);
  const values = recipients.flatMap((recipient) =>
    typeof recipient === 'string' ? [] : JSON.stringify(recipient.values),
  );
  const hash = requestHash({ ...content, recipients });
  const rows = await notifications.query<BatchRow>({
    text: NOTIFY_MANY,
    values: [idempotencyKey, hash, newId(), userIds, ...contentOf(content, values.length === 0 ? null : values)],
  });
  const { id, notified, created_at: createdAt } = onlyRow(rows);
  return { id, notified, createdAt };
}

interface BatchRow {
  readonly id: string;
  readonly notified: number;
  readonly created_at: Date;
}

const noRecipientTwice = z.looseObject({
  recipients: z.custom<unknown>(() => false, 'names a user twice'),
});

type Content = Omit<z.infer<typeof notifyInput>, 'userId' | 'values' | 'idempotencyKey'>;

/** The parameters from the type on, which both functions have. */
function contentOf(content: Content, values: string | readonly string[] | null): readonly unknown[] {
  const { type = null, title = null, message = null, template = null, source, actionUrl = null, expiresIn } = content;
  return [
    type,
    title,
    message,
    template,
    values,
    source,
    actionUrl,
    JSON.stringify(content.metadata),
    expiresIn === undefined ? null : `${expiresIn} milliseconds`,
    content.channels,
    content.urgent,
  ];
}
