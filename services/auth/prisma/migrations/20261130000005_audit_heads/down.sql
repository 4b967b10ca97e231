-- Reverts 20261130000005_audit_heads.

SET LOCAL lock_timeout = '5s';

ALTER FUNCTION "audit_entry_hash"("audit_log") SET search_path = pg_catalog, public;
ALTER FUNCTION "check_organization_owner"() RESET search_path;
ALTER FUNCTION "check_organization_owner_stays"() SET search_path = pg_catalog, public;

DROP TRIGGER "audit_log_head" ON "audit_log";
DROP FUNCTION "move_audit_head"();
DROP TRIGGER "audit_log_kept" ON "audit_log";
CREATE TRIGGER "audit_log_kept" BEFORE DELETE ON "audit_log"
  FOR EACH ROW WHEN (OLD."timestamp" > now() - interval '90 days') EXECUTE FUNCTION "refuse_change"();

CREATE OR REPLACE FUNCTION "chain_audit_entry"() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  "head" "public"."audit_chains";
BEGIN
  LOOP
    SELECT * INTO "head" FROM "public"."audit_chains" WHERE "account" = coalesce(NEW."user_id", '') FOR UPDATE;
    EXIT WHEN FOUND;
    INSERT INTO "public"."audit_chains" ("account", "first_seq", "first_previous_hash", "last_seq", "last_hash")
    VALUES (coalesce(NEW."user_id", ''), 1, repeat('0', 64), 0, repeat('0', 64)) ON CONFLICT DO NOTHING;
  END LOOP;
  NEW."seq" := "head"."last_seq" + 1;
  NEW."previous_hash" := "head"."last_hash";
  NEW."hash" := "public"."audit_entry_hash"(NEW);
  IF NOT EXISTS (SELECT FROM "public"."audit_log" WHERE "id" = NEW."id") THEN
    UPDATE "public"."audit_chains"
    SET "last_seq" = NEW."seq", "last_hash" = NEW."hash", "updated_at" = clock_timestamp()
    WHERE "account" = "head"."account";
  END IF;
  RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION "move_audit_anchor"() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  "gone" record;
BEGIN
  FOR "gone" IN
    SELECT coalesce("user_id", '') AS "account", count(*) AS "entries", max("seq") AS "seq",
           (array_agg("hash" ORDER BY "seq" DESC))[1] AS "hash"
    FROM "deleted" GROUP BY 1 ORDER BY 1
  LOOP
    UPDATE "public"."audit_chains"
    SET "first_seq" = "gone"."seq" + 1, "first_previous_hash" = "gone"."hash", "updated_at" = clock_timestamp()
    WHERE "account" = "gone"."account" AND "first_seq" + "gone"."entries" = "gone"."seq" + 1;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'audit_log_deletion_leaves_gap' USING ERRCODE = 'restrict_violation',
        TABLE = 'audit_log', CONSTRAINT = 'audit_log_deletion_leaves_gap',
        HINT = 'Delete by prune_audit_log(), which takes the oldest entries of each chain.';
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION "prune_audit_log"("at_most" integer) RETURNS integer
  LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "pruned" integer;
BEGIN
  WITH "old" AS (
    SELECT "entry"."id" FROM "public"."audit_chains" AS "chain"
    JOIN "public"."audit_log" AS "entry" ON coalesce("entry"."user_id", '') = "chain"."account"
    WHERE "entry"."timestamp" <= now() - interval '90 days'
      AND "entry"."seq" < coalesce((
        SELECT min("kept"."seq") FROM "public"."audit_log" AS "kept"
        WHERE coalesce("kept"."user_id", '') = "chain"."account" AND "kept"."timestamp" > now() - interval '90 days'
      ), "chain"."last_seq" + 1)
    ORDER BY "chain"."account", "entry"."seq"
    LIMIT "at_most"
  )
  DELETE FROM "public"."audit_log" WHERE "id" IN (SELECT "id" FROM "old");
  GET DIAGNOSTICS "pruned" = ROW_COUNT;
  RETURN "pruned";
END
$$;
