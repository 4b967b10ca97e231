import { itKeepsAnAuditLog, useDatabase } from '@azora/db-testkit';
import { openNotification } from '../src/index';

const INSERT = 'INSERT INTO notifications (id, user_id, title, message) VALUES ($1, $2, $3, $4)';

describe('the notification schema', () => {
  const db = useDatabase('notification');

  beforeAll(async () => {
    await db().app(INSERT, ['first', 'ada', 'Hello', 'Welcome']);
  });

  it('gives a new notification its defaults', async () => {
    const sql = 'SELECT type, source, metadata, is_read, read_at, deleted_at FROM notifications';

    expect(await db().app(sql)).toEqual([
      { type: 'info', source: 'azora', metadata: {}, is_read: false, read_at: null, deleted_at: null },
    ]);
  });

  it.each([
    ['user_id', `user_id = ' '`],
    ['title', `title = ''`],
    ['message', `message = ' '`],
    ['source', `source = ''`],
    ['action_url', `action_url = 'https://evil.example'`],
    ['action_url', `action_url = '//evil.example'`],
    ['metadata', `metadata = '[]'`],
    ['read', `is_read = true`],
    ['read', `read_at = now()`],
    ['read_at', `is_read = true, read_at = created_at - interval '1 second'`],
    ['expires_at', `expires_at = created_at`],
    ['deleted_at', `deleted_at = created_at - interval '1 second'`],
  ])('refuses a notification whose %s is wrong: %s', async (rule, change) => {
    await expect(db().admin(`UPDATE notifications SET ${change}`)).rejects.toMatchObject({
      constraint: `notifications_${rule}_check`,
    });
  });

  it('knows four types', async () => {
    await expect(db().app(`UPDATE notifications SET type = 'shout'`)).rejects.toMatchObject({ code: '22P02' });
  });

  it('takes what is sent twice at once under one key once', async () => {
    const store = openNotification({ url: db().url });
    const send = (id: number) =>
      store.prisma.notification.create({
        data: { id: `race-${id}`, userId: 'bob', title: 'Due', message: 'Today', idempotencyKey: 'due-today' },
      });

    const settled = await Promise.allSettled([1, 2, 3, 4].map(send));
    await store.close();

    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await db().app(`SELECT count(*)::int AS sent FROM notifications WHERE user_id = 'bob'`)).toEqual([
      { sent: 1 },
    ]);
  });

  it('finds the unread ones of a user in an index of nothing else', async () => {
    await db().admin('SET enable_seqscan = off');
    const plan = await db().admin(
      `EXPLAIN SELECT id FROM notifications WHERE user_id = 'ada' AND NOT is_read AND deleted_at IS NULL
       ORDER BY created_at DESC LIMIT 20`,
    );

    expect(JSON.stringify(plan)).toContain('notifications_unread_idx');
  });

  itKeepsAnAuditLog(db);
});
