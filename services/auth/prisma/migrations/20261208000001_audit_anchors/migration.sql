-- Why: entries that were deleted from the start of an audit chain without "azora-db prune" looked like legal pruning, and entries
-- that were deleted from its end left no trace. Before each pruning, an anchor of every chain is recorded: the entry up to which it
-- may be pruned, and its newest entry. A digest of all anchors is kept outside of the database.
-- Locks: none that reads or writes wait for.

CREATE TABLE "audit_anchors" (
    "generation" BIGINT NOT NULL,
    "account" TEXT NOT NULL,
    "pruned_to" BIGINT NOT NULL,
    "pruned_hash" CHAR(64) NOT NULL,
    "head_seq" BIGINT NOT NULL,
    "head_hash" CHAR(64) NOT NULL,
    "is_done" BOOLEAN NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "audit_anchors_pkey" PRIMARY KEY ("generation", "account"),
    CONSTRAINT "audit_anchors_seq_check" CHECK ("generation" >= 1 AND "pruned_to" >= 0 AND "head_seq" >= "pruned_to"),
    CONSTRAINT "audit_anchors_hash_check" CHECK ("pruned_hash" ~ '^[0-9a-f]{64}$' AND "head_hash" ~ '^[0-9a-f]{64}$'),
    CONSTRAINT "audit_anchors_times_check" CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800)
      AND "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800))
);

-- prune_audit_log() asks for the next chains of a generation.
CREATE INDEX "audit_anchors_left_idx" ON "audit_anchors" ("generation", "account") WHERE NOT "is_done";

-- Records an anchor of every chain, from one snapshot, and returns their number and the number of entries that may be pruned: the
-- old entries before the first one to keep, or the whole chain if nothing was written for "p_keep". "p_keep" counts as 90 days if it
-- is less. A generation that a killed run left is replaced.
CREATE FUNCTION "anchor_audit_log"("p_generation" bigint, "p_keep" interval, OUT "chains" bigint, OUT "prunable" bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  "p_at" timestamptz := "public"."database_time"();
  "kept_since" timestamptz := "p_at" - greatest("p_keep", interval '90 days');
BEGIN
  DELETE FROM "public"."audit_anchors" WHERE "generation" = "p_generation";
  WITH "made" AS (
    INSERT INTO "public"."audit_anchors" ("generation", "account", "pruned_to", "pruned_hash", "head_seq", "head_hash", "is_done")
    SELECT "p_generation", "chain"."account", greatest("bound"."seq", "chain"."first_seq" - 1),
           coalesce("entry"."hash", "chain"."first_previous_hash"), "chain"."last_seq", "chain"."last_hash",
           "entry"."hash" IS NULL
    FROM "public"."audit_chains" AS "chain"
    CROSS JOIN LATERAL (
      SELECT min("recent"."seq") AS "seq" FROM "public"."audit_log" AS "recent"
      WHERE coalesce("recent"."user_id", '') = "chain"."account"
        AND "recent"."timestamp" > "kept_since" AND "recent"."timestamp" <= "p_at"
    ) AS "kept"
    CROSS JOIN LATERAL (
      SELECT CASE
        WHEN "kept"."seq" IS NULL AND "chain"."updated_at" <= "kept_since" THEN "chain"."last_seq"
        ELSE (
          SELECT max("old"."seq") FROM "public"."audit_log" AS "old"
          WHERE coalesce("old"."user_id", '') = "chain"."account" AND "old"."timestamp" <= "kept_since"
            AND "old"."seq" < coalesce("kept"."seq", "chain"."last_seq" + 1)
        )
      END AS "seq"
    ) AS "bound"
    LEFT JOIN "public"."audit_log" AS "entry"
      ON coalesce("entry"."user_id", '') = "chain"."account" AND "entry"."seq" = "bound"."seq"
    RETURNING "account", "pruned_to"
  )
  SELECT count(*), coalesce(sum("made"."pruned_to" - "chain"."first_seq" + 1), 0) INTO "chains", "prunable"
  FROM "made" JOIN "public"."audit_chains" AS "chain" USING ("account");
END
$$;

-- The SHA-256, in hex, of the anchors of a generation. The copy outside of the database is compared with it.
CREATE FUNCTION "audit_anchor_digest"("p_generation" bigint) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT encode(sha256(coalesce(string_agg(sha256(convert_to(
    jsonb_build_array("generation", "account", "pruned_to", "pruned_hash", "head_seq", "head_hash")::text, 'UTF8')),
    ''::bytea ORDER BY "account" COLLATE "C"), '')), 'hex')
  FROM "public"."audit_anchors" WHERE "generation" = "p_generation"
$$;

-- Deletes at most "p_most" entries that the anchors of a generation allow to prune. Returns null when none is left. Locks the heads of
-- a few chains in the order in which writers of several chains lock them.
CREATE FUNCTION "prune_audit_log"("p_generation" bigint, "p_most" integer) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  "accounts" text[] := ARRAY(
    SELECT "account" FROM "public"."audit_anchors" WHERE "generation" = "p_generation" AND NOT "is_done"
    ORDER BY "account" LIMIT least(greatest("p_most", 1), 100));
  "p_at" timestamptz := "public"."database_time"();
  "deleted" integer;
BEGIN
  IF cardinality("accounts") = 0 THEN
    RETURN NULL;
  END IF;
  PERFORM FROM "public"."audit_chains" WHERE "account" = ANY ("accounts") ORDER BY "account" FOR UPDATE;
  -- The age of an entry with a date in the future counted from the newest entry, and there is a newer one now: the next run decides.
  UPDATE "public"."audit_anchors" AS "anchor" SET "is_done" = true, "updated_at" = "p_at"
  FROM "public"."audit_chains" AS "chain"
  WHERE "anchor"."generation" = "p_generation" AND "anchor"."account" = ANY ("accounts") AND "chain"."account" = "anchor"."account"
    AND "anchor"."pruned_to" = "anchor"."head_seq" AND "chain"."last_seq" > "anchor"."head_seq"
    AND EXISTS (
      SELECT FROM "public"."audit_log" AS "entry" WHERE coalesce("entry"."user_id", '') = "anchor"."account"
        AND "entry"."seq" <= "anchor"."pruned_to" AND "entry"."timestamp" > "p_at");
  WITH "old" AS (
    SELECT "entry"."id" FROM "public"."audit_anchors" AS "anchor"
    JOIN "public"."audit_chains" AS "chain" ON "chain"."account" = "anchor"."account"
    CROSS JOIN LATERAL (
      SELECT "it"."id", "it"."seq" FROM "public"."audit_log" AS "it"
      WHERE coalesce("it"."user_id", '') = "anchor"."account" AND "it"."seq" >= "chain"."first_seq" AND "it"."seq" <= "anchor"."pruned_to"
      ORDER BY "it"."seq" LIMIT greatest("p_most", 1)
    ) AS "entry"
    WHERE "anchor"."generation" = "p_generation" AND "anchor"."account" = ANY ("accounts") AND NOT "anchor"."is_done"
    ORDER BY "anchor"."account", "entry"."seq" LIMIT greatest("p_most", 1)
  )
  DELETE FROM "public"."audit_log" WHERE "id" IN (SELECT "id" FROM "old");
  GET DIAGNOSTICS "deleted" = ROW_COUNT;
  UPDATE "public"."audit_anchors" AS "anchor" SET "is_done" = true, "updated_at" = "p_at"
  FROM "public"."audit_chains" AS "chain"
  WHERE "anchor"."generation" = "p_generation" AND "anchor"."account" = ANY ("accounts") AND NOT "anchor"."is_done"
    AND "chain"."account" = "anchor"."account" AND "chain"."first_seq" > "anchor"."pruned_to";
  RETURN "deleted";
END
$$;

-- The chains that are damaged, and where: each entry is rehashed, and each chain is compared with its anchor of the generation. Without
-- a generation, only with itself.
CREATE FUNCTION "audit_log_faults"("p_generation" bigint) RETURNS TABLE ("account" text, "seq" bigint, "fault" text)
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  WITH "entries" AS (
    SELECT coalesce("user_id", '') AS "account", "seq", "hash", "previous_hash", "public"."audit_entry_hash"("audit_log") AS "computed",
           lag("seq") OVER "chain" AS "before_seq", lag("hash") OVER "chain" AS "before_hash"
    FROM "public"."audit_log" WINDOW "chain" AS (PARTITION BY coalesce("user_id", '') ORDER BY "seq")
  ), "anchors" AS (
    SELECT * FROM "public"."audit_anchors" WHERE "generation" = "p_generation"
  ), "logged" AS (
    SELECT "it"."account", max("it"."seq") AS "last_seq", (array_agg("it"."hash" ORDER BY "it"."seq" DESC))[1] AS "last_hash",
           min("it"."seq") FILTER (WHERE ("it"."computed" = "it"."hash"
             AND "it"."seq" = coalesce("it"."before_seq", "chain"."first_seq" - 1) + 1
             AND "it"."previous_hash" = coalesce("it"."before_hash", "chain"."first_previous_hash")) IS NOT TRUE) AS "broken_seq",
           max("it"."hash") FILTER (WHERE "it"."seq" = "anchor"."head_seq") AS "anchored_hash"
    FROM "entries" AS "it"
    LEFT JOIN "public"."audit_chains" AS "chain" ON "chain"."account" = "it"."account"
    LEFT JOIN "anchors" AS "anchor" ON "anchor"."account" = "it"."account"
    GROUP BY "it"."account"
  ), "judged" AS (
    SELECT coalesce("chain"."account", "logged"."account", "anchor"."account") AS "account",
           CASE
             WHEN "chain"."account" IS NULL THEN 'missing'
             WHEN "logged"."broken_seq" IS NOT NULL THEN 'changed'
             WHEN coalesce("logged"."last_seq", "chain"."first_seq" - 1) <> "chain"."last_seq"
               OR coalesce("logged"."last_hash", "chain"."first_previous_hash") <> "chain"."last_hash"
               OR "chain"."last_seq" < "anchor"."head_seq" THEN 'cut'
             WHEN "p_generation" IS NULL THEN NULL
             WHEN "chain"."first_seq" - 1 > coalesce("anchor"."pruned_to", 0) THEN 'pruned'
             WHEN "chain"."first_seq" - 1 = coalesce("anchor"."pruned_to", 0)
               AND "chain"."first_previous_hash" <> coalesce("anchor"."pruned_hash", repeat('0', 64)) THEN 'rewritten'
             WHEN "anchor"."head_seq" >= "chain"."first_seq" AND "logged"."anchored_hash" IS DISTINCT FROM "anchor"."head_hash"
               THEN 'rewritten'
           END AS "fault",
           coalesce("logged"."broken_seq", "chain"."first_seq", "logged"."last_seq", "anchor"."head_seq") AS "seq"
    FROM "public"."audit_chains" AS "chain"
    FULL JOIN "logged" ON "logged"."account" = "chain"."account"
    FULL JOIN "anchors" AS "anchor" ON "anchor"."account" = coalesce("chain"."account", "logged"."account")
  )
  SELECT "account", "seq", "fault" FROM "judged" WHERE "fault" IS NOT NULL ORDER BY "account" COLLATE "C"
$$;
