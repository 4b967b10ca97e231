-- Reverts 20261205190001_memory_plans.

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION "search_memories"("p_user" text, "p_text" text, "p_conversation" text, "p_before" integer, "p_limit" integer)
RETURNS TABLE ("message_id" text, "score" double precision)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp SET jit = off AS $$
  WITH asked AS MATERIALIZED (
    SELECT a.word, w.message_count FROM words_of(to_tsvector('english', left(p_text, 2000))) AS a (word)
    LEFT JOIN memory_words AS w ON w.user_id = p_user AND w.word = a.word ORDER BY a.word LIMIT 64
  ), terms AS (
    SELECT word, message_count, 1.0::float8 AS likeness FROM asked WHERE message_count IS NOT NULL
    UNION ALL
    SELECT near.word, near.message_count, near.likeness
    FROM (SELECT word FROM asked WHERE message_count IS NULL AND char_length(word) >= 4 ORDER BY char_length(word) DESC, word LIMIT 4) AS a
    CROSS JOIN LATERAL (
      SELECT w.word, w.message_count, similarity(w.word, a.word)::float8 AS likeness FROM memory_words AS w
      WHERE w.user_id = p_user AND similarity(w.word, a.word) >= 0.4 ORDER BY likeness DESC, w.word LIMIT 3) AS near
  ), chosen AS MATERIALIZED (
    SELECT word, likeness * ln(1 + (s.messages - message_count + 0.5) / (message_count + 0.5)) AS weight
    FROM (SELECT *, sum(message_count) OVER (ORDER BY message_count, word) AS so_far FROM (
      SELECT word, max(message_count) AS message_count, max(likeness) AS likeness FROM terms GROUP BY word) AS t) AS t
    CROSS JOIN (SELECT greatest(sum(message_count), 1) AS messages FROM conversations WHERE user_id = p_user) AS s
    WHERE so_far <= 4000 OR so_far = message_count
  ), hits AS MATERIALIZED (
    SELECT m.id, m.conversation_id, m.position, m.role, m.size, sum(c.weight) AS weight
    FROM chosen AS c CROSS JOIN LATERAL (
      SELECT m.id, m.conversation_id, m.position, m.role, length(m.search) AS size FROM messages AS m WHERE m.search @@ (query_term(user_term(p_user)) && query_term(c.word))
        AND m.user_id = p_user AND m.role <> 'system'
        AND (m.conversation_id, m.position < p_before) IS DISTINCT FROM (p_conversation, false)) AS m
    GROUP BY m.id, m.conversation_id, m.position, m.role, m.size
  ), scored AS MATERIALIZED (
    SELECT id, conversation_id, position, role, weight * 2.2 / (1 + 1.2 * (0.5 + 0.5 * size / avg(size) OVER ())) AS score FROM hits
  ), found AS (
    SELECT id, score FROM scored
    UNION ALL
    SELECT m.id, s.score / 2 FROM (SELECT * FROM scored WHERE role = 'member' ORDER BY score DESC, id LIMIT 50) AS s
    JOIN messages AS m ON m.conversation_id = s.conversation_id AND m.position = s.position + 1 AND m.role = 'user'
    WHERE (m.conversation_id, m.position < p_before) IS DISTINCT FROM (p_conversation, false)
  )
  SELECT id, sum(score) FROM found GROUP BY id ORDER BY 2 DESC, 1 LIMIT p_limit
$$;
