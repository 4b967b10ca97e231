/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  deleteNotification,
  expireNotifications,
  getNotification,
  listNotifications,
  markAllRead,
  markRead,
  markUnread,
  type NotificationPage,
  type Notifications,
  openNotifications,
  pruneNotifications,
  reconcile,
  restoreNotification,
  unreadCount,
} from '../src';
import { fresh, given, givenStores, outcomes } from './given';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

describe('the notifications of a user', () => {
  const db = useDatabase('notification');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let notifications: Notifications;
  let stores: readonly Notifications[];
  let userId = '';
  beforeAll(() => {
    notifications = openNotifications({ url: db().url });
    stores = givenStores(db(), 4);
  });
  beforeEach(() => {
    userId = fresh('user');
  });
  afterEach(async () => {
    expect(await reconcile(notifications)).toEqual([]);
  });
  afterAll(async () => {
    await Promise.all([notifications, ...stores].map((store) => store.close()));
  });

  const titles = async (show: 'all' | 'unread' | 'deleted') =>
    (await listNotifications(notifications, { userId, show })).notifications.map(({ message }) => message);
  const unread = () => unreadCount(notifications, { userId });
  const on = (notificationId: string) => ({ userId, notificationId });

  it('are counted, read one by one, and marked as unread again', async () => {
    const first = await given(notifications, userId);
    const second = await given(notifications, userId);
    expect(await unread()).toBe(2);

    await clock.move(1_000);
    const read = await markRead(notifications, on(first.id));
    expect(read).toEqual({ ...first, isRead: true, readAt: clock.now(), updatedAt: clock.now() });
    await clock.move(1_000);
    expect(await markRead(notifications, on(first.id))).toEqual(read);
    expect(await unread()).toBe(1);

    const again = await markUnread(notifications, on(first.id));
    expect(again).toEqual({ ...first, updatedAt: clock.now() });
    expect(await markUnread(notifications, on(second.id))).toEqual(second);
    expect(await unread()).toBe(2);
  });

  it('are all read by one mark, which remembers its time, and new ones are not', async () => {
    const first = await given(notifications, userId);
    await clock.move(1_000);
    const firstMark = clock.now();
    expect(await markAllRead(notifications, { userId })).toBe(1);
    const second = await given(notifications, userId);
    await clock.move(1_000);
    expect(await markAllRead(notifications, { userId })).toBe(1);
    expect(await markAllRead(notifications, { userId })).toBe(0);
    const third = await given(notifications, userId);

    expect(await getNotification(notifications, on(first.id))).toMatchObject({ isRead: true, readAt: firstMark });
    expect(await getNotification(notifications, on(second.id))).toMatchObject({ isRead: true, readAt: clock.now() });
    expect(await getNotification(notifications, on(third.id))).toMatchObject({ isRead: false, readAt: null });
    expect(await unread()).toBe(1);
    await markUnread(notifications, on(first.id));
    expect(await unread()).toBe(2);
    const { notifications: listed } = await listNotifications(notifications, { userId, show: 'unread' });
    expect(listed.map(({ id }) => id).sort()).toEqual([first.id, third.id].sort());
  });

  it.each([3, 30])('are marked as read by writing three rows, when there are %i', async (count) => {
    for (let n = 0; n < count; n += 1) await given(notifications, userId);
    const session = await notifications.pool.connect();
    const written = async () => {
      const { rows } = await session.query<{ sum: string }>(
        'SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_xact_user_tables',
      );
      return Number(rows[0]?.sum);
    };
    await session.query('BEGIN');
    const before = await written();
    await session.query('SELECT mark_all_read($1)', [userId]);
    const after = await written();
    await session.query('COMMIT');
    session.release();

    // The counter with its mark, the time of the mark, and the event.
    expect(after - before).toBe(3);
    expect(await unread()).toBe(0);
  });

  /** The states of a notification, and how it gets there. */
  const STATES = {
    unread: async (_id: string) => undefined,
    read: (id: string) => markRead(notifications, on(id)),
    'marked with all': (_id: string) => markAllRead(notifications, { userId }),
    deleted: (id: string) => deleteNotification(notifications, on(id)),
    'deleted, then marked with all': async (id: string) => {
      await given(notifications, userId);
      await deleteNotification(notifications, on(id));
      await markAllRead(notifications, { userId });
    },
    expired: (_id: string) => clock.move(2 * HOUR_MS),
    'expired and swept': async (_id: string) => {
      await clock.move(2 * HOUR_MS);
      await expireNotifications(notifications);
    },
  } as const;
  const CHANGES = { markRead, markUnread, deleteNotification, restoreNotification } as const;
  /** What each change makes of each state, in the order of CHANGES: read, hidden, or the code of the error. */
  const EXPECTED: Readonly<Record<keyof typeof STATES, readonly string[]>> = {
    unread: ['read', 'unread', 'unread hidden', 'unread'],
    read: ['read', 'unread', 'read hidden', 'read'],
    'marked with all': ['read', 'unread', 'read hidden', 'read'],
    deleted: ['NOTIFICATION.DELETED', 'NOTIFICATION.DELETED', 'unread hidden', 'unread'],
    'deleted, then marked with all': ['NOTIFICATION.DELETED', 'NOTIFICATION.DELETED', 'read hidden', 'read'],
    expired: ['NOTIFICATION.EXPIRED', 'NOTIFICATION.EXPIRED', 'unread hidden', 'NOTIFICATION.EXPIRED'],
    'expired and swept': ['NOTIFICATION.EXPIRED', 'NOTIFICATION.EXPIRED', 'unread hidden', 'NOTIFICATION.EXPIRED'],
  };
  const pairs = Object.entries(EXPECTED).flatMap(([state, ends]) =>
    Object.keys(CHANGES).map((change, index) => [state, change, ends[index] ?? ''] as const),
  );

  it.each(pairs)('that are %s become by %s: %s', async (state, change, end) => {
    const { id } = await given(notifications, userId, { expiresIn: HOUR_MS });
    await STATES[state as keyof typeof STATES](id);

    const reached = await CHANGES[change as keyof typeof CHANGES](notifications, on(id)).then(
      ({ isRead, deletedAt }) => `${isRead ? 'read' : 'unread'}${deletedAt === null ? '' : ' hidden'}`,
      (error) => error.code,
    );

    expect(reached).toBe(end);
    expect(await unread()).toBe((await titles('unread')).length);
  });

  it('can be deleted and restored, and are listed apart meanwhile', async () => {
    const { id } = await given(notifications, userId);
    await clock.move(1_000);

    const deleted = await deleteNotification(notifications, on(id));
    expect(deleted.deletedAt).toEqual(clock.now());
    expect([await titles('all'), await titles('deleted'), await unread()]).toEqual([[], ['Today'], 0]);

    expect(await restoreNotification(notifications, on(id))).toMatchObject({ id, deletedAt: null, isRead: false });
    expect([await titles('all'), await titles('deleted'), await unread()]).toEqual([['Today'], [], 1]);
  });

  it('disappear when they expire, before and after the sweep', async () => {
    await given(notifications, userId, { expiresIn: HOUR_MS });
    const other = await given(notifications, userId);
    await clock.move(HOUR_MS - 1);
    expect([await unread(), (await titles('all')).length]).toEqual([2, 2]);

    await clock.move(1);
    expect([await unread(), (await titles('all')).length]).toEqual([1, 1]);
    expect(await expireNotifications(notifications)).toBe(1);
    expect(await expireNotifications(notifications)).toBe(0);
    expect([await unread(), (await titles('all')).length, await titles('deleted')]).toEqual([1, 1, []]);
    expect(await markAllRead(notifications, { userId })).toBe(1);
    expect(await getNotification(notifications, on(other.id))).toMatchObject({ isRead: true });
  });

  it('that have expired are not counted as marked', async () => {
    await given(notifications, userId, { expiresIn: HOUR_MS });
    await given(notifications, userId);
    await clock.move(HOUR_MS);

    expect(await markAllRead(notifications, { userId })).toBe(1);
    expect(await expireNotifications(notifications)).toBe(1);
    expect(await unread()).toBe(0);
  });

  it('are listed newest first, page by page, by type and source', async () => {
    const sent: string[] = [];
    for (let n = 0; n < 7; n += 1) {
      // Some have the same time.
      if (n % 3 === 0) await clock.move(1);
      const { id } = await given(notifications, userId, {
        type: n % 2 === 0 ? 'error' : 'info',
        source: n === 3 ? 'forge' : 'mint',
      });
      sent.push(id);
    }
    const pages = await pagesOf(notifications, userId, 3);

    expect(pages.map((page) => page.length)).toEqual([3, 3, 1]);
    expect(new Set(pages.flat())).toEqual(new Set(sent));
    const { notifications: all } = await listNotifications(notifications, { userId });
    expect(all.map(({ id }) => id)).toEqual(pages.flat());
    const times = all.map(({ createdAt }) => createdAt.getTime());
    expect(times).toEqual([...times].sort((one, other) => other - one));
    const errors = await listNotifications(notifications, { userId, types: ['error'] });
    expect(errors.notifications).toHaveLength(4);
    const forge = await listNotifications(notifications, { userId, source: 'forge' });
    expect(forge.notifications.map(({ id }) => id)).toEqual([sent[3]]);
  });

  it('belong to nobody else', async () => {
    const { id } = await given(notifications, userId);
    const thief = { userId: fresh('thief'), notificationId: id };

    const calls = [getNotification, markRead, markUnread, deleteNotification, restoreNotification];
    expect(await outcomes(calls.map((call) => call(notifications, thief)))).toEqual(
      calls.map(() => 'NOTIFICATION.NOT_FOUND'),
    );
    await expect(getNotification(notifications, on('none'))).rejects.toMatchObject({
      meta: { notificationId: 'none' },
    });
    expect(await unread()).toBe(1);
  });

  it('and their count agree when marks race with new ones, by four stores', async () => {
    for (let round = 0; round < 5; round += 1) {
      const calls = stores.flatMap((store, n) => [
        ...Array.from({ length: 6 }, () => given(store, userId)),
        markAllRead(store, { userId }),
        ...(n % 2 === 0 ? [markAllRead(store, { userId })] : []),
      ]);
      expect(new Set(await outcomes(calls))).toEqual(new Set(['done']));

      expect(await reconcile(notifications)).toEqual([]);
      const { notifications: listed } = await listNotifications(notifications, { userId, show: 'unread', limit: 200 });
      expect(listed).toHaveLength(await unread());
    }
  });

  it('that arrive while a mark passes their position are unread', async () => {
    // A session that has taken a position and waits for the recipient, whom another session holds.
    await given(notifications, userId);
    const holder = await notifications.pool.connect();
    const admin = db().admin;
    await holder.query('BEGIN');
    await holder.query('SELECT mark_all_read($1)', [userId]);
    const arriving = given(stores[0] as Notifications, userId);
    await waitUntil(async () => {
      const [row] = await admin(`SELECT count(*)::int AS waiting FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'`);
      return row?.['waiting'] === 1;
    });
    // The mark moves past the position that the insert has taken.
    await holder.query(`SELECT mark_unread($1, (SELECT min(id) FROM notifications WHERE user_id = $1))`, [userId]);
    await holder.query('SELECT mark_all_read($1)', [userId]);
    await holder.query('COMMIT');
    holder.release();
    const { id } = await arriving;

    expect(await getNotification(notifications, on(id))).toMatchObject({ isRead: false, readAt: null });
    expect(await unread()).toBe(1);
  });

  it('are swept once by concurrent sweeps', async () => {
    const users = Array.from({ length: 20 }, () => fresh('user'));
    await Promise.all(users.map((user, n) => given(stores[n % 4] as Notifications, user, { expiresIn: HOUR_MS })));
    await clock.move(HOUR_MS);

    const swept = await Promise.all(stores.map((store) => expireNotifications(store, { limit: 7 })));
    let rest = 0;
    for (let more = 1; more > 0; rest += more) more = await expireNotifications(notifications);
    expect(Math.max(...swept)).toBeLessThanOrEqual(7);
    expect(swept.reduce((sum, it) => sum + it, 0) + rest).toBe(20);
  });

  it('are pruned after a year, and their count with them', async () => {
    await given(notifications, userId);
    await markAllRead(notifications, { userId });
    const kept = await given(notifications, userId);
    await db().admin(
      `UPDATE notifications SET created_at = created_at + interval '1 day', updated_at = now() WHERE id = $1`,
      [kept.id],
    );
    await clock.set('2027-03-01T12:00:00.001Z');

    let pruned = 0;
    for (let more = 1; more > 0; pruned += more) more = await pruneNotifications(notifications);
    expect(pruned).toBeGreaterThan(0);
    expect((await listNotifications(notifications, { userId })).notifications.map(({ id }) => id)).toEqual([kept.id]);
    expect(await db().admin('SELECT count(*)::int FROM bulk_reads WHERE user_id = $1', [userId])).toEqual([
      { count: 0 },
    ]);
    await clock.move(DAY_MS);
    for (let more = 1; more > 0; ) more = await pruneNotifications(notifications);
    expect([await unread(), await titles('all')]).toEqual([0, []]);
  });
});

/** The ids of the notifications of a user, by page. */
async function pagesOf(store: Notifications, userId: string, limit: number): Promise<readonly string[][]> {
  const pages: string[][] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page: NotificationPage = await listNotifications(store, {
      userId,
      limit,
      ...(cursor === undefined ? {} : { cursor }),
    });
    pages.push(page.notifications.map(({ id }) => id));
    cursor = page.nextCursor;
  }
  return pages;
}

/** Waits for something that another session does; the server says when it has happened. */
async function waitUntil(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 10));
}
