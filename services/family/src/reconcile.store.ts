import type { Difference } from '@azora/db-core';
import type { Family } from './client';

/** Affinities are sums of floating-point numbers in different orders. */
const TOLERANCE = '1e-9';

const RECONCILE = `
  SELECT 'conversation.messages' AS check, c.id, c.message_count::text AS found,
    count(m.id) || ' messages up to position ' || coalesce(max(m.position), 0) AS expected
  FROM conversations AS c LEFT JOIN messages AS m ON m.conversation_id = c.id
  GROUP BY c.id HAVING c.message_count <> count(m.id) OR c.message_count <> coalesce(max(m.position), 0)
  UNION ALL
  SELECT 'words', coalesce(w.user_id, t.user_id) || ' ' || coalesce(w.word, t.word), coalesce(w.message_count, 0)::text,
    coalesce(t.messages, 0)::text
  FROM memory_words AS w FULL JOIN (
    SELECT m.user_id, word, count(*) AS messages FROM messages AS m CROSS JOIN words_of(m.search) AS word GROUP BY 1, 2
  ) AS t ON t.user_id = w.user_id AND t.word = w.word
  WHERE w.message_count IS DISTINCT FROM t.messages
  UNION ALL
  SELECT 'affinity', coalesce(a.user_id, r.user_id) || ' ' || coalesce(a.member_id, r.member_id),
    concat_ws(' ', a.warmth, a.weight, a.interactions, a.as_of), concat_ws(' ', r.warmth, r.weight, r.interactions, r.as_of)
  FROM affinities AS a FULL JOIN replay_affinities(NULL, NULL) AS r ON r.user_id = a.user_id AND r.member_id = a.member_id
  WHERE NOT coalesce(abs(a.warmth - r.warmth) <= ${TOLERANCE} * (1 + r.weight) AND abs(a.weight - r.weight) <= ${TOLERANCE} * (1 + r.weight)
    AND a.interactions = r.interactions AND a.as_of = r.as_of, false)
  ORDER BY 1, 2`;

/**
 * Compares the counts of messages and words, and the affinities, with the messages and interactions that they follow from. Returns
 * what does not fit; empty when everything does. Reads whole tables.
 */
export function reconcile(family: Family): Promise<readonly Difference[]> {
  return family.queryLong<Difference & Record<string, unknown>>({ text: RECONCILE, values: [] });
}
