import { newId, requestHash } from '@azora/db-core';
import { idInput, textInput } from '@azora/db-core/input';
import { limitInput, type Page, type PageInput } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Sapiens } from './client';
import { readInput } from './errors';
import { $Enums, type MessageRole } from './generated/client';
import { keyInput, shareInput } from './input';
import { callFunction, type Message, type MessageChunk, modelOf, numberCursorInput, type Row } from './rows';

const MAX_MESSAGE_CHARACTERS = 100_000;
const MAX_CHUNK_CHARACTERS = 10_000;
const MAX_CHUNKS = 10_000;

export interface AppendMessageInput {
  readonly sessionId: string;
  readonly role: MessageRole;
  /** At most 100,000 characters. */
  readonly content: string;
  /** The tokens of the content, 0 when absent. */
  readonly tokens?: number;
  /** The tutor's confidence, 0 to 1; only for the tutor. */
  readonly confidence?: number;
  readonly idempotencyKey: string;
}

export interface BeginMessageInput {
  readonly sessionId: string;
  /** `tutor` when absent. */
  readonly role?: MessageRole;
  readonly idempotencyKey: string;
}

export interface AppendChunkInput {
  readonly messageId: string;
  /** The position in the message, from 1 to 10,000. */
  readonly number: number;
  /** At most 10,000 characters; may be white space. */
  readonly content: string;
  /** The tokens of the chunk, at most 10,000. 0 when absent. */
  readonly tokens?: number;
}

export interface FinishMessageInput {
  readonly messageId: string;
  /** The tutor's confidence, 0 to 1; only for the tutor. */
  readonly confidence?: number;
}

export interface ListMessagesInput extends PageInput {
  readonly sessionId: string;
}

const appendInput = z.strictObject({
  sessionId: idInput,
  role: z.enum($Enums.MessageRole),
  content: textInput(MAX_MESSAGE_CHARACTERS),
  tokens: z.int().min(0).max(100_000_000).default(0),
  confidence: shareInput.optional(),
  idempotencyKey: keyInput,
});
const beginInput = z.strictObject({
  sessionId: idInput,
  role: z.enum($Enums.MessageRole).default('tutor'),
  idempotencyKey: keyInput,
});
const chunkInput = z.strictObject({
  messageId: idInput,
  number: z.int().min(1).max(MAX_CHUNKS),
  content: textInput(MAX_CHUNK_CHARACTERS, 0).refine((text) => text !== '', 'is empty'),
  tokens: z.int().min(0).max(10_000).default(0),
});
const finishInput = z.strictObject({ messageId: idInput, confidence: shareInput.optional() });
const listInput = z.strictObject({ sessionId: idInput, limit: limitInput, cursor: numberCursorInput.optional() });

/**
 * Appends a message to an active session, once per key. The session counts its messages and their tokens in the same transaction.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.KEY_REUSED`, `SAPIENS.SESSION_NOT_FOUND`, `SAPIENS.SESSION_NOT_ACTIVE`
 */
export async function appendMessage(sapiens: Sapiens, input: AppendMessageInput): Promise<Message> {
  const { idempotencyKey, ...body } = readInput(appendInput, input);
  const { sessionId, role, content, tokens, confidence = null } = body;
  const values = [idempotencyKey, requestHash(body), newId(), sessionId, role, content, tokens, confidence];
  return callFunction(sapiens, 'append_message', values);
}

/**
 * Begins a message whose content is appended in chunks, once per key. It has its position in the session from now on.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.KEY_REUSED`, `SAPIENS.SESSION_NOT_FOUND`, `SAPIENS.SESSION_NOT_ACTIVE`
 */
export async function beginMessage(sapiens: Sapiens, input: BeginMessageInput): Promise<Message> {
  const { idempotencyKey, ...body } = readInput(beginInput, input);
  const { sessionId, role } = body;
  const values = [idempotencyKey, requestHash(body), newId(), sessionId, role, null, 0, null];
  return callFunction(sapiens, 'append_message', values);
}

/**
 * Appends a chunk to a streaming message. Chunks are numbered from 1 and arrive in this order; a repeated chunk changes nothing.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.MESSAGE_NOT_FOUND`, `SAPIENS.MESSAGE_ENDED`, `SAPIENS.CHUNK_ORDER`: the
 *   number is not the next one, or the chunk with this number is another one
 */
export async function appendChunk(sapiens: Sapiens, input: AppendChunkInput): Promise<MessageChunk> {
  const { messageId, number, content, tokens } = readInput(chunkInput, input);
  return callFunction(sapiens, 'append_chunk', [messageId, number, content, tokens]);
}

/**
 * Ends a streaming message with what was streamed: its content and tokens are those of its chunks. A message without text becomes
 * cancelled. A message that has ended stays as it is.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`, `SAPIENS.MESSAGE_NOT_FOUND`
 */
export async function finishMessage(sapiens: Sapiens, input: FinishMessageInput): Promise<Message> {
  const { messageId, confidence = null } = readInput(finishInput, input);
  return callFunction(sapiens, 'finish_message', [messageId, confidence]);
}

/**
 * A page of the messages of a session, the last one first. A streaming message has the content of its chunks so far.
 * @throws {SuiteError} `SAPIENS.INVALID_INPUT`
 */
export async function listMessages(sapiens: Sapiens, input: ListMessagesInput): Promise<Page<Message>> {
  const { sessionId, limit, cursor } = readInput(listInput, input);
  const rows = await sapiens.query<Row>({
    text: `SELECT m.id, m.session_id, m.position, m.role, CASE WHEN m.status = 'streaming' THEN (
        SELECT coalesce(string_agg(c.content, '' ORDER BY c.number), '') FROM message_chunks AS c WHERE c.message_id = m.id
      ) ELSE m.content END AS content, m.status, m.tokens, m.confidence, m.created_at, m.updated_at
      FROM messages AS m WHERE m.session_id = $1 AND m.position < $2 ORDER BY m.position DESC LIMIT $3`,
    values: [sessionId, cursor ?? 2_147_483_647, limit + 1],
  });
  const messages = rows.map((row) => modelOf<Message>(row));
  const page = messages.slice(0, limit);
  return { items: page, nextCursor: messages.length > limit ? String(page.at(-1)?.position) : null };
}
