import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot, useDatabase } from '@azora/db-testkit';
import { claimTasks, getExecution, getTask, listMessages, openAgent, reconcile, searchMessages } from '../src';
import { given, givenConversation, givenExecution, givenTask } from './given';

const FOLDER = path.join(repositoryRoot(), 'services/agent/prisma/migrations');
const ADDED = ['conversations', 'executions', 'tasks', 'operations', 'publish'].map((name) => `_${name}`);

describe('the migrations of the store', () => {
  const db = useDatabase('agent');
  const run = async (ending: string, file: 'migration.sql' | 'down.sql') => {
    const name = readdirSync(FOLDER).find((it) => it.startsWith('20261205') && it.endsWith(ending)) ?? '';
    await db().admin(`BEGIN; ${readFileSync(path.join(FOLDER, name, file), 'utf8')}; COMMIT`);
  };

  it('leave to an older version what it knows, and take over what it has written', async () => {
    const store = openAgent({ url: db().url });
    const conversation = await givenConversation(store, 'ada');
    await given(store, conversation);
    await givenExecution(store);
    await givenTask(store);
    await store.close();
    for (const ending of ADDED.toReversed()) await run(ending, 'down.sql');
    expect(await db().admin('SELECT success, duration_ms FROM agent_executions')).toEqual([
      { success: false, duration_ms: null },
    ]);
    const id = (n: number) => `00000000-0000-7000-8000-00000000000${n}`;
    await db().admin(`
      INSERT INTO messages (id, conversation_id, role, content, created_at) VALUES
        ('${id(2)}', '${conversation.id}', 'user', 'The second zebra', '2999-01-01'),
        ('${id(1)}', '${conversation.id}', 'user', 'The first zebra', '2999-01-01'),
        ('${id(3)}', '${conversation.id}', 'system', 'Before', '2000-01-01');
      INSERT INTO agent_executions (id, agent_id, prompt, success, duration_ms, created_at) VALUES
        ('${id(4)}', 'x', 'x', true, 1500, '2026-01-01T00:00:00Z');
      INSERT INTO tasks (id, title, status) VALUES ('legacy', 'x', 'in_progress')`);

    for (const ending of ADDED) await run(ending, 'migration.sql');

    // The role has its rights from the last run of the toolkit; the administrator reads here.
    const agent = openAgent({ url: db().target.admin.href });
    const { items } = await listMessages(agent, { conversationId: conversation.id, userId: 'ada' });
    expect(items.map(({ content, position }) => [position, content])).toEqual([
      [4, 'The second zebra'],
      [3, 'The first zebra'],
      [2, 'Why?'],
      [1, 'Before'],
    ]);
    expect((await searchMessages(agent, { userId: 'ada', text: 'zebra' })).items).toHaveLength(2);
    expect(await given(agent, conversation)).toMatchObject({ position: 5 });
    expect(await getExecution(agent, { executionId: id(4) })).toMatchObject({
      ...{ status: 'succeeded', finishedAt: new Date('2026-01-01T00:00:01.500Z') },
    });
    expect(await reconcile(agent)).toEqual([]);
    expect((await claimTasks(agent, { limit: 10 })).map(({ attempts }) => attempts)).toEqual([1, 1]);
    expect(await getTask(agent, { taskId: 'legacy' })).toMatchObject({ status: 'in_progress', attempts: 1 });
    await agent.close();
  });
});
