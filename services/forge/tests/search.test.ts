import { useDatabase, useTestClock } from '@azora/db-testkit';
import fc from 'fast-check';
import { cancelJob, deleteJob, type Forge, openForge, type SearchJobsInput, searchJobs } from '../src';
import { fresh, givenJob } from './given';

const SKILLS = ['React', 'Go', "C'", 'a\\b', 'ünï'];
const CATEGORIES = ['Web', 'Data Science'];
const WORDS = ['maize', 'charts', 'harvesting', 'ledger'];

/** 3,000 jobs, so that a search crosses ranges of 256 and of 2,048; every 7th is closed and every 11th has expired. */
const FILL = `INSERT INTO jobs (id, employer_id, title, description, category, skills, budget, currency, status, published_at, closed_at,
    deadline, created_at)
  SELECT 'job-' || n, 'boss-' || n % 10, ($1::text[])[1 + n % 4], ($1::text[])[1 + n / 4 % 4] || ' work', ($2::text[])[1 + n % 2],
    ARRAY[($3::text[])[1 + n % 5], ($3::text[])[1 + n / 5 % 5]], 1 + n % 97 * 1.5, CASE n % 3 WHEN 0 THEN 'USD' ELSE 'AZR' END::currency,
    CASE n % 7 WHEN 0 THEN 'closed' ELSE 'open' END::job_status, '2026-01-01', CASE n % 7 WHEN 0 THEN '2026-01-02'::timestamptz END,
    CASE n % 11 WHEN 0 THEN '2026-02-01'::timestamptz END, '2026-01-01'
  FROM generate_series(1, 3000) AS n ORDER BY n`;

/** The same by reading every job. */
const ORACLE = `SELECT id FROM jobs WHERE status = 'open' AND deleted_at IS NULL AND (deadline IS NULL OR deadline > $7)
  AND ($1 = '' OR search @@ websearch_to_tsquery('english', $1))
  AND ARRAY(SELECT lower(s) FROM unnest(skills) AS s) @> ARRAY(SELECT lower(s) FROM unnest($2::text[]) AS s)
  AND ($3::text IS NULL OR lower(category) = lower($3)) AND ($4::currency IS NULL OR currency = $4)
  AND ($5::numeric IS NULL OR budget >= $5) AND ($6::numeric IS NULL OR budget <= $6)
  ORDER BY publication DESC`;

describe('the search of jobs', () => {
  const db = useDatabase('forge');
  const clock = useTestClock(db, '2026-03-01T12:00:00Z');
  let forge: Forge;
  beforeAll(async () => {
    forge = openForge({ url: db().url });
    await db().admin(FILL, [WORDS, CATEGORIES, SKILLS]);
  });
  afterAll(() => forge.close());

  const amount = fc.integer({ min: 1, max: 200 }).map(String);
  const filter = fc.record(
    {
      text: fc.constantFrom('maize', 'harvest charts', '-maize', '"ledger work"', 'the', 'nothing at all', "it's"),
      skills: fc.subarray(['REACT', 'go', "c'", 'a\\b', 'Ünï'], { maxLength: 2 }),
      category: fc.constantFrom('web', 'DATA science', 'Farming'),
      currency: fc.constantFrom('AZR', 'USD', 'BTC'),
      minBudget: amount,
      maxBudget: amount,
    },
    { requiredKeys: [] },
  );

  it('returns the jobs, in the order and by the pages, that reading every job returns', async () => {
    await fc.assert(
      fc.asyncProperty(filter, fc.integer({ min: 1, max: 60 }), async (input, limit) => {
        const asked = input as SearchJobsInput;
        const { text = '', skills = [], category = null, currency = null, minBudget = null, maxBudget = null } = asked;
        const expected = await db().admin(ORACLE, [
          ...[text === 'the' ? '' : text, skills, category, currency, minBudget, maxBudget],
          clock.now(),
        ]);
        const first = await searchJobs(forge, { ...asked, limit });
        const found = [...first.items];
        for (let { nextCursor } = first, pages = 1; nextCursor !== null && pages < 4; pages += 1) {
          const page = await searchJobs(forge, { ...asked, limit, cursor: nextCursor });
          found.push(...page.items);
          nextCursor = page.nextCursor;
        }

        expect(found.map(({ id }) => id)).toEqual(expected.slice(0, limit * 4).map(({ id }) => id));
      }),
      { numRuns: 80, seed: 20_261_201 },
    );
  });

  it('finds a job while it is open', async () => {
    const job = await givenJob(forge, { title: 'Zebra', skills: ['Horses'] });
    const draft = await givenJob(forge, { title: 'Zebra', draft: true });
    const find = async (input: SearchJobsInput) => (await searchJobs(forge, input)).items.map(({ id }) => id);

    expect(await find({ text: 'zebras' })).toEqual([job.id]);
    expect(await find({ skills: [' horses '] })).toEqual([job.id]);
    await cancelJob(forge, { jobId: job.id, by: job.employerId });
    expect(await find({ text: 'zebra' })).toEqual([]);
    await deleteJob(forge, { jobId: draft.id, by: draft.employerId });
    expect(await find({ skills: ['horses'] })).toEqual([]);
  });

  it('rejects a cursor of another kind and a budget that is a number', async () => {
    await expect(searchJobs(forge, { cursor: fresh('x') })).rejects.toMatchObject({ code: 'FORGE.INVALID_INPUT' });
    await expect(searchJobs(forge, { minBudget: 5 as never })).rejects.toMatchObject({ code: 'MONEY.NOT_DECIMAL' });
  });
});
