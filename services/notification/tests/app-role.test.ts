import { useDatabase } from '@azora/db-testkit';
import { type Notifications, openNotifications, reconcile } from '../src';
import { given } from './given';

/** The SQLSTATE insufficient_privilege. */
const NO_RIGHT = '42501';

describe('the app role with its own SQL', () => {
  const db = useDatabase('notification');
  let notifications: Notifications;
  beforeAll(async () => {
    notifications = openNotifications({ url: db().url });
    await given(notifications, 'ada', { channels: ['email'] });
  });
  afterEach(async () => {
    expect(await reconcile(notifications)).toEqual([]);
  });
  afterAll(() => notifications.close());

  const TABLES = ['notifications', 'recipients', 'bulk_reads', 'batches', 'deliveries', 'outbox'];
  const dump = async () => {
    const parts = TABLES.map(
      (name) => `(SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text) FROM ${name} AS t) AS ${name}`,
    );
    return JSON.stringify(await db().admin(`SELECT ${parts.join(', ')}`));
  };

  it.each([
    ["INSERT INTO notifications (id, user_id, title, message) VALUES ('x', 'x', 'x', 'x')", NO_RIGHT],
    ['UPDATE notifications SET is_read = true, read_at = now()', NO_RIGHT],
    ["UPDATE notifications SET message = 'x'", NO_RIGHT],
    ['DELETE FROM notifications', NO_RIGHT],
    ['TRUNCATE notifications CASCADE', NO_RIGHT],
    ['SELECT * FROM notifications FOR UPDATE', NO_RIGHT],
    ["INSERT INTO recipients (user_id, unread) VALUES ('x', 5)", NO_RIGHT],
    ['UPDATE recipients SET unread = 0', NO_RIGHT],
    ['UPDATE recipients SET read_through = 1000000', NO_RIGHT],
    ['DELETE FROM recipients', NO_RIGHT],
    ["INSERT INTO bulk_reads (user_id, read_through) VALUES ('ada', 1)", NO_RIGHT],
    ["INSERT INTO batches (key, id, body_hash, notified) VALUES ('x', 'x', repeat('a', 64), 1)", NO_RIGHT],
    ["UPDATE deliveries SET status = 'sent', sent_at = now()", NO_RIGHT],
    ["UPDATE deliveries SET next_at = now() + interval '1 year'", NO_RIGHT],
    ['DELETE FROM deliveries', NO_RIGHT],
    ["INSERT INTO outbox (type, key, payload) VALUES ('notification.all-read.v1', 'ada', '{}')", NO_RIGHT],
    ["SELECT nextval('notifications_position_seq')", NO_RIGHT],
    ["SELECT setval('notifications_position_seq', 1)", NO_RIGHT],
    ["SELECT lock_notification('ada', 'x')", NO_RIGHT],
    ["SELECT publish_change('all-read', (SELECT n FROM notifications AS n LIMIT 1), now())", NO_RIGHT],
    ["SELECT plan_deliveries(ARRAY(SELECT id FROM notifications), '{sms}', true, now())", NO_RIGHT],
    ['ALTER TABLE notifications DISABLE TRIGGER ALL', NO_RIGHT],
    ['DROP TRIGGER notifications_count_added ON notifications', NO_RIGHT],
    ["SET session_replication_role = 'replica'", NO_RIGHT],
    ["CREATE OR REPLACE FUNCTION public.database_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'", NO_RIGHT],
    ["SELECT mark_read('eve', (SELECT id FROM notifications WHERE user_id = 'ada'))", 'AZ001'],
    ["SELECT delete_notification('eve', (SELECT id FROM notifications WHERE user_id = 'ada'))", 'AZ001'],
    ["INSERT INTO preferences (user_id, channel, mode) VALUES ('ada', 'in_app', 'digest')", '23514'],
    ["INSERT INTO delivery_settings (user_id, time_zone) VALUES ('ada', 'Mars/Olympus')", 'AZ001'],
    [
      "INSERT INTO templates (name, title, message, action_url) VALUES ('x', 'x', 'x', 'https://evil.example')",
      '23514',
    ],
    [
      "SELECT notify_user('k', repeat('a', 64), 'i', 'ada', NULL, 'T', 'M', NULL, '{}', 'azora', '//evil', '{}', NULL, '{}', false)",
      '23514',
    ],
    [
      "SELECT notify_user('k', 'no hash', 'i', 'ada', NULL, 'T', 'M', NULL, '{}', 'azora', NULL, '{}', NULL, '{}', false)",
      '23514',
    ],
    [
      "SELECT notify_user('k', repeat('a', 64), 'i', 'ada', NULL, 'T', 'M', NULL, '{}', 'azora', NULL, '{}', '-1 day', '{}', false)",
      '23514',
    ],
    [
      "SELECT notify_user('k', repeat('a', 64), 'i', 'ada', NULL, 'T', 'M', NULL, '{}', 'azora', NULL, '{}', NULL, '{in_app}', false)",
      '23514',
    ],
    [
      "SELECT notify_many('k', repeat('a', 64), 'i', '{}', NULL, 'T', 'M', NULL, NULL, 'azora', NULL, '{}', NULL, '{}', false)",
      '23514',
    ],
    [
      "SELECT notify_many('k', repeat('a', 64), 'i', (SELECT array_agg('u' || n) FROM generate_series(1, 100001) AS n), NULL, 'T', 'M', NULL, NULL, 'azora', NULL, '{}', NULL, '{}', false)",
      '23514',
    ],
  ])('cannot run: %s', async (sql, code) => {
    const before = await dump();

    await expect(db().app(sql)).rejects.toMatchObject({ code });

    expect(await dump()).toBe(before);
  });

  it('has no effect with wrong claims and outcomes', async () => {
    const before = await dump();

    await db().app(
      `SELECT finish_deliveries('none', ARRAY(SELECT notification_id || ':email' FROM deliveries), '{sent}')`,
    );
    await db().app(`SELECT expire_notifications(1000000)`);
    await db().app(`SELECT prune_notifications(-5)`);
    await db().app(`SELECT mark_all_read('nobody')`);
    await db().app(`SELECT erase_recipient('nobody')`);

    expect(await dump()).toBe(before);
  });

  it('gains nothing from temporary tables that hide the real ones', async () => {
    const { database, role } = db().target;
    await db().admin(`GRANT TEMPORARY ON DATABASE "${database}" TO "${role}"`);
    await db().app('CREATE TEMP TABLE recipients AS SELECT * FROM public.recipients');
    await db().app('CREATE TEMP TABLE preferences (LIKE public.preferences)');

    await given(notifications, 'ada');
    await db().app(`SELECT mark_all_read('ada')`);
    await db().app('DROP TABLE pg_temp.recipients, pg_temp.preferences');

    expect(await db().app(`SELECT unread FROM recipients WHERE user_id = 'ada'`)).toEqual([{ unread: 0 }]);
  });
});
