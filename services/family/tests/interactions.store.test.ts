/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type Affinity,
  affinityCourse,
  type Family,
  listAffinities,
  listInteractions,
  openFamily,
  reconcile,
  recordInteraction,
} from '../src';
import { eventsFor, fresh, givenMember, givenStores, outcomes } from './given';

const DAY_MS = 86_400_000;
/** The sentiment of these texts. */
const GOOD = { text: 'I love this!', sentiment: 0.6696 };
const BAD = { text: 'It is awful.', sentiment: -0.4588 };

describe('interactions and affinity', () => {
  const db = useDatabase('family');
  const clock = useTestClock(db, '2026-12-02T12:00:00Z');
  let family: Family;
  let memberId = '';
  beforeAll(async () => {
    family = openFamily({ url: db().url });
    memberId = (await givenMember(family)).id;
  });
  afterEach(async () => {
    expect(await reconcile(family)).toEqual([]);
  });
  afterAll(() => family.close());

  const meet = (userId: string, text?: string) =>
    recordInteraction(family, {
      ...{ userId, memberId, kind: 'greeting', idempotencyKey: fresh('key') },
      ...(text === undefined ? {} : { text }),
    });
  const affinityOf = async (userId: string): Promise<Affinity | undefined> =>
    (await listAffinities(family, { userId }))[0];

  it('are recorded once per user and key, with the sentiment of the text and without the text', async () => {
    const userId = fresh('ada');
    const input = {
      userId,
      memberId,
      kind: 'celebration',
      text: GOOD.text,
      metadata: { course: 'c1' },
      idempotencyKey: 'k',
    };
    const first = await recordInteraction(family, { ...input, kind: 'celebration' });

    expect(first).toMatchObject({ sentiment: GOOD.sentiment, metadata: { course: 'c1' }, mood: 'neutral' });
    expect(await recordInteraction(family, { ...input, kind: 'celebration' })).toEqual(first);
    await expect(recordInteraction(family, { ...input, kind: 'story' })).rejects.toMatchObject({
      code: 'FAMILY.KEY_REUSED',
    });
    expect((await listInteractions(family, { userId })).items).toEqual([first]);
    expect(await eventsFor(db(), userId)).toEqual(['interaction-recorded']);
    expect(JSON.stringify(await db().admin('SELECT * FROM family_interactions'))).not.toContain('love');
  });

  it('make an affinity that is drawn to 0 as three neutral ones would draw it, and fades by half in 30 days', async () => {
    const userId = fresh('ada');
    await meet(userId, GOOD.text);
    expect((await affinityOf(userId))?.score).toBeCloseTo(GOOD.sentiment / 4, 12);

    await clock.move(30 * DAY_MS);
    expect((await affinityOf(userId))?.score).toBeCloseTo((GOOD.sentiment * 0.5) / 3.5, 12);

    await meet(userId, BAD.text);
    await meet(userId);
    expect(await affinityOf(userId)).toMatchObject({
      score: expect.closeTo((GOOD.sentiment * 0.5 + BAD.sentiment) / 4.5, 12),
      interactions: 3,
      lastAt: clock.now(),
    });
  });

  it('show the course of an affinity', async () => {
    const userId = fresh('ada');
    const start = clock.now().getTime();
    await meet(userId, GOOD.text);
    await clock.move(30 * DAY_MS);
    await meet(userId, GOOD.text);
    const at = [-1, 0, 30, 60].map((days) => new Date(start + days * DAY_MS));

    const course = await affinityCourse(family, { userId, memberId, at });

    expect(course.map(({ at: time }) => time)).toEqual(at);
    expect(course.map(({ interactions }) => interactions)).toEqual([0, 1, 2, 2]);
    const s = GOOD.sentiment;
    const expected = [0, s / 4, (s * 1.5) / 4.5, (s * 0.75) / 3.75];
    for (const [n, { score }] of course.entries()) expect(score).toBeCloseTo(expected[n] ?? Number.NaN, 12);
    await clock.move(0);
    expect((await affinityOf(userId))?.score).toBeCloseTo(course[2]?.score ?? Number.NaN, 12);
  });

  it('count the same in any order of their times, also when they are deleted', async () => {
    const insert = `INSERT INTO family_interactions (id, user_id, member_id, kind, sentiment, created_at)
      SELECT $1 || '-' || n, $1, $2, 'story', n / 10.0, timestamptz '2026-01-01' + n * interval '9 days' FROM unnest($3::int[]) AS n`;
    const [one, other] = [fresh('ada'), fresh('ada')];
    for (const n of [3, -4, 9, 0, -7]) await db().admin(insert, [one, memberId, [n]]);
    await db().admin(insert, [other, memberId, [0, -7, 9, 3, -4, 8]]);
    await db().admin(`DELETE FROM family_interactions WHERE id = $1`, [`${other}-8`]);

    const [first, second] = await db().admin(
      'SELECT warmth, weight, interactions, as_of FROM affinities WHERE user_id = ANY($1) ORDER BY user_id',
      [[one, other]],
    );
    expect(first?.['warmth']).toBeCloseTo(Number(second?.['warmth']), 12);
    expect(first?.['weight']).toBeCloseTo(Number(second?.['weight']), 12);
    await db().admin('DELETE FROM family_interactions WHERE user_id = $1', [one]);
    expect(await listAffinities(family, { userId: one })).toEqual([]);
  });

  it('are all counted when 24 of 6 clients race, and one key counts once', async () => {
    const stores = givenStores(db(), 6);
    const userId = fresh('ada');
    const input = { userId, memberId, kind: 'story', text: GOOD.text } as const;
    const calls = Array.from({ length: 24 }, (_, n) =>
      recordInteraction(stores[n % 6] ?? family, { ...input, idempotencyKey: `k${n % 12}` }),
    );

    expect(await outcomes(calls)).toEqual(Array(24).fill('done'));
    expect(await affinityOf(userId)).toMatchObject({
      interactions: 12,
      score: expect.closeTo((12 * GOOD.sentiment) / 15, 12),
    });
    await Promise.all(stores.map((store) => store.close()));
  });

  it.each([
    [{ kind: 'dance' as 'story' }, 'kind'],
    [{ metadata: { note: 'x'.repeat(17_000) } }, 'metadata'],
    [{ metadata: { note: '\0' } }, 'metadata'],
    [{ userId: '' }, 'userId'],
  ])('reject an input and name the field', async (change, field) => {
    const input = { userId: 'ada', memberId, kind: 'story', idempotencyKey: 'k', ...change } as const;

    await expect(recordInteraction(family, input)).rejects.toMatchObject({
      code: 'FAMILY.INVALID_INPUT',
      meta: { fields: [field] },
    });
  });

  it('reject an unknown member', async () => {
    const input = { userId: 'ada', memberId: 'nobody', kind: 'story', idempotencyKey: 'k' } as const;

    await expect(recordInteraction(family, input)).rejects.toMatchObject({ code: 'FAMILY.MEMBER_NOT_FOUND' });
  });
});
