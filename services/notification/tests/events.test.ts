/** @server any */
import { type CloudEvent, handleEvents } from '@azora/db-core/events';
import { useDatabase, useTestClock } from '@azora/db-testkit';
import Ajv from 'ajv/dist/2020';
import {
  deleteNotification,
  deliver,
  EVENTS,
  listDeliveries,
  listNotifications,
  markAllRead,
  markRead,
  markUnread,
  type Notifications,
  notifyMany,
  openNotifications,
  restoreNotification,
  securityAlerts,
  setPreference,
} from '../src';
import { fresh, given, namesOf, outcomes, publishedFor } from './given';

const BY_NAME = new Map<string, (typeof EVENTS)[number]>(EVENTS.map((event) => [event.type, event]));
/** Text of a caller, which no event repeats. */
const PERSONAL = ['Ada Lovelace', 'ada@azora.world', '12 Main Street'];

describe('the events of notification', () => {
  const db = useDatabase('notification');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  const ajv = new Ajv({ strict: false, validateFormats: false });
  let notifications: Notifications;
  let userId = '';
  beforeAll(() => {
    notifications = openNotifications({ url: db().url });
  });
  beforeEach(() => {
    userId = fresh('user');
  });
  afterAll(() => notifications.close());

  it('are published by each change once, in its order, and not by a repeated call', async () => {
    const { id: notificationId } = await given(notifications, userId, { channels: ['email', 'sms'] });
    const on = { userId, notificationId };
    for (const change of [markRead, markUnread, deleteNotification, restoreNotification]) {
      await change(notifications, on);
      await change(notifications, on);
    }
    await markAllRead(notifications, { userId });
    await markAllRead(notifications, { userId });
    await deliver(notifications, { sender: async ({ channel }) => (channel === 'sms' ? 'undeliverable' : 'sent') });

    const published = await publishedFor(db(), userId);
    expect(namesOf(published)).toEqual([
      ...['notification-sent', 'notification-read', 'notification-unread', 'notification-deleted'],
      ...['notification-restored', 'all-read', 'delivery-sent', 'delivery-failed'],
    ]);
    expect(published.map(({ payload }) => payload).slice(5)).toEqual([
      { userId, marked: 1 },
      { ...on, channel: 'email', attempts: 1 },
      { ...on, channel: 'sms', attempts: 1 },
    ]);
  });

  it('are not published by a change that fails', async () => {
    const { id: notificationId } = await given(notifications, userId, { expiresIn: 1 });
    await clock.move(1);
    const on = { userId, notificationId };

    const calls = [markRead, markUnread, restoreNotification].map((change) => change(notifications, on));
    expect(await outcomes(calls)).toEqual(Array(3).fill('NOTIFICATION.EXPIRED'));
    expect(namesOf(await publishedFor(db(), userId))).toEqual(['notification-sent']);
  });

  it('match their schemas and hold no text of a caller', async () => {
    const [title = '', source = '', message = ''] = PERSONAL;
    await given(notifications, userId, {
      metadata: { address: PERSONAL },
      actionUrl: `/${encodeURIComponent(source)}`,
    });
    await notifyMany(notifications, { recipients: [userId], title, message, idempotencyKey: PERSONAL.join() });
    const rows = await db().admin('SELECT type, key, payload FROM outbox');

    expect(new Set(rows.map(({ type }) => type))).toEqual(new Set(BY_NAME.keys()));
    for (const { type, key, payload } of rows) {
      const event = BY_NAME.get(String(type));
      expect({ type, errors: ajv.validate(event?.jsonSchema ?? false, payload) ? [] : ajv.errors }).toEqual({
        type,
        errors: [],
      });
      expect(event?.key(payload as never)).toBe(key);
    }
    const text = JSON.stringify(rows);
    expect(PERSONAL.filter((personal) => text.includes(personal))).toEqual([]);
  });
});

describe('the security alerts', () => {
  const db = useDatabase('notification');
  let notifications: Notifications;
  let userId = '';
  let made = 0;
  beforeAll(() => {
    notifications = openNotifications({ url: db().url });
  });
  beforeEach(() => {
    userId = fresh('user');
  });
  afterAll(() => notifications.close());

  const eventOf = (type: string): CloudEvent => {
    made += 1;
    return {
      ...{
        specversion: '1.0',
        id: `00000000-0000-4000-8000-${String(made).padStart(12, '0')}`,
        source: '/azora/auth',
        type,
      },
      ...{ subject: userId, time: '2026-03-01T12:00:00Z', datacontenttype: 'application/json' },
      ...{ dataschema: `urn:azora:event:${type}`, partitionkey: userId, sequence: String(made) },
      data: { auditId: 'a', occurredAt: '2026-03-01T12:00:00Z', userId, resourceType: 'user', resourceId: userId },
    };
  };

  it('tell the user about each event once, however often it is delivered', async () => {
    const events = securityAlerts.types.map(eventOf);

    const handled = await handleEvents(notifications, securityAlerts, [...events, ...events]);
    await handleEvents(notifications, securityAlerts, events);

    expect(new Set(handled.map(({ outcome }) => outcome))).toEqual(new Set(['done', 'repeated']));
    const { notifications: told } = await listNotifications(notifications, { userId });
    expect(told).toHaveLength(securityAlerts.types.length);
    expect(new Set(told.map(({ title }) => title)).size).toBe(told.length);
    expect(told.every(({ source, actionUrl }) => source === 'auth' && actionUrl === '/settings/security')).toBe(true);
  });

  it('reach the user by email too, although the user has switched everything off', async () => {
    for (const channel of ['in_app', 'email'] as const)
      await setPreference(notifications, { userId, channel, mode: 'off' });

    await handleEvents(notifications, securityAlerts, [eventOf('auth.token-reused.v1')]);

    expect((await listNotifications(notifications, { userId })).notifications).toMatchObject([{ type: 'error' }]);
    expect((await listDeliveries(notifications, { userId })).deliveries).toMatchObject([
      { channel: 'email', urgent: true },
    ]);
  });

  it('fail on an event without a user, and leave nothing', async () => {
    const event = { ...eventOf('auth.mfa-enabled.v1'), data: {} };

    expect(await handleEvents(notifications, securityAlerts, [event])).toMatchObject([
      { outcome: 'failed', error: { code: 'NOTIFICATION.INVALID_INPUT' } },
    ]);
    expect((await listNotifications(notifications, { userId })).notifications).toEqual([]);
  });

  it('are about events that auth publishes', async () => {
    const { EVENTS: ofAuth } = await import(`@azora/${'auth'}`);
    const known = ofAuth.map(({ type }: { type: string }) => type);

    expect(securityAlerts.types.filter((type) => !known.includes(type))).toEqual([]);
  });
});
