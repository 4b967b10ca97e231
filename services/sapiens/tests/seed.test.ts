/** @server any */
import { capabilitiesOf, type SeedContext, writeRows } from '@azora/db-core';
import { useDatabase } from '@azora/db-testkit';
import { Client } from 'pg';
import { seed } from '../seed';
import { EVENTS, findProfile, getAssessment, listAssessments, openSapiens, reconcile } from '../src';

const NOW = new Date('2026-10-01T00:00:00Z');
const person = (id: string) => ({
  ...{ id, email: '', name: 'Ada', role: 'student' as const, city: '', country: 'ZA', bio: '' },
});
const CONTEXT: SeedContext = {
  now: NOW,
  people: { student: person('s'), educator: person('e'), employer: person('m') },
  password: '',
  services: [],
  repositoryRoot: '',
};

describe('the seed of sapiens', () => {
  const db = useDatabase('sapiens');

  it('has rows that follow from each other, also when it runs twice', async () => {
    for (const now of [NOW, new Date('2026-10-05T00:00:00Z')]) {
      const handle = seed.open({ url: db().target.admin.href });
      await seed.base(handle, { ...CONTEXT, now });
      await handle.close();
    }
    const sapiens = openSapiens({ url: db().url });
    const [assessment] = (await listAssessments(sapiens, { studentId: 's' })).items;

    expect(await getAssessment(sapiens, { assessmentId: assessment?.id ?? '' })).toMatchObject({ score: 0.75 });
    expect(await db().app('SELECT attempts, correct FROM skill_mastery')).toEqual([{ attempts: 4, correct: 3 }]);
    expect(await db().app('SELECT reviews FROM cards ORDER BY reviews')).toEqual([{ reviews: 0 }, { reviews: 3 }]);
    expect((await findProfile(sapiens, { studentId: 's' }))?.level).toBe('intermediate');
    expect(await reconcile(sapiens)).toEqual([]);
    const events = await db().admin('SELECT type, payload FROM outbox ORDER BY position');
    const names = events.map(({ type, payload }) => {
      const event = EVENTS.find((known) => known.type === type);
      event?.data.parse(payload);
      return event?.name;
    });
    expect(names).toEqual([
      ...['path-created', 'session-started', 'session-ended', 'insight-recorded', 'insight-recorded'],
      ...['step-completed', 'question-asked', 'assessment-started', 'question-answered', 'assessment-completed'],
      'question-asked',
    ]);
    await sapiens.close();
  });

  it('adds blocks of students whose profiles and counts follow from the rows', async () => {
    const client = new Client(db().target.admin.href);
    await client.connect();
    await client.query('BEGIN');
    for (const rows of seed.volume({ firstUser: 0, userCount: 300, now: NOW })) {
      await writeRows(client, capabilitiesOf('PostgreSQL 18'), rows);
    }
    await client.query('COMMIT');
    await client.end();
    const sapiens = openSapiens({ url: db().url });

    expect(await reconcile(sapiens)).toEqual([]);
    expect(await db().app('SELECT count(*)::int FROM cards WHERE reviews = 1')).toEqual([{ count: 300 }]);
    await sapiens.close();
  });
});
