-- Tutoring sessions: their state machine, messages that are appended whole or streamed in chunks, and counts of messages and tokens
-- that follow from the messages.
-- Locks: ACCESS EXCLUSIVE on tutoring_sessions and messages for the columns; existing messages are counted while it is held.

SET LOCAL lock_timeout = '5s';

CREATE TYPE "message_status" AS ENUM ('streaming', 'complete', 'cancelled');

ALTER TABLE "tutoring_sessions"
  ADD COLUMN "resumed_at" TIMESTAMPTZ(6)
    CONSTRAINT "tutoring_sessions_resumed_at_check" CHECK ("resumed_at" >= "started_at"
      AND "resumed_at" >= to_timestamp(-62135596800) AND "resumed_at" < to_timestamp(253402300800)),
  ADD COLUMN "active_seconds" DECIMAL(16,6) NOT NULL DEFAULT 0
    CONSTRAINT "tutoring_sessions_active_seconds_check" CHECK ("active_seconds" >= 0 AND "active_seconds" < 'NaN'),
  ADD COLUMN "message_count" INTEGER NOT NULL DEFAULT 0 CONSTRAINT "tutoring_sessions_message_count_check" CHECK ("message_count" >= 0),
  ADD COLUMN "token_count" BIGINT NOT NULL DEFAULT 0 CONSTRAINT "tutoring_sessions_token_count_check" CHECK ("token_count" >= 0);

ALTER TABLE "messages"
  ADD COLUMN "status" "message_status" NOT NULL DEFAULT 'complete',
  ADD COLUMN "tokens" INTEGER NOT NULL DEFAULT 0 CONSTRAINT "messages_tokens_check" CHECK ("tokens" BETWEEN 0 AND 100000000);
ALTER TABLE "messages" DROP CONSTRAINT "messages_content_check";
-- lint-ignore constraint-missing-not-valid: the new columns have locked the table already
ALTER TABLE "messages" ADD CONSTRAINT "messages_content_check"
  CHECK (CASE "status" WHEN 'complete' THEN btrim("content") <> '' ELSE "content" = '' END);

CREATE TABLE "message_chunks" (
  "message_id" TEXT NOT NULL,
  "number" INTEGER NOT NULL,
  "content" TEXT NOT NULL,
  "tokens" INTEGER NOT NULL DEFAULT 0,
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "message_chunks_pkey" PRIMARY KEY ("message_id", "number"),
  CONSTRAINT "message_chunks_message_id_fkey" FOREIGN KEY ("message_id") REFERENCES "messages" ("id")
    ON DELETE CASCADE ON UPDATE RESTRICT,
  CONSTRAINT "message_chunks_number_check" CHECK ("number" BETWEEN 1 AND 10000),
  CONSTRAINT "message_chunks_content_check" CHECK ("content" <> ''),
  CONSTRAINT "message_chunks_tokens_check" CHECK ("tokens" BETWEEN 0 AND 10000),
  CONSTRAINT "message_chunks_times_check" CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);

UPDATE "tutoring_sessions" AS s SET "message_count" = n.count
FROM (SELECT "session_id", count(*) AS count FROM "messages" GROUP BY "session_id") AS n WHERE n."session_id" = s."id";

CREATE TRIGGER "tutoring_sessions_transition" BEFORE UPDATE OF "status" ON "tutoring_sessions" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status")
  EXECUTE FUNCTION "check_transition"('active>paused', 'paused>active', 'active>completed', 'paused>completed', 'active>abandoned',
    'paused>abandoned');
CREATE TRIGGER "messages_transition" BEFORE UPDATE OF "status" ON "messages" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status")
  EXECUTE FUNCTION "check_transition"('streaming>complete', 'streaming>cancelled');

-- A session counts its messages and their tokens, whoever writes them.
CREATE FUNCTION "count_messages"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    UPDATE tutoring_sessions SET message_count = message_count - 1, token_count = token_count - OLD.tokens WHERE id = OLD.session_id;
  END IF;
  IF TG_OP <> 'DELETE' THEN
    UPDATE tutoring_sessions SET message_count = message_count + 1, token_count = token_count + NEW.tokens WHERE id = NEW.session_id;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER "messages_counted" AFTER INSERT OR DELETE OR UPDATE OF "session_id", "tokens" ON "messages" FOR EACH ROW
  EXECUTE FUNCTION "count_messages"();

-- A chunk belongs to a message that is still streaming.
CREATE FUNCTION "check_chunk"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM messages WHERE id = NEW.message_id AND status <> 'streaming') THEN
    PERFORM refuse('message_ended', jsonb_build_object('messageId', NEW.message_id));
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "message_chunks_streaming" BEFORE INSERT OR UPDATE ON "message_chunks" FOR EACH ROW EXECUTE FUNCTION "check_chunk"();

CREATE FUNCTION "lock_session"("p_id" text) RETURNS tutoring_sessions LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  target tutoring_sessions;
BEGIN
  PERFORM lock_known_student((SELECT student_id FROM tutoring_sessions WHERE id = p_id), 'session_not_found',
    jsonb_build_object('sessionId', p_id));
  SELECT * INTO target FROM tutoring_sessions WHERE id = p_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('session_not_found', jsonb_build_object('sessionId', p_id));
  END IF;
  RETURN target;
END
$$;

-- Messages are appended to an active session.
CREATE FUNCTION "lock_active_session"("p_id" text) RETURNS tutoring_sessions LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  session tutoring_sessions := lock_session(p_id);
BEGIN
  IF session.status <> 'active' THEN
    PERFORM refuse('session_not_active', jsonb_build_object('sessionId', p_id, 'status', session.status));
  END IF;
  RETURN session;
END
$$;

CREATE FUNCTION "touch_profile"("p_student_id" text, "p_at" timestamptz) RETURNS void LANGUAGE sql
SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE student_profiles SET last_active_at = greatest(last_active_at, p_at), updated_at = p_at WHERE student_id = p_student_id
$$;

CREATE FUNCTION "require_no_active_session"("p_student_id" text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  other text := (SELECT id FROM tutoring_sessions WHERE student_id = p_student_id AND status = 'active');
BEGIN
  IF other IS NOT NULL THEN
    PERFORM refuse('session_active', jsonb_build_object('sessionId', other));
  END IF;
END
$$;

CREATE FUNCTION "start_session"("p_key" text, "p_hash" text, "p_id" text, "p_student_id" text, "p_topic" text, "p_course_id" text)
RETURNS SETOF tutoring_sessions LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier text := begin_request(p_key, 'startSession', p_hash, p_id, p_student_id);
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM tutoring_sessions WHERE id = earlier;
    RETURN;
  END IF;
  PERFORM lock_student(p_student_id);
  PERFORM require_no_active_session(p_student_id);
  at := database_time();
  INSERT INTO tutoring_sessions (id, student_id, course_id, topic, started_at, created_at, updated_at)
    VALUES (p_id, p_student_id, p_course_id, p_topic, at, at, at);
  PERFORM touch_profile(p_student_id, at);
  PERFORM emit('session-started', p_student_id, jsonb_build_object('sessionId', p_id), at);
  RETURN QUERY SELECT * FROM tutoring_sessions WHERE id = p_id;
END
$$;

-- A streamed message ends with what was streamed; one without text is cancelled.
CREATE FUNCTION "end_message"("p_id" text, "p_confidence" double precision, "p_at" timestamptz) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  streamed text;
  streamed_tokens bigint;
BEGIN
  SELECT string_agg(content, '' ORDER BY number), sum(c.tokens) INTO streamed, streamed_tokens FROM message_chunks AS c
    WHERE message_id = p_id;
  IF streamed ~ '\S' THEN
    UPDATE messages SET status = 'complete', content = streamed, tokens = streamed_tokens, confidence = p_confidence, updated_at = p_at
      WHERE id = p_id;
  ELSE
    UPDATE messages SET status = 'cancelled', updated_at = p_at WHERE id = p_id;
  END IF;
  DELETE FROM message_chunks WHERE message_id = p_id;
END
$$;

-- Pauses, resumes, completes or abandons. The time until a pause counts, the time after it does not.
CREATE FUNCTION "change_session_status"("p_id" text, "p_status" session_status, "p_summary" text) RETURNS SETOF tutoring_sessions
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  session tutoring_sessions := lock_session(p_id);
  streaming text;
  at timestamptz;
BEGIN
  IF session.status = p_status THEN
    RETURN NEXT session;
    RETURN;
  ELSIF p_status = 'active' AND session.status = 'paused' THEN
    PERFORM require_no_active_session(session.student_id);
  END IF;
  -- A clock that went back ends nothing before it began.
  at := greatest(database_time(), session.started_at, session.resumed_at);
  IF session.status = 'active' THEN
    session.active_seconds := session.active_seconds
      + round(extract(epoch FROM at - coalesce(session.resumed_at, session.started_at)), 6);
  END IF;
  IF p_status IN ('completed', 'abandoned') THEN
    FOR streaming IN SELECT id FROM messages WHERE session_id = p_id AND status = 'streaming' ORDER BY position LOOP
      PERFORM end_message(streaming, NULL, at);
    END LOOP;
  END IF;
  UPDATE tutoring_sessions SET status = p_status, updated_at = at, active_seconds = session.active_seconds,
    resumed_at = CASE WHEN p_status = 'active' THEN at END,
    ended_at = CASE WHEN p_status IN ('completed', 'abandoned') THEN at END,
    duration_minutes = CASE WHEN p_status IN ('completed', 'abandoned') THEN ceil(session.active_seconds / 60) END,
    summary = coalesce(p_summary, summary)
  WHERE id = p_id RETURNING * INTO session;
  PERFORM touch_profile(session.student_id, at);
  IF session.ended_at IS NOT NULL THEN
    PERFORM emit('session-ended', session.student_id, jsonb_build_object('sessionId', p_id, 'status', p_status,
      'durationMinutes', session.duration_minutes), at);
  END IF;
  RETURN NEXT session;
END
$$;

CREATE FUNCTION "rate_session"("p_id" text, "p_rating" integer) RETURNS SETOF tutoring_sessions
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  session tutoring_sessions := lock_session(p_id);
BEGIN
  IF session.ended_at IS NULL THEN
    PERFORM refuse('session_not_ended', jsonb_build_object('sessionId', p_id, 'status', session.status));
  END IF;
  RETURN QUERY UPDATE tutoring_sessions SET rating = p_rating, updated_at = database_time() WHERE id = p_id RETURNING *;
END
$$;

-- Appends a whole message, or one that is streamed when "p_content" is null. The lock of the session numbers the messages.
CREATE FUNCTION "append_message"(
  "p_key" text, "p_hash" text, "p_id" text, "p_session_id" text, "p_role" message_role, "p_content" text, "p_tokens" integer,
  "p_confidence" double precision
) RETURNS SETOF messages LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier text := begin_request(p_key, 'appendMessage', p_hash, p_id,
    (SELECT student_id FROM tutoring_sessions WHERE id = p_session_id));
  session tutoring_sessions;
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM messages WHERE id = earlier;
    RETURN;
  END IF;
  session := lock_active_session(p_session_id);
  at := database_time();
  INSERT INTO messages (id, session_id, position, role, content, status, tokens, confidence, created_at, updated_at)
    VALUES (p_id, p_session_id, (SELECT coalesce(max(position), 0) + 1 FROM messages WHERE session_id = p_session_id), p_role,
      coalesce(p_content, ''), CASE WHEN p_content IS NULL THEN 'streaming' ELSE 'complete' END::message_status,
      CASE WHEN p_content IS NULL THEN 0 ELSE p_tokens END, p_confidence, at, at);
  IF p_role = 'student' THEN
    PERFORM touch_profile(session.student_id, at);
  END IF;
  RETURN QUERY SELECT * FROM messages WHERE id = p_id;
END
$$;

CREATE FUNCTION "lock_message"("p_id" text) RETURNS messages LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  target messages;
BEGIN
  PERFORM lock_known_student((SELECT s.student_id FROM messages AS m JOIN tutoring_sessions AS s ON s.id = m.session_id WHERE m.id = p_id),
    'message_not_found', jsonb_build_object('messageId', p_id));
  SELECT * INTO target FROM messages WHERE id = p_id;
  IF NOT FOUND THEN
    PERFORM refuse('message_not_found', jsonb_build_object('messageId', p_id));
  END IF;
  RETURN target;
END
$$;

-- Chunks arrive in their order, each once: a repeated chunk changes nothing.
CREATE FUNCTION "append_chunk"("p_message_id" text, "p_number" integer, "p_content" text, "p_tokens" integer) RETURNS SETOF message_chunks
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  message messages := lock_message(p_message_id);
  earlier message_chunks;
  last integer;
BEGIN
  IF message.status <> 'streaming' THEN
    PERFORM refuse('message_ended', jsonb_build_object('messageId', p_message_id));
  END IF;
  SELECT * INTO earlier FROM message_chunks WHERE message_id = p_message_id AND number = p_number;
  IF FOUND AND earlier.content = p_content AND earlier.tokens = p_tokens THEN
    RETURN NEXT earlier;
    RETURN;
  END IF;
  SELECT coalesce(max(number), 0) INTO last FROM message_chunks WHERE message_id = p_message_id;
  IF p_number <> last + 1 THEN
    PERFORM refuse('chunk_order', jsonb_build_object('messageId', p_message_id, 'next', last + 1));
  END IF;
  RETURN QUERY INSERT INTO message_chunks (message_id, number, content, tokens, created_at)
    VALUES (p_message_id, p_number, p_content, p_tokens, database_time()) RETURNING *;
END
$$;

CREATE FUNCTION "finish_message"("p_id" text, "p_confidence" double precision) RETURNS SETOF messages
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  message messages := lock_message(p_id);
BEGIN
  IF message.status = 'streaming' THEN
    PERFORM end_message(p_id, p_confidence, database_time());
  END IF;
  RETURN QUERY SELECT * FROM messages WHERE id = p_id;
END
$$;

CREATE FUNCTION "record_insight"(
  "p_key" text, "p_hash" text, "p_id" text, "p_session_id" text, "p_kind" insight_kind, "p_topic" text, "p_content" text,
  "p_confidence" double precision
) RETURNS SETOF learning_insights LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier text := begin_request(p_key, 'recordInsight', p_hash, p_id,
    (SELECT student_id FROM tutoring_sessions WHERE id = p_session_id));
  session tutoring_sessions;
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM learning_insights WHERE id = earlier;
    RETURN;
  END IF;
  session := lock_session(p_session_id);
  at := database_time();
  INSERT INTO learning_insights (id, session_id, kind, topic, content, confidence, created_at, updated_at)
    VALUES (p_id, p_session_id, p_kind, p_topic, p_content, p_confidence, at, at);
  PERFORM refresh_profile(session.student_id, at);
  PERFORM emit('insight-recorded', session.student_id, jsonb_build_object('insightId', p_id, 'sessionId', p_session_id, 'kind', p_kind), at);
  RETURN QUERY SELECT * FROM learning_insights WHERE id = p_id;
END
$$;
