import { newId } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Family } from './client';
import { conversationNotFound, readInput } from './errors';
import type { Prisma } from './generated/client';
import { contentText, factsInput, talkFields, titleText } from './input';
import { type Conversation, callFor, listRows, modelOf, type Row } from './rows';

export interface StartConversationInput {
  /** An auth.User. */
  readonly userId: string;
  readonly memberId: string;
  readonly title?: string;
}

export interface ConversationActionInput {
  readonly conversationId: string;
  /** The user whom the conversation belongs to. */
  readonly userId: string;
}

export interface UpdateConversationInput extends ConversationActionInput {
  /** Null removes the title. */
  readonly title?: string | null;
  /** Facts for the member's answers, such as the course of the user; replaces the earlier ones. */
  readonly context?: Prisma.InputJsonObject;
}

export interface ListConversationsInput extends PageInput {
  readonly userId: string;
  readonly memberId?: string;
}

export interface SaveSummaryInput extends ConversationActionInput {
  readonly summary: string;
  /** The position of the last message that the summary covers. */
  readonly upTo: number;
}

const startInput = z.strictObject({ userId: idInput, memberId: idInput, title: titleText.optional() });
const actionInput = z.strictObject(talkFields);
const updateInput = z.strictObject({
  ...talkFields,
  title: titleText.nullable().optional(),
  context: factsInput.optional(),
});
const listInput = z.strictObject({ userId: idInput, memberId: idInput.optional(), ...pageFields });
const summaryInput = z.strictObject({
  ...talkFields,
  summary: contentText,
  upTo: z
    .int()
    .min(1)
    .max(2 ** 31 - 1),
});

/**
 * Starts a conversation of a user with a member, in the member's mood. If the two have an open conversation, it is returned as it is.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`, `FAMILY.MEMBER_NOT_FOUND`, `FAMILY.MEMBER_INACTIVE`
 */
export async function startConversation(family: Family, input: StartConversationInput): Promise<Conversation> {
  const { userId, memberId, title } = readInput(startInput, input);
  const text = 'SELECT * FROM start_conversation($1, $2, $3, $4)';
  return callFor(family, text, [newId(), userId, memberId, title ?? null]);
}

/**
 * Changes the title and the facts of an open conversation; fields that are absent stay.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`, `FAMILY.CONVERSATION_NOT_FOUND`, `FAMILY.CONVERSATION_ENDED`
 */
export async function updateConversation(family: Family, input: UpdateConversationInput): Promise<Conversation> {
  const { conversationId, userId, ...changes } = readInput(updateInput, input);
  const values = [conversationId, userId, JSON.stringify(changes)];
  return callFor(family, 'SELECT * FROM update_conversation($1, $2, $3)', values);
}

/**
 * Ends a conversation. It can be read and deleted, and its messages are remembered. Ending an ended one returns it unchanged.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`, `FAMILY.CONVERSATION_NOT_FOUND`
 */
export async function endConversation(family: Family, input: ConversationActionInput): Promise<Conversation> {
  const { conversationId, userId } = readInput(actionInput, input);
  return callFor(family, 'SELECT * FROM end_conversation($1, $2)', [conversationId, userId]);
}

/**
 * Deletes a conversation with its messages, which are no longer remembered. Its interactions stay, without the link.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`, `FAMILY.CONVERSATION_NOT_FOUND`
 */
export async function deleteConversation(family: Family, input: ConversationActionInput): Promise<void> {
  const { conversationId, userId } = readInput(actionInput, input);
  await family.query({ text: 'SELECT delete_conversation($1, $2)', values: [conversationId, userId] });
}

/**
 * A conversation of a user.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`, `FAMILY.CONVERSATION_NOT_FOUND`
 */
export async function getConversation(family: Family, input: ConversationActionInput): Promise<Conversation> {
  const { conversationId, userId } = readInput(actionInput, input);
  const text = 'SELECT * FROM conversations WHERE id = $1 AND user_id = $2';
  const [row] = await family.query<Row>({ text, values: [conversationId, userId] });
  if (row === undefined) throw conversationNotFound({ conversationId });
  return modelOf<Conversation>(row);
}

/**
 * A page of the conversations of a user, newest first.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`
 */
export async function listConversations(family: Family, input: ListConversationsInput): Promise<Page<Conversation>> {
  const { userId, memberId, limit, cursor } = readInput(listInput, input);
  const where = { user_id: userId, member_id: memberId };
  return listRows<Conversation>(family, { table: 'conversations', where, limit, cursor });
}

/**
 * Keeps a summary of the first messages, which takes their place in later contexts. A summary that covers no more messages than the
 * current one changes nothing.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`, `FAMILY.CONVERSATION_NOT_FOUND`
 */
export async function saveSummary(family: Family, input: SaveSummaryInput): Promise<Conversation> {
  const { conversationId, userId, summary, upTo } = readInput(summaryInput, input);
  return callFor(family, 'SELECT * FROM save_summary($1, $2, $3, $4)', [conversationId, userId, summary, upTo]);
}
