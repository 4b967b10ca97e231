/** @server any */
import { capabilitiesOf, type SeedContext, writeRows } from '@azora/db-core';
import { useDatabase } from '@azora/db-testkit';
import { Client } from 'pg';
import { seed } from '../seed';
import { exportPerson, openNexus, recommend, reconcile } from '../src';
import { refreshAll } from './given';

const NOW = new Date('2026-10-01T00:00:00Z');
const person = (id: string) => ({ id, email: '', name: '', role: 'student' as const, city: '', country: '', bio: '' });
const CONTEXT: SeedContext = {
  now: NOW,
  people: { student: person('s'), educator: person('e'), employer: person('m') },
  password: '',
  services: [],
  repositoryRoot: '',
};

describe('the seed', () => {
  const db = useDatabase('nexus');

  async function seedBase(now: Date): Promise<void> {
    const handle = seed.open({ url: db().target.admin.href });
    await seed.base(handle, { ...CONTEXT, now });
    await handle.close();
  }

  it('is the same however often it runs, and its volume can be recommended from', async () => {
    await seedBase(NOW);
    const nexus = openNexus({ url: db().url });
    const first = await exportPerson(nexus, 's');
    await seedBase(new Date('2026-10-05T00:00:00Z'));
    expect(await exportPerson(nexus, 's')).toEqual(first);
    expect(first['interactions']?.length).toBeGreaterThan(3);

    const client = new Client(db().target.admin.href);
    await client.connect();
    await client.query('BEGIN');
    for (const rows of seed.volume({ firstUser: 0, userCount: 300, now: NOW }))
      await writeRows(client, capabilitiesOf('PostgreSQL 18'), rows);
    await client.query('COMMIT');
    await client.end();
    await refreshAll(nexus);

    expect(await reconcile(nexus)).toEqual([]);
    const [best] = await recommend(nexus, { userId: 's' });
    expect(best?.source).toBe('co-occurrence');
    await nexus.close();
  });
});
