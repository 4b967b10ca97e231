/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  findProfile,
  getProfile,
  listAudit,
  listProfiles,
  type Nexus,
  openNexus,
  recordAudit,
  saveProfile,
} from '../src';
import { fresh } from './given';

describe('profiles', () => {
  const db = useDatabase('nexus');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let nexus: Nexus;
  beforeAll(() => {
    nexus = openNexus({ url: db().url });
  });
  afterAll(() => nexus.close());

  it('are made with their defaults, and keep the fields that a change leaves out', async () => {
    const userId = fresh('ada');
    const made = await saveProfile(nexus, { userId });
    expect(made).toMatchObject({
      userId,
      interests: [],
      preferences: {},
      behavior: {},
      locale: 'en',
      personalized: true,
    });
    expect(Object.keys(made)).not.toContain('staleSince');

    await clock.move(1_000);
    await saveProfile(nexus, { userId, interests: ['Python', 'data', 'python '], locale: 'pt-BR' });
    const changed = await saveProfile(nexus, { userId, personalized: false });

    expect(changed).toMatchObject({
      id: made.id,
      interests: ['data', 'python'],
      locale: 'pt-BR',
      personalized: false,
      createdAt: made.createdAt,
      updatedAt: clock.now(),
    });
    expect(await getProfile(nexus, { userId })).toEqual(changed);
  });

  it('have preferences that are set and removed key by key', async () => {
    const userId = fresh('ada');
    await saveProfile(nexus, { userId, preferences: { time: 'evening', format: 'video', topics: ['a', null] } });

    const { preferences } = await saveProfile(nexus, { userId, preferences: { time: null, channel: 'push' } });

    expect(preferences).toEqual({ format: 'video', channel: 'push', topics: ['a', null] });
  });

  it('have preferences of a bounded size, over all calls', async () => {
    const userId = fresh('ada');
    const half = 'x'.repeat(9_000);
    await saveProfile(nexus, { userId, preferences: { one: half } });

    await expect(saveProfile(nexus, { userId, preferences: { two: half } })).rejects.toMatchObject({
      code: 'NEXUS.INVALID_INPUT',
      meta: { fields: ['preferences'] },
    });
    expect((await getProfile(nexus, { userId })).preferences).toEqual({ one: half });
  });

  it('have each change in the audit log, by the names of the fields', async () => {
    const userId = fresh('ada');
    await saveProfile(nexus, { userId });
    await saveProfile(nexus, { userId, interests: ['secret'], preferences: { time: 'evening' } });
    await saveProfile(nexus, { userId, interests: ['Secret'] });

    const { items } = await listAudit(nexus, { userId });

    expect(items.map(({ action, details }) => ({ action, details })).sort(byDetails)).toEqual([
      { action: 'profile.saved', details: { fields: [] } },
      { action: 'profile.saved', details: { fields: ['interests', 'preferences'] } },
    ]);
  });
  const byDetails = (one: { details: unknown }, other: { details: unknown }) =>
    JSON.stringify(one.details).length - JSON.stringify(other.details).length;

  it('are found or not, and listed by pages', async () => {
    const ids = [fresh('a'), fresh('b'), fresh('c')];
    for (const userId of ids) {
      await clock.move(1_000);
      await saveProfile(nexus, { userId });
    }

    expect(await findProfile(nexus, { userId: 'nobody' })).toBeNull();
    await expect(getProfile(nexus, { userId: 'nobody' })).rejects.toMatchObject({ code: 'NEXUS.PROFILE_NOT_FOUND' });
    const first = await listProfiles(nexus, { limit: 2 });
    const second = await listProfiles(nexus, { limit: 1, cursor: first.nextCursor ?? '' });
    expect([...first.items, ...second.items].map(({ userId }) => userId)).toEqual(ids.reverse());
  });

  it('have an audit log that a team appends to and reads by action', async () => {
    const userId = fresh('ada');
    const action = fresh('profile.viewed');
    const entry = { userId, action, resourceType: 'user-profile', resourceId: 'x', ipAddress: '196.25.1.1' };

    const recorded = await recordAudit(nexus, { ...entry, details: { by: 'support' } });

    expect(recorded).toMatchObject({ ...entry, details: { by: 'support' }, userAgent: null });
    expect(await listAudit(nexus, { action })).toEqual({ items: [recorded], nextCursor: null });
    expect((await listAudit(nexus, { userId, action: 'other' })).items).toEqual([]);
  });
});
