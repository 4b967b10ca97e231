/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type DeliveryPage,
  type DeliveryStatus,
  deleteNotification,
  deliver,
  getDeliverySettings,
  listDeliveries,
  listPreferences,
  markAllRead,
  markRead,
  type Notifications,
  type OutgoingMessage,
  openNotifications,
  type Sender,
  type SentChannel,
  setDeliverySettings,
  setPreference,
} from '../src';
import { fresh, given, givenStores, namesOf, outcomes, publishedFor } from './given';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

describe('deliveries', () => {
  const db = useDatabase('notification');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let notifications: Notifications;
  let stores: readonly Notifications[];
  let userId = '';
  beforeAll(() => {
    notifications = openNotifications({ url: db().url });
    stores = givenStores(db(), 4);
  });
  beforeEach(async () => {
    userId = fresh('user');
    // What earlier tests left is not due.
    await db().admin('DELETE FROM deliveries');
  });
  afterAll(async () => {
    await Promise.all([notifications, ...stores].map((store) => store.close()));
  });

  const sentTo =
    (messages: OutgoingMessage[]): Sender =>
    async (message) => {
      messages.push(message);
      return 'sent';
    };
  const run = async (sender?: Sender) => {
    const messages: OutgoingMessage[] = [];
    const result = await deliver(notifications, { sender: sender ?? sentTo(messages) });
    return { ...result, messages };
  };
  const statuses = async (user = userId) =>
    (await listDeliveries(notifications, { userId: user })).deliveries.map(({ status }) => status);
  const emailed = (user = userId, change: Parameters<typeof given>[2] = {}) =>
    given(notifications, user, { channels: ['email'], ...change });
  const failing: Sender = async () => {
    throw new Error('the server is busy');
  };

  it('take a notification to each channel, once', async () => {
    const sent = await emailed(userId, { channels: ['email', 'push', 'sms'] });
    await given(notifications, userId);

    const { messages, ...result } = await run();
    expect(result).toEqual({ sent: 3, retried: 0, failed: 0, errors: [] });
    expect(messages.toSorted((one, other) => one.id.localeCompare(other.id))).toEqual(
      ['email', 'push', 'sms'].map((channel) => ({
        ...{ id: `${sent.id}:${channel}`, channel, userId, isDigest: false, notifications: [sent], attempt: 1 },
      })),
    );
    expect(await run()).toMatchObject({ sent: 0, messages: [] });
    expect(namesOf(await publishedFor(db(), userId))).toEqual([
      'notification-sent',
      'notification-sent',
      'delivery-sent',
      'delivery-sent',
      'delivery-sent',
    ]);
    const { deliveries } = await listDeliveries(notifications, { userId, statuses: ['sent'] });
    expect(deliveries.map(({ sentAt, attempts }) => [sentAt, attempts])).toEqual(Array(3).fill([clock.now(), 1]));
  });

  it('are tried five times with growing pauses, then given up', async () => {
    const { id } = await emailed();
    const ids: string[] = [];
    const noting: Sender = (message) => {
      ids.push(message.id);
      return failing(message);
    };
    for (const pauseMs of [30_000, 120_000, 480_000, 1_920_000]) {
      const { errors, ...result } = await run(noting);
      expect(result).toMatchObject({ sent: 0, retried: 1, failed: 0 });
      expect(errors).toEqual([{ messageId: `${id}:email`, error: new Error('the server is busy') }]);
      // Up to a quarter less.
      await clock.move(pauseMs * 0.75 - 1);
      expect(await run()).toMatchObject({ sent: 0, messages: [] });
      await clock.move(pauseMs * 0.25 + 1);
    }
    expect(await run(noting)).toMatchObject({ retried: 0, failed: 1 });
    await clock.move(24 * HOUR_MS);

    expect(await run()).toMatchObject({ sent: 0, messages: [] });
    expect(ids).toEqual(Array(5).fill(`${id}:email`));
    expect(await statuses()).toEqual(['failed']);
    expect((await publishedFor(db(), userId)).at(-1)).toEqual({
      type: 'notification.delivery-failed.v1',
      key: userId,
      payload: { notificationId: id, userId, channel: 'email', attempts: 5 },
    });
  });

  it('are given up at once when the sender says that they are undeliverable', async () => {
    await emailed();

    expect(await run(async () => 'undeliverable')).toMatchObject({ sent: 0, retried: 0, failed: 1, errors: [] });
    expect(await statuses()).toEqual(['failed']);
  });

  it('are claimed by one of many workers', async () => {
    const users = Array.from({ length: 40 }, () => fresh('user'));
    await Promise.all(users.map((user) => emailed(user)));
    const messages: OutgoingMessage[] = [];

    const results = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        deliver(stores[n % 4] as Notifications, { sender: sentTo(messages), limit: 7 }),
      ),
    );

    expect(results.reduce((sum, { sent }) => sum + sent, 0)).toBe(40);
    expect(messages.map((message) => message.userId).sort()).toEqual([...users].sort());
  });

  it('go to another worker when the lease of a dead one ends, and count only once', async () => {
    const { id } = await emailed();
    let die = () => undefined as unknown;
    const hanging = new Promise<'sent'>((resolve) => {
      die = () => resolve('sent');
    });
    let begun = () => undefined as unknown;
    const started = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const slow = deliver(stores[0] as Notifications, {
      sender: () => {
        begun();
        return hanging;
      },
      leaseMs: MINUTE_MS,
    });
    await started;
    await clock.move(MINUTE_MS - 1);
    expect(await run()).toMatchObject({ messages: [] });
    await clock.move(1);

    const { messages, sent } = await run();
    expect(messages).toMatchObject([{ id: `${id}:email`, attempt: 2 }]);
    die();
    // The worker that lost its claim changes nothing.
    expect([sent, (await slow).sent]).toEqual([1, 0]);
    expect(namesOf(await publishedFor(db(), userId)).filter((name) => name === 'delivery-sent')).toHaveLength(1);
  });

  it('that arrive while a worker waits for its turn are sent by it', async () => {
    const holder = await notifications.pool.connect();
    await holder.query("SELECT pg_advisory_lock(x'64656c69'::integer)");
    const running = deliver(stores[0] as Notifications, { sender: async () => 'sent' });
    for (let isWaiting = false; !isWaiting; ) {
      const rows = await db().admin(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`);
      isWaiting = rows.length === 1;
    }
    await emailed();
    await holder.query("SELECT pg_advisory_unlock(x'64656c69'::integer)");
    holder.release();

    expect(await running).toMatchObject({ sent: 1 });
  });

  it('are given up when five workers died with them', async () => {
    await emailed();
    for (let n = 0; n < 5; n += 1) {
      await db().app(`SELECT claim_deliveries('dead-${n}', 10, '1 minute')`);
      await clock.move(MINUTE_MS);
    }

    expect(await run()).toMatchObject({ messages: [] });
    expect(await statuses()).toEqual(['failed']);
    expect(namesOf(await publishedFor(db(), userId)).at(-1)).toBe('delivery-failed');
  });

  it.each([
    ['was deleted', (id: string) => deleteNotification(notifications, { userId, notificationId: id })],
    ['has expired', () => clock.move(2 * HOUR_MS)],
    [
      'has a channel that was switched off',
      () => setPreference(notifications, { userId, channel: 'email', mode: 'off' }),
    ],
  ])('are cancelled if the notification %s meanwhile', async (_what, change) => {
    const { id } = await emailed(userId, { expiresIn: HOUR_MS });
    await change(id);

    expect(await run()).toMatchObject({ sent: 0, messages: [] });
    expect(await statuses()).toEqual(['cancelled']);
  });

  it('are sent although the user has read the notification', async () => {
    const { id } = await emailed();
    await markRead(notifications, { userId, notificationId: id });

    expect(await run()).toMatchObject({ sent: 1, messages: [{ notifications: [{ isRead: true }] }] });
  });

  describe('in quiet hours', () => {
    // 23:30 in Johannesburg.
    beforeEach(async () => {
      await clock.set('2026-03-01T21:30:00Z');
      const quietHours = { from: '22:00', until: '07:00' };
      await setDeliverySettings(notifications, { userId, timeZone: 'Africa/Johannesburg', quietHours });
    });

    it('wait until their end, in the time zone of the user', async () => {
      await emailed();
      expect(await run()).toMatchObject({ messages: [] });
      await clock.set('2026-03-02T04:59:59.999Z');
      expect(await run()).toMatchObject({ messages: [] });
      await clock.move(1);

      expect(await run()).toMatchObject({ sent: 1 });
    });

    it('leave at once when they are urgent', async () => {
      await emailed(userId, { urgent: true });

      expect(await run()).toMatchObject({ sent: 1 });
    });

    it('wait too if they were due before and no worker came', async () => {
      await clock.set('2026-03-01T19:59:59Z');
      await emailed();
      await clock.move(1_000);

      expect(await run()).toMatchObject({ messages: [] });
      await clock.set('2026-03-02T05:00:00Z');
      expect(await run()).toMatchObject({ sent: 1 });
    });

    it.each([
      ['2026-03-01T19:59:59Z', true],
      ['2026-03-01T20:00:00Z', false],
      ['2026-03-02T00:00:00Z', false],
      ['2026-03-02T05:00:00Z', true],
    ])('are those from 22:00 to 07:00: at %s, a delivery leaves: %s', async (time, leaves) => {
      await clock.set(time);
      await emailed();

      expect((await run()).sent).toBe(leaves ? 1 : 0);
    });

    it('end when the user switches them off', async () => {
      await setDeliverySettings(notifications, { userId, timeZone: 'Africa/Johannesburg', quietHours: null });
      await emailed();

      expect(await run()).toMatchObject({ sent: 1 });
    });

    it('may lie within one day', async () => {
      const quietHours = { from: '13:00', until: '14:00' };
      await setDeliverySettings(notifications, { userId, timeZone: 'UTC', quietHours });
      await clock.set('2026-03-01T13:59:59Z');
      await emailed();
      expect((await run()).sent).toBe(0);
      await clock.move(1_000);
      expect((await run()).sent).toBe(1);
    });

    it('end at the local time on the day on which clocks change', async () => {
      const quietHours = { from: '22:00', until: '07:00' };
      await setDeliverySettings(notifications, { userId, timeZone: 'Europe/Berlin', quietHours });
      // Clocks go forward on 29 March 2026, so 07:00 is 05:00 UTC.
      await clock.set('2026-03-29T00:30:00Z');
      await emailed();
      await clock.set('2026-03-29T04:59:59Z');
      expect((await run()).sent).toBe(0);
      await clock.move(1_000);
      expect((await run()).sent).toBe(1);
    });
  });

  describe('of a digest', () => {
    beforeEach(async () => {
      await setPreference(notifications, { userId, channel: 'email', mode: 'digest' });
      await setDeliverySettings(notifications, { userId, timeZone: 'UTC', quietHours: null, digestAt: '18:00' });
    });

    it('are one message a day, without what was read meanwhile', async () => {
      const first = await emailed();
      await clock.move(1_000);
      const read = await emailed();
      const second = await emailed(userId, { source: 'forge' });
      await markRead(notifications, { userId, notificationId: read.id });
      expect(await run()).toMatchObject({ messages: [] });
      await clock.set('2026-03-01T18:00:00Z');
      const late = await emailed();

      const { messages, sent } = await run();
      expect(messages).toMatchObject([{ channel: 'email', userId, isDigest: true, attempt: 1 }]);
      expect(messages[0]?.notifications.map(({ id }) => id)).toEqual([first.id, second.id]);
      expect(sent).toBe(2);
      expect((await statuses()).toSorted()).toEqual(['cancelled', 'pending', 'sent', 'sent']);
      await clock.set('2026-03-02T18:00:00Z');
      expect((await run()).messages).toMatchObject([{ notifications: [{ id: late.id }] }]);
    });

    it('are sent again as the same message, and new ones apart', async () => {
      const first = await emailed();
      await clock.set('2026-03-01T18:00:00Z');
      const before: OutgoingMessage[] = [];
      await run(async (message) => {
        before.push(message);
        throw new Error('busy');
      });
      await clock.set('2026-03-01T17:00:00Z');
      const second = await emailed();
      await clock.set('2026-03-01T18:30:00Z');

      const { messages } = await run();
      expect(messages.map(({ id }) => id)).toContain(before[0]?.id);
      expect(messages.map(({ notifications: list }) => list.map(({ id }) => id)).toSorted()).toEqual(
        [[first.id], [second.id]].toSorted(),
      );
    });

    it('are not torn apart by concurrent workers with small limits', async () => {
      for (let n = 0; n < 12; n += 1) await emailed();
      await clock.set('2026-03-01T18:00:00Z');
      const messages: OutgoingMessage[] = [];

      await Promise.all(stores.map((store) => deliver(store, { sender: sentTo(messages), limit: 1 })));

      expect(messages.map(({ notifications: list }) => list.length)).toEqual([12]);
    });

    it('are not sent when everything was read', async () => {
      await emailed();
      await markAllRead(notifications, { userId });
      await clock.set('2026-03-01T18:00:00Z');

      expect(await run()).toMatchObject({ messages: [] });
      expect(await statuses()).toEqual(['cancelled']);
    });
  });

  it('are listed newest first, page by page and by status', async () => {
    for (let n = 0; n < 3; n += 1) {
      await emailed(userId, { channels: ['email', 'push'] });
      await clock.move(n);
    }
    await deliver(notifications, { sender: async () => 'sent', limit: 1 });
    const pages: (readonly [string, SentChannel | 'in_app'])[][] = [];
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const page: DeliveryPage = await listDeliveries(notifications, {
        userId,
        limit: 4,
        ...(cursor === undefined ? {} : { cursor }),
      });
      pages.push(page.deliveries.map(({ notificationId, channel }) => [notificationId, channel] as const));
      cursor = page.nextCursor;
    }

    expect(pages.map((page) => page.length)).toEqual([4, 2]);
    expect(new Set(pages.flat().map((place) => place.join(' '))).size).toBe(6);
    const pending = await listDeliveries(notifications, { userId, statuses: ['pending'] });
    expect(pending.deliveries).toHaveLength(5);
  });

  const ALL: readonly DeliveryStatus[] = ['pending', 'sending', 'sent', 'failed', 'cancelled'];
  /** What each status may become. */
  const NEXT: Readonly<Record<DeliveryStatus, readonly DeliveryStatus[]>> = {
    pending: ['sending', 'failed', 'cancelled'],
    sending: ['pending', 'sent', 'failed', 'cancelled'],
    sent: [],
    failed: [],
    cancelled: [],
  };
  const PAIRS = ALL.flatMap((from) =>
    ALL.filter((to) => to !== from).map((to) => [from, to, NEXT[from].includes(to)] as const),
  );

  it.each(PAIRS)('go from %s to %s: %s', async (from, to, isAllowed) => {
    const { id } = await emailed();
    const set = (status: DeliveryStatus) =>
      db().admin(
        `UPDATE deliveries SET status = $2::delivery_status, message_id = 'm',
         claim_id = CASE WHEN $2::text = 'sending' THEN 'c' END, sent_at = CASE WHEN $2::text = 'sent' THEN now() END
         WHERE notification_id = $1`,
        [id, status],
      );
    if (from === 'sent') await set('sending');
    if (from !== 'pending') await set(from);

    const change = set(to);
    if (isAllowed) await change;
    else await expect(change).rejects.toMatchObject({ code: 'AZ001', message: 'delivery_decided' });
    expect(await statuses()).toEqual([isAllowed ? to : from]);
  });

  it('follow the choices of a user, which are stored and listed', async () => {
    await setPreference(notifications, { userId, channel: 'push', mode: 'off' });
    await clock.move(1_000);
    const chosen = await setPreference(notifications, { userId, channel: 'push', mode: 'digest' });
    await setPreference(notifications, { userId, source: 'mint', channel: 'in_app', mode: 'off' });

    expect(chosen).toEqual({
      ...{ userId, source: '*', channel: 'push', mode: 'digest' },
      ...{ createdAt: new Date(clock.now().getTime() - 1_000), updatedAt: clock.now() },
    });
    expect(await listPreferences(notifications, { userId })).toMatchObject([
      chosen,
      { source: 'mint', channel: 'in_app', mode: 'off' },
    ]);
    const settings = {
      userId,
      timeZone: 'America/New_York',
      quietHours: { from: '23:15', until: '06:45' },
      digestAt: '09:30',
    };
    expect(await setDeliverySettings(notifications, settings)).toEqual(settings);
    expect(await getDeliverySettings(notifications, { userId })).toEqual(settings);
    expect(await getDeliverySettings(notifications, { userId: fresh('user') })).toMatchObject({
      timeZone: 'UTC',
      quietHours: null,
      digestAt: '08:00',
    });
  });

  it('need a time zone that exists', async () => {
    const set = (timeZone: string) => setDeliverySettings(notifications, { userId, timeZone, quietHours: null });

    await expect(set('Mars/Olympus')).rejects.toMatchObject({
      code: 'NOTIFICATION.INVALID_INPUT',
      why: 'timeZone: is not a time zone that PostgreSQL knows.',
    });
    expect(await outcomes([set('Africa/Lagos')])).toEqual(['done']);
  });
});
