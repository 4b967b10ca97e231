import type { Memory } from '../messages.store';
import type { Conversation, Member, Message } from '../rows';
import { cutToTokens, MESSAGE_TOKENS } from './tokens';

/** A relative of the member who answers, as the member sees it. */
export interface Relative {
  readonly name: string;
  readonly role: string;
  /** The member is the <relation> of this relative. */
  readonly relation: string;
}

/** Everything that an answer depends on, as of one moment. */
export interface ContextParts {
  readonly conversation: Conversation;
  readonly member: Member;
  readonly relatives: readonly Relative[];
  /** In order; the last one is the message to answer. */
  readonly recent: readonly Message[];
  /** The best first. */
  readonly memories: readonly Memory[];
  readonly affinity: number;
}

/** One turn of a chat. */
export interface Turn {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** What a responder answers. */
export interface Context extends ContextParts {
  /** The system turn, then what was said last. Together they take at most the tokens that were asked for. */
  readonly turns: readonly Turn[];
  /** What the turns take, as the counter counts. */
  readonly tokens: number;
}

/** The largest shares of the budget; what they leave is for what was said last. */
const SHARES = { persona: 1 / 4, facts: 1 / 8, summary: 1 / 8, memories: 1 / 4, message: 1 / 2 };
const HEADING = 'What was said earlier and may matter:';
/** From these scores on, a user and a member are close or distant. */
const CLOSE = 0.3;

/**
 * Chooses what fits into the budget, in this order: who the member is, the message to answer, facts, the summary, memories by their
 * scores, and then as much as fits of what was said last. A text that is longer than its share is cut. `recent` and `memories` of the
 * result are those that fit.
 */
export function fitContext(parts: ContextParts, maxTokens: number, count: (text: string) => number): Context {
  const { conversation, recent } = parts;
  const cut = (text: string, share: number) => cutToTokens(text, Math.floor(maxTokens * share), count);
  const sections = [cut(personaOf(parts), SHARES.persona)];
  const facts = JSON.stringify(conversation.context);
  if (facts !== '{}') sections.push(cut(`Facts about the user: ${facts}`, SHARES.facts));
  if (conversation.summary !== null)
    sections.push(cut(`What was said so far: ${conversation.summary}`, SHARES.summary));
  const { lines, memories } = fitMemories(parts.memories, Math.floor(maxTokens * SHARES.memories), count);
  sections.push(...lines);

  const asked = recent.at(-1);
  const systemOf = (texts: readonly string[]): Turn => ({ role: 'system', content: texts.join('\n') });
  const costOf = ({ content }: Turn) => count(content) + MESSAGE_TOKENS;
  const last = asked === undefined ? [] : [turnOf(asked, (text) => cut(text, SHARES.message))];
  let tokens = [systemOf(sections), ...last].reduce((total, turn) => total + costOf(turn), 0);
  while (sections.length > 1 && (tokens > maxTokens || sections.at(-1) === HEADING)) {
    sections.pop();
    tokens = [systemOf(sections), ...last].reduce((total, turn) => total + costOf(turn), 0);
  }
  const turns: Turn[] = [...last];
  const kept: Message[] = asked === undefined ? [] : [asked];
  for (const message of recent.slice(0, -1).reverse()) {
    const turn = turnOf(message, (text) => text);
    if (tokens + costOf(turn) > maxTokens) break;
    tokens += costOf(turn);
    turns.unshift(turn);
    kept.unshift(message);
  }
  const isKept = ({ message }: Memory) => sections.some((section) => section === memoryLine(message));
  return {
    ...parts,
    recent: kept,
    memories: memories.filter(isKept),
    turns: [systemOf(sections), ...turns],
    tokens,
  };
}

function personaOf({ member, conversation, relatives, affinity }: ContextParts): string {
  const related = relatives.map(({ name, relation }) => `${relation} of ${name}`);
  return [
    `You are ${member.name}, ${member.role} of the Azora family.`,
    member.background,
    `You are ${member.traits.join(', ')}. Your mood is ${conversation.mood}.`,
    ...(related.length === 0 ? [] : [`You are ${related.join(', ')}.`]),
    ...(Math.abs(affinity) < CLOSE ? [] : [`You and the user are ${affinity > 0 ? 'close' : 'distant'}.`]),
  ].join('\n');
}

function fitMemories(
  memories: readonly Memory[],
  maxTokens: number,
  count: (text: string) => number,
): { readonly lines: readonly string[]; readonly memories: readonly Memory[] } {
  const [lines, kept] = [[HEADING], [] as Memory[]];
  let tokens = count(HEADING) + 1;
  for (const memory of memories) {
    const line = memoryLine(memory.message);
    const cost = count(line) + 1;
    if (tokens + cost > maxTokens) continue;
    tokens += cost;
    lines.push(line);
    kept.push(memory);
  }
  return kept.length === 0 ? { lines: [], memories: [] } : { lines, memories: kept };
}

function memoryLine({ createdAt, role, content }: Message): string {
  return `- ${createdAt.toISOString().slice(0, 10)}, ${role === 'user' ? 'the user' : 'the family'}: ${content}`;
}

function turnOf({ role, content }: Message, cut: (text: string) => string): Turn {
  return { role: role === 'member' ? 'assistant' : role, content: cut(content) };
}
