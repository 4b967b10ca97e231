/** @server any */
import { useDatabase } from '@azora/db-testkit';
import {
  acceptRecommendation,
  dismissRecommendation,
  erasePerson,
  getProfile,
  listRecommendations,
  markShown,
  type Nexus,
  recommend,
  reconcile,
  refreshProfiles,
  saveItems,
  saveProfile,
  track,
} from '../src';
import { click, fresh, givenCourses, givenStores, outcomes, recommendedTo, refreshAll } from './given';

const ROUNDS = 3;
const EIGHT = [0, 1, 2, 3, 4, 5, 6, 7];

describe('races in nexus', () => {
  const db = useDatabase('nexus');
  let stores: readonly Nexus[] = [];
  const nexus = (n = 0): Nexus => stores[n % stores.length] as Nexus;
  beforeAll(() => {
    stores = givenStores(db(), 8);
  });
  afterEach(async () => {
    expect(await reconcile(nexus())).toEqual([]);
    await refreshAll(nexus());
    expect(await reconcile(nexus())).toEqual([]);
  });
  afterAll(() => Promise.all(stores.map((store) => store.close())));

  const eventsOf = async (type: string, userId: string) => {
    const sql = 'SELECT count(*)::int AS events FROM outbox WHERE type = $1 AND key = $2';
    return (await db().admin(sql, [`nexus.${type}.v1`, userId]))[0]?.['events'];
  };

  it('record an event once and make one profile', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const once = click(fresh('ada'), fresh('course'));

      const tracked = await Promise.all(EIGHT.map((n) => track(nexus(n), { interactions: [once] })));

      expect(tracked.map(({ recorded }) => recorded).sort()).toEqual([0, 0, 0, 0, 0, 0, 0, 1]);
      expect(await eventsOf('profile-created', once.userId)).toBe(1);
    }
  });

  it('record one of two events with the same id', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const once = click(fresh('ada'), 'python');
      const other = { ...once, itemId: 'sql' };

      const found = await outcomes(EIGHT.map((n) => track(nexus(n), { interactions: [n % 2 === 0 ? once : other] })));

      expect(found.filter((it) => it === 'NEXUS.EVENT_REUSED')).toHaveLength(4);
    }
  });

  it('record the same users and items in any order without a deadlock', async () => {
    const users = Array.from({ length: 12 }, () => fresh('user'));
    const items = Array.from({ length: 12 }, () => fresh('course'));

    const calls = EIGHT.map((n) => {
      const order = n % 2 === 0 ? [...users.keys()] : [...users.keys()].reverse();
      return track(nexus(n), { interactions: order.map((k) => click(users[k] ?? '', items[(k * n + k) % 12] ?? '')) });
    });

    expect(await outcomes(calls)).toEqual(EIGHT.map(() => 'done'));
  });

  it('keep pairs equal to a recount while people are tracked, counted, changed and erased', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const users = Array.from({ length: 6 }, () => fresh('user'));
      const userOf = (n: number) => users[n % users.length] ?? '';
      await Promise.all(users.map((userId) => givenCourses(nexus(), userId, ['one', 'two', 'three'])));

      const calls = EIGHT.flatMap((n) => [
        track(nexus(n), { interactions: EIGHT.map((k) => click(userOf(n + k), `course-${k}`)) }),
        refreshProfiles(nexus(n), { limit: 2 }),
        saveItems(nexus(n), {
          items: EIGHT.map((k) => ({ itemType: 'course', itemId: `course-${7 - k}`, tags: ['a'] })),
        }),
        n % 3 === 0
          ? erasePerson(nexus(n), userOf(n))
          : saveProfile(nexus(n), { userId: userOf(n), personalized: n % 2 === 0 }),
        recommend(nexus(n), { userId: userOf(n) }),
      ]);

      expect(await outcomes(calls)).toEqual(calls.map(() => 'done'));
      expect(await reconcile(nexus())).toEqual([]);
    }
  });

  it('open each item to a person once', async () => {
    await givenCourses(nexus(), fresh('ben'), ['one', 'two', 'three']);
    for (let round = 0; round < ROUNDS; round += 1) {
      const userId = fresh('ada');

      const made = await Promise.all(EIGHT.map((n) => recommend(nexus(n), { userId, limit: 3 })));

      const ids = new Set(made.flat().map(({ id }) => id));
      expect(ids.size).toBe(3);
      expect((await listRecommendations(nexus(), { userId })).items).toHaveLength(3);
      expect(await eventsOf('recommended', userId)).toBe(1);
    }
  });

  it('take one answer to a recommendation, and count it once', async () => {
    await givenCourses(nexus(), fresh('ben'), ['one', 'two', 'three']);
    for (let round = 0; round < ROUNDS; round += 1) {
      const userId = fresh('ada');
      const [made] = await recommend(nexus(), { userId, limit: 1 });
      const asked = { userId, recommendationId: made?.id ?? '' };

      const found = await outcomes(
        EIGHT.map((n) => (n % 2 === 0 ? acceptRecommendation : dismissRecommendation)(nexus(n), asked)),
      );
      await markShown(nexus(), { userId, recommendationIds: [asked.recommendationId] });

      expect(found.filter((it) => it === 'NEXUS.ILLEGAL_TRANSITION')).toHaveLength(4);
      expect(await eventsOf('recommendation-answered', userId)).toBe(1);
      const [counted] = await db().admin(
        `SELECT count(*)::int AS interactions FROM interactions AS n JOIN user_profiles AS u ON u.id = n.profile_id WHERE u.user_id = $1`,
        [userId],
      );
      expect(counted).toEqual({ interactions: 1 });
    }
  });

  it('keep every key of the preferences that is set at the same time', async () => {
    const userId = fresh('ada');

    await Promise.all(EIGHT.map((n) => saveProfile(nexus(n), { userId, preferences: { [`key-${n}`]: n } })));

    const { preferences } = await getProfile(nexus(), { userId });
    expect(preferences).toEqual(Object.fromEntries(EIGHT.map((n) => [`key-${n}`, n])));
  });

  it('count each waiting profile in one of several refreshes', async () => {
    await refreshAll(nexus());
    const users = Array.from({ length: 20 }, () => fresh('user'));
    await Promise.all(users.map((userId) => givenCourses(nexus(), userId, ['one', 'two'])));

    const counted = await Promise.all(EIGHT.map((n) => refreshProfiles(nexus(n), { limit: 5 })));
    for (let left = 1; left > 0; counted.push(left)) left = await refreshProfiles(nexus());

    expect(counted.reduce((sum, number) => sum + number, 0)).toBe(20);
    expect((await recommendedTo(nexus(), fresh('eve'))).length).toBeGreaterThan(0);
  });
});
