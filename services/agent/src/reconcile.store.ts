import type { Difference } from '@azora/db-core';
import type { Agent } from './client';

const RECONCILE = `
  SELECT 'conversation.positions' AS check, c.id::text AS id, c.last_position || ' is the last position' AS found,
    coalesce(max(m.position), 0)::text AS expected
  FROM conversations AS c LEFT JOIN messages AS m ON m.conversation_id = c.id
  GROUP BY c.id HAVING coalesce(max(m.position), 0) <> c.last_position OR count(m.id) <> c.last_position
  UNION ALL
  SELECT 'message.owner', m.id::text, coalesce(m.user_id, 'nobody'), coalesce(c.user_id, 'nobody')
  FROM messages AS m JOIN conversations AS c ON c.id = m.conversation_id WHERE m.user_id IS DISTINCT FROM c.user_id
  UNION ALL
  SELECT 'task.waiting', t.id, t.waiting_for::text, counted.open::text
  FROM tasks AS t CROSS JOIN LATERAL (
    SELECT count(*) AS open FROM task_dependencies AS d JOIN tasks AS n ON n.id = d.depends_on_id
    WHERE d.task_id = t.id AND n.status <> 'completed'
  ) AS counted WHERE counted.open <> t.waiting_for
  ORDER BY 1, 2`;

/**
 * Compares conversations with their messages, and tasks with their dependencies, and returns what does not fit; empty when everything
 * does. Reads whole tables.
 */
export function reconcile(agent: Agent): Promise<readonly Difference[]> {
  return agent.queryLong<Difference & Record<string, unknown>>({ text: RECONCILE, values: [] });
}
