import type { Prisma } from './generated/client';

/** A message to a user, as the user sees it: with the mark of "mark all as read" applied. */
export type Notification = Omit<Prisma.NotificationModel, 'idempotencyKey' | 'position' | 'inApp' | 'bodyHash'>;
export type Delivery = Omit<Prisma.DeliveryModel, 'claimId'>;
export type Template = Prisma.TemplateModel;
export type Preference = Prisma.PreferenceModel;

/** A row of a model as `pg` returns it: with the names of columns. */
export type Row<Model> = { readonly [Field in keyof Model as Snake<Field & string>]: Model[Field] };
type Snake<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${Snake<Rest>}`
  : '';

export type NotificationRow = Row<Notification>;

export function notificationOf(row: NotificationRow): Notification {
  return {
    id: row.id,
    userId: row.user_id,
    type: row.type,
    title: row.title,
    message: row.message,
    source: row.source,
    actionUrl: row.action_url,
    metadata: row.metadata,
    isRead: row.is_read,
    readAt: row.read_at,
    expiresAt: row.expires_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    deletedAt: row.deleted_at,
  };
}

/**
 * The columns of a {@link NotificationRow} of the notification `n` and its recipient `r`. A notification that the mark has read got
 * its time of reading from the first mark above it.
 */
export const NOTIFICATION_COLUMNS = `n.id, n.user_id, n.type, n.title, n.message, n.source, n.action_url, n.metadata,
  n.is_read OR n.position <= r.read_through AS is_read,
  CASE WHEN n.is_read OR n.position > r.read_through THEN n.read_at ELSE (
    SELECT greatest(b.read_at, n.created_at) FROM bulk_reads AS b
    WHERE b.user_id = n.user_id AND b.read_through >= n.position ORDER BY b.read_through LIMIT 1
  ) END AS read_at,
  n.expires_at, n.created_at, n.updated_at, n.deleted_at`;

/** The row of a statement that returns exactly one. */
export function onlyRow<Found>(rows: readonly Found[]): Found {
  const [row] = rows;
  if (row === undefined || rows.length > 1)
    throw new Error(`the statement returned ${rows.length} rows instead of one`);
  return row;
}
