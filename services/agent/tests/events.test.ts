/** @server any */
import { useDatabase } from '@azora/db-testkit';
import Ajv from 'ajv/dist/2020';
import {
  type Agent,
  cancelTask,
  claimTasks,
  completeTask,
  deleteConversation,
  EVENTS,
  failExecution,
  failTask,
  finishExecution,
  openAgent,
  retryTask,
} from '../src';
import { fresh, given, givenConversation, givenExecution, givenTask } from './given';

/** Text of a person, which no event repeats. */
const SECRET = 'Ada Lovelace, ada@azora.world';

describe('the events of agent', () => {
  const db = useDatabase('agent');
  let agent: Agent;
  beforeAll(() => {
    agent = openAgent({ url: db().url });
  });
  afterAll(() => agent.close());

  it('are of every type, fit their schemas, have the key of their type, and repeat no text', async () => {
    const conversation = await givenConversation(agent);
    await givenConversation(agent, null);
    await given(agent, conversation, { content: SECRET });
    const asked = { userId: conversation.userId, conversationId: conversation.id };
    const { id: executionId } = await givenExecution(agent, { ...asked, prompt: SECRET });
    await finishExecution(agent, { executionId, response: SECRET, promptTokens: 1, completionTokens: 2 });
    await failExecution(agent, { executionId: (await givenExecution(agent)).id, error: SECRET });
    await db().admin(`INSERT INTO agent_executions (agent_id, prompt, success) VALUES ('x', '${SECRET}', true)`);
    await deleteConversation(agent, { conversationId: conversation.id, userId: conversation.userId });
    const taskType = fresh('type');
    await givenTask(agent, { taskType, title: SECRET, createdBy: 'ada' });
    const { id: other } = await givenTask(agent, { title: SECRET });
    const [first] = await claimTasks(agent, { taskType });
    const lease = { taskId: first?.id ?? '', leaseId: first?.leaseId ?? '' };
    await failTask(agent, { ...lease, error: SECRET, retry: false });
    await retryTask(agent, { taskId: lease.taskId });
    const [second] = await claimTasks(agent, { taskType });
    await completeTask(agent, { taskId: lease.taskId, leaseId: second?.leaseId ?? '' });
    await cancelTask(agent, { taskId: other });

    const published = await db().admin('SELECT type, key, payload FROM outbox ORDER BY position');
    const ajv = new Ajv({ strict: false, validateFormats: false });
    const types = new Map(EVENTS.map((event) => [event.type, event as (typeof EVENTS)[number]]));
    const faults = published.filter(({ type, key: found, payload }) => {
      const event = types.get(String(type) as (typeof EVENTS)[number]['type']);
      return event === undefined || !ajv.validate(event.jsonSchema, payload) || event.key(payload as never) !== found;
    });

    expect(faults).toEqual([]);
    expect([...new Set(published.map(({ type }) => String(type)))].sort()).toEqual(
      EVENTS.map(({ type }) => type).sort(),
    );
    expect(JSON.stringify(published)).not.toContain('Lovelace');
  });

  it('are not published by a call that is repeated or rejected, and not by a claim', async () => {
    const taskType = fresh('type');
    await givenTask(agent, { taskType });
    const count = async () => (await db().admin('SELECT count(*)::int AS events FROM outbox'))[0];
    const before = await count();
    const [task] = await claimTasks(agent, { taskType });
    const lease = { taskId: task?.id ?? '', leaseId: task?.leaseId ?? '' };
    await completeTask(agent, { ...lease, leaseId: 'stolen' }).catch(() => undefined);

    expect(await count()).toEqual(before);
    await completeTask(agent, lease);
    const after = await count();
    await completeTask(agent, lease);
    await cancelTask(agent, { taskId: lease.taskId }).catch(() => undefined);
    expect(await count()).toEqual(after);
  });
});
