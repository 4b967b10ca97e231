-- Why: agent becomes a store. A conversation numbers its messages, so that two of them never share a place; messages can be found by
-- the words of their owner; a request that is sent twice takes effect once.
-- Locks: ACCESS EXCLUSIVE on conversations and messages until the end. The new columns of messages rewrite the table: about 30 s for
-- a million messages.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Tells the time of every rule of this database, so that no client's clock counts. It reads the clock when it is called: a rule that
-- waited for a lock is judged at the time at which it holds the lock. Only the administrator can replace it, as tests do.
CREATE FUNCTION "database_time"() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT pg_catalog.clock_timestamp() $$;

-- The rule that rejects a call, and its facts as JSON.
CREATE FUNCTION "refuse"("p_rule" text, "p_facts" jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'AZ001', MESSAGE = p_rule, DETAIL = p_facts::text;
END
$$;

-- Rejects a change of status that the trigger does not list as "from>to".
CREATE FUNCTION "check_transition"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT (OLD.status::text || '>' || NEW.status::text) = ANY (string_to_array(TG_ARGV[1], ' ')) THEN
    PERFORM refuse('illegal_transition', jsonb_build_object('what', TG_ARGV[0], 'id', NEW.id, 'from', OLD.status, 'to', NEW.status));
  END IF;
  RETURN NULL;
END
$$;

-- CreateTable
CREATE TABLE "requests" (
    "key" VARCHAR(200) NOT NULL,
    "operation" VARCHAR(50) NOT NULL,
    "body_hash" CHAR(64) NOT NULL,
    "answer_id" TEXT NOT NULL,
    "user_id" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "requests_pkey" PRIMARY KEY ("key"),
    CONSTRAINT "requests_key_check" CHECK (btrim("key") <> ''),
    CONSTRAINT "requests_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);
CREATE INDEX "requests_user_id_idx" ON "requests"("user_id");
CREATE INDEX "requests_created_at_idx" ON "requests"("created_at");

-- Conversations ------------------------------------------------------------------------------------------------------

-- lint-ignore constraint-missing-not-valid: the table is locked by this migration already
ALTER TABLE "conversations"
  ADD COLUMN "archived_at" TIMESTAMPTZ(6),
  ADD COLUMN "last_position" INTEGER NOT NULL DEFAULT 0,
  DROP CONSTRAINT "conversations_times_check",
  ADD CONSTRAINT "conversations_last_position_check" CHECK ("last_position" >= 0),
  ADD CONSTRAINT "conversations_times_check" CHECK (
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
    "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800) AND
    "archived_at" >= to_timestamp(-62135596800) AND "archived_at" < to_timestamp(253402300800)
  );
UPDATE "conversations" SET "last_position" = counted."messages" FROM (
  SELECT "conversation_id", count(*) AS "messages" FROM "messages" GROUP BY "conversation_id"
) AS counted WHERE counted."conversation_id" = "conversations"."id";
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "conversations_user_id_created_at_id_idx" ON "conversations"("user_id", "created_at", "id");

-- The owner decides who reads the messages, and the place of a message is given once.
CREATE FUNCTION "keep_conversation"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM refuse('conversation_fixed', jsonb_build_object('conversationId', OLD.id));
  RETURN NULL;
END
$$;
CREATE TRIGGER "conversations_fixed" BEFORE UPDATE ON "conversations" FOR EACH ROW
  WHEN (OLD."user_id" IS DISTINCT FROM NEW."user_id" OR OLD."last_position" > NEW."last_position")
  EXECUTE FUNCTION "keep_conversation"();

-- Messages -----------------------------------------------------------------------------------------------------------

-- The term by which the messages of an owner are found; messages of agents share one. The word parser never makes a term that begins
-- with #.
CREATE FUNCTION "user_term"("p_user" text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp AS $$ SELECT '#u:' || coalesce(md5(p_user), '') $$;

-- A term of a query, quoted as tsquery reads it.
CREATE FUNCTION "query_term"("p_term" text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT ('''' || replace(replace(p_term, '\', '\\'), '''', '''''') || '''')::tsquery
$$;

ALTER TABLE "messages"
  ADD COLUMN "position" INTEGER,
  ADD COLUMN "user_id" TEXT;
UPDATE "messages" SET "position" = numbered."position", "user_id" = numbered."user_id" FROM (
  SELECT m."id", c."user_id", row_number() OVER (PARTITION BY m."conversation_id" ORDER BY m."created_at", m."id") AS "position"
  FROM "messages" AS m JOIN "conversations" AS c ON c."id" = m."conversation_id"
) AS numbered WHERE numbered."id" = "messages"."id";
-- A tsvector has at most 1 MB: the words beyond 100,000 characters are not found.
-- lint-ignore adding-not-nullable-field: the table is locked by this migration already, and every row has a position
-- lint-ignore adding-field-with-default: PostgreSQL computes a generated column itself, in this rewrite
-- lint-ignore constraint-missing-not-valid: the table is locked by this migration already
ALTER TABLE "messages"
  ALTER COLUMN "position" SET NOT NULL,
  ADD COLUMN "search" tsvector GENERATED ALWAYS AS (
    to_tsvector('english', left("content", 100000)) || array_to_tsvector(ARRAY["user_term"("user_id")])
  ) STORED,
  ADD CONSTRAINT "messages_position_check" CHECK ("position" >= 1);
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE UNIQUE INDEX "messages_conversation_id_position_key" ON "messages"("conversation_id", "position");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "messages_user_id_idx" ON "messages"("user_id");
-- Without a list of pending entries, which every search would read.
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "messages_search_idx" ON "messages" USING GIN ("search") WITH (fastupdate = off);

-- Gives a message the owner of its conversation and the next place in it. The update locks the conversation until the end, so that
-- messages that are added at the same time get places one after the other. A given place, as of the seed, is kept.
CREATE FUNCTION "place_message"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE conversations SET
    last_position = greatest(last_position, coalesce(NEW.position, last_position + 1)),
    updated_at = CASE WHEN NEW.position IS NULL THEN greatest(updated_at, NEW.created_at) ELSE updated_at END
  WHERE id = NEW.conversation_id
  RETURNING user_id, coalesce(NEW.position, last_position) INTO NEW.user_id, NEW.position;
  -- Without a conversation, the foreign key rejects the message, for a reason that a client knows.
  NEW.position := coalesce(NEW.position, 1);
  RETURN NEW;
END
$$;
CREATE TRIGGER "messages_place" BEFORE INSERT ON "messages" FOR EACH ROW EXECUTE FUNCTION "place_message"();

-- What was said stays as it was said.
CREATE FUNCTION "keep_message"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM refuse('message_fixed', jsonb_build_object('messageId', OLD.id));
  RETURN NULL;
END
$$;
CREATE TRIGGER "messages_fixed" BEFORE UPDATE ON "messages" FOR EACH ROW
  WHEN ((OLD."conversation_id", OLD."position", OLD."user_id", OLD."role", OLD."content")
    IS DISTINCT FROM (NEW."conversation_id", NEW."position", NEW."user_id", NEW."role", NEW."content"))
  EXECUTE FUNCTION "keep_message"();

-- Messages of a person that match a query as people type it into a search engine, the newest first, before a time and an id. Only
-- stop words match nothing. The planner cannot know how rare a word is, and would at times read the messages of everybody; the
-- settings leave it the GIN index.
CREATE FUNCTION "search_messages"(
  "p_user" text, "p_text" text, "p_conversation" uuid, "p_before" timestamptz, "p_before_id" uuid, "p_limit" integer
) RETURNS SETOF "messages" LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  wanted tsquery := websearch_to_tsquery('english', p_text);
BEGIN
  IF numnode(wanted) = 0 OR p_user IS NULL THEN
    RETURN;
  END IF;
  wanted := wanted && query_term(user_term(p_user));
  RETURN QUERY
    WITH hits AS MATERIALIZED (
      SELECT * FROM messages
      WHERE search @@ wanted AND user_id = p_user AND (p_conversation IS NULL OR conversation_id = p_conversation)
        AND (p_before IS NULL OR (created_at, id) < (p_before, p_before_id))
    )
    SELECT * FROM hits ORDER BY created_at DESC, id DESC LIMIT p_limit;
END
$$;

-- Chat ---------------------------------------------------------------------------------------------------------------

-- lint-ignore index-not-concurrent: the chat is small, and the migration is one transaction
CREATE INDEX "chat_messages_session_id_id_idx" ON "chat_messages"("session_id", "id");
