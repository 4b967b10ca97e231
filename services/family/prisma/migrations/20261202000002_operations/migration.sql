-- Why: the app role only reads the tables of the family. These functions make every change and take their locks in one order, so that
-- no two of them deadlock: the user, then the conversation. A repeated call finds the effect of the first one.
-- An event is written by the function that makes it true. A payload has ids, positions and words from closed lists, and no text.
-- Locks: none: the functions are new.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION "emit"("p_name" text, "p_key" text, "p_payload" jsonb, "p_at" timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO outbox (type, key, payload, created_at) VALUES ('family.' || p_name || '.v1', left(p_key, 200), p_payload, p_at)
$$;

-- Members ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION "member_of"("p_id" text, "p_must_be_active" boolean) RETURNS "family_members"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it family_members;
BEGIN
  SELECT * INTO it FROM family_members WHERE id = p_id;
  IF NOT FOUND THEN
    PERFORM refuse('member_not_found', jsonb_build_object('memberId', p_id));
  END IF;
  IF p_must_be_active AND NOT it.is_active THEN
    PERFORM refuse('member_inactive', jsonb_build_object('memberId', p_id));
  END IF;
  RETURN it;
END
$$;

-- Adds the member with this slug, or replaces what it says about itself.
CREATE FUNCTION "save_member"("p_id" text, "p_input" jsonb) RETURNS "family_members"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it family_members;
  at timestamptz := database_time();
BEGIN
  INSERT INTO family_members AS m (id, slug, name, role, background, traits, mood, temperature, avatar_url, is_active, created_at, updated_at)
  VALUES (p_id, p_input ->> 'slug', p_input ->> 'name', p_input ->> 'role', p_input ->> 'background',
    ARRAY(SELECT jsonb_array_elements_text(p_input -> 'traits')), (p_input ->> 'mood')::mood, (p_input ->> 'temperature')::float8,
    p_input ->> 'avatarUrl', (p_input ->> 'isActive')::boolean, at, at)
  ON CONFLICT (slug) DO UPDATE SET name = excluded.name, role = excluded.role, background = excluded.background,
    traits = excluded.traits, mood = excluded.mood, temperature = excluded.temperature, avatar_url = excluded.avatar_url,
    is_active = excluded.is_active, updated_at = excluded.updated_at
  WHERE (m.name, m.role, m.background, m.traits, m.mood, m.temperature, m.avatar_url, m.is_active) IS DISTINCT FROM
    (excluded.name, excluded.role, excluded.background, excluded.traits, excluded.mood, excluded.temperature, excluded.avatar_url, excluded.is_active)
  RETURNING * INTO it;
  IF it.id IS NULL THEN
    SELECT * INTO it FROM family_members WHERE slug = p_input ->> 'slug';
    RETURN it;
  END IF;
  INSERT INTO audit_logs (id, action, resource_type, resource_id, created_at)
  VALUES (gen_random_uuid()::text, 'family.member-saved', 'FamilyMember', left(it.id, 255), at);
  PERFORM emit('member-saved', it.id, jsonb_build_object('memberId', it.id, 'isActive', it.is_active), at);
  RETURN it;
END
$$;

-- Relates two members, seen from the first one. The relationship that exists already stays.
CREATE FUNCTION "relate_members"("p_member" text, "p_relative" text, "p_relation" text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  is_inverse boolean := p_relation IN ('child', 'coordinated');
BEGIN
  PERFORM member_of(p_member, false), member_of(p_relative, false);
  -- A friend who is stored from the other side is the same friend.
  INSERT INTO family_relationships (member_id, relative_id, kind, created_at)
  SELECT CASE WHEN is_inverse THEN p_relative ELSE p_member END, CASE WHEN is_inverse THEN p_member ELSE p_relative END,
    CASE p_relation WHEN 'child' THEN 'parent' WHEN 'coordinated' THEN 'coordinator' ELSE p_relation END::relationship_kind, database_time()
  WHERE NOT EXISTS (SELECT FROM ties_of(p_member) AS t WHERE t.relative_id = p_relative AND t.relation = p_relation)
  ON CONFLICT (member_id, relative_id, kind) DO NOTHING;
EXCEPTION WHEN unique_violation THEN
  -- The other side was stored at the same time, or the members are related the other way round.
  IF NOT EXISTS (SELECT FROM ties_of(p_member) AS t WHERE t.relative_id = p_relative AND t.relation = p_relation) THEN
    PERFORM refuse('relationship_conflict', jsonb_build_object('memberId', p_member, 'relativeId', p_relative));
  END IF;
END
$$;

CREATE FUNCTION "unrelate_members"("p_member" text, "p_relative" text, "p_relation" text) RETURNS boolean
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  WITH gone AS (
    DELETE FROM family_relationships AS r
    WHERE (r.member_id = p_member AND r.relative_id = p_relative AND r.kind::text = p_relation)
      OR (r.member_id = p_relative AND r.relative_id = p_member
        AND CASE r.kind WHEN 'parent' THEN 'child' WHEN 'coordinator' THEN 'coordinated' ELSE r.kind::text END = p_relation)
    RETURNING 1
  )
  SELECT EXISTS (SELECT FROM gone)
$$;

-- Conversations ------------------------------------------------------------------------------------------------------

-- Everything that is kept about a user changes under this lock.
CREATE FUNCTION "lock_user"("p_user" text) RETURNS void LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT pg_advisory_xact_lock(hashtextextended('family.user ' || p_user, 0))
$$;

CREATE FUNCTION "lock_conversation"("p_id" text, "p_user" text) RETURNS "conversations"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it conversations;
BEGIN
  PERFORM lock_user(p_user);
  SELECT * INTO it FROM conversations WHERE id = p_id AND user_id = p_user FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('conversation_not_found', jsonb_build_object('conversationId', p_id));
  END IF;
  RETURN it;
END
$$;

CREATE FUNCTION "demand_open"("p_conversation" "conversations") RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF p_conversation.ended_at IS NOT NULL THEN
    PERFORM refuse('conversation_ended', jsonb_build_object('conversationId', p_conversation.id, 'endedAt', p_conversation.ended_at));
  END IF;
END
$$;

-- The open conversation of a user with a member; a new one in the mood of the member if there is none.
CREATE FUNCTION "start_conversation"("p_id" text, "p_user" text, "p_member" text, "p_title" text) RETURNS "conversations"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it conversations;
  at timestamptz;
BEGIN
  PERFORM lock_user(p_user);
  SELECT * INTO it FROM conversations WHERE user_id = p_user AND member_id = p_member AND ended_at IS NULL;
  IF FOUND THEN
    RETURN it;
  END IF;
  at := database_time();
  INSERT INTO conversations (id, user_id, member_id, title, mood, started_at, created_at, updated_at)
  SELECT p_id, p_user, m.id, p_title, m.mood, at, at, at FROM member_of(p_member, true) AS m RETURNING * INTO it;
  PERFORM emit('conversation-started', it.id, jsonb_build_object('conversationId', it.id, 'userId', p_user, 'memberId', it.member_id), at);
  RETURN it;
END
$$;

-- Changes the title and the facts of an open conversation; what is absent stays.
CREATE FUNCTION "update_conversation"("p_id" text, "p_user" text, "p_changes" jsonb) RETURNS "conversations"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it conversations := lock_conversation(p_id, p_user);
BEGIN
  PERFORM demand_open(it);
  UPDATE conversations SET title = CASE WHEN p_changes ? 'title' THEN p_changes ->> 'title' ELSE title END,
    context = CASE WHEN p_changes ? 'context' THEN p_changes -> 'context' ELSE context END, updated_at = database_time()
  WHERE id = p_id RETURNING * INTO it;
  RETURN it;
END
$$;

CREATE FUNCTION "end_conversation"("p_id" text, "p_user" text) RETURNS "conversations"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it conversations := lock_conversation(p_id, p_user);
  at timestamptz := database_time();
BEGIN
  IF it.ended_at IS NOT NULL THEN
    RETURN it;
  END IF;
  -- A clock that was set back does not end a conversation before its start.
  UPDATE conversations SET ended_at = greatest(at, started_at), updated_at = at WHERE id = p_id RETURNING * INTO it;
  PERFORM emit('conversation-ended', it.id, jsonb_build_object('conversationId', it.id, 'userId', p_user, 'memberId', it.member_id,
    'messages', it.message_count), at);
  RETURN it;
END
$$;

-- Deletes a conversation with its messages. Its interactions stay, without the link.
CREATE FUNCTION "delete_conversation"("p_id" text, "p_user" text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it conversations := lock_conversation(p_id, p_user);
BEGIN
  DELETE FROM conversations WHERE id = p_id;
  PERFORM emit('conversation-deleted', it.id, jsonb_build_object('conversationId', it.id, 'userId', p_user, 'memberId', it.member_id),
    database_time());
END
$$;

-- Replaces the summary by one that covers more of the conversation. A summary that covers less came late and is left.
CREATE FUNCTION "save_summary"("p_id" text, "p_user" text, "p_summary" text, "p_to" integer) RETURNS "conversations"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  it conversations := lock_conversation(p_id, p_user);
BEGIN
  IF p_to > it.message_count THEN
    PERFORM refuse('summary_range', jsonb_build_object('conversationId', p_id, 'messages', it.message_count, 'upTo', p_to));
  END IF;
  IF p_to > it.summarized_to THEN
    UPDATE conversations SET summary = p_summary, summarized_to = p_to, updated_at = database_time() WHERE id = p_id RETURNING * INTO it;
  END IF;
  RETURN it;
END
$$;

-- Messages -----------------------------------------------------------------------------------------------------------

-- The mood in which a member answers: its own, unless the user has been clearly happy or unhappy lately.
CREATE FUNCTION "mood_for"("p_own" "mood", "p_valence" double precision) RETURNS "mood" LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT CASE WHEN p_valence <= -0.5 THEN 'concerned' WHEN p_valence <= -0.2 THEN 'thoughtful' WHEN p_valence >= 0.6 THEN 'excited'
    WHEN p_valence >= 0.3 THEN 'happy' ELSE p_own END::mood
$$;

-- Adds a row at the next position. Its caller holds the lock of the conversation.
CREATE FUNCTION "add_message"("p_conversation" "conversations", "p_message" "messages") RETURNS "messages"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
  it messages;
BEGIN
  IF char_length(p_message.content) > 20000 THEN
    PERFORM refuse('content_size', '{}');
  END IF;
  INSERT INTO messages (id, conversation_id, user_id, position, role, member_id, content, mood, sentiment, answers, idempotency_key,
    body_hash, created_at, updated_at)
  VALUES (p_message.id, p_conversation.id, p_conversation.user_id, p_conversation.message_count + 1, p_message.role, p_message.member_id,
    p_message.content, p_message.mood, p_message.sentiment, p_message.answers, p_message.idempotency_key, p_message.body_hash, at, at)
  RETURNING * INTO it;
  UPDATE conversations SET message_count = message_count + 1, valence = p_conversation.valence, mood = p_conversation.mood, updated_at = at
  WHERE id = p_conversation.id;
  PERFORM emit('message-added', p_conversation.id, jsonb_build_object('messageId', it.id, 'conversationId', p_conversation.id,
    'userId', p_conversation.user_id, 'memberId', coalesce(it.member_id, p_conversation.member_id), 'role', it.role,
    'position', it.position), at);
  RETURN it;
END
$$;

-- Adds what a user, or the system, says, once per conversation and key. The latest message of the user makes half of the valence.
CREATE FUNCTION "append_message"("p_key" text, "p_id" text, "p_input" jsonb) RETURNS "messages"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  talk conversations := lock_conversation(p_input ->> 'conversationId', p_input ->> 'userId');
  hash text := encode(sha256(convert_to((p_input - 'sentiment')::text, 'UTF8')), 'hex');
  it messages;
BEGIN
  SELECT * INTO it FROM messages WHERE conversation_id = talk.id AND idempotency_key = p_key;
  IF FOUND THEN
    IF it.body_hash <> hash THEN
      PERFORM refuse('key_reused', '{}');
    END IF;
    RETURN it;
  END IF;
  PERFORM demand_open(talk);
  it.id := p_id;
  it.role := (p_input ->> 'role')::message_role;
  it.content := p_input ->> 'content';
  it.sentiment := (p_input ->> 'sentiment')::float8;
  it.mood := 'neutral';
  it.idempotency_key := p_key;
  it.body_hash := hash;
  IF it.role = 'member' OR p_key IS NULL THEN
    PERFORM refuse('not_said', '{}');
  END IF;
  IF it.role = 'user' AND it.sentiment BETWEEN -1 AND 1 THEN
    talk.valence := (talk.valence + it.sentiment) / 2;
    SELECT mood_for(m.mood, talk.valence) INTO talk.mood FROM family_members AS m WHERE m.id = talk.member_id;
  END IF;
  RETURN add_message(talk, it);
END
$$;

-- Adds an interaction. The trigger counts it in the affinity.
CREATE FUNCTION "add_interaction"("p_interaction" "family_interactions") RETURNS "family_interactions"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
  it family_interactions;
BEGIN
  INSERT INTO family_interactions (id, user_id, member_id, conversation_id, kind, mood, sentiment, metadata, idempotency_key, body_hash, created_at)
  VALUES (p_interaction.id, p_interaction.user_id, p_interaction.member_id, p_interaction.conversation_id, p_interaction.kind,
    p_interaction.mood, p_interaction.sentiment, coalesce(p_interaction.metadata, '{}'), p_interaction.idempotency_key,
    p_interaction.body_hash, at)
  RETURNING * INTO it;
  PERFORM emit('interaction-recorded', it.user_id, jsonb_build_object('interactionId', it.id, 'userId', it.user_id,
    'memberId', it.member_id, 'kind', it.kind), at);
  RETURN it;
END
$$;

-- Adds the answer of a member to a message of the user, in the mood of the conversation. A message has one answer: a second one gets
-- the first. The exchange counts as an interaction with the member who answers; when that is another member than the one of the
-- conversation, its coordinator has routed the question.
CREATE FUNCTION "answer_message"("p_id" text, "p_input" jsonb) RETURNS "messages"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  talk conversations := lock_conversation(p_input ->> 'conversationId', p_input ->> 'userId');
  asked messages;
  it messages;
  met family_interactions;
  coordinator text;
BEGIN
  SELECT * INTO it FROM messages WHERE conversation_id = talk.id AND answers = (p_input ->> 'position')::integer;
  IF FOUND THEN
    RETURN it;
  END IF;
  PERFORM demand_open(talk);
  SELECT * INTO asked FROM messages WHERE conversation_id = talk.id AND position = (p_input ->> 'position')::integer;
  IF asked.id IS NULL OR asked.role <> 'user' THEN
    PERFORM refuse('message_not_found', jsonb_build_object('conversationId', talk.id));
  END IF;
  it.id := p_id;
  it.role := 'member';
  it.member_id := (member_of(coalesce(p_input ->> 'memberId', talk.member_id), true)).id;
  it.content := p_input ->> 'content';
  it.sentiment := (p_input ->> 'sentiment')::float8;
  it.mood := coalesce((p_input ->> 'mood')::mood, talk.mood);
  it.answers := asked.position;
  it := add_message(talk, it);

  met.id := p_id || '-met';
  met.user_id := talk.user_id;
  met.member_id := it.member_id;
  met.conversation_id := talk.id;
  met.kind := (p_input ->> 'kind')::interaction_kind;
  met.mood := it.mood;
  met.sentiment := asked.sentiment;
  PERFORM add_interaction(met);
  IF it.member_id <> talk.member_id THEN
    SELECT r.member_id INTO coordinator FROM family_relationships AS r WHERE r.kind = 'coordinator' AND r.relative_id = it.member_id
    ORDER BY r.member_id LIMIT 1;
    IF coordinator <> talk.member_id THEN
      met.id := p_id || '-routed';
      met.member_id := coordinator;
      met.kind := 'routing';
      met.mood := 'neutral';
      met.sentiment := NULL;
      PERFORM add_interaction(met);
    END IF;
  END IF;
  RETURN it;
END
$$;

-- Records an interaction that is no exchange of a conversation, once per user and key.
CREATE FUNCTION "record_interaction"("p_key" text, "p_id" text, "p_input" jsonb) RETURNS "family_interactions"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  hash text := encode(sha256(convert_to((p_input - 'sentiment')::text, 'UTF8')), 'hex');
  it family_interactions;
BEGIN
  PERFORM lock_user(p_input ->> 'userId');
  SELECT * INTO it FROM family_interactions WHERE user_id = p_input ->> 'userId' AND idempotency_key = p_key;
  IF FOUND THEN
    IF it.body_hash <> hash THEN
      PERFORM refuse('key_reused', '{}');
    END IF;
    RETURN it;
  END IF;
  it.id := p_id;
  it.user_id := p_input ->> 'userId';
  it.member_id := (member_of(p_input ->> 'memberId', true)).id;
  it.kind := (p_input ->> 'kind')::interaction_kind;
  it.mood := coalesce((p_input ->> 'mood')::mood, 'neutral');
  it.sentiment := (p_input ->> 'sentiment')::float8;
  it.metadata := p_input -> 'metadata';
  it.idempotency_key := p_key;
  it.body_hash := hash;
  RETURN add_interaction(it);
END
$$;

-- The course of an affinity, at the given times. It counts the interactions before each time.
CREATE FUNCTION "affinity_course"("p_user" text, "p_member" text, "p_times" timestamptz[])
RETURNS TABLE ("at" timestamptz, "score" double precision, "interactions" integer)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT t.at, affinity_score(coalesce(sum(i.sentiment * fading(t.at - i.created_at)), 0),
      coalesce(sum(fading(t.at - i.created_at)) FILTER (WHERE i.sentiment IS NOT NULL), 0), interval '0'), count(i.id)::integer
  FROM unnest(p_times) AS t (at)
  LEFT JOIN family_interactions AS i ON i.user_id = p_user AND i.member_id = p_member AND i.created_at <= t.at
  GROUP BY t.at ORDER BY t.at
$$;

-- Memory -------------------------------------------------------------------------------------------------------------

-- The messages of a user that fit the text best, the best first, without those of a conversation from a position on.
-- A message scores for each word by BM25 (Robertson and Zaragoza 2009; k1 = 1.2, b = 0.5, and a word counts once). A word that the
-- user never wrote stands for the words of the user that look like it. The answer of a user to a question of a member has half of the
-- score of the question. The rarest words come first, and common ones only while the words have no more than 4,000 messages together.
CREATE FUNCTION "search_memories"("p_user" text, "p_text" text, "p_conversation" text, "p_before" integer, "p_limit" integer)
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

-- Everything that an answer to a message depends on, as of one moment: the conversation, the member who answers with its relatives, what
-- was said last, what the user said before that fits the message, and the affinity. What was said last ends with the message; it is at
-- most p_recent messages and p_bytes bytes long, and has nothing that the summary covers.
CREATE FUNCTION "conversation_context"("p_id" text, "p_user" text, "p_member" text, "p_position" integer, "p_recent" integer,
  "p_bytes" integer, "p_memories" integer) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  talk conversations;
  asked messages;
  who family_members;
  first_recent integer;
BEGIN
  SELECT * INTO talk FROM conversations WHERE id = p_id AND user_id = p_user;
  IF NOT FOUND THEN
    PERFORM refuse('conversation_not_found', jsonb_build_object('conversationId', p_id));
  END IF;
  SELECT * INTO asked FROM messages WHERE conversation_id = p_id AND position = p_position AND role = 'user';
  IF NOT FOUND THEN
    PERFORM refuse('message_not_found', jsonb_build_object('conversationId', p_id));
  END IF;
  who := member_of(coalesce(p_member, talk.member_id), false);
  SELECT coalesce(min(r.position), p_position) INTO first_recent FROM (
    SELECT m.position, sum(octet_length(m.content)) OVER (ORDER BY m.position DESC) AS bytes FROM messages AS m
    WHERE m.conversation_id = p_id AND m.position <= p_position AND m.position > p_position - p_recent
      AND m.position > talk.summarized_to
  ) AS r WHERE r.bytes <= p_bytes;
  RETURN jsonb_build_object(
    'conversation', to_jsonb(talk), 'member', to_jsonb(who),
    'relatives', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', r.name, 'role', r.role, 'relation', t.relation)
      ORDER BY t.relation, r.name), '[]') FROM ties_of(who.id) AS t JOIN family_members AS r ON r.id = t.relative_id WHERE r.is_active),
    'recent', (SELECT jsonb_agg(to_jsonb(m) - 'search' ORDER BY m.position) FROM messages AS m
      WHERE m.conversation_id = p_id AND m.position BETWEEN first_recent AND p_position),
    'memories', (SELECT coalesce(jsonb_agg(jsonb_build_object('message', to_jsonb(m) - 'search', 'score', f.score)
      ORDER BY f.score DESC, m.id), '[]')
      FROM search_memories(p_user, asked.content, p_id, first_recent, p_memories) AS f JOIN messages AS m ON m.id = f.message_id),
    'affinity', coalesce((SELECT affinity_score(a.warmth, a.weight, database_time() - a.as_of) FROM affinities AS a
      WHERE a.user_id = p_user AND a.member_id = who.id), 0));
END
$$;

-- The active member whose role, traits and background fit the text best, or null.
CREATE FUNCTION "suggest_member"("p_text" text) RETURNS SETOF "family_members"
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  WITH asked AS (
    SELECT word FROM words_of(to_tsvector('english', left(p_text, 2000))) AS word
  ), known AS (
    SELECT m.id, setweight(to_tsvector('english', m.role || ' ' || array_to_string(m.traits, ' ')), 'A')
      || setweight(to_tsvector('english', m.background), 'B') AS words FROM family_members AS m WHERE m.is_active
  ), scored AS (
    SELECT k.id, sum(ts_rank(k.words, query_term(a.word))
      / (SELECT count(*) FROM known AS o WHERE o.words @@ query_term(a.word))) AS score
    FROM known AS k JOIN asked AS a ON k.words @@ query_term(a.word) GROUP BY k.id
  )
  SELECT m.* FROM scored AS s JOIN family_members AS m ON m.id = s.id ORDER BY s.score DESC, m.slug LIMIT 1
$$;

-- Persons ------------------------------------------------------------------------------------------------------------

-- Everything about a person, as one JSON object of lists of rows.
CREATE FUNCTION "export_person"("p_user" text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
  SELECT jsonb_build_object(
    'conversations', (SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.created_at, c.id), '[]') FROM conversations AS c WHERE c.user_id = p_user),
    'messages', (SELECT coalesce(jsonb_agg(to_jsonb(m) - 'search' ORDER BY c.created_at, c.id, m.position), '[]')
      FROM conversations AS c JOIN messages AS m ON m.conversation_id = c.id WHERE c.user_id = p_user),
    'interactions', (SELECT coalesce(jsonb_agg(to_jsonb(i) ORDER BY i.created_at, i.id), '[]') FROM family_interactions AS i WHERE i.user_id = p_user),
    'affinities', (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.member_id), '[]') FROM affinities AS a WHERE a.user_id = p_user),
    'memoryWords', (SELECT coalesce(jsonb_agg(to_jsonb(w) ORDER BY w.word), '[]') FROM memory_words AS w WHERE w.user_id = p_user),
    'auditLogs', (SELECT coalesce(jsonb_agg(to_jsonb(l) ORDER BY l.created_at, l.id), '[]') FROM audit_logs AS l WHERE l.user_id = p_user))
$$;

-- Deletes the conversations, messages and interactions of a person; the triggers delete the words and the affinities with them.
CREATE FUNCTION "erase_person"("p_user" text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  found_messages integer;
  found_conversations integer;
  found_interactions integer;
BEGIN
  PERFORM lock_user(p_user);
  PERFORM FROM conversations WHERE user_id = p_user ORDER BY id FOR UPDATE;
  SELECT coalesce(sum(message_count), 0) INTO found_messages FROM conversations WHERE user_id = p_user;
  DELETE FROM family_interactions WHERE user_id = p_user;
  GET DIAGNOSTICS found_interactions = ROW_COUNT;
  DELETE FROM conversations WHERE user_id = p_user;
  GET DIAGNOSTICS found_conversations = ROW_COUNT;
  RETURN jsonb_build_object('conversations', found_conversations, 'messages', found_messages, 'interactions', found_interactions);
END
$$;
