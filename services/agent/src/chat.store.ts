import { textInput } from '@azora/db-core/input';
import { type Cursor, type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Agent } from './client';
import { readInput } from './errors';
import type { Prisma } from './generated/client';
import { contentInput, keyInput, metadataInput, ownerInput } from './input';
import { type ChatMessage, type ChatRole, callFor, pageFrom, type Row } from './rows';

export interface AddChatMessageInput {
  readonly sessionId: string;
  /** The user whose session it is; null for a session without one. */
  readonly userId: string | null;
  readonly role: ChatRole;
  readonly content: string;
  readonly metadata?: Prisma.JsonObject;
  readonly idempotencyKey: string;
}

export interface ListChatMessagesInput extends PageInput {
  readonly sessionId: string;
  /** Only lines of sessions of this user. */
  readonly userId: string | null;
}

const sessionIdInput = textInput(255);
const addInput = z.strictObject({
  sessionId: sessionIdInput,
  userId: ownerInput,
  role: z.enum(['user', 'aurora']),
  content: contentInput,
  metadata: metadataInput.optional(),
  idempotencyKey: keyInput,
});
const listInput = z.strictObject({ sessionId: sessionIdInput, userId: ownerInput, ...pageFields });

/**
 * Adds a line to the Aurora chat, once per key.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`, `AGENT.KEY_REUSED`
 */
export async function addChatMessage(agent: Agent, input: AddChatMessageInput): Promise<ChatMessage> {
  const { idempotencyKey, ...body } = readInput(addInput, input);
  return callFor(agent, 'SELECT * FROM add_chat_message($1, $2)', [idempotencyKey, JSON.stringify(body)]);
}

/** The id orders the lines and takes the place of the time in a cursor. */
const LIST = `SELECT *, id::text AS micros FROM chat_messages
  WHERE session_id = $1 AND user_id IS NOT DISTINCT FROM $2 AND ($3::bigint IS NULL OR id < $3) ORDER BY id DESC LIMIT $4`;

/**
 * A page of the lines of a session, newest first.
 * @throws {SuiteError} `AGENT.INVALID_INPUT`
 */
export async function listChatMessages(agent: Agent, input: ListChatMessagesInput): Promise<Page<ChatMessage>> {
  const { sessionId, userId, limit, cursor } = readInput(listInput, input);
  const values = [sessionId, userId, cursor?.micros ?? null, limit + 1];
  return pageFrom<ChatMessage>(await agent.query<Row & Cursor>({ text: LIST, values }), limit);
}
