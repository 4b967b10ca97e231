import { idInput, textInput, timeInput } from '@azora/db-core/input';
import { type Cursor, microsOf, type Page, type PageInput, timeOfMicros } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Agent } from './client';
import { conversationNotFound, messageNotFound, readInput } from './errors';
import {
  contentInput,
  keyInput,
  modelInput,
  ownerInput,
  pathInput,
  tokensInput,
  uuidInput,
  uuidPageFields,
} from './input';
import { callFor, MESSAGE_COLUMNS, type Message, type MessageRole, pageFrom, type RagContext, type Row } from './rows';

const MAX_CHUNKS = 100;

/** A chunk that was retrieved for a message, as `search` of rag returned it. */
export interface RetrievedChunk {
  readonly query: string;
  /** A rag.RagChunk.contentId. */
  readonly contentId: string;
  readonly chunkIndex: number;
  /** Copied, because rag can index the file again. */
  readonly chunkContent: string;
  /** Cosine similarity, -1 to 1. */
  readonly score: number;
  readonly sourcePath?: string;
  readonly contentType?: string;
  /** The time of the message when absent. */
  readonly retrievedAt?: Date;
}

export interface AddMessageInput {
  readonly conversationId: string;
  /** The owner of the conversation. */
  readonly userId: string | null;
  readonly role: MessageRole;
  readonly content: string;
  readonly model?: string;
  readonly tokensUsed?: number;
  /** At most 100 chunks. */
  readonly context?: readonly RetrievedChunk[];
  readonly idempotencyKey: string;
}

export interface GetMessageInput {
  readonly messageId: string;
  /** The owner of the conversation. */
  readonly userId: string | null;
}

/** A message with the chunks that were retrieved for it, the best first. */
export interface MessageWithContext extends Message {
  readonly context: readonly RagContext[];
}

export interface ListMessagesInput extends PageInput {
  readonly conversationId: string;
  /** The owner of the conversation. */
  readonly userId: string | null;
}

export interface SearchMessagesInput extends PageInput {
  readonly userId: string;
  /** Words as people type them into a search engine: quotes for a phrase, OR, and - for words that must not occur. */
  readonly text: string;
  /** Only in this conversation. */
  readonly conversationId?: string;
}

const chunkInput = z.strictObject({
  query: textInput(10_000),
  contentId: textInput(500),
  chunkIndex: z.int().min(0).max(2_147_483_647),
  chunkContent: textInput(100_000, 0),
  score: z.number().min(-1).max(1),
  sourcePath: pathInput.optional(),
  contentType: textInput(50).optional(),
  retrievedAt: timeInput.transform((time) => time.toISOString()).optional(),
});
const addInput = z.strictObject({
  conversationId: uuidInput,
  userId: ownerInput,
  role: z.enum(['user', 'assistant', 'system']),
  content: contentInput,
  model: modelInput.optional(),
  tokensUsed: tokensInput.optional(),
  context: z.array(chunkInput).max(MAX_CHUNKS).default([]),
  idempotencyKey: keyInput,
});
const getInput = z.strictObject({ messageId: uuidInput, userId: ownerInput });
const listInput = z.strictObject({ conversationId: uuidInput, userId: ownerInput, ...uuidPageFields });
const searchInput = z.strictObject({
  userId: idInput,
  text: textInput(500),
  conversationId: uuidInput.optional(),
  ...uuidPageFields,
});

/**
 * Adds a message and the chunks that were retrieved for it at the end of a conversation, once per key, all or nothing.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.KEY_REUSED`, `AGENT.CONVERSATION_NOT_FOUND`, `AGENT.CONVERSATION_ARCHIVED`;
 *   `AGENT.MESSAGE_NOT_FOUND` for a repeat after the conversation was deleted
 */
export async function addMessage(agent: Agent, input: AddMessageInput): Promise<Message> {
  const { idempotencyKey, ...body } = readInput(addInput, input);
  const text = `SELECT ${MESSAGE_COLUMNS} FROM add_message($1, $2)`;
  return callFor(agent, text, [idempotencyKey, JSON.stringify(body)]);
}

/**
 * A message with the chunks that were retrieved for it.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.MESSAGE_NOT_FOUND`
 */
export async function getMessage(agent: Agent, input: GetMessageInput): Promise<MessageWithContext> {
  const { messageId, userId } = readInput(getInput, input);
  const message = await agent.prisma.message.findFirst({
    where: { id: messageId, userId },
    include: { ragContexts: { orderBy: [{ score: 'desc' }, { id: 'asc' }] } },
  });
  if (message === null) throw messageNotFound({ messageId });
  const { ragContexts, ...fields } = message;
  return { ...fields, role: fields.role as MessageRole, context: ragContexts };
}

/** The position takes the place of the time in a cursor. The conversation itself tells an empty one from one of somebody else. */
const LIST = `SELECT ${MESSAGE_COLUMNS.replace(/(\w+)/g, 'm.$1')}, m.position::text AS micros, c.id AS owned
  FROM conversations AS c LEFT JOIN LATERAL (
    SELECT ${MESSAGE_COLUMNS} FROM messages WHERE conversation_id = c.id AND ($3::bigint IS NULL OR position < $3)
    ORDER BY position DESC LIMIT $4
  ) AS m ON true
  WHERE c.id = $1 AND c.user_id IS NOT DISTINCT FROM $2 ORDER BY m.position DESC`;

/**
 * A page of the messages of a conversation, newest first.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.CONVERSATION_NOT_FOUND`
 */
export async function listMessages(agent: Agent, input: ListMessagesInput): Promise<Page<Message>> {
  const { conversationId, userId, limit, cursor } = readInput(listInput, input);
  const values = [conversationId, userId, cursor?.micros ?? null, limit + 1];
  const found = await agent.query<Row & Cursor>({ text: LIST, values });
  if (found.length === 0) throw conversationNotFound({ conversationId });
  const messages = found
    .filter(({ id }) => id !== null)
    .map(({ owned: _owned, ...message }) => message as Row & Cursor);
  return pageFrom<Message>(messages, limit);
}

const SEARCH = `SELECT ${MESSAGE_COLUMNS}, ${microsOf('created_at')} AS micros
  FROM search_messages($1, $2, $3, ${timeOfMicros('$4')}, $5, $6)`;

/**
 * A page of the messages in conversations of a user that match words, newest first. Words such as "the" match nothing by themselves.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`
 */
export async function searchMessages(agent: Agent, input: SearchMessagesInput): Promise<Page<Message>> {
  const { userId, text, conversationId = null, limit, cursor } = readInput(searchInput, input);
  const values = [userId, text, conversationId, cursor?.micros ?? null, cursor?.id ?? null, limit + 1];
  return pageFrom<Message>(await agent.query<Row & Cursor>({ text: SEARCH, values }), limit);
}
