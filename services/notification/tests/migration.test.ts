import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import { getNotification, markAllRead, openNotifications, reconcile, setPreference, unreadCount } from '../src';
import { given } from './given';

const FOLDER = path.join(repositoryRoot(), 'services/notification/prisma/migrations');
const ADDED = ['unread_counters', 'deliveries', 'notify'];

describe('the migrations of the store', () => {
  const db = useDatabase('notification');
  const run = async (ending: string, file: 'migration.sql' | 'down.sql') => {
    const name = readdirSync(FOLDER).find((it) => it.endsWith(`_${ending}`)) ?? '';
    await db().admin(`BEGIN; ${readFileSync(path.join(FOLDER, name, file), 'utf8')}; COMMIT`);
  };
  const down = async () => {
    for (const ending of ADDED.toReversed()) await run(ending, 'down.sql');
  };
  const up = async () => {
    for (const ending of ADDED) await run(ending, 'migration.sql');
  };

  it('leave to an older store what was read by a mark as read, and what the app hides as deleted', async () => {
    const notifications = openNotifications({ url: db().url });
    const read = await given(notifications, 'ada');
    await markAllRead(notifications, { userId: 'ada' });
    const { readAt } = await getNotification(notifications, { userId: 'ada', notificationId: read.id });
    const unread = await given(notifications, 'ada');
    await setPreference(notifications, { userId: 'ada', channel: 'in_app', mode: 'off' });
    const hidden = await given(notifications, 'ada');
    await notifications.close();

    await down();

    const rows = await db().admin('SELECT id, is_read, read_at, deleted_at IS NULL AS is_shown FROM notifications');
    expect(rows.find(({ id }) => id === read.id)).toEqual({
      id: read.id,
      is_read: true,
      read_at: readAt,
      is_shown: true,
    });
    expect(rows.find(({ id }) => id === unread.id)).toMatchObject({ is_read: false, is_shown: true });
    expect(rows.find(({ id }) => id === hidden.id)).toMatchObject({ is_shown: false });
  });

  it('count what an older store has written', async () => {
    await db().admin(`INSERT INTO notifications (id, user_id, title, message, is_read, read_at, deleted_at) VALUES
      ('1', 'ben', 'x', 'x', false, NULL, NULL), ('2', 'ben', 'x', 'x', true, now(), NULL), ('3', 'ben', 'x', 'x', false, NULL, now()),
      ('4', 'ben', 'x', 'x', false, NULL, NULL)`);

    await up();

    // The role has its rights from the last run of the toolkit; the administrator reads here.
    const notifications = openNotifications({ url: db().target.admin.href });
    expect([
      await unreadCount(notifications, { userId: 'ben' }),
      await unreadCount(notifications, { userId: 'ada' }),
    ]).toEqual([2, 1]);
    expect(await reconcile(notifications)).toEqual([]);
    expect(await markAllRead(notifications, { userId: 'ben' })).toBe(2);
    expect(await getNotification(notifications, { userId: 'ben', notificationId: '1' })).toMatchObject({
      isRead: true,
    });
    await given(notifications, 'ben');
    expect(await unreadCount(notifications, { userId: 'ben' })).toBe(1);
    await notifications.close();
  });
});
