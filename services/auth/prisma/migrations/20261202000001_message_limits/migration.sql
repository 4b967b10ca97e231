-- The limits of messages hold against everyone who can write them, and registrations without an address of the network have one.
-- * No row ends more than 15 hours ahead, the longest limit of all. The app role could keep a recipient from all messages for ever.
-- * A row from the future, after the clock was set back, limits nothing, also if its message was withdrawn, and the next message
--   begins it anew. Before, it kept its end, which the rule above would refuse.
-- * withdraw_message and forget_messages lock rows in the order of their ids, as take_message does. Two calls could deadlock.
-- * Registrations whose caller passes no address of the network share one limit: 1,000 at once, and then one a second.
-- Locks: SHARE ROW EXCLUSIVE on message_limits, for the trigger, for milliseconds. Rows that end later than allowed are corrected.

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION "message_subjects"("p_kind" text, "p_recipients" text[], "p_senders" text[], "p_ip" text)
RETURNS TABLE ("id" text, "pause" interval, "every" interval, "burst" integer)
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT "public"."message_limit_id"("p_kind", 'to', "subject"), interval '1 minute', interval '1 hour', 5
  FROM unnest("p_recipients") AS "subject"
  UNION
  SELECT "public"."message_limit_id"("p_kind", 'from', "public"."network_of"("p_ip")), interval '0', interval '10 seconds', 100
  WHERE "public"."network_of"("p_ip") IS NOT NULL
  UNION
  -- Everyone behind a caller that passes no address; no network is the empty text.
  SELECT "public"."message_limit_id"("p_kind", 'from', ''), interval '0', interval '1 second', 1000
  WHERE "p_kind" = 'registration' AND "public"."network_of"("p_ip") IS NULL
  UNION
  SELECT "public"."message_limit_id"("p_kind", 'from', "subject"), interval '0',
    CASE WHEN starts_with("p_kind", 'code_') THEN interval '30 minutes' ELSE interval '10 seconds' END,
    CASE WHEN starts_with("p_kind", 'code_') THEN 30 ELSE 100 END
  FROM unnest("p_senders") AS "subject"
  ORDER BY 1
$$;

CREATE OR REPLACE FUNCTION "take_message"(
  "p_kind" text, "p_recipients" text[], "p_senders" text[], "p_ip" text, OUT "granted" boolean, OUT "next_at" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  "at" timestamptz;
  "subject" record;
  "found" record;
BEGIN
  FOR "subject" IN SELECT * FROM "public"."message_subjects"("p_kind", "p_recipients", "p_senders", "p_ip") LOOP
    -- Orders concurrent messages about one subject, also before its row exists.
    PERFORM pg_advisory_xact_lock(hashtextextended("subject"."id", 0));
    "at" := "public"."database_time"();
    -- A row from the future, after the clock was set back, limits nothing.
    SELECT "sent_at", "expires_at" INTO "found" FROM "public"."message_limits"
    WHERE "id" = "subject"."id" AND ("sent_at" > "at") IS NOT TRUE AND "expires_at" <= "at" + "subject"."every" * "subject"."burst";
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
    SET "sent_at" = "at", "updated_at" = "at", "expires_at" = "subject"."every" + CASE
        WHEN "limit"."sent_at" > "at" OR "limit"."expires_at" > "at" + "subject"."every" * "subject"."burst" THEN "at"
        ELSE greatest("limit"."expires_at", "at") END
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
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE "public"."message_limits" SET "sent_at" = NULL, "updated_at" = "public"."database_time"()
  WHERE "id" = ANY (ARRAY(
    SELECT "limit"."id" FROM "public"."message_limits" AS "limit"
    WHERE "limit"."id" = ANY (ARRAY(SELECT "public"."message_limit_id"("p_kind", 'to', "subject") FROM unnest("p_recipients") AS "subject"))
    ORDER BY "limit"."id" FOR NO KEY UPDATE))
$$;

CREATE OR REPLACE FUNCTION "forget_messages"("p_kind" text, "p_recipients" text[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  DELETE FROM "public"."message_limits"
  WHERE "id" = ANY (ARRAY(
    SELECT "limit"."id" FROM "public"."message_limits" AS "limit"
    WHERE "limit"."id" = ANY (ARRAY(SELECT "public"."message_limit_id"("p_kind", 'to', "subject") FROM unnest("p_recipients") AS "subject"))
    ORDER BY "limit"."id" FOR UPDATE))
$$;

UPDATE "message_limits" SET "expires_at" = "database_time"() WHERE "expires_at" > "database_time"() + interval '15 hours';

-- 30 codes of an account, at two in an hour; the rest is for the time between the statement and its clock.
CREATE TRIGGER "message_limits_expiry_time" BEFORE INSERT OR UPDATE OF "expires_at" ON "message_limits" FOR EACH ROW
  WHEN (NEW."expires_at" > "database_time"() + interval '15 hours 5 seconds')
  EXECUTE FUNCTION "refuse_time"('a limit of messages lasts longer than 15 hours');
