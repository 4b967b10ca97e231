/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  deleteNotification,
  type FeedState,
  markAllRead,
  type Notifications,
  notifyMany,
  openNotifications,
  setPreference,
  watch,
} from '../src';
import { fresh, given } from './given';

describe('watch', () => {
  const db = useDatabase('notification');
  let notifications: Notifications;
  let other: Notifications;
  let userId = '';
  beforeAll(() => {
    notifications = openNotifications({ url: db().url, feedPollMs: 1 });
    other = openNotifications({ url: db().url });
  });
  beforeEach(() => {
    userId = fresh('user');
  });
  afterAll(() => Promise.all([notifications.close(), other.close()]));

  /** A watch whose first state has been read. */
  async function watching(user = userId) {
    const stop = new AbortController();
    const states = watch(notifications, { userId: user, signal: stop.signal });
    const first = await states.next();
    return { states, stop, first: first.value as FeedState };
  }
  const titleless = ({ unread, arrived }: FeedState) => ({ unread, arrived: arrived.map(({ id }) => id) });

  it('yields the present state, then each change with what has arrived', async () => {
    await given(other, userId);
    const { states, stop, first } = await watching();
    expect(first).toEqual({ unread: 1, arrived: [] });

    const sent = await given(other, userId);
    expect((await states.next()).value).toEqual({ unread: 2, arrived: [sent] });
    await markAllRead(other, { userId });
    expect((await states.next()).value).toEqual({ unread: 0, arrived: [] });
    await deleteNotification(other, { userId, notificationId: sent.id });
    expect((await states.next()).value).toEqual({ unread: 0, arrived: [] });

    stop.abort();
    expect(await states.next()).toEqual({ done: true, value: undefined });
  });

  it('yields each notification once, however many arrive from how many sessions', async () => {
    const { states, stop } = await watching();
    const sending = Promise.all(
      Array.from({ length: 30 }, (_, n) => given(n % 2 === 0 ? other : notifications, userId)),
    );

    const arrived: string[] = [];
    let unread = 0;
    while (unread < 30 || arrived.length < 30) {
      const { value } = await states.next();
      unread = (value as FeedState).unread;
      arrived.push(...titleless(value as FeedState).arrived);
    }
    stop.abort();

    expect(arrived.sort()).toEqual((await sending).map(({ id }) => id).sort());
  });

  it('yields what was committed after later ones', async () => {
    const { states, stop } = await watching();
    const session = await other.pool.connect();
    await session.query('BEGIN');
    // Another user's row is not locked by this session, so only the order of the commits differs.
    const waiting = fresh('user');
    const early = await watching(waiting);
    await session.query(
      `SELECT notify_user('early', repeat('a', 64), 'early-1', $1, NULL, 'T', 'M', NULL, '{}', 'azora', NULL, '{}', NULL, '{}', false)`,
      [waiting],
    );
    const late = await given(notifications, userId);
    expect(titleless((await states.next()).value as FeedState)).toEqual({ unread: 1, arrived: [late.id] });
    await session.query('COMMIT');
    session.release();

    expect(titleless((await early.states.next()).value as FeedState)).toEqual({ unread: 1, arrived: ['early-1'] });
    stop.abort();
    early.stop.abort();
  });

  it('follows many users with one statement a look', async () => {
    const users = Array.from({ length: 20 }, () => fresh('user'));
    const watched = await Promise.all(users.map((user) => watching(user)));
    const next = watched.map(({ states }) => states.next());
    await notifyMany(other, { recipients: users, title: 'T', message: 'M', idempotencyKey: fresh('batch') });

    const states = (await Promise.all(next)).map(({ value }) => value as FeedState);
    for (const { stop } of watched) stop.abort();
    expect(states.map(({ unread, arrived }) => [unread, arrived.length])).toEqual(users.map(() => [1, 1]));
  });

  it('does not yield what the app does not show', async () => {
    await setPreference(notifications, { userId, channel: 'in_app', mode: 'off' });
    const { states, stop } = await watching();
    await given(other, userId);
    expect(titleless((await states.next()).value as FeedState)).toEqual({ unread: 0, arrived: [] });
    stop.abort();
  });

  it('ends at once when its signal is aborted already, and fails when the store is closed', async () => {
    const states = watch(notifications, { userId, signal: AbortSignal.abort() });
    expect((await states.next()).done).toBe(false);
    expect((await states.next()).done).toBe(true);

    const closing = openNotifications({ url: db().url, feedPollMs: 1 });
    const followed = watch(closing, { userId });
    await followed.next();
    const next = followed.next();
    await closing.close();
    await expect(next).rejects.toMatchObject({ code: 'DATABASE.CLOSED' });
  });
});
