/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  acceptRecommendation,
  dismissRecommendation,
  expireRecommendations,
  getRecommendation,
  listInteractions,
  listRecommendations,
  listSimilarItems,
  markShown,
  type Nexus,
  openNexus,
  recommend,
  reconcile,
  saveItems,
  saveProfile,
} from '../src';
import { fresh, givenCourses, recommendedTo, refreshAll } from './given';

const DAY_MS = 86_400_000;

describe('recommendations', () => {
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

  /** Five people who take Python and SQL together, and nine who take React only. */
  async function givenTaste(): Promise<void> {
    for (let n = 0; n < 5; n += 1) await givenCourses(nexus, fresh('data'), ['python', 'sql']);
    for (let n = 0; n < 9; n += 1) await givenCourses(nexus, fresh('web'), ['react']);
    await refreshAll(nexus);
  }

  it('begin with what others use together with the items of the person, and give the reason', async () => {
    await givenTaste();
    await givenCourses(nexus, 'ada', ['python']);

    const [first, second, ...rest] = await recommend(nexus, { userId: 'ada', context: { page: 'dashboard' } });

    expect(first).toMatchObject({
      itemType: 'course',
      itemId: 'sql',
      status: 'pending',
      source: 'co-occurrence',
      reason: 'People who chose the course python also chose this.',
      context: { page: 'dashboard', basedOn: { itemType: 'course', itemId: 'python' } },
    });
    // Five pairs of clicks over the root of five clicks each, damped by three views: 10 / (10 + 3).
    expect(first?.score).toBeCloseTo(0.5 + 0.5 * (10 / 13), 9);
    expect(second).toMatchObject({
      itemId: 'react',
      source: 'popularity',
      reason: 'It is popular at the moment.',
      score: 0.25,
    });
    expect(rest).toEqual([]);
  });

  it('are popular items for a person without a history, and those of an interest before others', async () => {
    await givenTaste();
    await saveItems(nexus, { items: [{ itemType: 'course', itemId: 'sql', tags: ['Data '] }] });

    expect(await recommendedTo(nexus, 'new')).toEqual(['react', 'python', 'sql']);
    await saveProfile(nexus, { userId: 'new', interests: ['data'] });
    const [first] = await recommend(nexus, { userId: 'new', limit: 1 });

    expect(first).toMatchObject({
      itemId: 'sql',
      source: 'interests',
      reason: 'It is popular and matches your interest in data.',
      context: { basedOn: { interest: 'data' } },
    });
    expect(first?.score).toBeCloseTo(0.25 + (0.25 * 5) / 9, 9);
  });

  it('leave out what the person has seen, and items that are not available', async () => {
    await givenTaste();
    await givenCourses(nexus, 'ada', ['python'], { kind: 'view' });
    await givenCourses(nexus, 'ada', ['words'], { kind: 'search' });
    await saveItems(nexus, { items: [{ itemType: 'course', itemId: 'sql', isAvailable: false }] });

    expect(await recommendedTo(nexus, 'ada')).toEqual(['react']);
  });

  it('fit the context and the language of the person', async () => {
    await givenTaste();
    await givenCourses(nexus, 'boss', ['python', 'sql'], {});
    await givenCourses(nexus, 'boss', ['job-1', 'job-2'], { itemType: 'job' });
    await refreshAll(nexus);
    await givenCourses(nexus, 'ada', ['python']);
    await saveItems(nexus, {
      items: [
        { itemType: 'job', itemId: 'job-1', tags: ['Remote', 'data'], locale: 'en-ZA' },
        { itemType: 'job', itemId: 'job-2', tags: ['remote'], locale: 'pt' },
      ],
    });
    const ask = async (context: object) =>
      (await recommend(nexus, { userId: 'ada', context })).map(({ itemId, source }) => `${itemId} ${source}`);

    expect(await ask({ itemTypes: ['job'] })).toEqual(['job-1 co-occurrence']);
    expect(await ask({ tags: ['REMOTE', 'data'] })).toEqual(['job-1 co-occurrence']);
    expect(await ask({ tags: ['remote'], itemTypes: ['course'] })).toEqual([]);
    await saveProfile(nexus, { userId: 'ada', locale: 'pt-BR' });
    expect(await ask({ itemTypes: ['job'] })).toEqual(['job-2 co-occurrence']);
  });

  it('decay: after 90 days, one new pair equals two old ones', async () => {
    for (let n = 0; n < 2; n += 1) await givenCourses(nexus, fresh('old'), ['python', 'old']);
    await clock.move(90 * DAY_MS);
    await givenCourses(nexus, fresh('new'), ['python', 'new']);
    await refreshAll(nexus);
    const weights = await db().admin(`SELECT i.item_id, p.weight::text FROM item_pairs AS p
      JOIN items AS i ON i.id IN (p.first_id, p.second_id) AND i.item_id <> 'python' ORDER BY 1`);

    expect(Number(weights[0]?.['weight']) / Number(weights[1]?.['weight'])).toBeCloseTo(1, 9);
    await clock.move(DAY_MS);
    await givenCourses(nexus, fresh('newer'), ['python', 'new']);
    await refreshAll(nexus);
    const similar = await listSimilarItems(nexus, { itemType: 'course', itemId: 'python' });
    expect(similar.map(({ itemId }) => itemId)).toEqual(['new', 'old']);
  });

  it('count the latest 30 items of a person for others', async () => {
    const ids = Array.from({ length: 31 }, (_, n) => `course-${n}`);
    for (const itemId of ids) {
      await clock.move(1_000);
      await givenCourses(nexus, 'ada', [itemId]);
    }
    await refreshAll(nexus);

    const counted = await db().admin(`SELECT i.item_id FROM items AS i WHERE popularity = 0`);
    expect(counted).toEqual([{ item_id: 'course-0' }]);
    const [pairs] = await db().admin('SELECT count(*)::int AS number FROM item_pairs');
    expect(pairs).toEqual({ number: 435 });
  });

  it('list what is similar to an item, by type', async () => {
    await givenTaste();
    await givenCourses(nexus, 'boss', ['python']);
    await givenCourses(nexus, 'boss', ['job-1'], { itemType: 'job' });
    await refreshAll(nexus);
    const of = { itemType: 'course', itemId: 'python' };

    const all = await listSimilarItems(nexus, of);
    expect(all.map(({ itemId }) => itemId)).toEqual(['sql', 'job-1']);
    expect(all[0]?.similarity).toBeCloseTo(10 / (Math.sqrt(12 * 10) + 3), 9);
    expect(await listSimilarItems(nexus, { ...of, itemTypes: ['job'] })).toEqual(all.slice(1));
    expect(await listSimilarItems(nexus, { ...of, itemId: 'unknown' })).toEqual([]);
  });

  it('keep the id and the status of an open recommendation, and expire with their time', async () => {
    await givenTaste();
    const [first] = await recommend(nexus, { userId: 'ada', limit: 1, expiresIn: 1_000 });
    const id = first?.id ?? '';
    await markShown(nexus, { userId: 'ada', recommendationIds: [id] });

    const [again] = await recommend(nexus, { userId: 'ada', limit: 1, expiresIn: 1_000 });
    expect(again).toMatchObject({ id, status: 'shown' });

    await clock.move(1_000);
    expect(await expireRecommendations(nexus)).toBe(1);
    expect(await expireRecommendations(nexus)).toBe(0);
    await expect(acceptRecommendation(nexus, { userId: 'ada', recommendationId: id })).rejects.toMatchObject({
      code: 'NEXUS.ILLEGAL_TRANSITION',
    });
    const [next] = await recommend(nexus, { userId: 'ada', limit: 1 });
    expect(next?.itemId).toBe(first?.itemId);
    expect(next?.id).not.toBe(id);
  });

  it('expire an open one whose time has passed when the next are asked for', async () => {
    await givenTaste();
    const [first] = await recommend(nexus, { userId: 'ada', limit: 1, expiresIn: 1 });
    await clock.move(1);

    await recommend(nexus, { userId: 'ada', limit: 1 });

    const found = await getRecommendation(nexus, { userId: 'ada', recommendationId: first?.id ?? '' });
    expect(found.status).toBe('expired');
  });

  it('learn from an accepted one: its item is used, and what goes with it comes next', async () => {
    await givenTaste();
    const offered = await recommend(nexus, { userId: 'ada' });
    expect(offered.map(({ itemId }) => itemId)).toEqual(['react', 'python', 'sql']);
    const recommendationId = offered[2]?.id ?? '';

    const accepted = await acceptRecommendation(nexus, { userId: 'ada', recommendationId });

    expect(accepted).toMatchObject({ status: 'accepted', answeredAt: clock.now(), shownAt: clock.now() });
    expect(await acceptRecommendation(nexus, { userId: 'ada', recommendationId })).toEqual(accepted);
    const { items } = await listInteractions(nexus, { userId: 'ada' });
    expect(items).toMatchObject([{ kind: 'click', itemId: 'sql', context: { recommendationId } }]);
    const next = await recommend(nexus, { userId: 'ada' });
    expect(next.map(({ itemId, source }) => `${itemId} ${source}`)).toEqual([
      'python co-occurrence',
      'react popularity',
    ]);
  });

  it('learn from a dismissed one: its item does not return, and items like it come later', async () => {
    for (let n = 0; n < 4; n += 1) await givenCourses(nexus, fresh('a'), ['python', 'sql', 'pandas']);
    for (let n = 0; n < 3; n += 1) await givenCourses(nexus, fresh('b'), ['python', 'django']);
    await refreshAll(nexus);
    await givenCourses(nexus, 'ada', ['python']);
    const [first, second, third] = await recommend(nexus, { userId: 'ada' });
    expect([first?.itemId, second?.itemId, third?.itemId].sort()).toEqual(['django', 'pandas', 'sql']);
    const sql = [first, second, third].find((it) => it?.itemId === 'sql');

    await dismissRecommendation(nexus, { userId: 'ada', recommendationId: sql?.id ?? '' });

    const next = await recommend(nexus, { userId: 'ada' });
    expect(next.map(({ itemId }) => itemId)).toEqual(['django', 'pandas']);
    expect(next[1]?.source).toBe('popularity');
    // A person who uses the item after all has chosen it again.
    await clock.move(1_000);
    await givenCourses(nexus, 'ada', ['sql']);
    expect((await recommendedTo(nexus, 'ada'))[0]).toBe('pandas');
  });

  it('do not use the history of a person who switched personalization off, nor count it for others', async () => {
    await givenTaste();
    await givenCourses(nexus, 'ada', ['python', 'secret']);
    await refreshAll(nexus);
    await saveProfile(nexus, { userId: 'ada', personalized: false });

    const found = await recommend(nexus, { userId: 'ada' });
    expect(found.map(({ itemId, source }) => `${itemId} ${source}`)).toEqual(['react popularity', 'sql popularity']);
    expect(await listSimilarItems(nexus, { itemType: 'course', itemId: 'secret' })).toEqual([]);

    await saveProfile(nexus, { userId: 'ada', personalized: true });
    expect(await listSimilarItems(nexus, { itemType: 'course', itemId: 'secret' })).toMatchObject([
      { itemId: 'python' },
    ]);
  });

  it('belong to their person, and are listed newest first by status', async () => {
    await givenTaste();
    const made = await recommend(nexus, { userId: 'ada', limit: 3 });
    const ids = made.map(({ id }) => id);
    await markShown(nexus, { userId: 'ada', recommendationIds: ids.slice(0, 1) });
    const stranger = { userId: 'eve', recommendationId: ids[0] ?? '' };

    await saveProfile(nexus, { userId: 'eve' });
    for (const call of [getRecommendation, acceptRecommendation, dismissRecommendation]) {
      await expect(call(nexus, stranger)).rejects.toMatchObject({ code: 'NEXUS.RECOMMENDATION_NOT_FOUND' });
    }
    await expect(markShown(nexus, { userId: 'eve', recommendationIds: ids })).rejects.toMatchObject({
      code: 'NEXUS.RECOMMENDATION_NOT_FOUND',
    });
    const shown = await listRecommendations(nexus, { userId: 'ada', status: 'shown' });
    expect(shown.items.map(({ id }) => id)).toEqual(ids.slice(0, 1));
    const pages: string[] = [];
    for (let cursor: string | undefined, last = false; !last; ) {
      const page = await listRecommendations(nexus, { userId: 'ada', limit: 2, ...(cursor ? { cursor } : {}) });
      pages.push(...page.items.map(({ id }) => id));
      cursor = page.nextCursor ?? undefined;
      last = cursor === undefined;
    }
    expect(pages.sort()).toEqual([...ids].sort());
  });
});
