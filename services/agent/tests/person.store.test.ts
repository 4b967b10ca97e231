/** @server any */
import { useDatabase, useTestClock } from '@azora/db-testkit';
import {
  type Agent,
  addChatMessage,
  claimTasks,
  completeTask,
  erasePerson,
  exportPerson,
  failExecution,
  failTask,
  getTask,
  listMessages,
  openAgent,
  reconcile,
} from '../src';
import { eventsOf, fresh, given, givenConversation, givenExecution, givenTask } from './given';

const SECRET = 'Ada Lovelace, ada@azora.world';

describe('a person in agent', () => {
  const db = useDatabase('agent');
  useTestClock(db, '2026-03-01T12:00:00Z');
  let agent: Agent;
  beforeAll(() => {
    agent = openAgent({ url: db().url });
  });
  afterEach(async () => {
    expect(await reconcile(agent)).toEqual([]);
  });
  afterAll(() => agent.close());

  /** A person with rows in every table, and tasks in three statuses. */
  async function givenPerson(userId: string) {
    const conversation = await givenConversation(agent, userId);
    const chunk = { query: SECRET, contentId: '/w', chunkIndex: 0, chunkContent: 'x', score: 1 };
    await given(agent, conversation, { content: SECRET, context: [chunk] });
    const { id: executionId } = await givenExecution(agent, {
      userId,
      conversationId: conversation.id,
      prompt: SECRET,
    });
    await failExecution(agent, { executionId, error: SECRET });
    await givenExecution(agent, { userId, prompt: SECRET });
    const chat = { sessionId: fresh('session'), userId, role: 'user', content: SECRET } as const;
    await addChatMessage(agent, { ...chat, metadata: { name: SECRET }, idempotencyKey: fresh('key') });
    const task = { title: SECRET, description: SECRET, metadata: { name: SECRET }, createdBy: userId };
    const taskType = fresh('type');
    for (let n = 0; n < 3; n += 1) await givenTask(agent, { ...task, taskType });
    const [done, failed, running] = await claimTasks(agent, { taskType, limit: 3 });
    const leaseOf = (it: typeof done) => ({ taskId: it?.id ?? '', leaseId: it?.leaseId ?? '' });
    await completeTask(agent, leaseOf(done));
    await failTask(agent, { ...leaseOf(failed), error: SECRET, retry: false });
    const pending = await givenTask(agent, { ...task, dependsOn: [failed?.id ?? ''] });
    await db().app("INSERT INTO audit_logs (id, user_id, action) VALUES ($1, $2, 'row.changed')", [
      fresh('log'),
      userId,
    ]);
    return { conversation, tasks: [done, failed, running, pending].map((it) => it?.id ?? ''), lease: leaseOf(running) };
  }

  const countsOf = async (userId: string) =>
    Object.fromEntries(Object.entries(await exportPerson(agent, userId)).map(([list, rows]) => [list, rows.length]));

  it('gets an export of every row about them', async () => {
    await givenPerson('ada');

    expect(await countsOf('ada')).toEqual({
      ...{ conversations: 1, messages: 1, ragContexts: 1, executions: 2, tasks: 4, chatMessages: 1 },
      ...{ requests: 9, auditLogs: 1 },
    });
    const { messages, tasks } = await exportPerson(agent, 'ada');
    expect(messages?.[0]).toMatchObject({ user_id: 'ada', content: SECRET, position: 1 });
    expect(messages?.[0]).not.toHaveProperty('search');
    expect(tasks?.[0]).toMatchObject({ created_by: 'ada', title: SECRET });
    expect(Object.values(await exportPerson(agent, 'nobody')).flat()).toEqual([]);
  });

  it('is erased once: text and ids go, the audit log and tasks without them stay', async () => {
    const other = await givenConversation(agent);
    await given(agent, other, { content: 'Mine' });
    const { conversation, tasks, lease } = await givenPerson('ben');
    // Rows of older versions name the user in the conversation only.
    await db().admin(
      `INSERT INTO agent_executions (agent_id, conversation_id, prompt, success) VALUES ('x', $1, $2, true)`,
      [conversation.id, SECRET],
    );

    expect(await erasePerson(agent, 'ben')).toEqual({ deleted: 6, anonymised: 4 });
    expect(await erasePerson(agent, 'ben')).toEqual({ deleted: 0, anonymised: 0 });
    // The entry of before, and one about the first erasure.
    expect(Object.entries(await countsOf('ben')).filter(([, count]) => count > 0)).toEqual([['auditLogs', 2]]);
    const found = await Promise.all(tasks.map((taskId) => getTask(agent, { taskId })));
    expect(found.map(({ status }) => status)).toEqual(['completed', 'failed', 'cancelled', 'cancelled']);
    const blank = { title: '[erased]', description: null, metadata: null, lastError: null, createdBy: null };
    expect(found).toMatchObject(Array(4).fill(blank));
    await expect(completeTask(agent, lease)).rejects.toMatchObject({ code: 'AGENT.LEASE_LOST' });
    expect(await eventsOf(db(), conversation.id)).toContain('conversation-deleted');
    // Nobody else is erased.
    expect((await listMessages(agent, { conversationId: other.id, userId: other.userId })).items).toHaveLength(1);
    const [left] = await db().admin(
      `SELECT count(*)::int AS rows FROM (SELECT to_jsonb(t)::text AS row FROM tasks AS t WHERE t.id = ANY ($1)
         UNION ALL SELECT to_jsonb(o)::text FROM outbox AS o) AS it WHERE row LIKE '%Lovelace%'`,
      [tasks],
    );
    expect(left).toEqual({ rows: 0 });
  });
});
