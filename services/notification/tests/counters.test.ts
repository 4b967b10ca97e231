import { useDatabase } from '@azora/db-testkit';
import { markAllRead, type Notifications, openNotifications, reconcile, unreadCount } from '../src';
import { given } from './given';

/** The administrator changes rows with SQL, as a restore, an import or the studio do. */
describe('the counter', () => {
  const db = useDatabase('notification');
  let notifications: Notifications;
  beforeAll(() => {
    notifications = openNotifications({ url: db().url });
  });
  beforeEach(async () => {
    await db().admin('TRUNCATE notifications, recipients, bulk_reads, deliveries');
    for (const userId of ['ada', 'ada', 'ada', 'ben']) await given(notifications, userId);
    await markAllRead(notifications, { userId: 'ada' });
    for (const userId of ['ada', 'ada', 'eve']) await given(notifications, userId);
  });
  afterAll(() => notifications.close());

  const unread = () => Promise.all(['ada', 'ben', 'eve'].map((userId) => unreadCount(notifications, { userId })));

  it.each([
    [
      "INSERT INTO notifications (id, user_id, title, message) SELECT 'new-' || n, 'ada', 'x', 'x' FROM generate_series(1, 5) AS n",
      [7, 1, 1],
    ],
    [
      "INSERT INTO notifications (id, user_id, title, message, is_read, read_at) SELECT 'r', 'ada', 'x', 'x', true, now() + interval '1 day'",
      [2, 1, 1],
    ],
    ["INSERT INTO notifications (id, user_id, title, message, position) VALUES ('low', 'ada', 'x', 'x', 1)", [3, 1, 1]],
    [
      "INSERT INTO notifications (id, user_id, title, message, in_app) VALUES ('hidden', 'ada', 'x', 'x', false)",
      [2, 1, 1],
    ],
    ['UPDATE notifications SET is_read = true, read_at = created_at', [0, 0, 0]],
    ["UPDATE notifications SET title = 'other'", [2, 1, 1]],
    ['UPDATE notifications SET deleted_at = created_at', [0, 0, 0]],
    ['UPDATE notifications SET in_app = false', [0, 0, 0]],
    ["UPDATE notifications SET position = nextval('notifications_position_seq')", [5, 1, 1]],
    ["UPDATE notifications SET user_id = 'ben' WHERE user_id = 'eve'", [2, 2, 0]],
    ["UPDATE notifications SET user_id = 'new' WHERE user_id = 'eve'", [2, 1, 0]],
    ['DELETE FROM notifications WHERE user_id <> $$eve$$', [0, 0, 1]],
    ['TRUNCATE notifications CASCADE', [0, 0, 0]],
    [
      "MERGE INTO notifications AS n USING (VALUES ('ada')) AS u (id) ON n.user_id = u.id WHEN MATCHED THEN DELETE",
      [0, 1, 1],
    ],
  ])('follows: %s', async (sql, counts) => {
    await db().admin(sql);

    expect(await unread()).toEqual(counts);
    expect(await reconcile(notifications)).toEqual([]);
  });

  it('is compared by reconcile', async () => {
    await db().admin(`UPDATE recipients SET unread = 7 WHERE user_id = 'ada'`);
    await db().admin(`DELETE FROM recipients WHERE user_id = 'eve'`);

    expect(await reconcile(notifications)).toEqual([
      { userId: 'ada', counted: 7, recounted: 2 },
      { userId: 'eve', counted: 0, recounted: 1 },
    ]);
  });
});
