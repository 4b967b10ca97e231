import { rowsPerUser, type SeedBlock, type SeedRow, type TableRows, volumeId, volumeUuid } from '@azora/db-core';

const CHAT_MESSAGES_PER_USER = 2;
const FIRST_CHAT_MESSAGE = 1_000_000;
const MINUTE_MS = 60_000;
const TASK_STATUSES = ['pending', 'in_progress', 'completed', 'failed'] as const;

/** Each user has a conversation with two messages and one retrieved chunk, an execution, a task and a chat. */
export function volumeRows(block: SeedBlock): TableRows[] {
  return [
    {
      table: 'conversations',
      columns: ['id', 'title', 'agent_id', 'user_id', 'created_at', 'updated_at'],
      rows: rowsPerUser(block, conversations),
    },
    {
      table: 'messages',
      columns: ['id', 'conversation_id', 'position', 'role', 'content', 'model', 'tokens_used', 'created_at'],
      rows: rowsPerUser(block, messages),
    },
    {
      table: 'message_rag_contexts',
      columns: [
        'id',
        'message_id',
        'query',
        'content_id',
        'chunk_index',
        'chunk_content',
        'score',
        'source_path',
        'content_type',
        'retrieved_at',
        'created_at',
      ],
      rows: rowsPerUser(block, ragContexts),
    },
    {
      table: 'agent_executions',
      columns: [
        'id',
        'agent_id',
        'conversation_id',
        'user_id',
        'prompt',
        'response',
        'model',
        'tokens_used',
        'duration_ms',
        'success',
        'error',
        'created_at',
      ],
      rows: rowsPerUser(block, executions),
    },
    {
      table: 'tasks',
      columns: [
        'id',
        'title',
        'status',
        'priority',
        'created_at',
        'updated_at',
        'completed_at',
        'created_by',
        'task_type',
      ],
      rows: rowsPerUser(block, tasks),
    },
    {
      table: 'chat_messages',
      columns: ['id', 'session_id', 'role', 'content', 'created_at', 'user_id'],
      rows: rowsPerUser(block, chatMessages),
    },
  ];
}

/** Users start one minute apart, within the week before the day of the run. */
function startOf(user: number, now: Date): Date {
  return new Date(now.getTime() - ((user % 10_000) + 1) * MINUTE_MS);
}

function* conversations(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const at = startOf(user, now);
  yield [
    volumeUuid('agent.Conversation', user),
    `Conversation ${user}`,
    'coding-agent',
    volumeId('auth.User', user),
    at,
    at,
  ];
}

function* messages(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const conversation = volumeUuid('agent.Conversation', user);
  const at = startOf(user, now);
  yield [volumeUuid('agent.Message', user * 2), conversation, 1, 'user', 'Where is this function?', null, null, at];
  yield [
    volumeUuid('agent.Message', user * 2 + 1),
    conversation,
    2,
    'assistant',
    'In the file that I found.',
    'gpt-4o-mini',
    100 + (user % 400),
    at,
  ];
}

function* ragContexts(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const at = startOf(user, now);
  // The volume seed of rag writes this chunk for the same user.
  const file = `/workspaces/volume-${Math.floor(user / 10)}/src/user-${user}.ts`;
  yield [
    volumeUuid('agent.MessageRagContext', user),
    volumeUuid('agent.Message', user * 2 + 1),
    'where is this function',
    file,
    0,
    'export function handle(input: Input): Result',
    (50 + (user % 50)) / 100,
    file,
    'Code',
    at,
    at,
  ];
}

function* executions(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const failed = user % 20 === 0;
  yield [
    volumeUuid('agent.AgentExecution', user),
    'coding-agent',
    volumeUuid('agent.Conversation', user),
    volumeId('auth.User', user),
    'Where is this function?',
    failed ? null : 'In the file that I found.',
    'gpt-4o-mini',
    failed ? null : 100 + (user % 400),
    200 + (user % 3_000),
    !failed,
    failed ? 'The model did not answer' : null,
    startOf(user, now),
  ];
}

function* tasks(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const at = startOf(user, now);
  const status = TASK_STATUSES[user % TASK_STATUSES.length] ?? 'pending';
  yield [
    volumeId('agent.Task', user),
    `Task ${user}`,
    status,
    'normal',
    at,
    at,
    status === 'completed' ? at : null,
    volumeId('auth.User', user),
    'creative',
  ];
}

function* chatMessages(user: number, { now }: SeedBlock): Generator<SeedRow> {
  const id = FIRST_CHAT_MESSAGE + user * CHAT_MESSAGES_PER_USER;
  const session = `volume-${user}`;
  const person = volumeId('auth.User', user);
  const at = startOf(user, now);
  yield [id, session, 'user', 'Is the server up?', at, person];
  yield [id + 1, session, 'aurora', 'It is.', at, person];
}
