import { idInput } from '@azora/db-core/input';
import { z } from 'zod';
import type { Family } from './client';
import { type Context, type ContextParts, fitContext, type Relative } from './context/prompt';
import { estimateTokens } from './context/tokens';
import { readInput } from './errors';
import { contentText, talkFields } from './input';
import { type Conversation, type Member, type Message, modelOf, onlyRow, type Row } from './rows';

export interface AssembleContextInput {
  readonly conversationId: string;
  readonly userId: string;
  /** The position of the message of the user that the member answers. */
  readonly position: number;
  /** The member who answers; the one of the conversation when absent. */
  readonly memberId?: string;
  /** What a prompt may take, 200 to 100,000 tokens; 4,000 when absent. */
  readonly maxTokens?: number;
  /** The tokenizer of the model; an estimate that is on the safe side when absent. */
  readonly countTokens?: (text: string) => number;
}

export interface SuggestMemberInput {
  readonly text: string;
}

const contextInput = z.strictObject({
  ...talkFields,
  position: z
    .int()
    .min(1)
    .max(2 ** 31 - 1),
  memberId: idInput.optional(),
  maxTokens: z.int().min(200).max(100_000).default(4_000),
  countTokens: z
    .custom<(text: string) => number>((it) => typeof it === 'function', 'is not a function')
    .default(() => estimateTokens),
});
const suggestInput = z.strictObject({ text: contentText });

/** How many messages a context has at most: those said last, and those said earlier. */
const RECENT = 30;
const MEMORIES = 10;
/** The last messages have about half of the tokens of a prompt; English has four bytes to a token. */
const BYTES_PER_TOKEN = 2;

interface ContextRow {
  readonly conversation: Row;
  readonly member: Row;
  readonly relatives: readonly Relative[];
  readonly recent: readonly Row[];
  readonly memories: readonly { readonly message: Row; readonly score: number }[];
  readonly affinity: number;
}

/**
 * The context in which a member answers a message: who the member is and how it is related, its mood, facts, the summary, what was said
 * last, and what fits the message among everything that the user and the family said before. It takes at most `maxTokens`.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`, `FAMILY.CONVERSATION_NOT_FOUND`, `FAMILY.MESSAGE_NOT_FOUND`, `FAMILY.MEMBER_NOT_FOUND`
 */
export async function assembleContext(family: Family, input: AssembleContextInput): Promise<Context> {
  const { conversationId, userId, position, memberId, maxTokens, countTokens } = readInput(contextInput, input);
  const { found } = onlyRow(
    await family.query<{ found: ContextRow }>({
      text: 'SELECT conversation_context($1, $2, $3, $4, $5, $6, $7) AS found',
      values: [conversationId, userId, memberId ?? null, position, RECENT, maxTokens * BYTES_PER_TOKEN, MEMORIES],
    }),
  );
  const parts: ContextParts = {
    conversation: modelOf<Conversation>(found.conversation),
    member: modelOf<Member>(found.member),
    relatives: found.relatives,
    recent: found.recent.map((row) => modelOf<Message>(row)),
    memories: found.memories.map(({ message, score }) => ({ message: modelOf<Message>(message), score })),
    affinity: found.affinity,
  };
  return fitContext(parts, maxTokens, countTokens);
}

/**
 * The active member whose role, traits and background fit a text best, or null when none has a word in common with it.
 * @throws {SuiteError} `FAMILY.INVALID_INPUT`
 */
export async function suggestMember(family: Family, input: SuggestMemberInput): Promise<Member | null> {
  const { text } = readInput(suggestInput, input);
  const [row] = await family.query<Row>({ text: 'SELECT * FROM suggest_member($1)', values: [text] });
  return row === undefined ? null : modelOf<Member>(row);
}
