import { rowsPerUser, type SeedBlock, type SeedRow, type TableRows, volumeId } from '@azora/db-core';
import { MEMBER_IDS } from './members';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const WRITTEN = ['created_at', 'updated_at'];

/** Each user has a conversation with two messages, and an interaction. */
export function volume(block: SeedBlock): readonly TableRows[] {
  return [
    {
      table: 'conversations',
      columns: ['id', 'user_id', 'member_id', 'mood', 'message_count', 'started_at', ...WRITTEN],
      rows: volumeRows(block, conversationRows),
    },
    {
      table: 'messages',
      columns: [
        'id',
        'conversation_id',
        'user_id',
        'position',
        'role',
        'member_id',
        'content',
        'mood',
        'sentiment',
        ...WRITTEN,
      ],
      rows: volumeRows(block, messageRows),
    },
    {
      table: 'family_interactions',
      columns: ['id', 'user_id', 'member_id', 'conversation_id', 'kind', 'mood', 'sentiment', 'created_at'],
      rows: volumeRows(block, interactionRows),
    },
  ];
}

interface VolumeUser {
  readonly index: number;
  readonly userId: string;
  readonly member: string;
  readonly at: Date;
}

function volumeRows(block: SeedBlock, rowsOf: (user: VolumeUser) => SeedRow[]): Iterable<SeedRow> {
  return rowsPerUser(block, (index, { now }) =>
    rowsOf({
      index,
      userId: volumeId('auth.User', index),
      member: MEMBER_IDS[index % MEMBER_IDS.length] ?? '',
      at: new Date(now.getTime() - ((index % 365) + 1) * DAY_MS),
    }),
  );
}

function conversationRows({ index, userId, member, at }: VolumeUser): SeedRow[] {
  return [[volumeId('family.Conversation', index), userId, member, 'calm', 2, at, at, at]];
}

function messageRows({ index, userId, member, at }: VolumeUser): SeedRow[] {
  const conversation = volumeId('family.Conversation', index);
  const [question, answer] = [volumeId('family.Message', index * 2), volumeId('family.Message', index * 2 + 1)];
  return [
    [
      question,
      conversation,
      userId,
      1,
      'user',
      null,
      'What should I learn next?',
      'neutral',
      sentimentOf(index),
      at,
      at,
    ],
    [answer, conversation, userId, 2, 'member', member, 'What did you enjoy most last week?', 'calm', null, at, at],
  ];
}

function interactionRows({ index, userId, member, at }: VolumeUser): SeedRow[] {
  const [id, conversation] = [volumeId('family.FamilyInteraction', index), volumeId('family.Conversation', index)];
  return [[id, userId, member, conversation, 'question', 'calm', sentimentOf(index), at]];
}

/** -1 to 1, in steps of a tenth. */
function sentimentOf(index: number): number {
  return ((index % 21) - 10) / 10;
}
