/** @server any */
import { capabilitiesOf, type SeedContext, writeRows } from '@azora/db-core';
import { useDatabase } from '@azora/db-testkit';
import { Client } from 'pg';
import { seed } from '../seed';
import { EVENTS, listEnrollments, openEducation } from '../src';

const NOW = new Date('2026-10-01T00:00:00Z');
const person = (id: string) => ({
  id,
  email: '',
  name: 'Ada',
  role: 'student' as const,
  city: '',
  country: 'ZA',
  bio: '',
});
const CONTEXT: SeedContext = {
  now: NOW,
  people: { student: person('s'), educator: person('e'), employer: person('m') },
  password: '',
  services: [],
  repositoryRoot: '',
};

describe('the seed of education', () => {
  const db = useDatabase('education');

  it('has an enrollment at 25 % and the wallet of mint, also when it runs twice', async () => {
    for (const now of [NOW, new Date('2026-10-05T00:00:00Z')]) {
      const handle = seed.open({ url: db().target.admin.href });
      await seed.base(handle, { ...CONTEXT, now });
      await handle.close();
    }
    const education = openEducation({ url: db().url });
    const { items: rows } = await listEnrollments(education);
    await education.close();

    expect(rows.map(({ progress }) => progress.toNumber())).toEqual([25]);
    expect(await db().app('SELECT balance::float FROM wallets')).toEqual([{ balance: 1000 }]);
    expect(await db().app('SELECT count(*)::int FROM grades')).toEqual([{ count: 1 }]);
    const events = await db().admin('SELECT type, payload FROM outbox ORDER BY position');
    const names = events.map(({ type, payload }) => {
      const event = EVENTS.find((known) => known.type === type);
      event?.data.parse(payload);
      return event?.name;
    });
    expect(names).toEqual([
      ...['course-published', 'course-published', 'student-registered', 'enrollment-confirmed'],
      ...['assessment-submitted', 'submission-graded'],
    ]);
  });

  it('adds blocks of students whose progress and grades follow from the rows', async () => {
    const client = new Client(db().target.admin.href);
    await client.connect();
    await client.query('BEGIN');
    for (const rows of seed.volume({ firstUser: 0, userCount: 300, now: NOW })) {
      await writeRows(client, capabilitiesOf('PostgreSQL 18'), rows);
    }
    await client.query('COMMIT');
    await client.end();

    const [wrong] = await db().app(`SELECT
      (SELECT count(*)::int FROM enrollments) AS enrollments,
      (SELECT count(*)::int FROM enrollments AS e WHERE progress <> course_progress(e.id, e.course_id)) AS progress,
      (SELECT count(*)::int FROM assessment_submissions AS s WHERE (s.status = 'graded') <> EXISTS (
        SELECT FROM grades AS g WHERE g.submission_id = s.id AND g.score = s.score)) AS grades`);
    expect(wrong).toEqual({ enrollments: 301, progress: 0, grades: 0 });
  });
});
