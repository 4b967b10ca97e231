/** @server none */
import { type ChaosCall, type ChaosServer, callUnderKills, openChaosServer, testEffort } from '@azora/db-testkit';
import {
  deleteNotification,
  erasePerson,
  expireNotifications,
  listNotifications,
  markAllRead,
  markRead,
  markUnread,
  type Notifications,
  notify,
  notifyMany,
  openNotifications,
  reconcile,
  restoreNotification,
  unreadCount,
} from '../src';
import { fresh } from './given';

jest.setTimeout(3_600_000);

const OPERATIONS = 8_000 * testEffort();
const CLIENTS = 16;
const USERS = Array.from({ length: 40 }, (_, n) => `user-${n}`);
const KILLS = 2;

type Operation = (store: Notifications, userId: string) => Promise<unknown>;

const send: Operation = (store, userId) =>
  notify(store, {
    ...{ userId, title: 'T', message: 'M', idempotencyKey: fresh('key') },
    ...(Math.random() < 0.2 ? { expiresIn: 1 + Math.floor(Math.random() * 2_000) } : {}),
  });
const onAny =
  (change: (store: Notifications, input: { userId: string; notificationId: string }) => Promise<unknown>): Operation =>
  async (store, userId) => {
    const show = Math.random() < 0.7 ? 'all' : 'deleted';
    const { notifications } = await listNotifications(store, { userId, show, limit: 5 });
    const one = notifications[Math.floor(Math.random() * notifications.length)];
    if (one !== undefined) await change(store, { userId, notificationId: one.id });
  };
/** Frequent ones stand several times. */
const MIX: readonly (readonly [string, Operation])[] = [
  ...Array(6).fill(['notify', send]),
  ...Array(2).fill(['markAllRead', (store: Notifications, userId: string) => markAllRead(store, { userId })]),
  [
    'notifyMany',
    (store) =>
      notifyMany(store, {
        recipients: USERS.filter(() => Math.random() < 0.5).concat('all'),
        title: 'T',
        message: 'M',
        idempotencyKey: fresh('batch'),
      }),
  ],
  ['markRead', onAny(markRead)],
  ['markUnread', onAny(markUnread)],
  ['delete', onAny(deleteNotification)],
  ['restore', onAny(restoreNotification)],
  ['expire', (store) => expireNotifications(store, { limit: 50 })],
  ['erase', (store, userId) => (Math.random() < 0.05 ? erasePerson(store, userId) : unreadCount(store, { userId }))],
];

/** The codes of a client whose notification was deleted or has expired meanwhile. */
const REFUSALS = /^NOTIFICATION\.(DELETED|EXPIRED|NOT_FOUND)$/;

describe('the counters', () => {
  let server: ChaosServer;
  beforeAll(async () => {
    server = await openChaosServer('notification');
  });
  afterAll(() => server.close());

  it(`are those of a recount after ${OPERATIONS} random operations of ${CLIENTS} clients and ${KILLS} kills of the server`, async () => {
    const stores = Array.from({ length: 4 }, () =>
      openNotifications({ url: server.url, pool: { max: CLIENTS / 4 }, slowQueryMs: 3_600_000 }),
    );
    const store = openNotifications({ url: server.url, slowQueryMs: 3_600_000 });
    const next = (client: number): ChaosCall => {
      const [name, operation] = MIX[Math.floor(Math.random() * MIX.length)] ?? ['notify', send];
      const user = USERS[Math.floor(Math.random() * USERS.length)] ?? '';
      return [name, () => operation(stores[client % 4] as Notifications, user)];
    };
    const outcome = await callUnderKills(server, {
      clients: CLIENTS,
      kills: KILLS,
      calls: OPERATIONS / KILLS,
      next,
      refusals: REFUSALS,
      check: async () => expect(await reconcile(store)).toEqual([]),
    });

    for (const userId of USERS) {
      const unread: string[] = [];
      for (let cursor: string | null | undefined; cursor !== null; ) {
        const page = await listNotifications(store, {
          userId,
          show: 'unread',
          limit: 200,
          ...(cursor === undefined ? {} : { cursor }),
        });
        unread.push(...page.notifications.map(({ id }) => id));
        cursor = page.nextCursor;
      }
      // Those that expire in this moment may be in one of the two.
      if (await noneExpires()) expect(unread).toHaveLength(await unreadCount(store, { userId }));
    }
    expect(new Set(Object.keys(outcome.done))).toEqual(new Set(MIX.map(([name]) => name)));
    expect(outcome.lost).toBeGreaterThan(0);
    process.stderr.write(`chaos: ${JSON.stringify(outcome)}\n`);
    await Promise.all([store, ...stores].map((it) => it.close()));
  });

  const noneExpires = async () => {
    const [row] = await server.admin(
      `SELECT count(*)::int AS soon FROM notifications WHERE expires_at > now() - interval '1 second'`,
    );
    return row?.['soon'] === 0;
  };

  it('are right after a notification to 100,000 users in one statement', async () => {
    const store = openNotifications({
      url: server.url,
      pool: { statementTimeoutMs: 600_000 },
      slowQueryMs: 3_600_000,
    });
    const recipients = Array.from({ length: 100_000 }, (_, n) => `crowd-${n}`);
    const { id, notified } = await notifyMany(store, {
      recipients,
      title: 'T',
      message: 'M',
      channels: ['email'],
      idempotencyKey: 'crowd',
    });

    expect(notified).toBe(100_000);
    const sql = `SELECT (SELECT count(*)::int FROM notifications WHERE id LIKE $1) AS notifications,
      (SELECT count(*)::int FROM deliveries WHERE notification_id LIKE $1) AS deliveries`;
    expect(await server.admin(sql, [`${id.slice(0, 19)}%`])).toEqual([{ notifications: 100_000, deliveries: 100_000 }]);
    expect(await unreadCount(store, { userId: 'crowd-99999' })).toBe(1);
    expect(await reconcile(store)).toEqual([]);
    await store.close();
  });
});
