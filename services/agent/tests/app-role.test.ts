import { useDatabase } from '@azora/db-testkit';
import { type Agent, claimTasks, openAgent, reconcile } from '../src';
import { fresh, given, givenConversation, givenExecution, givenTask } from './given';

/** The SQLSTATE insufficient_privilege. */
const NO_RIGHT = '42501';
const TABLES = [
  'conversations',
  'messages',
  'message_rag_contexts',
  'agent_executions',
  'model_prices',
  'tasks',
  'task_dependencies',
  'chat_messages',
  'requests',
];

describe('the app role with its own SQL', () => {
  const db = useDatabase('agent');
  let agent: Agent;
  let ids: Readonly<Record<string, string>> = {};
  beforeAll(async () => {
    agent = openAgent({ url: db().url });
    const conversation = await givenConversation(agent);
    await given(agent, conversation);
    const { id: execution } = await givenExecution(agent);
    const taskType = fresh('type');
    const { id: task } = await givenTask(agent, { taskType });
    await claimTasks(agent, { taskType });
    const { id: waiting } = await givenTask(agent, { dependsOn: [task] });
    ids = { conversation: conversation.id, execution, task, waiting };
  });
  afterEach(async () => {
    expect(await reconcile(agent)).toEqual([]);
  });
  afterAll(() => agent.close());

  const dump = async () => {
    const lists = TABLES.map(
      (name) => `(SELECT jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text) FROM ${name} AS t) AS ${name}`,
    );
    return JSON.stringify(await db().admin(`SELECT ${lists.join(', ')}, (SELECT count(*) FROM outbox) AS events`));
  };

  it.each(TABLES)('only reads %s', async (table) => {
    const before = await dump();
    for (const sql of [
      ...[`DELETE FROM ${table}`, `TRUNCATE ${table} CASCADE`, `INSERT INTO ${table} DEFAULT VALUES`],
      ...[`UPDATE ${table} SET created_at = now()`, `SELECT * FROM ${table} FOR UPDATE`],
    ]) {
      await expect(db().app(sql)).rejects.toMatchObject({ code: NO_RIGHT });
    }
    expect(await dump()).toBe(before);
  });

  it.each([
    ["SELECT begin_request('x', 'x', '{}', 'x', 'x')", NO_RIGHT],
    ["SELECT lock_task('{task}')", NO_RIGHT],
    ["SELECT lock_due_tasks('normal', NULL, 'infinity', 1)", NO_RIGHT],
    ["SELECT lock_conversation('{conversation}', NULL)", NO_RIGHT],
    ["SELECT nextval('chat_messages_id_seq')", NO_RIGHT],
    ["CREATE OR REPLACE FUNCTION public.database_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'", NO_RIGHT],
    ['ALTER TABLE tasks DISABLE TRIGGER ALL', NO_RIGHT],
    ["SET session_replication_role = 'replica'", NO_RIGHT],
    ["SELECT complete_task('{task}', NULL)", 'AZ001'],
    ["SELECT complete_task('{task}', 'mine')", 'AZ001'],
    ["SELECT extend_lease('{task}', NULL, '1 h')", 'AZ001'],
    ["SELECT fail_task('{task}', 'mine', 'x', true)", 'AZ001'],
    ["SELECT complete_task('{waiting}', NULL)", 'AZ001'],
    ["SELECT add_dependency('{task}', '{waiting}')", 'AZ001'],
    ["SELECT add_dependency('{waiting}', '{waiting}')", '23514'],
    ["SELECT retry_task('{task}')", 'AZ001'],
    ["SELECT end_execution('{execution}', 'running', '{}')", 'AZ001'],
    [`SELECT end_execution('{execution}', 'succeeded', '{"promptTokens": -1, "completionTokens": 1}')`, '23514'],
    [`SELECT end_execution('{execution}', 'succeeded', '{"error": "and failed"}')`, '23514'],
    ["SELECT set_model_price('m', 'infinity', 1, 1)", '23514'],
    ["SELECT set_model_price('m', '2026-01-01', 'NaN', 1)", '23514'],
    ["SELECT set_model_price('m', '2026-01-01', -1, 1)", '23514'],
    [`SELECT add_message('k', '{"conversationId": "{conversation}", "role": "user", "content": "x"}')`, 'AZ001'],
    [
      `SELECT add_message('k', '{"conversationId": "{conversation}", "userId": "eve", "role": "user", "content": "x"}')`,
      'AZ001',
    ],
    ["SELECT rename_conversation('{conversation}', NULL, 'x')", 'AZ001'],
    ["SELECT archive_conversation('{conversation}', 'eve', true)", 'AZ001'],
    [`SELECT create_task('k', 'x', '{"title": "x", "priority": "now", "maxAttempts": 1}')`, '23514'],
    [`SELECT create_task('k', 'x', '{"title": "x", "priority": "low", "maxAttempts": 1000}')`, '23514'],
    [`SELECT create_task(' ', 'x', '{}')`, '23514'],
    ["SELECT claim_tasks(' ', 1, '1 h', NULL)", '23514'],
    ['SELECT claim_tasks(NULL, 1, NULL, NULL)', '23514'],
  ])('cannot run: %s', async (sql, code) => {
    // A claim needs a task that is ready.
    if (sql.includes('claim_tasks')) await givenTask(agent);
    const before = await dump();

    await expect(db().app(sql.replace(/\{(\w+)\}/g, (_, name) => ids[name] ?? ''))).rejects.toMatchObject({ code });

    expect(await dump()).toBe(before);
  });

  it('never claims more than a thousand tasks, or for longer than a day', async () => {
    await db().admin(
      `INSERT INTO tasks (id, title, task_type) SELECT 'many-' || n, 'x', 'many' FROM generate_series(1, 1005) AS n`,
    );

    const claimed = await db().app(`SELECT next_at <= clock_timestamp() + interval '1 day' AS short
      FROM claim_tasks('greedy', 2000000000, '1000 years', 'many')`);

    expect(claimed).toHaveLength(1_000);
    expect(claimed.every(({ short }) => short === true)).toBe(true);
  });

  it.each([
    ["UPDATE messages SET content = 'rewritten'", 'message_fixed'],
    ['UPDATE messages SET position = position + 1', 'message_fixed'],
    ["UPDATE conversations SET user_id = 'thief'", 'conversation_fixed'],
    ['UPDATE conversations SET last_position = 0 WHERE last_position > 0', 'conversation_fixed'],
    ['UPDATE task_dependencies SET created_at = now()', 'dependency_fixed'],
    ["UPDATE tasks SET status = 'completed' WHERE id = '{waiting}'", 'tasks_ready_check'],
    ["UPDATE tasks SET attempts = 6 WHERE id = '{task}'", 'tasks_attempts_check'],
    ["UPDATE agent_executions SET success = true WHERE id = '{execution}'", 'agent_executions_success_check'],
    ["DELETE FROM tasks WHERE id = '{task}'", 'task_dependencies_depends_on_id_fkey'],
  ])('and the administrator cannot rewrite what was written: %s', async (sql, rule) => {
    const before = await dump();
    const filled = sql.replace(/\{(\w+)\}/g, (_, name) => ids[name] ?? '');

    await expect(db().admin(filled)).rejects.toMatchObject({ message: expect.stringContaining(rule) });

    expect(await dump()).toBe(before);
  });
});
