import { defineEvent } from '@azora/db-core/events';
import { z } from 'zod';

/** An id of this or another service, as `newId` and the seed make them, or the name of an agent. */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:._|-]{0,254}$/);
/** Null for what an agent does by itself. */
const userId = id.nullable();

const agent = { service: 'agent', version: 1 } as const;
const ofConversation = ({ conversationId }: { readonly conversationId: string }) => conversationId;
const ofExecution = ({ executionId }: { readonly executionId: string }) => executionId;
const ofTask = ({ taskId }: { readonly taskId: string }) => taskId;

const conversation = z.strictObject({ conversationId: id, userId, agentId: id.nullable() });

export const conversationStarted = defineEvent({
  ...agent,
  name: 'conversation-started',
  about: 'A conversation has begun.',
  data: conversation,
  key: ofConversation,
});

export const conversationDeleted = defineEvent({
  ...agent,
  name: 'conversation-deleted',
  about: 'A conversation was deleted with its messages, by its owner or because its owner was erased.',
  data: conversation,
  key: ofConversation,
});

export const messageAdded = defineEvent({
  ...agent,
  name: 'message-added',
  about: 'A message was added at the end of a conversation.',
  data: z.strictObject({
    messageId: id,
    conversationId: id,
    userId,
    position: z.int().min(1),
    role: z.enum(['user', 'assistant', 'system']),
  }),
  key: ofConversation,
});

const execution = { executionId: id, agentId: id, userId, conversationId: id.nullable() };

export const executionStarted = defineEvent({
  ...agent,
  name: 'execution-started',
  about: 'An agent has started to work.',
  data: z.strictObject(execution),
  key: ofExecution,
});

export const executionEnded = defineEvent({
  ...agent,
  name: 'execution-ended',
  about: 'An execution has succeeded or failed.',
  data: z.strictObject({
    ...execution,
    status: z.enum(['succeeded', 'failed']),
    durationMs: z.int().min(0).nullable(),
    tokensUsed: z.int().min(0).nullable(),
  }),
  key: ofExecution,
});

export const taskCreated = defineEvent({
  ...agent,
  name: 'task-created',
  about: 'A task waits for a worker.',
  data: z.strictObject({
    taskId: id,
    createdBy: userId,
    priority: z.enum(['low', 'normal', 'medium', 'high', 'critical']),
  }),
  key: ofTask,
});

const attempted = z.strictObject({ taskId: id, attempts: z.int().min(0).max(100) });

export const taskCompleted = defineEvent({
  ...agent,
  name: 'task-completed',
  about: 'A worker has completed a task.',
  data: attempted,
  key: ofTask,
});

export const taskFailed = defineEvent({
  ...agent,
  name: 'task-failed',
  about:
    'A task is dead: its attempts are used up, or another attempt would be in vain. Its dependents wait until it is retried.',
  data: attempted,
  key: ofTask,
});

export const taskCancelled = defineEvent({
  ...agent,
  name: 'task-cancelled',
  about: 'A task was canceled. Its dependents wait until it is retried.',
  data: z.strictObject({ taskId: id }),
  key: ofTask,
});

export const taskRetried = defineEvent({
  ...agent,
  name: 'task-retried',
  about: 'A dead or canceled task was made pending again.',
  data: z.strictObject({ taskId: id }),
  key: ofTask,
});

/** The events that agent publishes; triggers of prisma/migrations write them. */
export const EVENTS = [
  conversationStarted,
  conversationDeleted,
  messageAdded,
  executionStarted,
  executionEnded,
  taskCreated,
  taskCompleted,
  taskFailed,
  taskCancelled,
  taskRetried,
] as const;
