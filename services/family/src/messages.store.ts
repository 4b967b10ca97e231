import { newId } from '@azora/db-core';
import { idInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields, pageOf } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Family } from './client';
import { readInput } from './errors';
import type { InteractionKind, Mood } from './generated/client';
import { contentText, keyInput, kindInput, moodInput, talkFields } from './input';
import { callFor, type Message, modelOf, type Row } from './rows';
import { analyzeSentiment } from './sentiment/vader';

export interface AppendMessageInput {
  readonly conversationId: string;
  /** The user whom the conversation belongs to. */
  readonly userId: string;
  /** `system` for a note of the product, which is not a part of the memory; `user` when absent. */
  readonly role?: 'user' | 'system';
  /** At most 20,000 characters. */
  readonly content: string;
  readonly idempotencyKey: string;
}

export interface AnswerMessageInput {
  readonly conversationId: string;
  readonly userId: string;
  /** The position of the message that is answered. */
  readonly position: number;
  /** The member who answers; the one of the conversation when absent. */
  readonly memberId?: string;
  readonly content: string;
  /** The mood of the conversation when absent. */
  readonly mood?: Mood;
  /** What the exchange was; question when absent. */
  readonly kind?: InteractionKind;
}

export interface ListMessagesInput extends PageInput {
  readonly conversationId: string;
  readonly userId: string;
}

export interface RecallInput {
  readonly userId: string;
  /** What to be reminded of; the first 2,000 characters count. */
  readonly text: string;
  /** 1 to 100; 10 when absent. */
  readonly limit?: number;
}

/** A message that fits what was asked. */
export interface Memory {
  readonly message: Message;
  /** Above 0; comparable within one answer only. */
  readonly score: number;
}

const appendInput = z.strictObject({
  ...talkFields,
  role: z.enum(['user', 'system']).default('user'),
  content: contentText,
  idempotencyKey: keyInput,
});
const answerInput = z.strictObject({
  ...talkFields,
  position: z
    .int()
    .min(1)
    .max(2 ** 31 - 1),
  memberId: idInput.optional(),
  content: contentText,
  mood: moodInput.optional(),
  kind: kindInput.default('question'),
});
const listInput = z.strictObject({ ...talkFields, ...pageFields });
const recallInput = z.strictObject({
  userId: idInput,
  text: contentText,
  limit: z.int().min(1).max(100).default(10),
});

/**
 * Adds what a user says, or a note of the product, at the next position, once per conversation and key. The sentiment of the user
 * moves the mood of the conversation.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`, `FAMILY.CONVERSATION_NOT_FOUND`, `FAMILY.CONVERSATION_ENDED`, `FAMILY.KEY_REUSED`
 */
export async function appendMessage(family: Family, input: AppendMessageInput): Promise<Message> {
  const { idempotencyKey, ...body } = readInput(appendInput, input);
  const said = { ...body, sentiment: analyzeSentiment(body.content).compound };
  return callFor(family, 'SELECT * FROM append_message($1, $2, $3)', [idempotencyKey, newId(), JSON.stringify(said)]);
}

/**
 * Adds the answer of a member to a message of the user. A message has one answer: a second call returns the first one. The exchange
 * is recorded as an interaction, with the sentiment of the user.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`, `FAMILY.CONVERSATION_NOT_FOUND`, `FAMILY.CONVERSATION_ENDED`,
 *   `FAMILY.MESSAGE_NOT_FOUND`, `FAMILY.MEMBER_NOT_FOUND`, `FAMILY.MEMBER_INACTIVE`
 */
export async function answerMessage(family: Family, input: AnswerMessageInput): Promise<Message> {
  const body = readInput(answerInput, input);
  const said = { ...body, sentiment: analyzeSentiment(body.content).compound };
  return callFor(family, 'SELECT * FROM answer_message($1, $2)', [newId(), JSON.stringify(said)]);
}

const LIST = `SELECT *, position::text AS micros FROM messages
  WHERE conversation_id = $1 AND user_id = $2 AND ($3::bigint IS NULL OR position < $3) ORDER BY position DESC LIMIT $4`;

/**
 * A page of the messages of a conversation, the last one first.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`
 */
export async function listMessages(family: Family, input: ListMessagesInput): Promise<Page<Message>> {
  const { conversationId, userId, limit, cursor } = readInput(listInput, input);
  const found = await family.query<Row & { readonly micros: string; readonly id: string }>({
    text: LIST,
    // The position takes the place of the time in a cursor: it is unique and orders the list.
    values: [conversationId, userId, cursor?.micros ?? null, limit + 1],
  });
  const { rows, nextCursor } = pageOf(found, limit);
  return { items: rows.map((row) => modelOf<Message>(row)), nextCursor };
}

const RECALL = `SELECT m.*, f.score FROM search_memories($1, $2, NULL, NULL, $3) AS f JOIN messages AS m ON m.id = f.message_id
  ORDER BY f.score DESC, m.id`;

/**
 * What a user and the members said that fits a text best, over all conversations of the user, the best first.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`
 */
export async function recallMemories(family: Family, input: RecallInput): Promise<readonly Memory[]> {
  const { userId, text, limit } = readInput(recallInput, input);
  const rows = await family.query<Row & { readonly score: number }>({ text: RECALL, values: [userId, text, limit] });
  return rows.map(({ score, ...row }) => ({ message: modelOf<Message>(row), score }));
}
