import { defineSeed, seedId } from '@azora/db-core';
import { publishSeed } from './seed/events';
import { MEMBERS, memberId, SLUGS } from './seed/members';
import { volume } from './seed/volume';
import { type $Enums, type FamilyTransaction, openFamily } from './src/index';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const CHILDREN = ['themba', 'naledi', 'jabari', 'amara'];
/** In each pair, the first member is the parent, sibling, friend or coordinator of the second. */
const RELATIONSHIPS = [
  { kind: 'parent', pairs: [...pairUp('sankofa', ['elara', 'thembo']), ...pairUp('elara', CHILDREN)] },
  { kind: 'sibling', pairs: [...pairUp('elara', ['thembo']), ...everyPair(CHILDREN)] },
  { kind: 'friend', pairs: [...pairUp('kofi', ['zola']), ...pairUp('abeni', ['sankofa'])] },
  // Nexus is the last of the members.
  { kind: 'coordinator', pairs: pairUp('nexus', SLUGS.slice(0, -1)) },
] as const;

interface Line {
  readonly role: $Enums.MessageRole;
  readonly by?: string;
  readonly content: string;
  readonly mood?: $Enums.Mood;
  readonly sentiment?: number;
}

const STUDY_TALK: readonly Line[] = [
  { role: 'user', content: 'Mama Elara, I failed my first Python quiz.', sentiment: -0.6 },
  { role: 'member', by: 'elara', content: 'Then you know what to learn next. Which question hurt most?', mood: 'calm' },
  { role: 'user', content: 'The one on loops. Will I ever find work with this?', sentiment: -0.2 },
  { role: 'system', content: 'Nexus routes the question to Naledi.' },
  { role: 'member', by: 'naledi', content: 'People hire projects that they can see. Finish one.', mood: 'proud' },
  { role: 'user', content: 'Thank you both, I will!', sentiment: 0.9 },
];
const STORY_TALK: readonly Line[] = [
  { role: 'user', content: 'Tell me a story, grandfather.', sentiment: 0.4 },
  { role: 'member', by: 'sankofa', content: 'A bird flew on and looked back, an egg in its beak.', mood: 'thoughtful' },
];
const CONVERSATIONS = [
  { slug: 'study', member: 'elara', title: 'After the quiz', mood: 'calm', daysAgo: 3, lines: STUDY_TALK },
  { slug: 'story', member: 'sankofa', title: 'A story', mood: 'calm', daysAgo: 8, minutes: 20, lines: STORY_TALK },
] as const;
const INTERACTIONS = [
  { slug: 'quiz', member: 'elara', talk: 'study', kind: 'question', mood: 'calm', sentiment: -0.6, daysAgo: 3 },
  { slug: 'work', member: 'nexus', talk: 'study', kind: 'routing', mood: 'neutral', daysAgo: 3 },
  { slug: 'career', member: 'naledi', talk: 'study', kind: 'advice', mood: 'proud', sentiment: 0.9, daysAgo: 3 },
  { slug: 'story', member: 'sankofa', talk: 'story', kind: 'story', mood: 'calm', sentiment: 0.4, daysAgo: 8 },
] as const;

export const seed = defineSeed({
  open: openFamily,
  // The rows and their events in one transaction, so that an interrupted seed loses no event.
  base: (family, { now, people }) =>
    family.transaction(async (tx) => {
      const ago = (days: number, minutes = 0): Date => new Date(now.getTime() - days * DAY_MS + minutes * MINUTE_MS);
      await seedMembers(tx, ago(30));
      const isFirst = await seedConversations(tx, people.student.id, ago);
      await seedInteractions(tx, people.student.id, ago);
      if (isFirst) await publishSeed(tx, people.student.id);
    }),
  volume,
});

function pairUp(member: string, relatives: readonly string[]): string[][] {
  return relatives.map((relative) => [member, relative]);
}

function everyPair(slugs: readonly string[]): string[][] {
  return slugs.flatMap((slug, index) => pairUp(slug, slugs.slice(index + 1)));
}

async function seedMembers(tx: FamilyTransaction, createdAt: Date): Promise<void> {
  await tx.familyMember.createMany({
    data: MEMBERS.map((member) => {
      const slug = member.name.toLowerCase();
      return { id: memberId(slug), slug, ...member, traits: [...member.traits], createdAt, updatedAt: createdAt };
    }),
    skipDuplicates: true,
  });
  await tx.familyRelationship.createMany({
    data: RELATIONSHIPS.flatMap(({ kind, pairs }) =>
      pairs.map(([member = '', relative = '']) => ({
        memberId: memberId(member),
        relativeId: memberId(relative),
        kind,
        createdAt,
      })),
    ),
    skipDuplicates: true,
  });
}

type Ago = (days: number, minutes?: number) => Date;

const conversationId = (slug: string): string => seedId(`family.Conversation.${slug}`);

/** Whether these conversations are new. */
async function seedConversations(tx: FamilyTransaction, userId: string, ago: Ago): Promise<boolean> {
  const { count } = await tx.conversation.createMany({
    data: CONVERSATIONS.map(({ slug, member, title, mood, daysAgo, ...rest }) => {
      const startedAt = ago(daysAgo);
      const endedAt = 'minutes' in rest ? ago(daysAgo, rest.minutes) : null;
      const times = { startedAt, endedAt, createdAt: startedAt, updatedAt: endedAt ?? startedAt };
      const messageCount = rest.lines.length;
      return { id: conversationId(slug), userId, memberId: memberId(member), title, mood, messageCount, ...times };
    }),
    skipDuplicates: true,
  });
  await tx.message.createMany({
    data: CONVERSATIONS.flatMap(({ slug, daysAgo, lines }) =>
      lines.map(({ by, ...line }, index) => ({
        id: seedId(`family.Message.${slug}-${index + 1}`),
        conversationId: conversationId(slug),
        userId,
        position: index + 1,
        memberId: by === undefined ? null : memberId(by),
        ...line,
        createdAt: ago(daysAgo, index),
        updatedAt: ago(daysAgo, index),
      })),
    ),
    skipDuplicates: true,
  });
  return count > 0;
}

async function seedInteractions(tx: FamilyTransaction, userId: string, ago: Ago): Promise<void> {
  await tx.familyInteraction.createMany({
    data: INTERACTIONS.map(({ slug, member, talk, daysAgo, ...interaction }) => ({
      id: seedId(`family.FamilyInteraction.${slug}`),
      userId,
      memberId: memberId(member),
      conversationId: conversationId(talk),
      ...interaction,
      createdAt: ago(daysAgo, 5),
    })),
    skipDuplicates: true,
  });
}
