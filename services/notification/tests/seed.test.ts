/** @server any */
import { capabilitiesOf, type SeedContext, writeRows } from '@azora/db-core';
import { useDatabase } from '@azora/db-testkit';
import { Client } from 'pg';
import { seed } from '../seed';
import { getDeliverySettings, notify, openNotifications, reconcile, unreadCount } from '../src';

const NOW = new Date('2026-10-01T00:00:00Z');
const person = (id: string) => ({ id, email: '', name: '', role: 'student' as const, city: '', country: '', bio: '' });
const CONTEXT: SeedContext = {
  now: NOW,
  people: { student: person('s'), educator: person('e'), employer: person('m') },
  password: '',
  services: [],
  repositoryRoot: '',
};

describe('the seed', () => {
  const db = useDatabase('notification');

  async function seedBase(now: Date): Promise<void> {
    const handle = seed.open({ url: db().target.admin.href });
    await seed.base(handle, { ...CONTEXT, now });
    await handle.close();
  }

  it('counts its unread notifications, as often as it runs and in volume', async () => {
    await seedBase(NOW);
    await seedBase(new Date('2026-10-05T00:00:00Z'));
    const client = new Client(db().target.admin.href);
    await client.connect();
    await client.query('BEGIN');
    for (const rows of seed.volume({ firstUser: 0, userCount: 300, now: NOW }))
      await writeRows(client, capabilitiesOf('PostgreSQL 18'), rows);
    await client.query('COMMIT');
    await client.end();

    const notifications = openNotifications({ url: db().url });
    const unread = await Promise.all(['s', 'e', 'm'].map((userId) => unreadCount(notifications, { userId })));
    expect(unread).toEqual([2, 1, 1]);
    expect(await reconcile(notifications)).toEqual([]);
    expect(await getDeliverySettings(notifications, { userId: 's' })).toEqual({
      userId: 's',
      timeZone: 'Africa/Johannesburg',
      quietHours: { from: '22:00', until: '07:00' },
      digestAt: '18:00',
    });
    const values = { course: 'Python', reward: '50' };
    const sent = await notify(notifications, {
      userId: 's',
      template: 'course-completed',
      values,
      idempotencyKey: 'k',
    });
    expect(sent).toMatchObject({
      title: 'Python is complete',
      message: 'You have completed Python and earned 50 AZR.',
    });
    await notifications.close();
  });
});
