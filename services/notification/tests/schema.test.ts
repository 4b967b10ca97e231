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
  ['position', 'position = 0'],
  ['body_hash', `body_hash = repeat('A', 64)`],
] as const;

const HASH = "repeat('a', 64)";
const DELIVERY =
  'INSERT INTO deliveries (notification_id, user_id, channel, mode, next_at, status, attempts, claim_id, message_id, sent_at)';

/** The rule that a new row of another table violates, and the statement. */
const INVALID_ROWS = [
  ['recipients_unread', `INSERT INTO recipients (user_id, unread) VALUES ('x', -1)`],
  ['batches_body_hash', `INSERT INTO batches (key, id, body_hash, notified) VALUES ('x', 'x', 'x', 1)`],
  ['batches_notified', `INSERT INTO batches (key, id, body_hash, notified) VALUES ('x', 'x', ${HASH}, 0)`],
  ['templates_name', `INSERT INTO templates (name, title, message) VALUES ('A b', 'x', 'x')`],
  ['templates_title', `INSERT INTO templates (name, title, message) VALUES ('a', ' ', 'x')`],
  ['templates_message', `INSERT INTO templates (name, title, message) VALUES ('a', 'x', ' ')`],
  ['templates_action_url', `INSERT INTO templates (name, title, message, action_url) VALUES ('a', 'x', 'x', '//x')`],
  ['preferences_user_id', `INSERT INTO preferences (user_id, channel, mode) VALUES (' ', 'email', 'off')`],
  ['preferences_source', `INSERT INTO preferences (user_id, source, channel, mode) VALUES ('x', ' ', 'email', 'off')`],
  ['preferences_mode', `INSERT INTO preferences (user_id, channel, mode) VALUES ('x', 'in_app', 'digest')`],
  ['delivery_settings_user_id', `INSERT INTO delivery_settings (user_id) VALUES (' ')`],
  ['delivery_settings_quiet', `INSERT INTO delivery_settings (user_id, quiet_from) VALUES ('x', '22:00')`],
  [
    'delivery_settings_quiet',
    `INSERT INTO delivery_settings (user_id, quiet_from, quiet_until) VALUES ('x', '22:00', '22:00')`,
  ],
  [
    'deliveries_channel',
    `${DELIVERY} VALUES ('first', 'ada', 'in_app', 'instant', now(), 'pending', 0, NULL, NULL, NULL)`,
  ],
  ['deliveries_mode', `${DELIVERY} VALUES ('first', 'ada', 'sms', 'off', now(), 'pending', 0, NULL, NULL, NULL)`],
  [
    'deliveries_attempts',
    `${DELIVERY} VALUES ('first', 'ada', 'sms', 'instant', now(), 'pending', 6, NULL, NULL, NULL)`,
  ],
  ['deliveries_sending', `${DELIVERY} VALUES ('first', 'ada', 'sms', 'instant', now(), 'sending', 1, NULL, 'm', NULL)`],
  ['deliveries_sending', `${DELIVERY} VALUES ('first', 'ada', 'sms', 'instant', now(), 'sending', 1, 'c', NULL, NULL)`],
  ['deliveries_sent', `${DELIVERY} VALUES ('first', 'ada', 'sms', 'instant', now(), 'sent', 1, NULL, 'm', NULL)`],
] as const;

describe('the notification schema', () => {
  const db = useDatabase('notification');

  beforeAll(async () => {
    await db().admin(INSERT, ['first', 'ada', 'Hello', 'Welcome']);
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

  it.each(INVALID_ROWS)('rejects a row with an invalid %s: %s', async (rule, insert) => {
    await schemaRefuses(db().admin(insert), `${rule}_check`);
  });

  it('rejects an unknown type', async () => {
    await expect(db().admin(`UPDATE notifications SET type = 'shout'`)).rejects.toMatchObject({ code: '22P02' });
  });

  it('accepts one of four concurrent notifications with the same idempotency key', async () => {
    const row = { user_id: 'bob', title: 'Due', message: 'Today', idempotency_key: 'due-today' };
    const send = (id: number) => insertRow(db().admin, 'notifications', { id: `race-${id}`, ...row });
    const refused = await refusalsOf([1, 2, 3, 4].map(send));

    expect(refused).toEqual(Array(3).fill('notifications_user_id_idempotency_key_key'));
  });

  it('finds the unread notifications of a user above the mark through the partial index', async () => {
    await db().admin('SET enable_seqscan = off');
    const plan = await db().admin(
      `EXPLAIN SELECT id FROM notifications WHERE user_id = 'ada' AND NOT is_read AND deleted_at IS NULL AND in_app
         AND position > 5`,
    );

    expect(JSON.stringify(plan)).toContain('notifications_unread_idx');
  });

  itTestsEveryCheck(db, [
    ...INVALID.map(([rule]) => `notifications_${rule}_check`),
    ...INVALID_ROWS.map(([rule]) => `${rule}_check`),
  ]);

  itKeepsAnAuditLog(db);
});
