import { idInput } from '@azora/db-core/input';
import { cursorInput, microsOf, pageOf, timeOfMicros } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Notifications } from './client';
import { notificationNotFound, readInput } from './errors';
import type { NotificationType } from './generated/client';
import { oneInput, sourceInput, typeInput, userInput } from './input';
import { NOTIFICATION_COLUMNS, type Notification, type NotificationRow, notificationOf, onlyRow } from './rows';

const MAX_PAGE = 200;
const DEFAULT_PAGE = 50;
/** The number of notifications that one call of expireNotifications or pruneNotifications deletes. */
const MAX_SWEPT = 10_000;
const DEFAULT_SWEPT = 1_000;

export interface UserInput {
  /** An auth.User. */
  readonly userId: string;
}

export interface NotificationInput extends UserInput {
  readonly notificationId: string;
}

export interface ListNotificationsInput extends UserInput {
  /** `all` that the user sees, when absent; `unread` ones only; or `deleted` ones, which can be restored. */
  readonly show?: 'all' | 'unread' | 'deleted';
  /** Only these types. */
  readonly types?: readonly NotificationType[];
  /** Only from this service. */
  readonly source?: string;
  /** 1 to 200; 50 when absent. */
  readonly limit?: number;
  /** The `nextCursor` of the previous page. */
  readonly cursor?: string;
}

export interface NotificationPage {
  /** Newest first. */
  readonly notifications: readonly Notification[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

export interface SweepInput {
  /** 1 to 10000 notifications; 1000 when absent. */
  readonly limit?: number;
}

const listInput = z.strictObject({
  userId: idInput,
  show: z.enum(['all', 'unread', 'deleted']).default('all'),
  types: z.array(typeInput).min(1).optional(),
  source: sourceInput.optional(),
  limit: z.int().min(1).max(MAX_PAGE).default(DEFAULT_PAGE),
  cursor: cursorInput.optional(),
});
const sweepInput = z.strictObject({ limit: z.int().min(1).max(MAX_SWEPT).default(DEFAULT_SWEPT) });

const NOT_EXPIRED = '(n.expires_at IS NULL OR n.expires_at > (SELECT database_time()))';
const SHOWN = {
  all: 'n.deleted_at IS NULL',
  unread: 'n.deleted_at IS NULL AND NOT n.is_read AND n.position > r.read_through',
  deleted: 'n.deleted_at IS NOT NULL',
} as const;

const listStatement = (show: keyof typeof SHOWN) => `
  SELECT ${NOTIFICATION_COLUMNS}, ${microsOf('n.created_at')} AS micros
  FROM notifications AS n JOIN recipients AS r ON r.user_id = n.user_id
  WHERE n.user_id = $1 AND n.in_app AND ${SHOWN[show]} AND ${NOT_EXPIRED}
    AND ($2::notification_type[] IS NULL OR n.type = ANY ($2))
    AND ($3::text IS NULL OR n.source = $3)
    AND ($4::bigint IS NULL OR (n.created_at, n.id) < (${timeOfMicros('$4')}, $5))
  ORDER BY n.created_at DESC, n.id DESC LIMIT $6`;

const LIST = { all: listStatement('all'), unread: listStatement('unread'), deleted: listStatement('deleted') } as const;

/**
 * A page of the notifications of a user, newest first.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export async function listNotifications(
  notifications: Notifications,
  input: ListNotificationsInput,
): Promise<NotificationPage> {
  const { userId, show, types = null, source = null, limit, cursor } = readInput(listInput, input);
  const found = await notifications.query<NotificationRow & { readonly micros: string }>({
    text: LIST[show],
    values: [userId, types, source, cursor?.micros ?? null, cursor?.id ?? null, limit + 1],
  });
  const { rows, nextCursor } = pageOf(found, limit);
  return { notifications: rows.map(notificationOf), nextCursor };
}

const GET = `SELECT ${NOTIFICATION_COLUMNS} FROM notifications AS n JOIN recipients AS r ON r.user_id = n.user_id
  WHERE n.id = $1 AND n.user_id = $2 AND n.in_app`;

/**
 * A notification of a user, deleted and expired ones included.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`, `NOTIFICATION.NOT_FOUND`
 */
export async function getNotification(notifications: Notifications, input: NotificationInput): Promise<Notification> {
  const { userId, notificationId } = readInput(oneInput, input);
  const [row] = await notifications.query<NotificationRow>({ text: GET, values: [notificationId, userId] });
  if (row === undefined) throw notificationNotFound({ notificationId });
  return notificationOf(row);
}

/** As count_expired of the database, but planned once per connection. */
const UNREAD = `
  SELECT r.unread - (
    SELECT count(*)::integer FROM notifications AS n
    WHERE n.user_id = r.user_id AND n.expires_at <= (SELECT database_time()) AND n.position > r.read_through
      AND NOT n.is_read AND n.deleted_at IS NULL AND n.in_app
  ) AS unread
  FROM recipients AS r WHERE r.user_id = $1`;

/**
 * The number of unread notifications that the user sees: a counter, minus what has expired since the last expireNotifications(). Its
 * cost does not depend on the number of notifications.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export async function unreadCount(notifications: Notifications, input: UserInput): Promise<number> {
  const { userId } = readInput(userInput, input);
  const [row] = await notifications.query<{ unread: number }>({ text: UNREAD, values: [userId] });
  return row?.unread ?? 0;
}

/**
 * Marks a notification as read; a read one stays as it is.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`, `NOTIFICATION.NOT_FOUND`, `NOTIFICATION.DELETED`, `NOTIFICATION.EXPIRED`
 */
export function markRead(notifications: Notifications, input: NotificationInput): Promise<Notification> {
  return change(notifications, 'mark_read', input);
}

/**
 * Marks a notification as unread; an unread one stays as it is.
 * @throws {SuiteError} as {@link markRead}
 */
export function markUnread(notifications: Notifications, input: NotificationInput): Promise<Notification> {
  return change(notifications, 'mark_unread', input);
}

/**
 * Hides a notification from the user, who can restore it until it expires; a deleted one stays as it is. Deliveries that wait are
 * cancelled.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`, `NOTIFICATION.NOT_FOUND`
 */
export function deleteNotification(notifications: Notifications, input: NotificationInput): Promise<Notification> {
  return change(notifications, 'delete_notification', input);
}

/**
 * Shows a deleted notification again, read or unread as it is by now; one that is not deleted stays as it is.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`, `NOTIFICATION.NOT_FOUND`, `NOTIFICATION.EXPIRED`
 */
export function restoreNotification(notifications: Notifications, input: NotificationInput): Promise<Notification> {
  return change(notifications, 'restore_notification', input);
}

type Change = 'mark_read' | 'mark_unread' | 'delete_notification' | 'restore_notification';

async function change(notifications: Notifications, name: Change, input: NotificationInput): Promise<Notification> {
  const { userId, notificationId } = readInput(oneInput, input);
  const rows = await notifications.query<NotificationRow>({
    text: `SELECT * FROM ${name}($1, $2)`,
    values: [userId, notificationId],
  });
  return notificationOf(onlyRow(rows));
}

/**
 * Marks everything as read that the user has got so far, and returns how many were unread. It writes three rows, however many they
 * are. A notification that is being sent meanwhile is read or unread as a whole, and the count agrees.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export async function markAllRead(notifications: Notifications, input: UserInput): Promise<number> {
  const { userId } = readInput(userInput, input);
  const rows = await notifications.query<{ marked: number }>({
    text: 'SELECT mark_all_read($1) AS marked',
    values: [userId],
  });
  return onlyRow(rows).marked;
}

/**
 * Deletes notifications that have expired, softly and the oldest first, and returns their number. Call it until it returns 0, every
 * few minutes; any number of callers may run at the same time. Nobody sees an expired notification before it either.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export function expireNotifications(notifications: Notifications, input: SweepInput = {}): Promise<number> {
  return sweep(notifications, 'expire_notifications', input);
}

/**
 * Deletes notifications that are older than a year, for good, and returns their number. Call it until it returns 0.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export function pruneNotifications(notifications: Notifications, input: SweepInput = {}): Promise<number> {
  return sweep(notifications, 'prune_notifications', input);
}

async function sweep(
  notifications: Notifications,
  name: 'expire_notifications' | 'prune_notifications',
  input: SweepInput,
): Promise<number> {
  const { limit } = readInput(sweepInput, input);
  const rows = await notifications.query<{ swept: number }>({ text: `SELECT ${name}($1) AS swept`, values: [limit] });
  return onlyRow(rows).swept;
}
