import { z } from 'zod';
import type { Family } from './client';
import { assembleContext, suggestMember } from './context.store';
import { getConversation, saveSummary } from './conversations.store';
import { readInput, responderAnswer } from './errors';
import { contentText, keyInput, talkFields } from './input';
import { answerMessage, appendMessage } from './messages.store';
import type { Responder } from './responders/responder';
import { type Conversation, type Message, modelOf, type Row } from './rows';

export interface SayInput {
  readonly conversationId: string;
  /** The user whom the conversation belongs to. */
  readonly userId: string;
  readonly content: string;
  readonly idempotencyKey: string;
  /** Let the member answer whose role fits the message best, instead of the one of the conversation. */
  readonly route?: boolean;
  /** What the prompt may take, 200 to 100,000 tokens; 4,000 when absent. */
  readonly maxTokens?: number;
  /** Aborts a running answer; the message is saved. */
  readonly signal?: AbortSignal;
}

/** A message and its answer. */
export interface Exchange {
  readonly message: Message;
  readonly answer: Message;
}

export interface SummarizeInput {
  readonly conversationId: string;
  readonly userId: string;
  /** How many of the last messages stay as they are; 10 when absent. */
  readonly keep?: number;
  readonly signal?: AbortSignal;
}

const signalInput = z.instanceof(AbortSignal).optional();
const sayInput = z.strictObject({
  ...talkFields,
  content: contentText,
  idempotencyKey: keyInput,
  route: z.boolean().default(false),
  maxTokens: z.int().min(200).max(100_000).default(4_000),
  signal: signalInput,
});
const summarizeInput = z.strictObject({
  ...talkFields,
  keep: z.int().min(0).max(1_000).default(10),
  signal: signalInput,
});

/** A summary is made of this many messages at a time. */
const SUMMARIZED_AT_ONCE = 200;

/**
 * Adds what a user says, lets a responder answer it in the context of the conversation, and adds the answer. No transaction is open while
 * the responder works. A repeated call returns the same exchange; after an error it continues where the first one stopped, so that
 * neither the message nor the answer is added twice.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`, `FAMILY.CONVERSATION_NOT_FOUND`, `FAMILY.CONVERSATION_ENDED`, `FAMILY.KEY_REUSED`,
 *   `FAMILY.MEMBER_INACTIVE`, and what the responder throws: `FAMILY.RESPONDER_*`
 */
export async function say(family: Family, responder: Responder, input: SayInput): Promise<Exchange> {
  const { route, maxTokens, signal, ...said } = readInput(sayInput, input);
  const message = await appendMessage(family, said);
  const { conversationId, userId } = said;
  const { position } = message;
  const earlier = await findAnswer(family, conversationId, position);
  if (earlier !== undefined) return { message, answer: earlier };

  const suggested = route ? await suggestMember(family, { text: said.content }) : null;
  const member = suggested === null ? {} : { memberId: suggested.id };
  const context = await assembleContext(family, { conversationId, userId, position, ...member, maxTokens });
  const reply = await responder.respond(context, signal === undefined ? {} : { signal });
  if (!contentText.safeParse(reply.content).success)
    throw responderAnswer('given', 'is blank, longer than 20000 characters, or not valid Unicode');
  return { message, answer: await answerMessage(family, { conversationId, userId, position, ...member, ...reply }) };
}

async function findAnswer(family: Family, conversationId: string, position: number): Promise<Message | undefined> {
  const text = 'SELECT * FROM messages WHERE conversation_id = $1 AND answers = $2';
  const [row] = await family.query<Row>({ text, values: [conversationId, position] });
  return row === undefined ? undefined : modelOf<Message>(row);
}

const UNSUMMARIZED = `SELECT * FROM messages WHERE conversation_id = $1 AND position > $2 AND position <= $3
  ORDER BY position LIMIT ${SUMMARIZED_AT_ONCE}`;

/**
 * Lets a responder summarize the messages that no summary covers, except the last ones, and keeps the result. The message to answer and
 * what is left stay as they were said.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`, `FAMILY.CONVERSATION_NOT_FOUND`, and what the responder throws: `FAMILY.RESPONDER_*`
 */
export async function summarizeConversation(
  family: Family,
  responder: Responder,
  input: SummarizeInput,
): Promise<Conversation> {
  const { keep, signal, ...talk } = readInput(summarizeInput, input);
  let conversation = await getConversation(family, talk);
  const end = conversation.messageCount - keep;
  while (conversation.summarizedTo < end) {
    const values = [talk.conversationId, conversation.summarizedTo, end];
    const rows = await family.query<Row>({ text: UNSUMMARIZED, values });
    const messages = rows.map((row) => modelOf<Message>(row));
    const upTo = messages.at(-1)?.position;
    // The conversation was deleted meanwhile.
    if (upTo === undefined) return getConversation(family, talk);
    const summary = await responder.summarize(conversation.summary, messages, signal === undefined ? {} : { signal });
    conversation = await saveSummary(family, { ...talk, summary, upTo });
  }
  return conversation;
}
