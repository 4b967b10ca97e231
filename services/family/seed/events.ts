import type { FamilyTransaction } from '../src/index';

/** The events that the store would have published if it had written the rows of the seed, oldest first. */
const PUBLISH = `
  SELECT emit(name, key, payload, at) FROM (
    SELECT 1 AS step, created_at AS at, 'member-saved' AS name, id AS key,
      jsonb_build_object('memberId', id, 'isActive', is_active) AS payload
    FROM family_members
    UNION ALL
    SELECT 2, started_at, 'conversation-started', id, jsonb_build_object('conversationId', id, 'userId', user_id, 'memberId', member_id)
    FROM conversations WHERE user_id = $1
    UNION ALL
    SELECT 3, m.created_at, 'message-added', c.id, jsonb_build_object('messageId', m.id, 'conversationId', c.id, 'userId', c.user_id,
      'memberId', coalesce(m.member_id, c.member_id), 'role', m.role, 'position', m.position)
    FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id WHERE c.user_id = $1
    UNION ALL
    SELECT 4, created_at, 'interaction-recorded', user_id,
      jsonb_build_object('interactionId', id, 'userId', user_id, 'memberId', member_id, 'kind', kind)
    FROM family_interactions WHERE user_id = $1
    UNION ALL
    SELECT 5, ended_at, 'conversation-ended', id,
      jsonb_build_object('conversationId', id, 'userId', user_id, 'memberId', member_id, 'messages', message_count)
    FROM conversations WHERE user_id = $1 AND ended_at IS NOT NULL
    ORDER BY at, step, key
  ) AS events`;

export async function publishSeed(tx: FamilyTransaction, userId: string): Promise<void> {
  await tx.$executeRawUnsafe(PUBLISH, userId);
}
