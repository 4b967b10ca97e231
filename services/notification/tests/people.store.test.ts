/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  erasePerson,
  exportPerson,
  listNotifications,
  markAllRead,
  type Notifications,
  notifyMany,
  openNotifications,
  reconcile,
  setDeliverySettings,
  setPreference,
  unreadCount,
} from '../src';
import { given, givenStores, outcomes } from './given';

describe('a person', () => {
  const db = useDatabase('notification');
  let notifications: Notifications;
  beforeAll(() => {
    notifications = openNotifications({ url: db().url });
  });
  afterAll(() => notifications.close());

  const rowsOf = async (userId: string) => {
    const rows = await exportPerson(notifications, userId);
    return Object.fromEntries(Object.entries(rows).map(([table, found]) => [table, found.length]));
  };

  async function givenPerson(userId: string): Promise<void> {
    await given(notifications, userId, { channels: ['email', 'sms'] });
    await markAllRead(notifications, { userId });
    await notifyMany(notifications, {
      recipients: [userId, 'other'],
      title: 'T',
      message: 'M',
      idempotencyKey: `batch-${userId}`,
    });
    await setPreference(notifications, { userId, channel: 'email', mode: 'off' });
    await setDeliverySettings(notifications, { userId, timeZone: 'UTC', quietHours: null });
    await db().app('INSERT INTO audit_logs (id, user_id, action) VALUES ($1, $2, $3)', [
      `log-${userId}`,
      userId,
      'row.changed',
    ]);
  }
  const COMPLETE = {
    notifications: 2,
    recipients: 1,
    bulk_reads: 1,
    deliveries: 2,
    preferences: 1,
    delivery_settings: 1,
    audit_logs: 1,
  };
  const ERASED = {
    notifications: 0,
    recipients: 0,
    bulk_reads: 0,
    deliveries: 0,
    preferences: 0,
    delivery_settings: 0,
    audit_logs: 1,
  };

  it('is exported from every table that the schema says is about a person', async () => {
    await givenPerson('ada');
    const tables = await db().admin(`SELECT DISTINCT table_name::text AS name FROM information_schema.columns
      WHERE table_schema = 'public' AND column_name = 'user_id'`);

    expect(await rowsOf('ada')).toEqual(COMPLETE);
    expect(Object.keys(COMPLETE).sort()).toEqual(tables.map(({ name }) => String(name)).sort());
    const { notifications: rows } = await exportPerson(notifications, 'ada');
    expect(rows?.[0]).toMatchObject({ user_id: 'ada', title: expect.any(String), message: expect.any(String) });
    expect(Object.values(await rowsOf('nobody'))).toEqual(Object.values(ERASED).map(() => 0));
  });

  it('is erased in one transaction, as often as it is asked for, and nobody else is', async () => {
    await givenPerson('ben');
    const others = await db().admin(`SELECT count(*)::int FROM notifications WHERE user_id <> 'ben'`);

    expect(await erasePerson(notifications, 'ben')).toBe(2);
    expect(await rowsOf('ben')).toEqual(ERASED);
    expect(await erasePerson(notifications, 'ben')).toBe(0);
    expect(await db().admin(`SELECT count(*)::int FROM notifications WHERE user_id <> 'ben'`)).toEqual(others);
    expect(await reconcile(notifications)).toEqual([]);
    // A name in text of others is their data.
    await given(notifications, 'ben');
    expect(await unreadCount(notifications, { userId: 'ben' })).toBe(1);
  });

  it('is erased while others send to the person, and the counter agrees', async () => {
    const stores = givenStores(db(), 3);
    for (let round = 0; round < 5; round += 1) {
      const calls = stores.flatMap((store) => [
        ...Array.from({ length: 5 }, () => given(store, 'eve')),
        markAllRead(store, { userId: 'eve' }),
        erasePerson(store, 'eve'),
      ]);
      expect(new Set(await outcomes(calls))).toEqual(new Set(['done']));
      expect(await reconcile(notifications)).toEqual([]);
      const { notifications: shown } = await listNotifications(notifications, { userId: 'eve', show: 'unread' });
      expect(shown).toHaveLength(await unreadCount(notifications, { userId: 'eve' }));
    }
    await Promise.all(stores.map((store) => store.close()));
  });
});
