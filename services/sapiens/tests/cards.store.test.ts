import { testEffort, useDatabase, useTestClock } from '@azora/db-testkit';
import fc from 'fast-check';
import {
  addCard,
  deleteCard,
  getCard,
  listCards,
  listDueCards,
  listReviews,
  openSapiens,
  previewReview,
  reconcile,
  restoreCard,
  reviewCard,
  type Sapiens,
} from '../src';
import { isSameCard, replayReviews } from '../src/replay';
import { DAY_MS, fresh, givenCard, givenStores, MINUTE_MS, outcomes } from './given';

const RATINGS = ['again', 'hard', 'good', 'easy'] as const;

describe('cards', () => {
  const db = useDatabase('sapiens');
  const clock = useTestClock(db, '2022-12-29T12:30:00Z');
  let sapiens: Sapiens;
  beforeAll(() => {
    sapiens = openSapiens({ url: db().url });
  });
  afterAll(() => sapiens.close());

  it('have the published intervals of FSRS-6', async () => {
    const { id: cardId } = await givenCard(sapiens);
    const ratings = [...Array(6).fill('good'), 'again', 'again', ...Array(5).fill('good')] as const;
    const intervals: number[] = [];
    for (const [n, rating] of ratings.entries()) {
      const card = await reviewCard(sapiens, { cardId, number: n + 1, rating });
      intervals.push(card.scheduledDays);
      await clock.set(card.dueAt);
    }

    // ts-fsrs, FSRS-6.test.ts: ivl_history.
    expect(intervals).toEqual([0, 2, 11, 46, 163, 498, 0, 0, 2, 4, 7, 12, 21]);
  });

  it('have the published memory state of FSRS-6', async () => {
    const { id: cardId } = await givenCard(sapiens);
    const reviews = [
      ['again', 0],
      ['good', 0],
      ['good', 1],
      ['good', 3],
      ['good', 8],
      ['good', 21],
    ] as const;
    let card = await getCard(sapiens, { cardId });
    for (const [n, [rating, days]] of reviews.entries()) {
      await clock.move(days * DAY_MS);
      card = await reviewCard(sapiens, { cardId, number: n + 1, rating });
    }

    // ts-fsrs, FSRS-6.test.ts: memory state.
    expect(card.stability).toBeCloseTo(53.62691, 4);
    expect(card.difficulty).toBeCloseTo(6.3574867, 6);
  });

  it('have the state of ts-fsrs after random histories', async () => {
    const step = fc.record({
      rating: fc.constantFrom(...RATINGS),
      minutes: fc.oneof(fc.constantFrom(0, 1, 6, 10), fc.nat(2 * 1440), fc.nat(400 * 1440)),
    });
    const histories = fc.sample(fc.array(step, { minLength: 1, maxLength: 12 }), {
      numRuns: 150 * testEffort(),
      seed: 20_261_202,
    });
    const cards = await Promise.all(histories.map(() => givenCard(sapiens, 'replayed')));
    // The histories of all cards advance together, because the database has one time.
    for (let n = 0; n < 12; n += 1) {
      await clock.move(1000);
      await Promise.all(
        histories.map(async (history, index) => {
          const [given, card] = [history[n], cards[index]];
          if (given === undefined || card === undefined) return;
          await db().admin(
            `INSERT INTO card_reviews (card_id, number, rating, reviewed_at)
            SELECT id, $2, $3::review_rating, coalesce(last_reviewed_at, created_at) + $4 * interval '1 minute' FROM cards WHERE id = $1`,
            [card.id, n + 1, given.rating, given.minutes],
          );
        }),
      );
    }

    for (const { id: cardId, createdAt } of cards) {
      const [card, log] = [await getCard(sapiens, { cardId }), await listReviews(sapiens, { cardId })];
      const expected = replayReviews(
        createdAt,
        [...log.items].sort((left, right) => left.number - right.number),
      );
      expect([card, isSameCard(card, expected)]).toEqual([card, true]);
    }
    expect(await reconcile(sapiens)).toEqual([]);
  });

  it('show what each rating would do, and do it', async () => {
    for (const [index, rating] of RATINGS.entries()) {
      const { id: cardId } = await givenCard(sapiens);
      for (let n = 1; n <= 3; n += 1) {
        const previews = await previewReview(sapiens, { cardId });
        expect(previews.map((it) => it.rating)).toEqual(RATINGS);
        const chosen = n === 3 ? rating : 'good';
        const card = await reviewCard(sapiens, { cardId, number: n, rating: chosen });
        const preview = previews[n === 3 ? index : 2];
        expect(card.scheduledDays).toBe(preview?.scheduledDays);
        expect(card.stability).toBeCloseTo(preview?.stability ?? 0, 6);
        expect(Math.abs(card.dueAt.getTime() - (preview?.dueAt.getTime() ?? 0))).toBeLessThan(1000);
        await clock.set(card.dueAt);
      }
    }
  });

  it('count a review once when two devices report it at once', async () => {
    const { id: cardId } = await givenCard(sapiens);
    const stores = givenStores(db(), 4);
    const same = await outcomes(stores.map((store) => reviewCard(store, { cardId, number: 1, rating: 'good' })));
    expect(same).toEqual(Array(4).fill('done'));
    const found = await outcomes(
      stores.map((store, n) => reviewCard(store, { cardId, number: 2, rating: RATINGS[n] ?? 'good' })),
    );

    expect([...found].sort()).toEqual([...Array(3).fill('SAPIENS.ALREADY_REVIEWED'), 'done']);
    const { items: rows } = await listReviews(sapiens, { cardId });
    expect(rows.map(({ number, rating }) => [number, rating])).toEqual([
      [2, RATINGS[found.indexOf('done')]],
      [1, 'good'],
    ]);
    expect(await getCard(sapiens, { cardId })).toMatchObject({ reviews: 2 });
    await expect(reviewCard(sapiens, { cardId, number: 4, rating: 'good' })).rejects.toMatchObject({
      code: 'SAPIENS.REVIEW_ORDER',
      meta: { next: 3 },
    });
    await Promise.all(stores.map((store) => store.close()));
  });

  it('are due in their order, by cursor', async () => {
    const studentId = fresh('student');
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      ids.push((await givenCard(sapiens, studentId)).id);
      await clock.move(MINUTE_MS);
    }
    const [first = '', second = ''] = ids;
    await reviewCard(sapiens, { cardId: first, number: 1, rating: 'easy' });
    await reviewCard(sapiens, { cardId: second, number: 1, rating: 'again' });
    const due = async () => {
      const page = await listDueCards(sapiens, { studentId, limit: 3 });
      const rest =
        page.nextCursor === null ? [] : (await listDueCards(sapiens, { studentId, cursor: page.nextCursor })).items;
      return [...page.items, ...rest].map(({ id }) => id);
    };

    expect(await due()).toEqual(ids.slice(2));
    await clock.move(MINUTE_MS);
    expect(await due()).toEqual([...ids.slice(2), second]);
    expect((await listCards(sapiens, { studentId })).items.map(({ id }) => id)).toEqual([...ids].reverse());
  });

  it('keep their schedule while they are deleted', async () => {
    const { id: cardId, studentId } = await givenCard(sapiens);
    const reviewed = await reviewCard(sapiens, { cardId, number: 1, rating: 'good' });
    await deleteCard(sapiens, { cardId });
    expect(
      await outcomes([getCard(sapiens, { cardId }), reviewCard(sapiens, { cardId, number: 2, rating: 'good' })]),
    ).toEqual(Array(2).fill('SAPIENS.CARD_NOT_FOUND'));
    expect((await listCards(sapiens, { studentId })).items).toEqual([]);

    expect(await restoreCard(sapiens, { cardId })).toEqual({ ...reviewed, updatedAt: clock.now() });
  });

  it('belong to a skill that exists, and are added once per key', async () => {
    const input = { studentId: fresh('student'), front: 'x', back: 'y', idempotencyKey: fresh('key') };
    expect((await addCard(sapiens, input)).id).toBe((await addCard(sapiens, input)).id);
    const stray = { ...input, skillId: 'none', idempotencyKey: fresh('key') };
    await expect(addCard(sapiens, stray)).rejects.toMatchObject({ code: 'SAPIENS.SKILL_NOT_FOUND' });
    await expect(addCard(sapiens, { ...input, front: ' ' })).rejects.toMatchObject({
      code: 'SAPIENS.INVALID_INPUT',
      meta: { fields: ['front'] },
    });
  });
});
