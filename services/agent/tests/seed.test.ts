/** @server any */
import { capabilitiesOf, type SeedContext, writeRows } from '@azora/db-core';
import { useDatabase } from '@azora/db-testkit';
import { Client } from 'pg';
import { seed } from '../seed';
import { executionStatistics, getTask, listConversations, listTasks, openAgent, reconcile } from '../src';

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

describe('the seed of agent', () => {
  const db = useDatabase('agent');

  it('makes rows that fit together, also when it runs twice', async () => {
    for (const now of [NOW, new Date('2026-10-05T00:00:00Z')]) {
      const handle = seed.open({ url: db().target.admin.href });
      await seed.base(handle, { ...CONTEXT, now });
      await handle.close();
    }
    const agent = openAgent({ url: db().url });
    const { items: conversations } = await listConversations(agent, { userId: 's' });
    const { items: tasks } = await listTasks(agent, { status: 'pending' });
    const waiting = await getTask(agent, { taskId: tasks[0]?.id ?? '' });
    const period = { since: new Date('2026-09-01T00:00:00Z'), until: NOW };
    const [statistics] = await executionStatistics(agent, { ...period, agentId: 'coding-agent' });
    const differences = await reconcile(agent);
    await agent.close();

    expect(differences).toEqual([]);
    expect(conversations).toMatchObject([{ lastPosition: 3, updatedAt: new Date('2026-09-30T23:02:00Z') }]);
    expect(waiting).toMatchObject({ waitingFor: 1, dependsOn: [expect.any(String), expect.any(String)] });
    // 350 · 0.15 + 62 · 0.6, a million tokens each.
    expect(statistics?.cost.toFixed()).toBe('0.0000897');
    expect(await db().admin("SELECT count(*)::int FROM outbox WHERE type = 'agent.message-added.v1'")).toEqual([
      { count: 3 },
    ]);
  });

  it('makes volume that fits together', async () => {
    const client = new Client(db().target.admin.href);
    await client.connect();
    const { rows } = await client.query<{ version: string }>('SELECT version()');
    for (const table of seed.volume({ firstUser: 0, userCount: 100, now: NOW })) {
      await writeRows(client, capabilitiesOf(rows[0]?.version ?? ''), table);
    }
    await client.end();
    const agent = openAgent({ url: db().url });

    expect(await reconcile(agent)).toEqual([]);
    expect(
      await db().admin("SELECT count(*)::int FROM tasks WHERE status = 'in_progress' AND lease_id = 'imported'"),
    ).toEqual([{ count: 25 }]);
    await agent.close();
  });
});
