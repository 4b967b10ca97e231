/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  acceptRecommendation,
  erasePerson,
  exportPerson,
  listRecommendations,
  type Nexus,
  openNexus,
  recommend,
  reconcile,
  saveItems,
  saveProfile,
} from '../src';
import { givenCourses, recommendedTo, refreshAll } from './given';

const SECRET = 'Lovelace';

describe('a person in nexus', () => {
  const db = useDatabase('nexus');
  useTestClock(db, '2026-03-01T12:00:00Z');
  let nexus: Nexus;
  beforeAll(() => {
    nexus = openNexus({ url: db().url });
  });
  beforeEach(() => db().admin('TRUNCATE user_profiles, items CASCADE'));
  afterEach(async () => {
    expect(await reconcile(nexus)).toEqual([]);
  });
  afterAll(() => nexus.close());

  /** Ada and Ben have one pair each; only Ada has the pair of Python and Rust. */
  async function givenAda(): Promise<void> {
    await givenCourses(nexus, 'ben', ['python', 'sql']);
    await saveProfile(nexus, { userId: 'ada', interests: [SECRET], preferences: { name: SECRET } });
    await givenCourses(nexus, 'ada', ['python', 'rust'], { context: { page: SECRET } });
    await refreshAll(nexus);
    const [first] = await recommend(nexus, { userId: 'ada', context: { page: SECRET } });
    await acceptRecommendation(nexus, { userId: 'ada', recommendationId: first?.id ?? '' });
    await refreshAll(nexus);
  }

  it('gets an export of every row about them', async () => {
    await givenAda();

    const found = await exportPerson(nexus, 'ada');

    const counts = Object.fromEntries(Object.entries(found).map(([list, rows]) => [list, rows.length]));
    expect(counts).toMatchObject({ profiles: 1, interactions: 3, items: 3, recommendations: 1 });
    expect(found['auditLogs']?.length).toBeGreaterThan(0);
    expect(found['profiles']?.[0]).toMatchObject({
      user_id: 'ada',
      interests: ['lovelace'],
      preferences: { name: SECRET },
    });
    expect(found['recommendations']?.[0]).toMatchObject({ status: 'accepted', context: { page: SECRET } });
    expect(Object.values(await exportPerson(nexus, 'nobody')).flat()).toEqual([]);
  });

  it('is erased once, with their influence on the recommendations of others', async () => {
    await givenAda();
    await givenCourses(nexus, 'eve', ['python']);
    expect(await recommendedTo(nexus, 'eve', 2)).toContain('rust');
    const retained = (await exportPerson(nexus, 'ada'))['auditLogs']?.length ?? 0;

    const erased = await erasePerson(nexus, 'ada');

    expect(erased).toEqual({ profiles: 1, interactions: 3, recommendations: 1, retained: retained + 1 });
    expect(await erasePerson(nexus, 'ada')).toEqual({
      ...{ profiles: 0, interactions: 0, recommendations: 0, retained: retained + 1 },
    });
    const pairs = await db().admin(`SELECT a.item_id AS one, b.item_id AS other FROM item_pairs AS p
      JOIN items AS a ON a.id = p.first_id JOIN items AS b ON b.id = p.second_id ORDER BY 1, 2`);
    expect(pairs).toEqual([{ one: 'python', other: 'sql' }]);
    const [rust] = await db().admin(`SELECT popularity::text FROM items WHERE item_id = 'rust'`);
    expect(rust).toEqual({ popularity: '0' });
    const tables = [
      'user_profiles',
      'interactions',
      'recommendations',
      'profile_items',
      'items',
      'audit_logs',
      'outbox',
    ];
    const dump = await Promise.all(tables.map((table) => db().admin(`SELECT to_jsonb(t) AS row FROM ${table} AS t`)));
    expect(JSON.stringify(dump)).not.toMatch(/lovelace/i);
  });

  it('is recommended to nobody as a member any more', async () => {
    await saveItems(nexus, { items: [{ itemType: 'member', itemId: 'ada', tags: [SECRET] }] });
    await givenCourses(nexus, 'ben', ['python']);
    expect(await recommendedTo(nexus, 'ben')).toEqual(['ada']);

    await erasePerson(nexus, 'ada');

    expect(await recommendedTo(nexus, 'ben')).toEqual([]);
    expect((await listRecommendations(nexus, { userId: 'ben' })).items).toMatchObject([{ status: 'expired' }]);
    expect(JSON.stringify(await db().admin('SELECT tags FROM items'))).not.toMatch(/lovelace/i);
  });
});
