-- Reverts 20261202000001_message_limits.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER "message_limits_expiry_time" ON "message_limits";

CREATE OR REPLACE FUNCTION "message_subjects"("p_kind" text, "p_recipients" text[], "p_senders" text[], "p_ip" text)
RETURNS TABLE ("id" text, "pause" interval, "every" interval, "burst" integer)
LANGUAGE sql SET search_path = pg_catalog, public AS $$
  SELECT "public"."message_limit_id"("p_kind", 'to', "subject"), interval '1 minute', interval '1 hour', 5
  FROM unnest("p_recipients") AS "subject"
  UNION
  SELECT "public"."message_limit_id"("p_kind", 'from', "public"."network_of"("p_ip")), interval '0', interval '10 seconds', 100
  WHERE "public"."network_of"("p_ip") IS NOT NULL
  UNION
  SELECT "public"."message_limit_id"("p_kind", 'from', "subject"), interval '0',
    CASE WHEN starts_with("p_kind", 'code_') THEN interval '30 minutes' ELSE interval '10 seconds' END,
    CASE WHEN starts_with("p_kind", 'code_') THEN 30 ELSE 100 END
  FROM unnest("p_senders") AS "subject"
  ORDER BY 1
$$;

CREATE OR REPLACE FUNCTION "take_message"(
  "p_kind" text, "p_recipients" text[], "p_senders" text[], "p_ip" text, OUT "granted" boolean, OUT "next_at" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "at" timestamptz;
  "subject" record;
  "found" record;
BEGIN
  FOR "subject" IN SELECT * FROM "public"."message_subjects"("p_kind", "p_recipients", "p_senders", "p_ip") LOOP
    -- Orders concurrent messages about one subject, also before its row exists.
    PERFORM pg_advisory_xact_lock(hashtextextended("subject"."id", 0));
    "at" := "public"."database_time"();
    -- A message from the future, after the clock was set back, limits nothing.
    SELECT "sent_at", "expires_at" INTO "found" FROM "public"."message_limits"
    WHERE "id" = "subject"."id" AND ("sent_at" > "at") IS NOT TRUE;
    "next_at" := greatest("next_at", "found"."sent_at" + "subject"."pause",
      "found"."expires_at" - "subject"."every" * ("subject"."burst" - 1));
  END LOOP;
  "at" := "public"."database_time"();
  "granted" := ("next_at" > "at") IS NOT TRUE;
  IF NOT "granted" THEN
    RETURN;
  END IF;
  "next_at" := "at";
  FOR "subject" IN SELECT * FROM "public"."message_subjects"("p_kind", "p_recipients", "p_senders", "p_ip") LOOP
    INSERT INTO "public"."message_limits" AS "limit" ("id", "kind", "sent_at", "expires_at", "created_at", "updated_at")
    VALUES ("subject"."id", "p_kind", "at", "at" + "subject"."every", "at", "at")
    ON CONFLICT ("id") DO UPDATE
    SET "sent_at" = "at", "expires_at" = greatest("limit"."expires_at", "at") + "subject"."every", "updated_at" = "at"
    RETURNING "limit"."expires_at" INTO "found";
    "next_at" := greatest("next_at", "at" + "subject"."pause",
      "found"."expires_at" - "subject"."every" * ("subject"."burst" - 1));
  END LOOP;
  -- The row of an account is locked before the limits of its messages, but after those of a password reset, which therefore
  -- deletes rows at its end.
  IF "p_kind" <> 'password_reset' THEN
    PERFORM "public"."prune_messages"();
  END IF;
END
$$;

CREATE OR REPLACE FUNCTION "withdraw_message"("p_kind" text, "p_recipients" text[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public AS $$
  UPDATE "public"."message_limits" SET "sent_at" = NULL, "updated_at" = "public"."database_time"()
  WHERE "id" IN (SELECT "public"."message_limit_id"("p_kind", 'to', "subject") FROM unnest("p_recipients") AS "subject")
$$;

CREATE OR REPLACE FUNCTION "forget_messages"("p_kind" text, "p_recipients" text[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public AS $$
  DELETE FROM "public"."message_limits"
  WHERE "id" IN (SELECT "public"."message_limit_id"("p_kind", 'to', "subject") FROM unnest("p_recipients") AS "subject")
$$;
