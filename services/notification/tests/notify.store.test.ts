/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  deleteTemplate,
  findTemplate,
  listDeliveries,
  listNotifications,
  listTemplates,
  markAllRead,
  type Notifications,
  notify,
  notifyMany,
  notifyWithin,
  openNotifications,
  reconcile,
  saveTemplate,
  setPreference,
  type TemplatePage,
  unreadCount,
} from '../src';
import { fresh, given, givenStores, namesOf, outcomes, publishedFor } from './given';

describe('sending', () => {
  const db = useDatabase('notification');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let notifications: Notifications;
  let stores: readonly Notifications[];
  let userId = '';
  beforeAll(() => {
    notifications = openNotifications({ url: db().url });
    stores = givenStores(db(), 4);
  });
  beforeEach(() => {
    userId = fresh('user');
  });
  afterEach(async () => {
    expect(await reconcile(notifications)).toEqual([]);
  });
  afterAll(async () => {
    await Promise.all([notifications, ...stores].map((store) => store.close()));
  });

  const listed = async (user = userId) => (await listNotifications(notifications, { userId: user })).notifications;

  describe('to one user', () => {
    it('stores the content, with defaults for the rest', async () => {
      const idempotencyKey = fresh('key');
      const full = {
        userId,
        title: 'Welcome',
        message: 'Hello',
        type: 'success',
        source: 'mint',
        actionUrl: '/wallet',
        metadata: { amount: '5', tags: ['a', null, true] },
        expiresIn: 60_000,
        idempotencyKey,
      } as const;

      const sent = await notify(notifications, full);
      expect(sent).toEqual({
        ...{
          id: sent.id,
          userId,
          type: 'success',
          title: 'Welcome',
          message: 'Hello',
          source: 'mint',
          actionUrl: '/wallet',
        },
        ...{
          metadata: full.metadata,
          isRead: false,
          readAt: null,
          expiresAt: new Date(clock.now().getTime() + 60_000),
        },
        ...{ createdAt: clock.now(), updatedAt: clock.now(), deletedAt: null },
      });
      expect(await listed()).toEqual([sent]);
      const plain = await given(notifications, fresh('user'));
      expect(plain).toMatchObject({ type: 'info', source: 'azora', actionUrl: null, metadata: {}, expiresAt: null });
    });

    it('takes effect once per key, and answers a repeated call as it was', async () => {
      const input = { userId, title: 'Due', message: 'Today', idempotencyKey: fresh('key') };
      const first = await notify(notifications, input);
      await clock.move(1_000);
      await markAllRead(notifications, { userId });

      expect(await notify(notifications, { ...input })).toEqual(first);
      const changes = [
        { title: 'Other' },
        { message: 'Other' },
        { urgent: true },
        { metadata: { a: 1 } },
        { expiresIn: 1 },
      ];
      const reused = changes.map((change) => notify(notifications, { ...input, ...change }));
      expect(await outcomes(reused)).toEqual(changes.map(() => 'NOTIFICATION.KEY_REUSED'));
      // The key belongs to the user.
      expect((await notify(notifications, { ...input, userId: fresh('user') })).id).not.toBe(first.id);
      expect(await listed()).toHaveLength(1);
      expect(namesOf(await publishedFor(db(), userId))).toEqual(['notification-sent', 'all-read']);
    });

    it('takes effect once when calls with one key race', async () => {
      const input = {
        userId,
        title: 'Due',
        message: 'Today',
        channels: ['email'] as const,
        idempotencyKey: fresh('key'),
      };

      const sent = await Promise.all(
        Array.from({ length: 16 }, (_, n) => notify(stores[n % 4] as Notifications, input)),
      );

      expect(new Set(sent.map(({ id }) => id)).size).toBe(1);
      expect(await unreadCount(notifications, { userId })).toBe(1);
      expect((await listDeliveries(notifications, { userId })).deliveries).toHaveLength(1);
      expect(namesOf(await publishedFor(db(), userId))).toEqual(['notification-sent']);
    });

    it('accepts a key of a row that an older store has written', async () => {
      await db().admin(
        `INSERT INTO notifications (id, user_id, title, message, idempotency_key) VALUES ('old-1', $1, 'Old', 'Old', 'k')`,
        [userId],
      );

      expect(await notify(notifications, { userId, title: 'New', message: 'New', idempotencyKey: 'k' })).toMatchObject({
        id: 'old-1',
        title: 'Old',
      });
    });

    it('is undone with the transaction that it is part of', async () => {
      const input = { userId, title: 'Due', message: 'Today', idempotencyKey: fresh('key') };
      const failed = notifications.transaction(async (tx) => {
        await notifyWithin(tx, input);
        throw new Error('later');
      });
      await expect(failed).rejects.toThrow('later');
      expect([await listed(), await publishedFor(db(), userId)]).toEqual([[], []]);

      const sent = await notifications.transaction((tx) => notifyWithin(tx, input));
      expect(await listed()).toEqual([sent]);
      await expect(notifications.transaction((tx) => notifyWithin(tx, { ...input, title: 'X' }))).rejects.toMatchObject(
        {
          code: 'NOTIFICATION.KEY_REUSED',
        },
      );
    });

    it('is not shown by the app when the user has switched the source off, unless it is urgent', async () => {
      await setPreference(notifications, { userId, source: 'forge', channel: 'in_app', mode: 'off' });

      await given(notifications, userId, { source: 'forge' });
      expect([await listed(), await unreadCount(notifications, { userId })]).toEqual([[], 0]);
      await given(notifications, userId, { source: 'forge', urgent: true });
      await given(notifications, userId, { source: 'mint' });
      expect([(await listed()).length, await unreadCount(notifications, { userId })]).toEqual([2, 2]);
    });
  });

  describe('to many users', () => {
    const users = (count: number) => Array.from({ length: count }, () => fresh('member'));
    const content = { title: 'News', message: 'For all', source: 'education' } as const;

    it('reaches each of them once per key, and publishes one event', async () => {
      const recipients = users(50);
      const idempotencyKey = fresh('batch');
      const batch = await notifyMany(notifications, { ...content, recipients, idempotencyKey });
      await clock.move(1_000);

      expect(batch).toEqual({ id: batch.id, notified: 50, createdAt: expect.any(Date) });
      expect(await notifyMany(notifications, { ...content, recipients, idempotencyKey })).toEqual(batch);
      expect(await outcomes([notifyMany(notifications, { ...content, recipients: users(1), idempotencyKey })])).toEqual(
        ['NOTIFICATION.KEY_REUSED'],
      );
      for (const user of recipients) expect(await unreadCount(notifications, { userId: user })).toBe(1);
      expect(await publishedFor(db(), batch.id)).toEqual([
        {
          type: 'notification.batch-sent.v1',
          key: batch.id,
          payload: { batchId: batch.id, notifications: 50, notificationType: 'info' },
        },
      ]);
    });

    it('takes effect once when calls with one key race, and never deadlocks with others', async () => {
      const recipients = users(40);
      const same = { ...content, recipients, idempotencyKey: fresh('batch') };
      const calls = stores.flatMap((store, n) => [
        notifyMany(store, same),
        notifyMany(store, {
          ...same,
          recipients: n % 2 === 0 ? recipients.toReversed() : recipients,
          idempotencyKey: fresh('batch'),
        }),
        ...recipients.slice(0, 10).map((user) => markAllRead(store, { userId: user })),
      ]);

      expect(new Set(await outcomes(calls))).toEqual(new Set(['done']));
      for (const user of recipients.slice(-5)) expect(await unreadCount(notifications, { userId: user })).toBe(5);
    });

    it('fills the template for each user', async () => {
      await saveTemplate(notifications, {
        name: 'graded',
        type: 'success',
        title: '{{course}}: {{grade}}',
        message: '{{course}} is graded.',
        actionUrl: '/grades',
      });
      const [ada = '', ben = ''] = users(2);
      await notifyMany(notifications, {
        template: 'graded',
        recipients: [
          { userId: ada, values: { course: 'Python', grade: '{{course}}' } },
          { userId: ben, values: { course: '$1 \\1', grade: 'B' } },
        ],
        idempotencyKey: fresh('batch'),
      });

      expect(await listed(ada)).toMatchObject([
        { type: 'success', title: 'Python: {{course}}', message: 'Python is graded.', actionUrl: '/grades' },
      ]);
      expect(await listed(ben)).toMatchObject([{ title: '$1 \\1: B' }]);
    });

    it('reaches nobody when one of them cannot be served', async () => {
      await saveTemplate(notifications, { name: 'two-places', title: '{{one}}', message: '{{one}} {{two}} {{three}}' });
      const [ada = '', ben = ''] = users(2);
      const failing = notifyMany(notifications, {
        template: 'two-places',
        recipients: [
          { userId: ada, values: { one: '1', two: '2', three: '3' } },
          { userId: ben, values: { one: '1' } },
        ],
        idempotencyKey: 'failing',
      });

      await expect(failing).rejects.toMatchObject({
        code: 'NOTIFICATION.TEMPLATE_VALUES',
        why: 'There is no value for: three, two.',
        meta: { missing: ['three', 'two'] },
      });
      expect(await listed(ada)).toEqual([]);
      // The key is free.
      await notifyMany(notifications, { ...content, recipients: [ada], idempotencyKey: 'failing' });
    });

    it('honours what each user has switched off', async () => {
      const [ada = '', ben = '', eve = ''] = users(3);
      await setPreference(notifications, { userId: ada, channel: 'in_app', mode: 'off' });
      await setPreference(notifications, { userId: ben, channel: 'in_app', mode: 'off' });
      await setPreference(notifications, { userId: ben, source: 'education', channel: 'in_app', mode: 'instant' });
      await setPreference(notifications, { userId: eve, channel: 'email', mode: 'off' });
      await notifyMany(notifications, {
        ...content,
        recipients: [ada, ben, eve],
        channels: ['email', 'push'],
        idempotencyKey: fresh('batch'),
      });

      const shown = await Promise.all([ada, ben, eve].map((user) => unreadCount(notifications, { userId: user })));
      expect(shown).toEqual([0, 1, 1]);
      const planned = await Promise.all(
        [ada, ben, eve].map(async (user) =>
          (await listDeliveries(notifications, { userId: user })).deliveries.map(({ channel }) => channel).sort(),
        ),
      );
      expect(planned).toEqual([['email', 'push'], ['email', 'push'], ['push']]);
    });

    it('rejects more than 100,000 users, and a user twice', async () => {
      const many = Array.from({ length: 100_001 }, (_, n) => `crowd-${n}`);
      const [ada = ''] = users(1);
      for (const recipients of [
        many,
        [],
        [ada, ada],
        [
          { userId: ada, values: {} },
          { userId: ada, values: {} },
        ],
      ])
        await expect(
          notifyMany(notifications, { ...content, recipients, idempotencyKey: fresh('batch') }),
        ).rejects.toMatchObject({ code: 'NOTIFICATION.INVALID_INPUT', meta: { fields: ['recipients'] } });
    });
  });

  describe('with a template', () => {
    it('uses its type and link, unless the call has others', async () => {
      await saveTemplate(notifications, {
        name: 'due',
        type: 'warning',
        title: 'Due',
        message: '{{what}} is due',
        actionUrl: '/due',
      });
      const call = { userId, template: 'due', values: { what: 'Essay', more: 'ignored' } };

      const sent = await notify(notifications, { ...call, idempotencyKey: fresh('key') });
      expect(sent).toMatchObject({ type: 'warning', title: 'Due', message: 'Essay is due', actionUrl: '/due' });
      const other = await notify(notifications, {
        ...call,
        type: 'info',
        actionUrl: '/x',
        idempotencyKey: fresh('key'),
      });
      expect(other).toMatchObject({ type: 'info', actionUrl: '/x' });
    });

    it('needs the template, its values, and a text that fits', async () => {
      await saveTemplate(notifications, { name: 'wide', title: '{{a}}{{b}}', message: 'x' });
      const call = (template: string, values: Record<string, string>) =>
        notify(notifications, { userId, template, values, idempotencyKey: fresh('key') });

      await expect(call('none', {})).rejects.toMatchObject({
        code: 'NOTIFICATION.TEMPLATE_NOT_FOUND',
        meta: { template: 'none' },
      });
      await expect(call('wide', { b: '' })).rejects.toMatchObject({ code: 'NOTIFICATION.TEMPLATE_VALUES' });
      for (const values of [
        { a: 'x'.repeat(200), b: 'y' },
        { a: ' ', b: '' },
      ])
        await expect(call('wide', values)).rejects.toMatchObject({
          code: 'NOTIFICATION.INVALID_INPUT',
          why: 'values: make a title that is blank or longer than 200 characters.',
        });
      expect(await call('wide', { a: 'x'.repeat(199), b: 'y' })).toMatchObject({ title: `${'x'.repeat(199)}y` });
    });

    it('keeps the text that was sent when the template changes or goes', async () => {
      const saved = await saveTemplate(notifications, { name: 'changing', title: 'Old', message: 'Old' });
      const input = { userId, template: 'changing', idempotencyKey: fresh('key') };
      const sent = await notify(notifications, input);
      await clock.move(1_000);
      const changed = await saveTemplate(notifications, {
        name: 'changing',
        type: 'error',
        title: 'New',
        message: 'New',
      });

      expect(changed).toEqual({ ...saved, type: 'error', title: 'New', message: 'New', updatedAt: clock.now() });
      expect(await notify(notifications, input)).toEqual(sent);
      await deleteTemplate(notifications, { name: 'changing' });
      expect(await findTemplate(notifications, { name: 'changing' })).toBeNull();
      expect(await outcomes([deleteTemplate(notifications, { name: 'changing' })])).toEqual([
        'NOTIFICATION.TEMPLATE_NOT_FOUND',
      ]);
      expect(await notify(notifications, input)).toEqual(sent);
    });

    it('lists templates by name, page by page', async () => {
      for (const name of ['z', 'y-2', 'y.1']) await saveTemplate(notifications, { name, title: 'x', message: 'x' });
      const names: string[] = [];
      for (let cursor: string | null | undefined; cursor !== null; ) {
        const page: TemplatePage = await listTemplates(notifications, {
          limit: 2,
          ...(cursor === undefined ? {} : { cursor }),
        });
        names.push(...page.templates.map(({ name }) => name));
        cursor = page.nextCursor;
      }

      expect(names.slice(-3)).toEqual(['y-2', 'y.1', 'z']);
      expect(names).toEqual([...names].sort());
      expect(await findTemplate(notifications, { name: 'z' })).toMatchObject({
        name: 'z',
        type: 'info',
        actionUrl: null,
      });
    });
  });
});
