import type { TestDatabase } from '@azora/db-testkit';
import { type Notification, type Notifications, type NotifyInput, notify, openNotifications } from '../src';

let made = 0;

/** A name that no other row of the test file has. */
export function fresh(what: string): string {
  made += 1;
  return `${what}-${made}`;
}

/** Several stores on one database, like those of several processes. */
export function givenStores(db: TestDatabase, count: number): readonly Notifications[] {
  return Array.from({ length: count }, () =>
    openNotifications({ url: db.url, pool: { max: 4, connectTimeoutMs: 60_000 } }),
  );
}

/** Sends a notification with a new key. */
export function given(
  notifications: Notifications,
  userId: string,
  change: Partial<Omit<NotifyInput, 'title' | 'message' | 'template'>> = {},
): Promise<Notification> {
  return notify(notifications, { userId, title: 'Due', message: 'Today', idempotencyKey: fresh('key'), ...change });
}

/** The outcome of each call: the code of its error, or `done`. */
export async function outcomes(calls: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((it) => (it.status === 'fulfilled' ? 'done' : String(it.reason.code ?? it.reason)));
}

/** An event in the outbox. */
export interface Published {
  readonly type: string;
  readonly key: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** The events of a key in the outbox, in the order of their positions. */
export async function publishedFor(db: TestDatabase, key: string): Promise<readonly Published[]> {
  const rows = await db.admin('SELECT type, key, payload FROM outbox WHERE key = $1 ORDER BY position', [key]);
  return rows as unknown as readonly Published[];
}

/** The short names of events, without service and version. */
export function namesOf(events: readonly Published[]): readonly string[] {
  return events.map(({ type }) => type.replace(/^notification\.(.*)\.v1$/, '$1'));
}
