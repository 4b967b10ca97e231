export type { Difference } from '@azora/db-core';
export { type AddChatMessageInput, addChatMessage, type ListChatMessagesInput, listChatMessages } from './chat.store';
export { type Agent, type AgentTransaction, openAgent } from './client';
export {
  archiveConversation,
  type ConversationInput,
  deleteConversation,
  getConversation,
  type ListConversationsInput,
  listConversations,
  type RenameConversationInput,
  renameConversation,
  restoreConversation,
  type StartConversationInput,
  startConversation,
} from './conversations.store';
export { AGENT_ERROR_CODES, type AgentErrorCode } from './errors';
export { EVENTS } from './events';
export {
  type ExecutionOutcome,
  type FailExecutionInput,
  type FailStalledExecutionsInput,
  type FinishExecutionInput,
  failExecution,
  failStalledExecutions,
  finishExecution,
  type GetExecutionInput,
  getExecution,
  type ListExecutionsInput,
  listExecutions,
  type StartExecutionInput,
  startExecution,
} from './executions.store';
export { $Enums, type ExecutionStatus, Prisma } from './generated/client';
export {
  type AddMessageInput,
  addMessage,
  type GetMessageInput,
  getMessage,
  type ListMessagesInput,
  listMessages,
  type MessageWithContext,
  type RetrievedChunk,
  type SearchMessagesInput,
  searchMessages,
} from './messages.store';
export { type Erasure, erasePerson, exportPerson, type PersonExport } from './person.store';
export { reconcile } from './reconcile.store';
export type {
  ChatMessage,
  ChatRole,
  Conversation,
  Execution,
  Message,
  MessageRole,
  ModelPrice,
  RagContext,
  Task,
  TaskPriority,
  TaskStatus,
} from './rows';
export {
  type ExecutionStatistics,
  type ExecutionStatisticsInput,
  executionStatistics,
  type ListModelPricesInput,
  listModelPrices,
  type SetModelPriceInput,
  setModelPrice,
} from './statistics.store';
export {
  type AddDependencyInput,
  addDependency,
  type CreateTaskInput,
  cancelTask,
  createTask,
  getTask,
  type ListTasksInput,
  listTasks,
  retryTask,
  type TaskInput,
  type TaskWithDependencies,
} from './tasks.store';
export {
  type ClaimedTask,
  type ClaimTasksInput,
  claimTasks,
  completeTask,
  type ExtendLeaseInput,
  extendLease,
  type FailTaskInput,
  failTask,
  type LeaseInput,
} from './workers.store';
