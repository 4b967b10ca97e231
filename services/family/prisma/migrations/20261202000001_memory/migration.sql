-- Why: family becomes a store. A conversation counts its messages, so that positions have no gaps; it has a summary and the mood that
-- follows from what the user says. Messages can be found among all messages of their user, also after a typing error. The affinity
-- between a user and a member follows from their interactions. The relationships of the members cannot contradict each other.
-- Locks: ACCESS EXCLUSIVE on conversations, messages and family_interactions until the end. The new columns of messages rewrite the
-- table: about 30 s for a million messages.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- The similarity of words. The owner of a database may create the extension: it is trusted.
CREATE EXTENSION IF NOT EXISTS "pg_trgm";

-- Tells the time of every rule of this database, so that no client's clock counts. Only the administrator can replace it.
CREATE FUNCTION "database_time"() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT pg_catalog.clock_timestamp() $$;

-- The rule that rejects a call, and its facts as JSON.
CREATE FUNCTION "refuse"("p_rule" text, "p_facts" jsonb) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'AZ001', MESSAGE = p_rule, DETAIL = p_facts::text;
END
$$;

-- Conversations ------------------------------------------------------------------------------------------------------

ALTER TABLE "conversations"
  ADD COLUMN "message_count" INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN "valence" DOUBLE PRECISION NOT NULL DEFAULT 0,
  ADD COLUMN "summary" TEXT,
  ADD COLUMN "summarized_to" INTEGER NOT NULL DEFAULT 0;
UPDATE "conversations" SET "message_count" = counted."messages" FROM (
  SELECT "conversation_id", count(*) AS "messages" FROM "messages" GROUP BY "conversation_id"
) AS counted WHERE counted."conversation_id" = "conversations"."id";
-- lint-ignore constraint-missing-not-valid: the table is locked by this migration already
ALTER TABLE "conversations"
  ADD CONSTRAINT "conversations_message_count_check" CHECK ("message_count" >= 0),
  ADD CONSTRAINT "conversations_valence_check" CHECK ("valence" BETWEEN -1 AND 1),
  ADD CONSTRAINT "conversations_summary_check" CHECK (btrim("summary") <> ''),
  ADD CONSTRAINT "conversations_summarized_to_check" CHECK (
    "summarized_to" BETWEEN 0 AND "message_count" AND ("summarized_to" = 0) = ("summary" IS NULL)
  );
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE UNIQUE INDEX "conversations_id_user_id_key" ON "conversations"("id", "user_id");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "conversations_user_id_created_at_id_idx" ON "conversations"("user_id", "created_at", "id");

-- An ended conversation stays as it is: nothing is said in it any more.
CREATE FUNCTION "keep_ended"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM refuse('conversation_ended', jsonb_build_object('conversationId', OLD.id, 'endedAt', OLD.ended_at));
  RETURN NULL;
END
$$;
CREATE TRIGGER "conversations_ended" BEFORE UPDATE ON "conversations" FOR EACH ROW
  WHEN (OLD."ended_at" IS NOT NULL AND (OLD."ended_at" IS DISTINCT FROM NEW."ended_at" OR OLD."message_count" <> NEW."message_count"))
  EXECUTE FUNCTION "keep_ended"();

-- Messages -----------------------------------------------------------------------------------------------------------

-- The term by which the messages of a user are found. The word parser never makes a term that begins with #.
CREATE FUNCTION "user_term"("p_user" text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp AS $$ SELECT '#u:' || md5(p_user) $$;

-- A term of a query, quoted as tsquery reads it.
CREATE FUNCTION "query_term"("p_term" text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT ('''' || replace(replace(p_term, '\', '\\'), '''', '''''') || '''')::tsquery
$$;

ALTER TABLE "messages"
  ADD COLUMN "user_id" TEXT,
  ADD COLUMN "answers" INTEGER,
  ADD COLUMN "idempotency_key" VARCHAR(200),
  ADD COLUMN "body_hash" CHAR(64);
UPDATE "messages" SET "user_id" = c."user_id" FROM "conversations" AS c WHERE c."id" = "messages"."conversation_id";
-- lint-ignore adding-not-nullable-field: the table is locked by this migration already, and every row has a user
-- lint-ignore adding-field-with-default: PostgreSQL computes a generated column itself, in this rewrite
ALTER TABLE "messages" ALTER COLUMN "user_id" SET NOT NULL,
  ADD COLUMN "search" tsvector GENERATED ALWAYS AS (
    to_tsvector('english', "content") || array_to_tsvector(ARRAY["user_term"("user_id")])
  ) STORED;
-- lint-ignore constraint-missing-not-valid: the table is locked by this migration already
ALTER TABLE "messages"
  ADD CONSTRAINT "messages_answers_check" CHECK ("answers" IS NULL OR ("role" = 'member' AND "answers" >= 1 AND "answers" < "position")),
  ADD CONSTRAINT "messages_body_hash_check" CHECK ("body_hash" ~ '^[0-9a-f]{64}$'),
  ADD CONSTRAINT "messages_idempotency_key_check" CHECK (
    "idempotency_key" IS NULL OR (btrim("idempotency_key") <> '' AND "body_hash" IS NOT NULL)
  );
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE UNIQUE INDEX "messages_conversation_id_idempotency_key_key" ON "messages"("conversation_id", "idempotency_key");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE UNIQUE INDEX "messages_conversation_id_answers_key" ON "messages"("conversation_id", "answers");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "messages_conversation_id_user_id_idx" ON "messages"("conversation_id", "user_id");
-- Without a list of pending entries, which every search would read.
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "messages_search_idx" ON "messages" USING GIN ("search") WITH (fastupdate = off);
-- The user of a message is the user of its conversation.
-- lint-ignore adding-foreign-key-constraint: the table is locked by this migration already
ALTER TABLE "messages" DROP CONSTRAINT "messages_conversation_id_fkey",
  ADD CONSTRAINT "messages_conversation_id_fkey" FOREIGN KEY ("conversation_id", "user_id")
    REFERENCES "conversations"("id", "user_id") ON DELETE CASCADE ON UPDATE CASCADE;
-- lint-ignore adding-foreign-key-constraint: the table is locked by this migration already
ALTER TABLE "messages" ADD CONSTRAINT "messages_answers_fkey" FOREIGN KEY ("conversation_id", "answers")
  REFERENCES "messages"("conversation_id", "position") ON DELETE CASCADE ON UPDATE CASCADE;

-- What was said stays as it was said.
CREATE FUNCTION "keep_message"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM refuse('message_fixed', jsonb_build_object('messageId', OLD.id));
  RETURN NULL;
END
$$;
CREATE TRIGGER "messages_fixed" BEFORE UPDATE ON "messages" FOR EACH ROW
  WHEN ((OLD."conversation_id", OLD."position", OLD."role", OLD."member_id", OLD."content", OLD."answers")
    IS DISTINCT FROM (NEW."conversation_id", NEW."position", NEW."role", NEW."member_id", NEW."content", NEW."answers"))
  EXECUTE FUNCTION "keep_message"();

-- Memory -------------------------------------------------------------------------------------------------------------

-- The words of a user, and in how many messages each occurs: a rare word says more about what is asked than a common one.
CREATE TABLE "memory_words" (
    "user_id" TEXT NOT NULL,
    "word" TEXT NOT NULL,
    "message_count" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "memory_words_pkey" PRIMARY KEY ("user_id", "word"),
    CONSTRAINT "memory_words_word_check" CHECK (char_length("word") BETWEEN 1 AND 64),
    CONSTRAINT "memory_words_message_count_check" CHECK ("message_count" >= 1),
    CONSTRAINT "memory_words_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
      "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800))
);

-- The words of a message that its user can be reminded by.
CREATE FUNCTION "words_of"("p_search" tsvector) RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT word FROM unnest(tsvector_to_array(p_search)) AS word WHERE char_length(word) <= 64 AND NOT starts_with(word, '#u:')
$$;

-- Keeps the words of the users in step with their messages, also when an administrator adds or deletes messages. Takes its rows in one order.
CREATE FUNCTION "count_words"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO memory_words AS w (user_id, word, message_count, created_at, updated_at)
    SELECT m.user_id, word, count(*), clock_timestamp(), clock_timestamp() FROM said AS m CROSS JOIN words_of(m.search) AS word
    GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (user_id, word) DO UPDATE SET message_count = w.message_count + excluded.message_count, updated_at = excluded.updated_at;
  ELSE
    WITH forgotten AS MATERIALIZED (
      SELECT m.user_id, word, count(*) AS messages FROM said AS m CROSS JOIN words_of(m.search) AS word GROUP BY 1, 2
    ), locked AS MATERIALIZED (
      SELECT w.user_id, w.word, w.message_count - f.messages AS messages FROM memory_words AS w
      JOIN forgotten AS f ON f.user_id = w.user_id AND f.word = w.word ORDER BY 1, 2 FOR UPDATE OF w
    ), gone AS (
      DELETE FROM memory_words AS w USING locked AS l WHERE w.user_id = l.user_id AND w.word = l.word AND l.messages <= 0
    )
    UPDATE memory_words AS w SET message_count = l.messages, updated_at = clock_timestamp()
    FROM locked AS l WHERE w.user_id = l.user_id AND w.word = l.word AND l.messages > 0;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER "messages_count_words_said" AFTER INSERT ON "messages" REFERENCING NEW TABLE AS said
  FOR EACH STATEMENT EXECUTE FUNCTION "count_words"();
CREATE TRIGGER "messages_count_words_deleted" AFTER DELETE ON "messages" REFERENCING OLD TABLE AS said
  FOR EACH STATEMENT EXECUTE FUNCTION "count_words"();

INSERT INTO "memory_words" ("user_id", "word", "message_count")
SELECT m."user_id", word, count(*) FROM "messages" AS m CROSS JOIN "words_of"(m."search") AS word GROUP BY 1, 2;

-- Affinity -----------------------------------------------------------------------------------------------------------

-- lint-ignore constraint-missing-not-valid: the new columns are empty
ALTER TABLE "family_interactions"
  ADD COLUMN "idempotency_key" VARCHAR(200),
  ADD COLUMN "body_hash" CHAR(64),
  ADD CONSTRAINT "family_interactions_body_hash_check" CHECK ("body_hash" ~ '^[0-9a-f]{64}$'),
  ADD CONSTRAINT "family_interactions_idempotency_key_check" CHECK (
    "idempotency_key" IS NULL OR (btrim("idempotency_key") <> '' AND "body_hash" IS NOT NULL)
  );
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE UNIQUE INDEX "family_interactions_user_id_idempotency_key_key" ON "family_interactions"("user_id", "idempotency_key");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "family_interactions_user_id_created_at_id_idx" ON "family_interactions"("user_id", "created_at", "id");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "family_interactions_user_id_member_id_created_at_idx" ON "family_interactions"("user_id", "member_id", "created_at");

-- Sums over the interactions of a user with a member, in which an interaction counts half after 30 days: of the sentiments (warmth)
-- and of the interactions that have one (weight), both as of the newest interaction.
CREATE TABLE "affinities" (
    "user_id" TEXT NOT NULL,
    "member_id" TEXT NOT NULL,
    "warmth" DOUBLE PRECISION NOT NULL,
    "weight" DOUBLE PRECISION NOT NULL,
    "interactions" INTEGER NOT NULL,
    "as_of" TIMESTAMPTZ(6) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "affinities_pkey" PRIMARY KEY ("user_id", "member_id"),
    CONSTRAINT "affinities_warmth_check" CHECK (
      "warmth" > '-Infinity' AND "warmth" < 'Infinity' AND abs("warmth") <= "weight" + 1e-6),
    CONSTRAINT "affinities_weight_check" CHECK ("weight" >= 0 AND "weight" < 'Infinity'),
    CONSTRAINT "affinities_interactions_check" CHECK ("interactions" >= 1),
    CONSTRAINT "affinities_times_check" CHECK (
      "as_of" >= to_timestamp(-62135596800) AND "as_of" < to_timestamp(253402300800) AND
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
      "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800))
);
CREATE INDEX "affinities_member_id_idx" ON "affinities"("member_id");
ALTER TABLE "affinities" ADD CONSTRAINT "affinities_member_id_fkey" FOREIGN KEY ("member_id") REFERENCES "family_members"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- How much an interaction counts after this time: half after 30 days.
CREATE FUNCTION "fading"("p_age" interval) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp AS $$
  -- 1,000 half-lives are 10^-301, which is still a number.
  SELECT 2 ^ -least(greatest(extract(epoch FROM p_age)::double precision / 2592000, -1000), 1000)
$$;

-- Between -1 and 1: the mean sentiment of the interactions, drawn to 0 as three neutral interactions would draw it.
CREATE FUNCTION "affinity_score"("p_warmth" double precision, "p_weight" double precision, "p_age" interval)
RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT CASE WHEN p_weight > 0 THEN p_warmth * fading(p_age) / (p_weight * fading(p_age) + 3) ELSE 0 END
$$;

-- The affinities of users and members, from all of their interactions. A null parameter does not restrict.
CREATE FUNCTION "replay_affinities"("p_user" text, "p_member" text) RETURNS TABLE (
  "user_id" text, "member_id" text, "warmth" double precision, "weight" double precision, "interactions" integer, "as_of" timestamptz
) LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT i.user_id, i.member_id, coalesce(sum(i.sentiment * fading(i.latest - i.created_at)), 0),
    coalesce(sum(fading(i.latest - i.created_at)) FILTER (WHERE i.sentiment IS NOT NULL), 0), count(*)::integer, i.latest
  FROM (
    SELECT *, max(created_at) OVER (PARTITION BY user_id, member_id) AS latest FROM family_interactions
    WHERE (p_user IS NULL OR user_id = p_user) AND (p_member IS NULL OR member_id = p_member)
  ) AS i GROUP BY i.user_id, i.member_id, i.latest
$$;

-- Keeps the affinities in step with the interactions. New ones are added to the sums, in any order of their times. After a deletion,
-- which is rare, the sums of what is left are computed anew, so that no rounding error stays.
CREATE FUNCTION "count_affinity"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO affinities AS a (user_id, member_id, warmth, weight, interactions, as_of, created_at, updated_at)
    SELECT n.user_id, n.member_id, coalesce(sum(n.sentiment * fading(l.as_of - n.created_at)), 0),
      coalesce(sum(fading(l.as_of - n.created_at)) FILTER (WHERE n.sentiment IS NOT NULL), 0), count(*), l.as_of,
      clock_timestamp(), clock_timestamp()
    FROM met AS n JOIN (SELECT user_id, member_id, max(created_at) AS as_of FROM met GROUP BY 1, 2) AS l
      ON l.user_id = n.user_id AND l.member_id = n.member_id
    GROUP BY n.user_id, n.member_id, l.as_of ORDER BY n.user_id, n.member_id
    ON CONFLICT (user_id, member_id) DO UPDATE SET
      warmth = a.warmth * fading(greatest(a.as_of, excluded.as_of) - a.as_of)
        + excluded.warmth * fading(greatest(a.as_of, excluded.as_of) - excluded.as_of),
      weight = a.weight * fading(greatest(a.as_of, excluded.as_of) - a.as_of)
        + excluded.weight * fading(greatest(a.as_of, excluded.as_of) - excluded.as_of),
      interactions = a.interactions + excluded.interactions, as_of = greatest(a.as_of, excluded.as_of), updated_at = excluded.updated_at;
  ELSE
    PERFORM FROM affinities AS a WHERE (a.user_id, a.member_id) IN (SELECT user_id, member_id FROM met)
    ORDER BY a.user_id, a.member_id FOR UPDATE;
    DELETE FROM affinities AS a WHERE (a.user_id, a.member_id) IN (SELECT user_id, member_id FROM met)
      AND NOT EXISTS (SELECT FROM family_interactions AS i WHERE i.user_id = a.user_id AND i.member_id = a.member_id);
    UPDATE affinities AS a SET warmth = r.warmth, weight = r.weight, interactions = r.interactions, as_of = r.as_of,
      updated_at = clock_timestamp()
    FROM (SELECT DISTINCT user_id, member_id FROM met) AS m CROSS JOIN replay_affinities(m.user_id, m.member_id) AS r
    WHERE a.user_id = r.user_id AND a.member_id = r.member_id;
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER "family_interactions_count_added" AFTER INSERT ON "family_interactions" REFERENCING NEW TABLE AS met
  FOR EACH STATEMENT EXECUTE FUNCTION "count_affinity"();
CREATE TRIGGER "family_interactions_count_deleted" AFTER DELETE ON "family_interactions" REFERENCING OLD TABLE AS met
  FOR EACH STATEMENT EXECUTE FUNCTION "count_affinity"();

-- Only the link to a conversation changes, when the conversation is deleted.
CREATE FUNCTION "keep_interaction"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM refuse('interaction_fixed', jsonb_build_object('interactionId', OLD.id));
  RETURN NULL;
END
$$;
CREATE TRIGGER "family_interactions_fixed" BEFORE UPDATE ON "family_interactions" FOR EACH ROW
  WHEN ((OLD."user_id", OLD."member_id", OLD."kind", OLD."sentiment", OLD."created_at")
    IS DISTINCT FROM (NEW."user_id", NEW."member_id", NEW."kind", NEW."sentiment", NEW."created_at"))
  EXECUTE FUNCTION "keep_interaction"();

INSERT INTO "affinities" ("user_id", "member_id", "warmth", "weight", "interactions", "as_of")
SELECT "user_id", "member_id", "warmth", "weight", "interactions", "as_of" FROM "replay_affinities"(NULL, NULL);

-- Relationships ------------------------------------------------------------------------------------------------------

-- The relationships of a member, or of all, in both directions, each as its member sees it: one row is stored, so the two directions
-- cannot disagree.
CREATE FUNCTION "ties_of"("p_member" text) RETURNS TABLE (
  "member_id" text, "relative_id" text, "relation" text, "created_at" timestamptz
) LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT r.member_id, r.relative_id, r.kind::text, r.created_at FROM family_relationships AS r
  WHERE p_member IS NULL OR r.member_id = p_member
  UNION ALL
  SELECT r.relative_id, r.member_id,
    CASE r.kind WHEN 'parent' THEN 'child' WHEN 'coordinator' THEN 'coordinated' ELSE r.kind::text END, r.created_at
  FROM family_relationships AS r WHERE p_member IS NULL OR r.relative_id = p_member
$$;

-- Rejects a parent who would descend from the child, and siblings of whom one is the parent of the other. Relationships change one
-- transaction after the other; a snapshot that is older than the lock would not see the change before.
CREATE FUNCTION "check_relationship"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF current_setting('transaction_isolation') = 'repeatable read' THEN
    RAISE EXCEPTION 'Relationships do not change in a REPEATABLE READ transaction' USING ERRCODE = 'active_sql_transaction';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('family.relationships', 0));
  IF NEW.kind = 'parent' AND EXISTS (
    WITH RECURSIVE descendants AS (
      SELECT NEW.relative_id AS id UNION SELECT r.relative_id FROM descendants AS d JOIN family_relationships AS r
        ON r.member_id = d.id AND r.kind = 'parent' AND (r.member_id, r.relative_id) <> (NEW.member_id, NEW.relative_id))
    SELECT FROM descendants WHERE id = NEW.member_id
  ) THEN
    PERFORM refuse('relationship_cycle', jsonb_build_object('memberId', NEW.member_id, 'relativeId', NEW.relative_id));
  END IF;
  IF NEW.kind IN ('parent', 'sibling') AND EXISTS (
    SELECT FROM family_relationships AS r WHERE r.kind = CASE NEW.kind WHEN 'parent' THEN 'sibling' ELSE 'parent' END::relationship_kind
      AND (r.member_id, r.relative_id) IN ((NEW.member_id, NEW.relative_id), (NEW.relative_id, NEW.member_id))
  ) THEN
    PERFORM refuse('relationship_conflict', jsonb_build_object('memberId', NEW.member_id, 'relativeId', NEW.relative_id));
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "family_relationships_consistent" BEFORE INSERT OR UPDATE ON "family_relationships" FOR EACH ROW
  EXECUTE FUNCTION "check_relationship"();
