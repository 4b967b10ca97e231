/** @server any */
import { testEffort, useDatabase } from '@azora/db-testkit';
import { openSapiens, reconcile } from '../src';

jest.setTimeout(3_600_000);

/** AZORA_TEST_EFFORT=10 makes 100,000. */
const HISTORIES = 10_000 * testEffort();
const CARDS_PER_STUDENT = 100;
const HISTORIES_AT_ONCE = 5_000;

/**
 * Cards of students with a log of one to six reviews each. Ratings and gaps follow from md5, so that every run has the same ones; a
 * third of the gaps are minutes, the others up to 300 days.
 */
const INSERT_CARDS = `
  WITH students AS (
    INSERT INTO student_profiles (id, student_id) SELECT 's' || n, 's' || n
    FROM generate_series($1::integer, $2::integer - 1, ${CARDS_PER_STUDENT}) AS n
  )
  INSERT INTO cards (id, student_id, front, back, created_at, due_at)
  SELECT 'c' || n, 's' || n - n % ${CARDS_PER_STUDENT}, 'Question', 'Answer', t, t
  FROM generate_series($1::integer, $2::integer - 1) AS n, (SELECT timestamptz '2024-01-01T00:00:00Z' AS t) AS origin`;
const INSERT_REVIEWS = `
  INSERT INTO card_reviews (card_id, number, rating, reviewed_at)
  SELECT id, number, ('{again,hard,good,good,good,easy}'::review_rating[])[1 + chance % 6],
    timestamptz '2024-01-01T00:00:00Z' + sum(minutes) OVER (PARTITION BY id ORDER BY number) * interval '1 minute'
  FROM (
    SELECT id, number, chance, CASE WHEN chance / 8 % 3 = 0 THEN chance / 32 % 20 ELSE chance / 32 % 432000 END AS minutes
    FROM (
      SELECT 'c' || n AS id, number, ('x0' || left(md5(n || ':' || number), 7))::bit(32)::integer AS chance
      FROM generate_series($1::integer, $2::integer - 1) AS n, generate_series(1, 1 + n % 6) AS number
    ) AS chances
  ) AS reviews ORDER BY id, number`;

describe('the schedules of cards', () => {
  const db = useDatabase('sapiens');

  it(`are those of ts-fsrs after ${HISTORIES} random histories`, async () => {
    for (let first = 0; first < HISTORIES; first += HISTORIES_AT_ONCE) {
      const range = [first, Math.min(first + HISTORIES_AT_ONCE, HISTORIES)];
      await db().admin(INSERT_CARDS, range);
      await db().admin(INSERT_REVIEWS, range);
    }
    const [counted] = await db().admin(`SELECT count(*)::int AS cards, sum(reviews)::int AS reviews,
      count(*) FILTER (WHERE lapses > 0) > 0 AS lapsed, count(DISTINCT state)::int AS states FROM cards`);
    expect(counted).toMatchObject({ cards: HISTORIES, lapsed: true, states: 3 });
    const sapiens = openSapiens({ url: db().target.admin.href, slowQueryMs: 3_600_000 });
    const differences = await reconcile(sapiens);
    await sapiens.close();

    expect(differences).toEqual([]);
  });
});
