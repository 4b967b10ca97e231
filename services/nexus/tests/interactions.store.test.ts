/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  getItem,
  getProfile,
  listInteractions,
  listItems,
  type Nexus,
  openNexus,
  pruneHistory,
  recommend,
  reconcile,
  refreshProfiles,
  saveItems,
  track,
} from '../src';
import { click, fresh, givenCourses, recommendedTo, refreshAll } from './given';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

describe('interactions', () => {
  const db = useDatabase('nexus');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let nexus: Nexus;
  beforeAll(() => {
    nexus = openNexus({ url: db().url });
  });
  beforeEach(() => db().admin('TRUNCATE user_profiles, items CASCADE'));
  afterEach(async () => {
    expect(await reconcile(nexus)).toEqual([]);
  });
  afterAll(() => nexus.close());

  const ago = (milliseconds: number) => new Date(clock.now().getTime() - milliseconds);

  it('are recorded for many users in one call, and make the profiles and the items', async () => {
    const interactions = ['ada', 'ben', 'ada'].map((userId, n) => click(userId, `course-${n}`));

    expect(await track(nexus, { interactions })).toEqual({ recorded: 3, repeated: 0 });

    const { items } = await listInteractions(nexus, { userId: 'ada' });
    expect(items.map(({ itemId }) => itemId).sort()).toEqual(['course-0', 'course-2']);
    expect(items[0]).toMatchObject({ kind: 'click', occurredAt: clock.now(), createdAt: clock.now(), context: {} });
    expect((await getProfile(nexus, { userId: 'ben' })).lastActiveAt).toEqual(clock.now());
    expect(await getItem(nexus, { itemType: 'course', itemId: 'course-1' })).toMatchObject({
      tags: [],
      isAvailable: true,
    });
  });

  it('count once per user and event, within a call and over calls', async () => {
    const once = click('ada', 'python');
    const call = { interactions: [once, once, { ...once, userId: 'ben' }] };

    expect(await track(nexus, call)).toEqual({ recorded: 2, repeated: 1 });
    expect(await track(nexus, call)).toEqual({ recorded: 0, repeated: 3 });
    expect((await listInteractions(nexus, { userId: 'ada' })).items).toHaveLength(1);
  });

  it.each([
    ['kind', { kind: 'view' }],
    ['item', { itemId: 'react' }],
    ['item type', { itemType: 'job' }],
    ['duration', { durationMs: 5 }],
    ['rating', { kind: 'rate', rating: 4 }],
    ['context', { context: { page: 'home' } }],
  ] as const)('record nothing when an event has the id of another one with another %s', async (_, change) => {
    const once = click('ada', 'python');
    await track(nexus, { interactions: [once] });

    const call = track(nexus, { interactions: [click('ben', 'sql'), { ...once, ...change }] });

    await expect(call).rejects.toMatchObject({ code: 'NEXUS.EVENT_REUSED', meta: { eventId: once.eventId } });
    expect((await listInteractions(nexus, { userId: 'ben' })).items).toEqual([]);
  });

  it('have a time that the clock of the server bounds', async () => {
    const at = (occurredAt: Date) => ({ interactions: [{ ...click('ada', fresh('course')), occurredAt }] });
    await track(nexus, at(ago(-5 * MINUTE_MS)));
    await track(nexus, at(ago(365 * DAY_MS - 1)));

    for (const time of [ago(-5 * MINUTE_MS - 1), ago(365 * DAY_MS), new Date('9999-01-01'), new Date('0001-01-01')]) {
      await expect(track(nexus, at(time))).rejects.toMatchObject({
        code: 'NEXUS.INVALID_INPUT',
        meta: { fields: ['interactions'] },
      });
    }
    const { items } = await listInteractions(nexus, { userId: 'ada' });
    expect(items.map(({ occurredAt }) => occurredAt.getTime()).sort()).toEqual(
      [ago(365 * DAY_MS - 1), clock.now()].map((time) => time.getTime()).sort(),
    );
  });

  it.each([
    [{ kind: 'view' }, 1],
    [{ kind: 'click' }, 2],
    [{ kind: 'complete' }, 3],
    [{ kind: 'rate', rating: 3 }, 2],
    [{ kind: 'rate', rating: 5 }, 3],
    [{ kind: 'rate', rating: 2 }, 0],
    [{ kind: 'dismiss' }, 0],
  ] as const)('say for an item, by %j: %i', async (signal, strength) => {
    await track(nexus, { interactions: [{ ...click('ada', 'python'), ...signal }] });

    const [row] = await db().admin('SELECT strength, liked_at, disliked_at FROM profile_items');
    expect(row).toEqual({
      strength,
      liked_at: strength > 0 ? clock.now() : null,
      disliked_at: strength > 0 ? null : clock.now(),
    });
    expect(await recommendedTo(nexus, 'ada')).toEqual([]);
  });

  it('of a search name no item', async () => {
    await track(nexus, { interactions: [{ ...click('ada', 'python'), kind: 'search' }] });

    expect((await listItems(nexus)).items).toEqual([]);
  });

  it('give the behavior of a person with the next refresh', async () => {
    await givenCourses(nexus, 'ada', ['python', 'sql']);
    await givenCourses(nexus, 'ada', ['job-1'], { itemType: 'job', kind: 'view', occurredAt: ago(3 * 60 * MINUTE_MS) });

    expect(await refreshProfiles(nexus)).toBe(1);
    expect(await refreshProfiles(nexus)).toBe(0);
    expect((await getProfile(nexus, { userId: 'ada' })).behavior).toEqual({
      kinds: { click: 2, view: 1 },
      itemTypes: { course: 2, job: 1 },
      hours: { '9': 1, '12': 2 },
    });
  });

  it('are deleted after a year, with their influence and old answers', async () => {
    for (const userId of ['ada', 'ben']) await givenCourses(nexus, userId, ['python', 'sql']);
    await refreshAll(nexus);
    await recommend(nexus, { userId: 'eve', expiresIn: 1 });
    await clock.move(200 * DAY_MS);
    await recommend(nexus, { userId: 'eve', expiresIn: 1 });
    await givenCourses(nexus, 'ada', ['python']);
    await clock.move(166 * DAY_MS);

    expect(await pruneHistory(nexus, { limit: 3 })).toEqual({ interactions: 3, recommendations: 2 });
    expect(await pruneHistory(nexus)).toEqual({ interactions: 1, recommendations: 0 });
    await refreshAll(nexus);

    const [left] = await db().admin(`SELECT (SELECT count(*)::int FROM profile_items) AS used,
      (SELECT count(*)::int FROM item_pairs) AS pairs, (SELECT count(*)::int FROM items WHERE popularity > 0) AS popular`);
    expect(left).toEqual({ used: 1, pairs: 0, popular: 1 });
  });

  it.each([
    ["UPDATE interactions SET kind = 'dismiss' WHERE item_id = 'sql'", { pairs: 0, popular: 1 }],
    ["UPDATE interactions SET item_id = 'new' WHERE item_id = 'sql'", { pairs: 1, popular: 2 }],
    ["UPDATE interactions SET kind = 'search'", { pairs: 0, popular: 0 }],
    ["DELETE FROM interactions WHERE item_id = 'sql'", { pairs: 0, popular: 1 }],
    ["DELETE FROM user_profiles WHERE user_id = 'ada'", { pairs: 1, popular: 2 }],
    ["UPDATE user_profiles SET id = 'other' WHERE user_id = 'ada'", { pairs: 1, popular: 2 }],
    ['DELETE FROM user_profiles', { pairs: 0, popular: 0 }],
    ['TRUNCATE interactions', { pairs: 0, popular: 0 }],
    ['TRUNCATE profile_items; UPDATE interactions SET kind = kind', { pairs: 1, popular: 2 }],
    ['DELETE FROM profile_items; UPDATE interactions SET kind = kind', { pairs: 1, popular: 2 }],
  ])('are followed when the administrator runs: %s', async (sql, expected) => {
    for (const userId of ['ada', 'ben']) await givenCourses(nexus, userId, ['python', 'sql']);
    await refreshAll(nexus);

    for (const statement of sql.split('; ')) await db().admin(statement);

    expect(await reconcile(nexus)).toEqual([]);
    await refreshAll(nexus);
    const [left] = await db().admin(`SELECT (SELECT count(*)::int FROM item_pairs) AS pairs,
      (SELECT count(*)::int FROM items WHERE popularity > 0) AS popular`);
    expect(left).toEqual(expected);
  });

  it('are compared by reconcile with all that follows from them', async () => {
    await givenCourses(nexus, 'ada', ['python', 'sql']);
    await refreshAll(nexus);
    await db().admin('UPDATE item_pairs SET weight = weight + 1');
    await db().admin("UPDATE items SET popularity = popularity + 1 WHERE item_id = 'sql'");
    await db().admin(
      "UPDATE profile_items SET strength = 1 WHERE item_id = (SELECT id FROM items WHERE item_id = 'sql')",
    );

    const checks = (await reconcile(nexus)).map(({ check }) => check);

    expect(checks).toEqual(['item_pairs', 'items.popularity', 'profile_items', 'profile_items.counted']);
    await db().admin('TRUNCATE user_profiles, items CASCADE');
  });

  it('are of items that a team describes, in bulk', async () => {
    const items = [
      { itemType: 'course', itemId: 'python', tags: ['Data', ' data ', 'code'], locale: 'en' },
      { itemType: 'job', itemId: 'job-1', isAvailable: false },
    ];

    expect(await saveItems(nexus, { items })).toBe(2);
    await clock.move(1_000);
    await saveItems(nexus, { items: [{ itemType: 'course', itemId: 'python', locale: null }] });

    const python = await getItem(nexus, { itemType: 'course', itemId: 'python' });
    expect(python).toMatchObject({ tags: ['code', 'data'], locale: null, isAvailable: true, updatedAt: clock.now() });
    expect(Object.keys(python)).not.toContain('popularity');
    const first = await listItems(nexus, { limit: 1 });
    const second = await listItems(nexus, { limit: 1, cursor: first.nextCursor ?? '' });
    expect([...first.items, ...second.items].map(({ itemId }) => itemId).sort()).toEqual(['job-1', 'python']);
    expect(second.nextCursor).toBeNull();
    expect((await listItems(nexus, { itemType: 'job' })).items).toHaveLength(1);
    await expect(getItem(nexus, { itemType: 'job', itemId: 'x' })).rejects.toMatchObject({
      code: 'NEXUS.ITEM_NOT_FOUND',
    });
  });

  it('are 10,000 in a call at most', async () => {
    const interactions = Array.from({ length: 10_000 }, (_, n) => click(`user-${n % 100}`, `course-${n % 500}`));

    expect(await track(nexus, { interactions })).toEqual({ recorded: 10_000, repeated: 0 });
    await expect(track(nexus, { interactions: [...interactions, click('ada', 'x')] })).rejects.toMatchObject({
      code: 'NEXUS.INVALID_INPUT',
    });
  });
});
