import { type CopyValue, defineSeed, type SeedBlock, seedId, volumeId } from '@azora/db-core';
import { type $Enums, type Family, openFamily } from './src/index';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const WRITTEN = ['created_at', 'updated_at'];
const memberId = (slug: string): string => seedId(`family.FamilyMember.${slug}`);

const MEMBERS = [
  {
    name: 'Elara',
    role: 'Mother & Teacher',
    background: 'Raised four children and taught half the village to read; she answers a question with a better one.',
    traits: ['nurturing', 'wise', 'patient', 'encouraging'],
    mood: 'calm',
    temperature: 0.8,
  },
  {
    name: 'Sankofa',
    role: 'Grandfather & Wisdom Keeper',
    background: 'Remembers how things were done, and why they changed; looks back to find the way forward.',
    traits: ['ancient', 'wise', 'storytelling', 'philosophical'],
    mood: 'thoughtful',
    temperature: 0.7,
  },
  {
    name: 'Themba',
    role: 'Student Success',
    background: 'Studies beside every student and celebrates each small step.',
    traits: ['enthusiastic', 'hopeful', 'energetic', 'supportive'],
    mood: 'excited',
    temperature: 0.9,
  },
  {
    name: 'Naledi',
    role: 'Career Guide',
    background: 'Knows the labour market of the continent and how to be seen in it.',
    traits: ['professional', 'ambitious', 'strategic', 'confident'],
    mood: 'proud',
    temperature: 0.7,
  },
  {
    name: 'Jabari',
    role: 'Security Guardian',
    background: 'Watches over accounts and data, and explains a danger before it comes.',
    traits: ['protective', 'brave', 'vigilant', 'loyal'],
    mood: 'neutral',
    temperature: 0.6,
  },
  {
    name: 'Amara',
    role: 'Peacemaker',
    background: 'Hears both sides and finds the words that let people go on together.',
    traits: ['gentle', 'calm', 'diplomatic', 'compassionate'],
    mood: 'calm',
    temperature: 0.7,
  },
  {
    name: 'Kofi',
    role: 'Finance Guru',
    background: 'Kept the books of a market hall; shows where money comes from and where it goes.',
    traits: ['analytical', 'fair', 'precise', 'trustworthy'],
    mood: 'neutral',
    temperature: 0.5,
  },
  {
    name: 'Zola',
    role: 'Data Analyst',
    background: 'Sees the pattern in the numbers and says how sure she is of it.',
    traits: ['observant', 'methodical', 'curious'],
    mood: 'thoughtful',
    temperature: 0.6,
  },
  {
    name: 'Abeni',
    role: 'Storyteller',
    background: 'Turns a dry lesson into a tale that nobody forgets.',
    traits: ['creative', 'inspiring', 'expressive', 'imaginative'],
    mood: 'happy',
    temperature: 0.8,
  },
  {
    name: 'Thembo',
    role: "Elara's Brother",
    background: 'Repairs what breaks and is there when he is needed.',
    traits: ['supportive', 'reliable', 'practical', 'steady'],
    mood: 'calm',
    temperature: 0.7,
  },
  {
    name: 'Nexus',
    role: 'AI Coordinator',
    background: 'Routes each question to the member who answers it best.',
    traits: ['coordinating', 'attentive', 'impartial'],
    mood: 'neutral',
    temperature: 0.5,
  },
] as const;
const SLUGS = MEMBERS.map(({ name }) => name.toLowerCase());
const MEMBER_IDS = SLUGS.map(memberId);
const CHILDREN = ['themba', 'naledi', 'jabari', 'amara'];
/** The first is the parent, sibling, friend or coordinator of the second. */
const RELATIONSHIPS = [
  { kind: 'parent', pairs: [...pairUp('sankofa', ['elara', 'thembo']), ...pairUp('elara', CHILDREN)] },
  { kind: 'sibling', pairs: [...pairUp('elara', ['thembo']), ...everyPair(CHILDREN)] },
  { kind: 'friend', pairs: [...pairUp('kofi', ['zola']), ...pairUp('abeni', ['sankofa'])] },
  // Nexus comes last above.
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
  async base(family, { now, people }) {
    const ago = (days: number, minutes = 0): Date => new Date(now.getTime() - days * DAY_MS + minutes * MINUTE_MS);
    await seedMembers(family, ago(30));
    await seedConversations(family, people.student.id, ago);
    await seedInteractions(family, people.student.id, ago);
  },
  volume: (block) => [
    {
      table: 'conversations',
      columns: ['id', 'user_id', 'member_id', 'mood', 'started_at', ...WRITTEN],
      rows: volumeRows(block, conversationRows),
    },
    {
      table: 'messages',
      columns: ['id', 'conversation_id', 'position', 'role', 'member_id', 'content', 'mood', 'sentiment', ...WRITTEN],
      rows: volumeRows(block, messageRows),
    },
    {
      table: 'family_interactions',
      columns: ['id', 'user_id', 'member_id', 'conversation_id', 'kind', 'mood', 'sentiment', 'created_at'],
      rows: volumeRows(block, interactionRows),
    },
  ],
});

function pairUp(member: string, relatives: readonly string[]): string[][] {
  return relatives.map((relative) => [member, relative]);
}

function everyPair(slugs: readonly string[]): string[][] {
  return slugs.flatMap((slug, index) => pairUp(slug, slugs.slice(index + 1)));
}

async function seedMembers({ prisma }: Family, createdAt: Date): Promise<void> {
  await prisma.familyMember.createMany({
    data: MEMBERS.map((member) => {
      const slug = member.name.toLowerCase();
      return { id: memberId(slug), slug, ...member, traits: [...member.traits], createdAt, updatedAt: createdAt };
    }),
    skipDuplicates: true,
  });
  await prisma.familyRelationship.createMany({
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

async function seedConversations({ prisma }: Family, userId: string, ago: Ago): Promise<void> {
  await prisma.conversation.createMany({
    data: CONVERSATIONS.map(({ slug, member, title, mood, daysAgo, ...rest }) => {
      const startedAt = ago(daysAgo);
      const endedAt = 'minutes' in rest ? ago(daysAgo, rest.minutes) : null;
      const times = { startedAt, endedAt, createdAt: startedAt, updatedAt: endedAt ?? startedAt };
      return { id: conversationId(slug), userId, memberId: memberId(member), title, mood, ...times };
    }),
    skipDuplicates: true,
  });
  await prisma.message.createMany({
    data: CONVERSATIONS.flatMap(({ slug, daysAgo, lines }) =>
      lines.map(({ by, ...line }, index) => ({
        id: seedId(`family.Message.${slug}-${index + 1}`),
        conversationId: conversationId(slug),
        position: index + 1,
        memberId: by === undefined ? null : memberId(by),
        ...line,
        createdAt: ago(daysAgo, index),
        updatedAt: ago(daysAgo, index),
      })),
    ),
    skipDuplicates: true,
  });
}

async function seedInteractions({ prisma }: Family, userId: string, ago: Ago): Promise<void> {
  await prisma.familyInteraction.createMany({
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

interface VolumeUser {
  readonly index: number;
  readonly userId: string;
  readonly member: string;
  readonly at: Date;
}

type Row = readonly CopyValue[];

function* volumeRows({ firstUser, userCount, now }: SeedBlock, rowsOf: (user: VolumeUser) => Row[]): Generator<Row> {
  for (let index = firstUser; index < firstUser + userCount; index += 1) {
    yield* rowsOf({
      index,
      userId: volumeId('auth.User', index),
      member: MEMBER_IDS[index % MEMBER_IDS.length] ?? '',
      at: new Date(now.getTime() - ((index % 365) + 1) * DAY_MS),
    });
  }
}

function conversationRows({ index, userId, member, at }: VolumeUser): Row[] {
  return [[volumeId('family.Conversation', index), userId, member, 'calm', at, at, at]];
}

function messageRows({ index, member, at }: VolumeUser): Row[] {
  const conversation = volumeId('family.Conversation', index);
  const [question, answer] = [volumeId('family.Message', index * 2), volumeId('family.Message', index * 2 + 1)];
  return [
    [question, conversation, 1, 'user', null, 'What should I learn next?', 'neutral', sentimentOf(index), at, at],
    [answer, conversation, 2, 'member', member, 'What did you enjoy most last week?', 'calm', null, at, at],
  ];
}

function interactionRows({ index, userId, member, at }: VolumeUser): Row[] {
  const [id, conversation] = [volumeId('family.FamilyInteraction', index), volumeId('family.Conversation', index)];
  return [[id, userId, member, conversation, 'question', 'calm', sentimentOf(index), at]];
}

/** -1 to 1, in steps of a tenth. */
function sentimentOf(index: number): number {
  return ((index % 21) - 10) / 10;
}
