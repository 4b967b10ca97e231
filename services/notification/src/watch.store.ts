import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Notifications } from './client';
import { readInput } from './errors';
import type { UserInput } from './notifications.store';
import { NOTIFICATION_COLUMNS, type Notification, type NotificationRow, notificationOf } from './rows';

export interface WatchInput extends UserInput {
  /** Ends the watch. */
  readonly signal?: AbortSignal;
}

/** What a badge and a list show. */
export interface FeedState {
  readonly unread: number;
  /** The notifications that have arrived since the previous state, oldest first; none in the first state. */
  readonly arrived: readonly Notification[];
}

const watchInput = z.strictObject({ userId: idInput, signal: z.instanceof(AbortSignal).optional() });

const STATE = `
  SELECT coalesce(max(r.version), 0)::text AS version, coalesce(max(r.unread - count_expired(r, database_time())), 0) AS unread,
    coalesce($2::timestamptz, database_time()) AS since
  FROM recipients AS r WHERE r.user_id = $1`;

/** A notification becomes visible when its transaction commits, at most as long after its time as a transaction may last. */
const OVERLAP = "interval '1 minute'";

const ARRIVED = `
  SELECT ${NOTIFICATION_COLUMNS} FROM notifications AS n JOIN recipients AS r ON r.user_id = n.user_id
  WHERE n.user_id = $1 AND n.in_app AND n.created_at > $2::timestamptz - ${OVERLAP} AND n.id <> ALL ($3::text[])
  ORDER BY n.created_at, n.id`;

interface StateRow {
  readonly version: string;
  readonly unread: number;
  readonly since: Date;
}

/**
 * Follows the notifications of a user: yields the present state, then one after each change, with each new notification once. The
 * server is asked for all watched users together, twice a second (`feedPollMs`); it works behind a pooler too. Ends with the signal.
 * @throws {SuiteError} `NOTIFICATION.INVALID_INPUT`
 */
export async function* watch(
  notifications: Notifications,
  input: WatchInput,
): AsyncGenerator<FeedState, void, undefined> {
  const { userId, signal } = readInput(watchInput, input);
  const readState = async (since: Date | null) => {
    const [row] = await notifications.query<StateRow & { readonly [column: string]: unknown }>({
      text: STATE,
      values: [userId, since],
    });
    return row ?? { version: '0', unread: 0, since: since ?? new Date(0) };
  };
  const readArrived = (since: Date, seen: readonly string[]) =>
    notifications.query<NotificationRow>({ text: ARRIVED, values: [userId, since, seen] });

  let state = await readState(null);
  let since = state.since;
  // What may come with a time that was seen already.
  let seen = new Map((await readArrived(since, [])).map((row) => [row.id, row.created_at]));
  yield { unread: state.unread, arrived: [] };
  for (;;) {
    await notifications.feed.changed(userId, state.version, signal);
    if (signal?.aborted === true) return;
    // First the version: what changes later is seen in the next round.
    state = await readState(since);
    const rows = await readArrived(since, [...seen.keys()]);
    for (const row of rows) {
      seen.set(row.id, row.created_at);
      if (row.created_at > since) since = row.created_at;
    }
    const oldest = since.getTime() - 60_000;
    seen = new Map([...seen].filter(([, at]) => at.getTime() >= oldest));
    const arrived = rows.filter((row) => row.deleted_at === null).map(notificationOf);
    yield { unread: state.unread, arrived };
  }
}
