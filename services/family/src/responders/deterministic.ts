import { createHash } from 'node:crypto';
import type { Context } from '../context/prompt';
import type { InteractionKind, Mood } from '../generated/client';
import type { Message } from '../rows';
import type { Reply, Responder } from './responder';

const OPENINGS: Readonly<Record<Mood, readonly string[]>> = {
  neutral: ['I hear you.', 'Let us look at it.'],
  happy: ['That is good to hear!', 'You make me smile.'],
  calm: ['Take your time.', 'Let us go step by step.'],
  excited: ['Wonderful!', 'What a day!'],
  proud: ['I am proud of you.', 'Well done.'],
  thoughtful: ['Let me think about this with you.', 'I wonder what lies behind it.'],
  concerned: ['I am sorry that it is hard now.', 'You are not alone with this.'],
  sad: ['That makes me sad too.', 'I feel with you.'],
};

const QUESTIONS: Readonly<Record<InteractionKind, readonly string[]>> = {
  greeting: ['How are you today?', 'What brings you here?'],
  question: ['What have you tried so far?', 'What would a good answer change for you?'],
  advice: ['What is the first step that you can take today?', 'Whom could you ask for help with it?'],
  encouragement: ['What would help you most now?', 'What has helped you before?'],
  celebration: ['How will you celebrate?', 'Who should hear about it first?'],
  story: ['What happened next?', 'What did you learn from it?'],
  routing: ['Whom would you like to ask?', 'What is it about?'],
};

const MAX_QUOTE = 200;
const MAX_SUMMARY = 2_000;

/**
 * A responder without a model: the same context always has the same answer. It answers in the mood of the conversation, repeats what the
 * user said before that fits best, and asks a question. For tests, examples and a product without a model.
 */
export function deterministicResponder(): Responder {
  return {
    respond: async (context) => replyTo(context),
    summarize: async (earlier, messages) => summaryOf(earlier, messages),
  };
}

function replyTo({ member, conversation, recent, memories }: Context): Reply {
  const asked = recent.at(-1);
  const text = asked?.content ?? '';
  const kind = kindOf(text, asked?.sentiment ?? 0);
  const choose = (choices: readonly string[]) => choices[numberOf(`${member.slug} ${text}`) % choices.length] ?? '';
  const memory = memories.find(({ message }) => message.role === 'user' && message.content !== text);
  const content = [
    choose(OPENINGS[conversation.mood]),
    ...(memory === undefined ? [] : [`You once told me: "${shortened(memory.message.content, MAX_QUOTE)}"`]),
    choose(QUESTIONS[kind]),
  ].join(' ');
  return { content, kind };
}

/** What an exchange is, by the words and the sentiment of the user. */
function kindOf(text: string, sentiment: number): InteractionKind {
  if (/^\W*(hi|hello|hey|good (morning|afternoon|evening)|sawubona|jambo)\b/i.test(text)) return 'greeting';
  if (sentiment <= -0.5) return 'encouragement';
  if (sentiment >= 0.6) return 'celebration';
  if (/\b(should|advise|advice|recommend)\b/i.test(text)) return 'advice';
  return text.includes('?') ? 'question' : 'story';
}

function numberOf(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE();
}

/** The first sentence of each message of the user, the latest ones if not all fit. */
function summaryOf(earlier: string | null, messages: readonly Message[]): string {
  const said = messages
    .filter(({ role }) => role === 'user')
    .map(({ content }) => shortened(/^[^.!?\n]*[.!?]?/.exec(content.trim())?.[0] ?? '', MAX_QUOTE));
  const sentences = [...(earlier === null ? [] : earlier.split('\n')), ...said].filter((it) => it.trim() !== '');
  while (sentences.length > 1 && sentences.join('\n').length > MAX_SUMMARY) sentences.shift();
  return sentences.join('\n').slice(-MAX_SUMMARY) || 'The user said nothing yet.';
}

function shortened(text: string, most: number): string {
  const characters = [...text.replace(/\s+/g, ' ').trim()];
  return characters.length <= most ? characters.join('') : `${characters.slice(0, most - 1).join('')}…`;
}
