-- The head of an audit chain moves after its entry is in the table. It moved before, so an entry that was not inserted in the
-- end, as with ON CONFLICT DO NOTHING, left a gap that nobody could close. The database dates the entries of the app role, and
-- an entry with a date in the future no longer keeps the entries before it forever.
-- Locks: SHARE ROW EXCLUSIVE on audit_log, for the triggers, for milliseconds.

SET LOCAL lock_timeout = '5s';

-- Locks the head of the chain until the transaction ends, so that entries of one chain are written one after the other. The
-- time is read under that lock: the times of a chain have the order of its entries. An import by the owner of the table keeps
-- its times. The function runs as the owner, so the role that inserts is the one that the session has set.
CREATE OR REPLACE FUNCTION "chain_audit_entry"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  "chain" text := coalesce(NEW."user_id", '');
  "head" "public"."audit_chains";
  "newest" record;
  "writer" name := coalesce(nullif(current_setting('role'), 'none'), session_user);
BEGIN
  SELECT * INTO "head" FROM "public"."audit_chains" WHERE "account" = "chain" FOR UPDATE;
  IF NOT FOUND THEN
    -- A chain without entries has no head to lock.
    PERFORM pg_advisory_xact_lock(hashtextextended('audit_chains ' || "chain", 0));
    SELECT * INTO "head" FROM "public"."audit_chains" WHERE "account" = "chain" FOR UPDATE;
  END IF;
  IF NOT pg_has_role("writer", (SELECT "relowner" FROM "pg_catalog"."pg_class" WHERE "oid" = TG_RELID), 'USAGE') THEN
    NEW."timestamp" := "public"."database_time"();
    NEW."created_at" := NEW."timestamp";
  END IF;
  -- Earlier entries of the same statement are in the table, but the head moves only at the end of the statement.
  SELECT "seq", "hash" INTO "newest" FROM "public"."audit_log"
  WHERE coalesce("user_id", '') = "chain" AND "seq" > coalesce("head"."last_seq", 0) ORDER BY "seq" DESC LIMIT 1;
  NEW."seq" := coalesce("newest"."seq", "head"."last_seq", 0) + 1;
  NEW."previous_hash" := coalesce("newest"."hash", "head"."last_hash", repeat('0', 64));
  NEW."hash" := "public"."audit_entry_hash"(NEW);
  RETURN NEW;
END
$$;

-- Writes the head of each chain once for all entries of a statement. The first entry of a chain brings its head with it.
CREATE FUNCTION "move_audit_head"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  "added" record;
BEGIN
  FOR "added" IN
    SELECT coalesce("user_id", '') AS "account", max("seq") AS "seq", (array_agg("hash" ORDER BY "seq" DESC))[1] AS "hash"
    FROM "entries" GROUP BY 1 ORDER BY 1
  LOOP
    INSERT INTO "public"."audit_chains" AS "chain" ("account", "first_seq", "first_previous_hash", "last_seq", "last_hash")
    VALUES ("added"."account", 1, repeat('0', 64), "added"."seq", "added"."hash")
    ON CONFLICT ("account") DO UPDATE
    SET "last_seq" = "added"."seq", "last_hash" = "added"."hash", "updated_at" = "public"."database_time"()
    WHERE "chain"."last_seq" < "added"."seq";
  END LOOP;
  RETURN NULL;
END
$$;

CREATE TRIGGER "audit_log_head" AFTER INSERT ON "audit_log" REFERENCING NEW TABLE AS "entries"
  FOR EACH STATEMENT EXECUTE FUNCTION "move_audit_head"();

-- The date of an entry in the future says nothing about its age. Such an entry is at least as old as each entry after it, and
-- as the last change of its chain.
DROP TRIGGER "audit_log_kept" ON "audit_log";
CREATE TRIGGER "audit_log_kept" BEFORE DELETE ON "audit_log" FOR EACH ROW
  WHEN (OLD."timestamp" > database_time() - interval '90 days' AND OLD."timestamp" <= database_time())
  EXECUTE FUNCTION "refuse_change"();

-- Does not change updated_at, which is the time of the newest entry.
CREATE OR REPLACE FUNCTION "move_audit_anchor"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  "gone" record;
  "p_at" timestamptz := "public"."database_time"();
BEGIN
  FOR "gone" IN
    SELECT coalesce("user_id", '') AS "account", count(*) AS "entries", max("seq") AS "seq",
           (array_agg("hash" ORDER BY "seq" DESC))[1] AS "hash",
           max("seq") FILTER (WHERE "timestamp" > "p_at") AS "undated",
           max("seq") FILTER (WHERE "timestamp" <= "p_at" - interval '90 days') AS "old"
    FROM "deleted" GROUP BY 1 ORDER BY 1
  LOOP
    UPDATE "public"."audit_chains" AS "chain"
    SET "first_seq" = "gone"."seq" + 1, "first_previous_hash" = "gone"."hash"
    WHERE "account" = "gone"."account" AND "first_seq" + "gone"."entries" = "gone"."seq" + 1
      AND ("gone"."undated" IS NULL OR "gone"."undated" < "gone"."old" OR "updated_at" <= "p_at" - interval '90 days'
        OR EXISTS (
          SELECT FROM "public"."audit_log" AS "later"
          WHERE coalesce("later"."user_id", '') = "chain"."account" AND "later"."timestamp" <= "p_at" - interval '90 days'
        ));
    IF NOT FOUND THEN
      RAISE EXCEPTION 'audit_log_deletion_leaves_gap' USING ERRCODE = 'restrict_violation',
        TABLE = 'audit_log', CONSTRAINT = 'audit_log_deletion_leaves_gap',
        HINT = 'Delete by prune_audit_log(), which takes the oldest entries of each chain.';
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;

-- Deletes up to the newest old entry before the first one to keep, or the whole chain if nothing was written for 90 days.
CREATE OR REPLACE FUNCTION "prune_audit_log"("at_most" integer) RETURNS integer LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  "pruned" integer;
  "p_at" timestamptz := "public"."database_time"();
BEGIN
  WITH "bounds" AS (
    SELECT "chain"."account", CASE
        WHEN "kept"."seq" IS NULL AND "chain"."updated_at" <= "p_at" - interval '90 days' THEN "chain"."last_seq"
        ELSE (
          SELECT max("old"."seq") FROM "public"."audit_log" AS "old"
          WHERE coalesce("old"."user_id", '') = "chain"."account" AND "old"."timestamp" <= "p_at" - interval '90 days'
            AND "old"."seq" < coalesce("kept"."seq", "chain"."last_seq" + 1)
        )
      END AS "seq"
    FROM "public"."audit_chains" AS "chain"
    CROSS JOIN LATERAL (
      SELECT min("recent"."seq") AS "seq" FROM "public"."audit_log" AS "recent"
      WHERE coalesce("recent"."user_id", '') = "chain"."account"
        AND "recent"."timestamp" > "p_at" - interval '90 days' AND "recent"."timestamp" <= "p_at"
    ) AS "kept"
  ), "old" AS (
    SELECT "entry"."id" FROM "bounds"
    JOIN "public"."audit_log" AS "entry" ON coalesce("entry"."user_id", '') = "bounds"."account"
    WHERE "entry"."seq" <= "bounds"."seq"
    ORDER BY "bounds"."account", "entry"."seq"
    LIMIT "at_most"
  )
  DELETE FROM "public"."audit_log" WHERE "id" IN (SELECT "id" FROM "old");
  GET DIAGNOSTICS "pruned" = ROW_COUNT;
  RETURN "pruned";
END
$$;

-- PostgreSQL looks for tables and types in pg_temp first, unless the path names it.
ALTER FUNCTION "audit_entry_hash"("audit_log") SET search_path = pg_catalog, public, pg_temp;
ALTER FUNCTION "check_organization_owner"() SET search_path = pg_catalog, public, pg_temp;
ALTER FUNCTION "check_organization_owner_stays"() SET search_path = pg_catalog, public, pg_temp;
ALTER FUNCTION "end_pending_factors"() SET search_path = pg_catalog, public, pg_temp;
