/** @server any */
import { acceptedInput, BAD, type BadCall, outcomeOfGood, rowsOf, useDatabase } from '@azora/db-testkit';
import * as store from '../src';
import { type Notifications, openNotifications } from '../src';
import { given } from './given';

const ID = { userId: BAD.ids };
const ONE = { userId: BAD.ids, notificationId: BAD.ids };
const SENDING = {
  title: BAD.texts,
  message: BAD.texts,
  idempotencyKey: BAD.texts,
  source: [...BAD.texts, ['upper case', 'Mint'], ['a star', '*']],
  actionUrl: [
    ...BAD.texts,
    ['another site', 'https://evil.example'],
    ['another host', '//evil.example'],
    ['a script', 'javascript:alert(1)'],
  ],
  type: [
    ['an unknown type', 'shout'],
    ['null', null],
  ],
  expiresIn: [
    ['0', 0],
    ['a negative time', -1],
    ['a year and more', 366 * 86_400_000],
    ['a fraction', 1.5],
    ['text', '5'],
  ],
  channels: [
    ['the app', ['in_app']],
    ['an unknown one', ['fax']],
    ['a channel twice', ['sms', 'sms']],
    ['text', 'email'],
  ],
  urgent: [
    ['text', 'yes'],
    ['null', null],
  ],
  metadata: [
    ['a list', []],
    ['text', 'x'],
    ['a NUL byte', { a: '\0' }],
    ['17 KB', { a: 'x'.repeat(17_000) }],
    ['a function', { a: () => 1 }],
  ],
  values: [
    ['a list', []],
    ['a number', { a: 1 }],
    ['a strange name', { 'a b': 'x' }],
    ['__proto__', JSON.parse('{"__proto__": "x"}')],
    ['long text', { a: 'x'.repeat(1_001) }],
  ],
} as const;
const { values: _values, ...SENDING_MANY } = SENDING;

/** Each function with valid input, and invalid values of its fields. */
const CALLS: Readonly<Record<string, BadCall<Notifications>>> = {
  notify: [store.notify, { userId: 'ada', title: 'T', message: 'M', idempotencyKey: 'k' }, { ...ID, ...SENDING }],
  notifyMany: [
    store.notifyMany,
    { recipients: ['ada'], title: 'T', message: 'M', idempotencyKey: 'k' },
    {
      ...SENDING_MANY,
      recipients: [
        ['text', 'ada'],
        ['nobody', []],
        ['a bad id', ['a b']],
        ['both kinds', ['a', { userId: 'b', values: {} }]],
      ],
    },
  ],
  listNotifications: [
    store.listNotifications,
    { userId: 'ada' },
    { ...ID, show: [['other', 'some']], types: [['none', []]], limit: BAD.limits, cursor: BAD.texts },
  ],
  getNotification: [store.getNotification, { userId: 'ada', notificationId: 'x' }, ONE],
  markRead: [store.markRead, { userId: 'ada', notificationId: 'x' }, ONE],
  markUnread: [store.markUnread, { userId: 'ada', notificationId: 'x' }, ONE],
  deleteNotification: [store.deleteNotification, { userId: 'ada', notificationId: 'x' }, ONE],
  restoreNotification: [store.restoreNotification, { userId: 'ada', notificationId: 'x' }, ONE],
  unreadCount: [store.unreadCount, { userId: 'ada' }, ID],
  markAllRead: [store.markAllRead, { userId: 'ada' }, ID],
  expireNotifications: [store.expireNotifications, {}, { limit: BAD.limits }],
  pruneNotifications: [store.pruneNotifications, {}, { limit: BAD.limits }],
  saveTemplate: [
    store.saveTemplate,
    { name: 'x', title: 'T', message: 'M' },
    {
      name: [...BAD.texts, ['a space', 'a b'], ['upper case', 'A']],
      title: BAD.texts,
      message: BAD.texts,
      type: [['other', 'shout']],
      actionUrl: [['a host', '//x']],
    },
  ],
  findTemplate: [store.findTemplate, { name: 'x' }, { name: BAD.texts }],
  deleteTemplate: [store.deleteTemplate, { name: 'x' }, { name: BAD.texts }],
  listTemplates: [store.listTemplates, {}, { limit: BAD.limits, cursor: BAD.texts }],
  setPreference: [
    store.setPreference,
    { userId: 'ada', channel: 'email', mode: 'off' },
    { ...ID, source: BAD.texts, channel: [['other', 'fax']], mode: [['other', 'weekly']] },
  ],
  listPreferences: [store.listPreferences, { userId: 'ada' }, ID],
  setDeliverySettings: [
    store.setDeliverySettings,
    { userId: 'ada', timeZone: 'UTC', quietHours: null },
    {
      ...ID,
      timeZone: BAD.texts,
      quietHours: [
        ['one end', { from: '22:00' }],
        ['the same ends', { from: '22:00', until: '22:00' }],
        ['24:00', { from: '24:00', until: '07:00' }],
      ],
      digestAt: [
        ['seconds', '08:00:00'],
        ['no time', '25:00'],
      ],
    },
  ],
  getDeliverySettings: [store.getDeliverySettings, { userId: 'ada' }, ID],
  deliver: [
    store.deliver,
    { sender: async () => 'sent' },
    {
      sender: [
        ['text', 'x'],
        ['null', null],
      ],
      limit: BAD.limits,
      concurrency: BAD.limits,
      leaseMs: [
        ['0', 0],
        ['a day', 86_400_000],
      ],
    },
  ],
  listDeliveries: [
    store.listDeliveries,
    { userId: 'ada' },
    {
      ...ID,
      statuses: [
        ['none', []],
        ['other', ['x']],
      ],
      limit: BAD.limits,
      cursor: BAD.texts,
    },
  ],
};

describe('invalid input', () => {
  const db = useDatabase('notification');
  let notifications: Notifications;
  beforeAll(async () => {
    notifications = openNotifications({ url: db().url });
    await given(notifications, 'ada');
  });
  afterAll(() => notifications.close());

  it.each(Object.entries(CALLS))(
    'of %s is rejected with the name of the field, and changes nothing',
    async (_, call) => {
      const before = await rowsOf(db());

      expect(await acceptedInput(notifications, 'NOTIFICATION.INVALID_INPUT', call)).toEqual([]);
      expect(await rowsOf(db())).toEqual(before);
      expect(await outcomeOfGood(notifications, call)).not.toBe('NOTIFICATION.INVALID_INPUT');
    },
  );

  it.each([
    ['no text', {}],
    ['a title alone', { title: 'T' }],
    ['a template and a title', { template: 'x', title: 'T' }],
    ['a template and both', { template: 'x', title: 'T', message: 'M' }],
  ])('of notify and notifyMany is %s', async (_what, text) => {
    for (const call of [
      store.notify(notifications, { userId: 'ada', idempotencyKey: 'k', ...text } as never),
      store.notifyMany(notifications, { recipients: ['ada'], idempotencyKey: 'k', ...text } as never),
    ])
      await expect(call).rejects.toMatchObject({ code: 'NOTIFICATION.INVALID_INPUT', meta: { fields: ['title'] } });
  });

  it('of the functions about a person and of watch is rejected', async () => {
    for (const [, id] of BAD.ids) {
      const calls = [
        store.exportPerson(notifications, id as string),
        store.erasePerson(notifications, id as string),
        store.watch(notifications, { userId: id as string }).next(),
      ];
      for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'NOTIFICATION.INVALID_INPUT' });
    }
  });

  it('is tested for every function with input', () => {
    const others = ['openNotifications', 'notifyWithin', 'reconcile', 'exportPerson', 'erasePerson', 'watch'];
    const functions = Object.entries(store).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));

    expect(functions.filter((name) => /^[a-z]/.test(name) && !others.includes(name)).sort()).toEqual(
      Object.keys(CALLS).sort(),
    );
  });
});
