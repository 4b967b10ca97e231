import {
  insertRow,
  itKeepsAnAuditLog,
  itTestsEveryCheck,
  refusalsOf,
  schemaRefuses,
  useDatabase,
} from '@azora/db-testkit';

type Row = Readonly<Record<string, unknown>>;

const CONVERSATION = '00000000-0000-7000-8000-000000000001';
const MESSAGE = '00000000-0000-7000-8000-000000000002';
const NOWHERE = '00000000-0000-7000-8000-00000000000f';

/** A valid row for each table. */
const VALID: Readonly<Record<string, Row>> = {
  conversations: { title: 'Retries' },
  messages: { conversation_id: CONVERSATION, role: 'user', content: 'Why?' },
  message_rag_contexts: {
    message_id: MESSAGE,
    query: 'why',
    content_id: '/w/a.ts',
    chunk_index: 0,
    chunk_content: 'x',
    score: 0.8,
  },
  agent_executions: { agent_id: 'coding-agent', prompt: 'Why?', success: true },
  model_prices: { model: 'm', valid_from: '2026-01-01', prompt_price: '0.15', completion_price: '0.6' },
  tasks: { id: 't', title: 'Check' },
  task_dependencies: { task_id: 'waiting', depends_on_id: 'needed' },
  chat_messages: { session_id: 's', role: 'aurora', content: 'Hello' },
  requests: { key: 'k', operation: 'x', body_hash: 'a'.repeat(64), answer_id: 'x' },
};

/** A constraint, its table, and the change to a valid row that violates it. */
const REFUSED: readonly (readonly [string, string, Row])[] = [
  ['conversations_title_check', 'conversations', { title: ' ' }],
  ['conversations_agent_id_check', 'conversations', { agent_id: '' }],
  ['conversations_last_position_check', 'conversations', { last_position: -1 }],
  ['messages_position_check', 'messages', { position: 0 }],
  ['messages_conversation_id_position_key', 'messages', { position: 1 }],
  ['messages_role_check', 'messages', { role: 'aurora' }],
  ['messages_tokens_used_check', 'messages', { tokens_used: -1 }],
  ['messages_conversation_id_fkey', 'messages', { conversation_id: NOWHERE }],
  ['message_rag_contexts_content_id_check', 'message_rag_contexts', { content_id: ' ' }],
  ['message_rag_contexts_chunk_index_check', 'message_rag_contexts', { chunk_index: -1 }],
  ['message_rag_contexts_score_check', 'message_rag_contexts', { score: 1.01 }],
  ['message_rag_contexts_score_check', 'message_rag_contexts', { score: 'NaN' }],
  ['message_rag_contexts_message_id_fkey', 'message_rag_contexts', { message_id: NOWHERE }],
  ['agent_executions_agent_id_check', 'agent_executions', { agent_id: '' }],
  ['agent_executions_tokens_used_check', 'agent_executions', { tokens_used: -1 }],
  ['agent_executions_duration_ms_check', 'agent_executions', { duration_ms: -1 }],
  ['agent_executions_error_check', 'agent_executions', { error: 'It failed all the same' }],
  [
    'agent_executions_prompt_tokens_check',
    'agent_executions',
    { prompt_tokens: -1, completion_tokens: 1, tokens_used: 0 },
  ],
  [
    'agent_executions_completion_tokens_check',
    'agent_executions',
    { prompt_tokens: 1, completion_tokens: -1, tokens_used: 0 },
  ],
  ['agent_executions_token_parts_check', 'agent_executions', { prompt_tokens: 1 }],
  [
    'agent_executions_token_parts_check',
    'agent_executions',
    { prompt_tokens: 1, completion_tokens: 1, tokens_used: 3 },
  ],
  ['agent_executions_token_parts_check', 'agent_executions', { prompt_tokens: 1, completion_tokens: 1 }],
  ['agent_executions_success_check', 'agent_executions', { status: 'failed', finished_at: '2026-01-01' }],
  ['agent_executions_finished_at_check', 'agent_executions', { status: 'succeeded' }],
  ['model_prices_pkey', 'model_prices', {}],
  ['model_prices_model_check', 'model_prices', { model: ' ' }],
  ['model_prices_prompt_price_check', 'model_prices', { prompt_price: -1 }],
  ['model_prices_prompt_price_check', 'model_prices', { prompt_price: 'NaN' }],
  ['model_prices_completion_price_check', 'model_prices', { completion_price: '-0.00000001' }],
  ['agent_executions_conversation_id_fkey', 'agent_executions', { conversation_id: NOWHERE }],
  ['tasks_id_check', 'tasks', { id: ' ' }],
  ['tasks_title_check', 'tasks', { title: '' }],
  ['tasks_status_check', 'tasks', { status: 'PENDING' }],
  ['tasks_priority_check', 'tasks', { priority: 'someday' }],
  ['tasks_completed_at_check', 'tasks', { status: 'failed', completed_at: '2026-01-01' }],
  ['tasks_max_attempts_check', 'tasks', { max_attempts: 0 }],
  ['tasks_attempts_check', 'tasks', { attempts: 6 }],
  ['tasks_lease_id_check', 'tasks', { lease_id: ' ' }],
  ['tasks_waiting_for_check', 'tasks', { waiting_for: -1 }],
  ['tasks_ready_check', 'tasks', { status: 'in_progress', waiting_for: 1 }],
  ['task_dependencies_pkey', 'task_dependencies', {}],
  ['task_dependencies_self_check', 'task_dependencies', { depends_on_id: 'waiting' }],
  ['task_dependencies_task_id_fkey', 'task_dependencies', { task_id: 'nothing' }],
  ['task_dependencies_depends_on_id_fkey', 'task_dependencies', { depends_on_id: 'nothing' }],
  ['requests_key_check', 'requests', { key: ' ' }],
  ['chat_messages_session_id_check', 'chat_messages', { session_id: '' }],
  ['chat_messages_role_check', 'chat_messages', { role: 'assistant' }],
];

describe('the agent schema', () => {
  const db = useDatabase('agent');
  const insert = (table: string, change: Row = {}) => insertRow(db().admin, table, { ...VALID[table], ...change });

  beforeAll(async () => {
    await insert('conversations', { id: CONVERSATION });
    await insert('messages', { id: MESSAGE });
    for (const id of ['waiting', 'needed']) await insert('tasks', { id });
  });

  it.each(Object.keys(VALID))('fills in the times of a row in %s', async (table) => {
    expect(await insert(table)).toEqual([expect.objectContaining({ created_at: expect.any(Date) })]);
  });

  it('generates ascending UUIDs of version 7', async () => {
    const nextId = async () => String((await insert('conversations'))[0]?.['id']);
    const millisecondOf = (id: string) => id.slice(0, 13);
    const ids = [await nextId()];
    // Within one millisecond, the order is random.
    do ids[1] = await nextId();
    while (millisecondOf(String(ids[1])) === millisecondOf(String(ids[0])));

    expect(ids).toEqual([...ids].sort());
    expect(ids).toEqual(Array(2).fill(expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/)));
  });

  it.each(REFUSED)('rejects a row that violates %s', async (constraint, table, change) => {
    await schemaRefuses(insert(table, change), constraint);
  });

  itTestsEveryCheck(
    db,
    REFUSED.map(([constraint]) => constraint),
  );

  it('accepts one of eight concurrent tasks with the same id', async () => {
    const refused = await refusalsOf(Array.from({ length: 8 }, () => insert('tasks', { id: 'race' })));

    expect(refused).toEqual(Array(7).fill('tasks_pkey'));
  });

  it('never changes the context that was retrieved for a message', async () => {
    await insert('message_rag_contexts');

    const rule = 'message_rag_contexts_append_only';
    await schemaRefuses(db().admin('UPDATE message_rag_contexts SET score = 1'), rule);
    await schemaRefuses(db().admin('TRUNCATE message_rag_contexts'), rule);
    await expect(db().app('UPDATE message_rag_contexts SET score = 1')).rejects.toMatchObject({ code: '42501' });
    await expect(db().app('DELETE FROM message_rag_contexts')).rejects.toMatchObject({ code: '42501' });
  });

  it('gives legacy rows what the store needs', async () => {
    const [conversation] = await insert('conversations', { user_id: 'ada' });
    const conversation_id = conversation?.['id'];
    const [first] = await insert('messages', { conversation_id });
    const [second] = await insert('messages', { conversation_id, position: 2, user_id: 'eve' });
    const [third] = await insert('messages', { conversation_id });
    const [execution] = await insert('agent_executions', { created_at: '2026-01-01T00:00:00Z', duration_ms: 1_500 });
    const [failed] = await insert('agent_executions', { success: false });
    const [task] = await insert('tasks', { id: 'legacy', status: 'in_progress' });

    expect([first, second, third].map((row) => [row?.['position'], row?.['user_id']])).toEqual([
      [1, 'ada'],
      [2, 'ada'],
      [3, 'ada'],
    ]);
    expect(execution).toMatchObject({ status: 'succeeded', finished_at: new Date('2026-01-01T00:00:01.500Z') });
    expect(failed).toMatchObject({ status: 'failed' });
    expect(task).toMatchObject({ lease_id: 'imported', attempts: 0 });
  });

  it('deletes the messages of a conversation and their retrieved context with it, and keeps its executions', async () => {
    const [conversation] = await insert('conversations');
    const [message] = await insert('messages', { conversation_id: conversation?.['id'] });
    await insert('message_rag_contexts', { message_id: message?.['id'] });
    const [execution] = await insert('agent_executions', { conversation_id: conversation?.['id'] });

    await db().admin('DELETE FROM conversations WHERE id = $1', [conversation?.['id']]);

    expect(await db().app('SELECT 1 FROM messages WHERE id = $1', [message?.['id']])).toEqual([]);
    expect(await db().app('SELECT 1 FROM message_rag_contexts WHERE message_id = $1', [message?.['id']])).toEqual([]);
    expect(await db().app('SELECT conversation_id FROM agent_executions WHERE id = $1', [execution?.['id']])).toEqual([
      { conversation_id: null },
    ]);
  });

  itKeepsAnAuditLog(db);
});
