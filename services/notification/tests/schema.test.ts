import {
  insertRow,
  itKeepsAnAuditLog,
  itTestsEveryCheck,
  refusalsOf,
  schemaRefuses,
  useDatabase,
} from '@azora/db-testkit';

const INSERT = 'INSERT INTO notifications (id, user_id, title, message) VALUES ($1, $2, $3, $4)';

/** The rule that a change of a notification violates, and the change. */
const INVALID = [
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
] as const;

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

  it.each(INVALID)('rejects a notification with an invalid %s: %s', async (rule, change) => {
    await schemaRefuses(db().admin(`UPDATE notifications SET ${change}`), `notifications_${rule}_check`);
  });

  it('rejects an unknown type', async () => {
    await expect(db().app(`UPDATE notifications SET type = 'shout'`)).rejects.toMatchObject({ code: '22P02' });
  });

  it('accepts one of four concurrent notifications with the same idempotency key', async () => {
    const row = { user_id: 'bob', title: 'Due', message: 'Today', idempotency_key: 'due-today' };
    const send = (id: number) => insertRow(db().app, 'notifications', { id: `race-${id}`, ...row });
    const refused = await refusalsOf([1, 2, 3, 4].map(send));

    expect(refused).toEqual(Array(3).fill('notifications_user_id_idempotency_key_key'));
  });

  it('finds the unread notifications of a user through the partial index', async () => {
    await db().admin('SET enable_seqscan = off');
    const plan = await db().admin(
      `EXPLAIN SELECT id FROM notifications WHERE user_id = 'ada' AND NOT is_read AND deleted_at IS NULL
       ORDER BY created_at DESC LIMIT 20`,
    );

    expect(JSON.stringify(plan)).toContain('notifications_unread_idx');
  });

  itTestsEveryCheck(
    db,
    INVALID.map(([rule]) => `notifications_${rule}_check`),
  );

  itKeepsAnAuditLog(db);
});
