/** @server none */
import { withClient } from '@azora/db-fleet';
import { testEffort } from '@azora/db-testkit';
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
import { type ChaosServer, openChaosServer } from './chaos-server';
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

/** What a client may be told: that the notification was deleted or has expired meanwhile, or that the server was killed. */
const EXPECTED =
  /^(NOTIFICATION\.(DELETED|EXPIRED|NOT_FOUND)|DATABASE\.(CONNECTION_LOST|NO_CONNECTION|TIMEOUT|ACCESS_DENIED|FAILED))$/;

describe('the counters', () => {
  let server: ChaosServer;
  beforeAll(async () => {
    server = await openChaosServer();
  });
  afterAll(() => server.close());

  it(`are those of a recount after ${OPERATIONS} random operations of ${CLIENTS} clients and ${KILLS} kills of the server`, async () => {
    const stores = Array.from({ length: 4 }, () =>
      openNotifications({ url: server.url, pool: { max: CLIENTS / 4 }, slowQueryMs: 3_600_000 }),
    );
    const done: Record<string, number> = {};
    const refused: Record<string, number> = {};
    let begun = 0;
    const client = async (store: Notifications) => {
      while (begun < OPERATIONS) {
        begun += 1;
        const [name, operation] = MIX[Math.floor(Math.random() * MIX.length)] ?? ['notify', send];
        const user = USERS[Math.floor(Math.random() * USERS.length)] ?? '';
        const code = await operation(store, user).then(
          () => undefined,
          (error) => String(error.code ?? error),
        );
        if (code === undefined) done[name] = (done[name] ?? 0) + 1;
        else refused[code] = (refused[code] ?? 0) + 1;
      }
    };
    const kills = async () => {
      for (let kill = 1; kill <= KILLS; kill += 1) {
        const moment = (OPERATIONS * kill) / (KILLS + 1);
        while (begun < moment) await new Promise((resolve) => setImmediate(resolve));
        await server.killAndRestart();
      }
    };

    await Promise.all([kills(), ...Array.from({ length: CLIENTS }, (_, n) => client(stores[n % 4] as Notifications))]);
    const store = openNotifications({ url: server.url, slowQueryMs: 3_600_000 });

    expect(await reconcile(store)).toEqual([]);
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
    expect(Object.keys(refused).filter((code) => !EXPECTED.test(code))).toEqual([]);
    expect(new Set(MIX.map(([name]) => name))).toEqual(new Set(Object.keys(done)));
    process.stderr.write(`chaos: ${JSON.stringify({ done, refused })}\n`);
    await Promise.all([store, ...stores].map((it) => it.close()));
  });

  const noneExpires = async () => {
    const sql = `SELECT count(*)::int AS soon FROM notifications WHERE expires_at > now() - interval '1 second'`;
    const { rows } = await withClient(server.admin, (client) => client.query<{ soon: number }>(sql));
    return rows[0]?.soon === 0;
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
    const { rows } = await withClient(server.admin, (client) => client.query(sql, [`${id.slice(0, 19)}%`]));
    expect(rows).toEqual([{ notifications: 100_000, deliveries: 100_000 }]);
    expect(await unreadCount(store, { userId: 'crowd-99999' })).toBe(1);
    expect(await reconcile(store)).toEqual([]);
    await store.close();
  });
});
