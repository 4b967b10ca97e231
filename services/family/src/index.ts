export type { Difference } from '@azora/db-core';
export type { Page, PageInput } from '@azora/db-core/paging';
export { type Family, type FamilyTransaction, openFamily } from './client';
export type { Context, ContextParts, Relative, Turn } from './context/prompt';
export { estimateTokens } from './context/tokens';
export { type AssembleContextInput, assembleContext, type SuggestMemberInput, suggestMember } from './context.store';
export {
  type ConversationActionInput,
  deleteConversation,
  endConversation,
  getConversation,
  type ListConversationsInput,
  listConversations,
  type SaveSummaryInput,
  type StartConversationInput,
  saveSummary,
  startConversation,
  type UpdateConversationInput,
  updateConversation,
} from './conversations.store';
export { type Exchange, type SayInput, type SummarizeInput, say, summarizeConversation } from './dialogue.store';
export { FAMILY_ERROR_CODES, type FamilyErrorCode } from './errors';
export { EVENTS } from './events';
export { $Enums, Prisma } from './generated/client';
export {
  type Affinity,
  type AffinityCourseInput,
  type AffinityPoint,
  affinityCourse,
  type ListAffinitiesInput,
  type ListInteractionsInput,
  listAffinities,
  listInteractions,
  type RecordInteractionInput,
  recordInteraction,
} from './interactions.store';
export {
  type GetMemberInput,
  getMember,
  type ListMembersInput,
  type ListRelationshipsInput,
  listMembers,
  listRelationships,
  type RelateMembersInput,
  type Relation,
  type Relationship,
  relateMembers,
  type SaveMemberInput,
  saveMember,
  unrelateMembers,
} from './members.store';
export {
  type AnswerMessageInput,
  type AppendMessageInput,
  answerMessage,
  appendMessage,
  type ListMessagesInput,
  listMessages,
  type Memory,
  type RecallInput,
  recallMemories,
} from './messages.store';
export { type Erasure, erasePerson, exportPerson, type PersonExport } from './person.store';
export { reconcile } from './reconcile.store';
export { deterministicResponder } from './responders/deterministic';
export type { HttpResponderOptions } from './responders/http';
export { ollamaResponder } from './responders/ollama';
export { type OpenAiResponderOptions, openAiResponder } from './responders/openai';
export type { Reply, Responder, RespondOptions } from './responders/responder';
export type { Conversation, Interaction, Member, Message } from './rows';
export { analyzeSentiment, type Sentiment } from './sentiment/vader';
