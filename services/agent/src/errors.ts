import { type ConstraintErrors, type DatabaseErrorFacts, SuiteError } from '@azora/db-core';
import { inputReader } from '@azora/db-core/input';

/** Every code of an error that this store throws itself; prices add `MONEY.*`, the connection adds `DATABASE.*`. */
export const AGENT_ERROR_CODES = [
  'AGENT.CONVERSATION_ARCHIVED',
  'AGENT.CONVERSATION_NOT_FOUND',
  'AGENT.DEPENDENCY_CYCLE',
  'AGENT.EXECUTION_NOT_FOUND',
  'AGENT.ILLEGAL_TRANSITION',
  'AGENT.INVALID_INPUT',
  'AGENT.KEY_REUSED',
  'AGENT.LEASE_LOST',
  'AGENT.MESSAGE_NOT_FOUND',
  'AGENT.PRICE_FIXED',
  'AGENT.ROW_FIXED',
  'AGENT.TASK_NOT_FOUND',
  'AGENT.TASK_STARTED',
] as const;

export type AgentErrorCode = (typeof AGENT_ERROR_CODES)[number];

/** What the rule that rejected the call knows: names, ids and times as text. */
type Facts = DatabaseErrorFacts['facts'];

/** Checks the input of a function; AGENT.INVALID_INPUT names the fields that are wrong and never shows their values. */
export const readInput = inputReader('AGENT.INVALID_INPUT');

/** AGENT.CONVERSATION_NOT_FOUND: the owner has no conversation with this id. */
export function conversationNotFound({ conversationId }: Facts): SuiteError {
  return new SuiteError('AGENT.CONVERSATION_NOT_FOUND', 'The owner has no such conversation', {
    why: 'The id is unknown, the conversation belongs to another user, or it was deleted.',
    next: 'Pass the userId and an id that listConversations() returned for this user',
    meta: { conversationId },
  });
}

/** AGENT.CONVERSATION_ARCHIVED: an archived conversation gets no messages. */
function conversationArchived({ conversationId }: Facts): SuiteError {
  return new SuiteError('AGENT.CONVERSATION_ARCHIVED', 'The conversation is archived', {
    why: 'An archived conversation is read only.',
    next: 'Call restoreConversation(), then add the message',
    meta: { conversationId },
  });
}

/** AGENT.MESSAGE_NOT_FOUND: the owner has no message with this id. */
export function messageNotFound({ messageId }: Facts): SuiteError {
  return new SuiteError('AGENT.MESSAGE_NOT_FOUND', 'The owner has no such message', {
    why: 'The id is unknown, the conversation belongs to another user, or it was deleted.',
    next: 'Pass the userId and an id that listMessages() returned for this user',
    meta: { messageId },
  });
}

/** AGENT.EXECUTION_NOT_FOUND: no execution has this id. */
export function executionNotFound({ executionId }: Facts): SuiteError {
  return new SuiteError('AGENT.EXECUTION_NOT_FOUND', 'The execution does not exist', {
    next: 'Pass the id that startExecution() returned',
    meta: { executionId },
  });
}

/** AGENT.TASK_NOT_FOUND: no task has this id. */
export function taskNotFound({ taskId }: Facts): SuiteError {
  return new SuiteError('AGENT.TASK_NOT_FOUND', 'The task does not exist', {
    next: 'Pass the id that createTask() returned',
    meta: { taskId },
  });
}

/** AGENT.TASK_STARTED: only a pending task gets dependencies. */
function taskStarted({ taskId, status }: Facts): SuiteError {
  return new SuiteError('AGENT.TASK_STARTED', `The task is ${status}`, {
    why: 'Only a pending task can wait for another one.',
    next: 'Create a new task with dependsOn',
    meta: { taskId, status },
  });
}

/** AGENT.DEPENDENCY_CYCLE: two tasks would wait for each other. */
function dependencyCycle(facts: Facts): SuiteError {
  return new SuiteError('AGENT.DEPENDENCY_CYCLE', 'The tasks would wait for each other', {
    why: 'The other task depends on this one, directly or through other tasks.',
    next: 'Leave one of the dependencies out; getTask() lists them',
    meta: facts,
  });
}

/** AGENT.LEASE_LOST: the worker does not have the task any more. */
function leaseLost({ taskId, status }: Facts): SuiteError {
  return new SuiteError('AGENT.LEASE_LOST', 'The worker does not have the task any more', {
    why: `The task is ${status}. Its lease has lapsed and another worker has claimed it, or it has ended.`,
    next: 'Drop the result and claim other tasks; extend the lease before it ends',
    meta: { taskId, status },
  });
}

/** AGENT.ILLEGAL_TRANSITION: the status does not allow the change. */
function illegalTransition({ what, id, from, to }: Facts): SuiteError {
  return new SuiteError('AGENT.ILLEGAL_TRANSITION', `The ${what} cannot go from ${from} to ${to}`, {
    why: 'The README of agent lists the allowed changes.',
    next: 'Read the present status before the next call',
    meta: { what, id, from, to },
  });
}

/** AGENT.KEY_REUSED: the idempotency key belongs to another request, which took effect. */
function keyReused({ operation, asked }: Facts): SuiteError {
  return new SuiteError('AGENT.KEY_REUSED', 'The idempotency key belongs to another request', {
    kind: 'usage',
    why: `The key was used for ${operation} with its own input; this call is ${asked}.`,
    next: 'Use a new key for a new request, and repeat a call unchanged',
    meta: { operation, asked },
  });
}

/** AGENT.PRICE_FIXED: a price never changes. */
function priceFixed({ model, validFrom }: Facts): SuiteError {
  return new SuiteError('AGENT.PRICE_FIXED', 'The model has another price from this time on', {
    kind: 'usage',
    why: 'Costs were computed with the price, so it never changes.',
    next: 'Add the new price with a later validFrom',
    meta: { model, validFrom },
  });
}

/** AGENT.ROW_FIXED: a statement changed what stays as it was written. */
function rowFixed(facts: Facts): SuiteError {
  return new SuiteError('AGENT.ROW_FIXED', 'Messages, dependencies and the owner of a conversation never change', {
    kind: 'usage',
    why: 'They are added and deleted, and stay as they were written in between.',
    next: 'Call the functions of the store',
    meta: facts,
  });
}

/** The errors of what the database rejects, by the name of the rule or constraint. */
export const CONSTRAINT_ERRORS: ConstraintErrors = {
  conversation_not_found: conversationNotFound,
  conversation_archived: conversationArchived,
  conversation_fixed: rowFixed,
  message_not_found: messageNotFound,
  message_fixed: rowFixed,
  message_rag_contexts_append_only: rowFixed,
  execution_not_found: executionNotFound,
  task_not_found: taskNotFound,
  task_started: taskStarted,
  dependency_cycle: dependencyCycle,
  dependency_fixed: rowFixed,
  task_dependencies_self_check: dependencyCycle,
  lease_lost: leaseLost,
  illegal_transition: illegalTransition,
  key_reused: keyReused,
  price_fixed: priceFixed,
};
