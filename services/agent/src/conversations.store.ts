import { textInput } from '@azora/db-core/input';
import type { Page, PageInput } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Agent } from './client';
import { conversationNotFound, readInput } from './errors';
import { agentIdInput, keyInput, ownerInput, pathInput, uuidInput, uuidPageFields } from './input';
import { type Conversation, callFor, listRows, modelOf, onlyRow, type Row } from './rows';

export interface StartConversationInput {
  /** The owner, an auth.User; null when an agent starts the conversation itself. */
  readonly userId: string | null;
  readonly title?: string;
  readonly agentId?: string;
  readonly repositoryPath?: string;
  readonly idempotencyKey: string;
}

export interface ConversationInput {
  readonly conversationId: string;
  /** The owner. Nobody else finds the conversation. */
  readonly userId: string | null;
}

export interface RenameConversationInput extends ConversationInput {
  /** Null removes the title. */
  readonly title: string | null;
}

export interface ListConversationsInput extends PageInput {
  readonly userId: string | null;
  /** Which conversations: those that are not archived when absent. */
  readonly show?: 'active' | 'archived' | 'all';
}

const titleInput = textInput(500);
const startInput = z.strictObject({
  userId: ownerInput,
  title: titleInput.optional(),
  agentId: agentIdInput.optional(),
  repositoryPath: pathInput.optional(),
  idempotencyKey: keyInput,
});
const oneInput = z.strictObject({ conversationId: uuidInput, userId: ownerInput });
const renameInput = z.strictObject({ ...oneInput.shape, title: titleInput.nullable() });
const listInput = z.strictObject({
  userId: ownerInput,
  show: z.enum(['active', 'archived', 'all']).default('active'),
  ...uuidPageFields,
});

/** Conditions of a list by the column of the archive. */
const SHOWN = {
  active: 'archived_at IS NULL',
  archived: 'archived_at IS NOT NULL',
  all: 'true',
} as const;

/**
 * Starts a conversation, once per key.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.KEY_REUSED`; `AGENT.CONVERSATION_NOT_FOUND` for a repeat after it was deleted
 */
export async function startConversation(agent: Agent, input: StartConversationInput): Promise<Conversation> {
  const { idempotencyKey, ...body } = readInput(startInput, input);
  return callFor(agent, 'SELECT * FROM start_conversation($1, $2)', [idempotencyKey, JSON.stringify(body)]);
}

/**
 * Gives a conversation another title.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.CONVERSATION_NOT_FOUND`
 */
export async function renameConversation(agent: Agent, input: RenameConversationInput): Promise<Conversation> {
  const { conversationId, userId, title } = readInput(renameInput, input);
  return callFor(agent, 'SELECT * FROM rename_conversation($1, $2, $3)', [conversationId, userId, title]);
}

/**
 * Makes a conversation read only and takes it out of the list; archiving it again changes nothing.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.CONVERSATION_NOT_FOUND`
 */
export function archiveConversation(agent: Agent, input: ConversationInput): Promise<Conversation> {
  return setArchived(agent, input, true);
}

/**
 * Takes a conversation out of the archive.
 * @throws {SuiteError} as {@link archiveConversation}
 */
export function restoreConversation(agent: Agent, input: ConversationInput): Promise<Conversation> {
  return setArchived(agent, input, false);
}

async function setArchived(agent: Agent, input: ConversationInput, isArchived: boolean): Promise<Conversation> {
  const { conversationId, userId } = readInput(oneInput, input);
  return callFor(agent, 'SELECT * FROM archive_conversation($1, $2, $3)', [conversationId, userId, isArchived]);
}

/**
 * Deletes a conversation with its messages and their retrieved context, for good; its executions stay. Returns whether there was one.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`
 */
export async function deleteConversation(agent: Agent, input: ConversationInput): Promise<boolean> {
  const { conversationId, userId } = readInput(oneInput, input);
  const rows = await agent.query<{ deleted: boolean }>({
    text: 'SELECT delete_conversation($1, $2) AS deleted',
    values: [conversationId, userId],
  });
  return onlyRow(rows).deleted;
}

/**
 * A conversation of an owner.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.CONVERSATION_NOT_FOUND`
 */
export async function getConversation(agent: Agent, input: ConversationInput): Promise<Conversation> {
  const { conversationId, userId } = readInput(oneInput, input);
  const [row] = await agent.query<Row>({
    text: 'SELECT * FROM conversations WHERE id = $1 AND user_id IS NOT DISTINCT FROM $2',
    values: [conversationId, userId],
  });
  if (row === undefined) throw conversationNotFound({ conversationId });
  return modelOf<Conversation>(row);
}

/**
 * A page of the conversations of an owner, newest first.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`
 */
export async function listConversations(agent: Agent, input: ListConversationsInput): Promise<Page<Conversation>> {
  const { userId, show, limit, cursor } = readInput(listInput, input);
  const query = { table: 'conversations', where: { user_id: userId }, condition: SHOWN[show], limit, cursor };
  return listRows<Conversation>(agent, query);
}
