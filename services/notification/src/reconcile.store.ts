import type { Notifications } from './client';

/** A user whose counter is wrong. */
export interface Difference {
  readonly userId: string;
  readonly counted: number;
  readonly recounted: number;
}

const RECONCILE = `
  SELECT user_id AS "userId", coalesce(r.unread, 0) AS counted, coalesce(n.unread, 0)::integer AS recounted
  FROM recipients AS r
  FULL JOIN (
    SELECT n.user_id, count(*) AS unread FROM notifications AS n LEFT JOIN recipients AS m ON m.user_id = n.user_id
    WHERE n.in_app AND NOT n.is_read AND n.deleted_at IS NULL AND n.position > coalesce(m.read_through, 0)
    GROUP BY n.user_id
  ) AS n USING (user_id)
  WHERE coalesce(r.unread, 0) <> coalesce(n.unread, 0)
  ORDER BY user_id COLLATE "C" LIMIT 1000`;

/** Recounts the unread notifications of all users, and returns the first 1000 whose counter differs. It reads the whole table. */
export function reconcile(notifications: Notifications): Promise<readonly Difference[]> {
  return notifications.queryLong<Difference & { readonly [column: string]: unknown }>({ text: RECONCILE, values: [] });
}
