/** @server any */
import { capabilitiesOf, type SeedContext, writeRows } from '@azora/db-core';
import { useDatabase } from '@azora/db-testkit';
import { Client } from 'pg';
import { seed } from '../seed';
import { EVENTS, type Family, listMembers, listRelationships, openFamily, recallMemories, reconcile } from '../src';

const NOW = new Date('2026-10-01T00:00:00Z');
const person = (id: string) => ({
  ...{ id, email: '', name: 'Ada', role: 'student' as const, city: '', country: 'ZA', bio: '' },
});
const CONTEXT: SeedContext = {
  now: NOW,
  people: { student: person('s'), educator: person('e'), employer: person('m') },
  ...{ password: '', services: [], repositoryRoot: '' },
};

describe('the seed of family', () => {
  const db = useDatabase('family');
  let family: Family;
  beforeAll(() => {
    family = openFamily({ url: db().url });
  });
  afterEach(async () => {
    expect(await reconcile(family)).toEqual([]);
  });
  afterAll(() => family.close());

  it('has the 11 members, related both ways, and conversations that are remembered, also when it runs twice', async () => {
    for (const now of [NOW, new Date('2026-10-05T00:00:00Z')]) {
      const handle = seed.open({ url: db().target.admin.href });
      await seed.base(handle, { ...CONTEXT, now });
      await handle.close();
    }
    const members = await listMembers(family);
    const nameOf = new Map(members.map(({ id, name }) => [id, name]));
    const [elara] = members.filter(({ slug }) => slug === 'elara');
    const ties = await listRelationships(family, { memberId: elara?.id ?? '' });

    expect(members).toHaveLength(11);
    expect(ties.map(({ relation, relativeId }) => `${relation} ${nameOf.get(relativeId)}`).sort()).toEqual([
      ...['child Sankofa', 'coordinated Nexus'],
      ...['parent Amara', 'parent Jabari', 'parent Naledi', 'parent Themba', 'sibling Thembo'],
    ]);
    const [memory] = await recallMemories(family, { userId: 's', text: 'Which quiz did I fail?' });
    expect(memory?.message.content).toBe('Mama Elara, I failed my first Python quiz.');
    const events = await db().admin('SELECT type, payload FROM outbox ORDER BY position');
    const counts: Record<string, number> = {};
    for (const { type, payload } of events) {
      const event = EVENTS.find((known) => known.type === type);
      event?.data.parse(payload);
      counts[String(event?.name)] = (counts[String(event?.name)] ?? 0) + 1;
    }
    expect(counts).toEqual({
      ...{ 'member-saved': 11, 'conversation-started': 2, 'message-added': 8 },
      ...{ 'interaction-recorded': 4, 'conversation-ended': 1 },
    });
  });

  it('adds blocks of users whose counts, words and affinities follow from the rows', async () => {
    const client = new Client(db().target.admin.href);
    await client.connect();
    await client.query('BEGIN');
    for (const rows of seed.volume({ firstUser: 0, userCount: 300, now: NOW })) {
      await writeRows(client, capabilitiesOf('PostgreSQL 18'), rows);
    }
    await client.query('COMMIT');
    await client.end();

    expect(await db().app('SELECT count(*)::int FROM affinities')).toEqual([{ count: 304 }]);
  });
});
