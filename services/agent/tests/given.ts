import type { TestDatabase } from '@azora/db-testkit';
import {
  type AddMessageInput,
  type Agent,
  addMessage,
  type Conversation,
  type CreateTaskInput,
  createTask,
  type Execution,
  type Message,
  openAgent,
  type StartExecutionInput,
  startConversation,
  startExecution,
  type Task,
} from '../src';

let made = 0;

/** A name that no other row of the test file has. */
export function fresh(what: string): string {
  made += 1;
  return `${what}-${made}`;
}

/** Several stores on one database, like those of several processes. */
export function givenStores(db: TestDatabase, count: number): readonly Agent[] {
  return Array.from({ length: count }, () => openAgent({ url: db.url, pool: { max: 4, connectTimeoutMs: 60_000 } }));
}

/** A conversation of a new user, or of the given one. */
export function givenConversation(agent: Agent, userId: string | null = fresh('ada')): Promise<Conversation> {
  return startConversation(agent, { userId, title: 'Deadlocks', agentId: 'coder', idempotencyKey: fresh('key') });
}

/** A message of the owner, or as the change says. */
export function given(
  agent: Agent,
  { id, userId }: Pick<Conversation, 'id' | 'userId'>,
  change: Partial<AddMessageInput> = {},
): Promise<Message> {
  const message = { conversationId: id, userId, role: 'user', content: 'Why?', idempotencyKey: fresh('key') } as const;
  return addMessage(agent, { ...message, ...change });
}

export function givenExecution(agent: Agent, change: Partial<StartExecutionInput> = {}): Promise<Execution> {
  return startExecution(agent, { agentId: 'coder', prompt: 'Why?', idempotencyKey: fresh('key'), ...change });
}

export function givenTask(agent: Agent, change: Partial<CreateTaskInput> = {}): Promise<Task> {
  return createTask(agent, { title: 'Check', idempotencyKey: fresh('key'), ...change });
}

/** The outcome of each call: the code of its error, or `done`. */
export async function outcomes(calls: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((it) => (it.status === 'fulfilled' ? 'done' : String(it.reason.code ?? it.reason)));
}

/** The short names of the events of a key in the outbox, in the order of their positions. */
export async function eventsOf(db: TestDatabase, key: string): Promise<readonly string[]> {
  const rows = await db.admin('SELECT type FROM outbox WHERE key = $1 ORDER BY position', [key]);
  return rows.map(({ type }) => String(type).replace(/^agent\.(.*)\.v1$/, '$1'));
}
