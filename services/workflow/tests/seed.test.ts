/** @server any */
import { capabilitiesOf, type SeedContext, writeRows } from '@azora/db-core';
import { useDatabase } from '@azora/db-testkit';
import { Client } from 'pg';
import { seed } from '../seed';
import { checkWorkflow, getRun, listRuns, listVersions, openWorkflow, reconcile } from '../src';

const NOW = new Date('2026-10-01T00:00:00Z');
const person = (id: string) => ({
  ...{ id, email: '', name: 'Ada', role: 'student' as const },
  ...{ city: '', country: 'ZA', bio: '' },
});
const CONTEXT: SeedContext = {
  now: NOW,
  people: { student: person('s'), educator: person('e'), employer: person('m') },
  password: '',
  services: [],
  repositoryRoot: '',
};
/** What the database makes of the graphs of the versions. */
const PLANS = `SELECT count(*)::int AS versions, bool_and(plan = plan_of(nodes, connections, settings)) AS fit FROM workflow_versions`;

describe('the seed of workflow', () => {
  const db = useDatabase('workflow');

  it('makes rows that fit together, also when it runs twice', async () => {
    for (const now of [NOW, new Date('2026-10-05T00:00:00Z')]) {
      const handle = seed.open({ url: db().target.admin.href });
      await seed.base(handle, { ...CONTEXT, now });
      await handle.close();
    }
    const workflows = openWorkflow({ url: db().url });
    const owned = { workflowId: 1, ownerId: 'e' };

    expect(await reconcile(workflows)).toEqual([]);
    expect(await checkWorkflow(workflows, owned)).toEqual([]);
    expect((await listVersions(workflows, owned)).items).toMatchObject([{ number: 1, draftVersion: 4 }]);
    expect(await db().admin(PLANS)).toEqual([{ versions: 1, fit: true }]);
    const { items } = await listRuns(workflows, { ownerId: 'e' });
    expect(items.map(({ status }) => status)).toEqual(['failed', 'completed']);
    const { steps } = await getRun(workflows, { runId: items[0]?.id ?? '', ownerId: 'e' });
    expect(steps.map(({ status }) => status)).toEqual(['completed', 'failed', 'completed']);
    await workflows.close();
  });

  it('makes volume that fits together', async () => {
    const client = new Client(db().target.admin.href);
    await client.connect();
    const { rows } = await client.query<{ version: string }>('SELECT version()');
    for (const table of seed.volume({ firstUser: 0, userCount: 100, now: NOW })) {
      await writeRows(client, capabilitiesOf(rows[0]?.version ?? ''), table);
    }
    await client.end();
    const workflows = openWorkflow({ url: db().url });

    expect(await reconcile(workflows)).toEqual([]);
    expect(await db().admin(PLANS)).toEqual([{ versions: 68, fit: true }]);
    await workflows.close();
  });
});
