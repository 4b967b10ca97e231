-- Why: anyone who knew an address could keep its account locked, and could cause any number of messages to it. The password
-- and the second factor now have counters and locks of their own, sources are limited before accounts, and one table limits
-- every message. A factor is answered only under the lock that counts it, so nothing is counted in advance.
-- Locks: users wholly until the end, without a rewrite.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- AlterTable
ALTER TABLE "users"
  ADD COLUMN "failures_in_row" INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN "factor_failed_count" INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN "factor_locked_until" TIMESTAMPTZ(6);

-- CreateTable
CREATE TABLE "sign_in_sources" (
    "id" TEXT NOT NULL,
    "user_id" TEXT,
    "network" VARCHAR(43) NOT NULL,
    "failed_count" INTEGER NOT NULL DEFAULT 0,
    "first_failed_at" TIMESTAMPTZ(6),
    "failures_in_row" INTEGER NOT NULL DEFAULT 0,
    "lockout_count" INTEGER NOT NULL DEFAULT 0,
    "locked_until" TIMESTAMPTZ(6),
    "known_until" TIMESTAMPTZ(6),
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "sign_in_sources_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "message_limits" (
    "id" CHAR(64) NOT NULL,
    "kind" VARCHAR(40) NOT NULL,
    "sent_at" TIMESTAMPTZ(6),
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "message_limits_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "sign_in_sources_user_id_idx" ON "sign_in_sources"("user_id");

-- CreateIndex
CREATE INDEX "sign_in_sources_expires_at_idx" ON "sign_in_sources"("expires_at");

-- CreateIndex
CREATE INDEX "message_limits_expires_at_idx" ON "message_limits"("expires_at");

-- AddForeignKey
ALTER TABLE "sign_in_sources" ADD CONSTRAINT "sign_in_sources_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What the schema language cannot say.

-- lint-ignore constraint-missing-not-valid: the new columns have locked the table already
ALTER TABLE "users"
  ADD CONSTRAINT "users_factor_failed_count_check" CHECK ("factor_failed_count" >= 0 AND "failures_in_row" >= 0);

-- A lock without an end is a deactivation, as for the lock of the password.
CREATE TRIGGER "users_factor_time" BEFORE INSERT OR UPDATE OF "factor_locked_until" ON "users" FOR EACH ROW
  WHEN (NEW."factor_locked_until" > database_time() + interval '744 hours 5 seconds')
  EXECUTE FUNCTION "refuse_time"('a lock lasts longer than 31 days');
CREATE TRIGGER "sign_in_sources_lock_time" BEFORE INSERT OR UPDATE OF "locked_until" ON "sign_in_sources" FOR EACH ROW
  WHEN (NEW."locked_until" > database_time() + interval '744 hours 5 seconds')
  EXECUTE FUNCTION "refuse_time"('a lock lasts longer than 31 days');

ALTER TABLE "sign_in_sources"
  ADD CONSTRAINT "sign_in_sources_id_check" CHECK ("id" = "network" || '|' || coalesce("user_id", '')
    OR ("user_id" IS NULL AND starts_with("id", "network" || '|@'))),
  ADD CONSTRAINT "sign_in_sources_failed_count_check"
    CHECK ("failed_count" >= 0 AND "failures_in_row" >= 0 AND "lockout_count" >= 0);

ALTER TABLE "message_limits"
  ADD CONSTRAINT "message_limits_id_check" CHECK ("id" ~ '^[0-9a-f]{64}$'),
  ADD CONSTRAINT "message_limits_kind_check" CHECK ("kind" ~ '^[a-z]+(_[a-z]+)*$');

DROP FUNCTION "request_password_reset"(text, text, text, interval, text, text);
DROP FUNCTION "finish_sign_in"(text, text, text, text, text, text, text, interval, interval, interval, text, text);
DROP FUNCTION "begin_sign_in"(text, integer, interval, interval, interval);
DROP FUNCTION "insert_session"(text, text, text, text, text, interval, interval, text, text, text);
-- lint-ignore drops-unmanaged: nothing is counted in advance any more
DROP FUNCTION "clear_attempts"(text);
-- lint-ignore drops-unmanaged: nothing is counted in advance any more
DROP FUNCTION "return_attempt"(text);
-- lint-ignore drops-unmanaged: nothing is counted in advance any more
DROP FUNCTION "settle_attempt"(text, boolean, text);
-- lint-ignore drops-unmanaged: nothing is counted in advance any more
DROP FUNCTION "claim_attempt"(text, integer, interval, interval, interval);

-- The network that an address belongs to, as the unit of limits: an IPv4 address, or the /64 that a provider assigns to one
-- IPv6 customer. An IPv4 address in IPv6 form is the IPv4 address, and the zone of a link-local address does not count. Null
-- for text that is not an address.
CREATE FUNCTION "network_of"("p_ip" text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT
SET search_path = pg_catalog, public AS $$
DECLARE
  "address" inet;
BEGIN
  "address" := regexp_replace(host(split_part("p_ip", '%', 1)::inet), '^::ffff:(\d+\.\d+\.\d+\.\d+)$', '\1');
  RETURN CASE family("address") WHEN 4 THEN host("address") ELSE text(network(set_masklen("address", 64))) END;
EXCEPTION WHEN invalid_text_representation THEN
  RETURN NULL;
END
$$;

-- The end of a lock that begins now. Each lock lasts twice as long as the previous one, up to a maximum. More doublings of the
-- longest lock than 20 are beyond the range of an interval.
CREATE FUNCTION "lock_end"("p_at" timestamptz, "p_earlier" integer, "p_lock" interval, "p_cap" interval)
RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public AS $$
  SELECT "p_at" + least("p_lock" * power(2, least("p_earlier", 20)), "p_cap")
$$;

-- The networks of the open sessions, as a sign-in writes them from now on.
INSERT INTO "sign_in_sources" ("id", "user_id", "network", "known_until", "expires_at")
SELECT "it"."network" || '|' || "it"."user_id", "it"."user_id", "it"."network", "it"."until", "it"."until" FROM (
  SELECT "user_id", "network_of"("ip_address") AS "network", max("created_at") + interval '90 days' AS "until"
  FROM "sessions" WHERE "revoked_at" IS NULL AND "expires_at" > database_time() GROUP BY 1, 2
) AS "it" WHERE "it"."network" IS NOT NULL AND "it"."until" > database_time();

-- Whether the owner of an account has used it from a network before: signed in within 90 days, or set a new password by email
-- within a day. Only the limit for this account and network applies to such a source, so that failures from elsewhere do not lock
-- the owner out (NIST SP 800-63B, 5.2.2). A new password, and the end of a session that its owner did not sign out, make a network
-- unknown, because a thief may have signed in from it.
CREATE FUNCTION "is_known_source"("p_user" text, "p_network" text) RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, public AS $$
  SELECT EXISTS (
    SELECT FROM "public"."sign_in_sources"
    WHERE "id" = "p_network" || '|' || "p_user" AND "known_until" > (SELECT "public"."database_time"())
  )
$$;

-- Forgets the networks of an account except one, and those that one of its open sessions uses.
CREATE FUNCTION "forget_sources"("p_user" text, "p_but" text) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public AS $$
  UPDATE "public"."sign_in_sources" SET "known_until" = NULL, "updated_at" = "public"."database_time"()
  WHERE "user_id" = "p_user" AND "known_until" IS NOT NULL AND "network" IS DISTINCT FROM "p_but"
    AND "network" NOT IN (
      SELECT "public"."network_of"("ip_address") FROM "public"."sessions"
      WHERE "user_id" = "p_user" AND "revoked_at" IS NULL AND "expires_at" > (SELECT "public"."database_time"())
        AND "public"."network_of"("ip_address") IS NOT NULL
    )
$$;

-- Revokes open sessions of a user with their refresh tokens, and returns their number. With `p_forget`, the networks that no
-- remaining session uses become unknown, except the one of `p_ip`.
DROP FUNCTION "end_sessions"(text, text, text);
CREATE FUNCTION "end_sessions"("p_user" text, "p_only" text, "p_except" text, "p_forget" boolean, "p_ip" text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "ended" integer;
  "at" timestamptz;
BEGIN
  PERFORM FROM "public"."users" WHERE "id" = "p_user" FOR NO KEY UPDATE;
  "at" := "public"."database_time"();
  UPDATE "public"."tokens" SET "revoked_at" = "at", "updated_at" = "at"
  WHERE "user_id" = "p_user" AND "kind" = 'refresh' AND "used_at" IS NULL AND "revoked_at" IS NULL
    AND ("p_only" IS NULL OR "session_id" = "p_only")
    AND ("p_except" IS NULL OR "session_id" IS DISTINCT FROM "p_except");
  UPDATE "public"."sessions" SET "revoked_at" = "at", "updated_at" = "at"
  WHERE "user_id" = "p_user" AND "revoked_at" IS NULL AND "expires_at" > "at"
    AND ("p_only" IS NULL OR "id" = "p_only") AND ("p_except" IS NULL OR "id" <> "p_except");
  GET DIAGNOSTICS "ended" = ROW_COUNT;
  IF "p_forget" AND ("ended" > 0 OR "p_only" IS NULL) THEN
    PERFORM "public"."forget_sources"("p_user", "public"."network_of"("p_ip"));
  END IF;
  RETURN "ended";
END
$$;

-- The end of the lock that applies to attempts from a source, and what is locked: null for none. The lock of an account and
-- the lock of a whole network do not apply to a known source. With `p_alone`, the lock of the source for this account applies.
-- An account whose lock ends at 'infinity' is "blocked", without an end. `p_user` is an id, or the subject of an unknown address.
CREATE FUNCTION "attempt_lock"(
  "p_user" text, "p_account_until" timestamptz, "p_ip" text, "p_alone" boolean, OUT "until" timestamptz, OUT "locked" text
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "at" timestamptz := "public"."database_time"();
  "origin" text := "public"."network_of"("p_ip");
  "network_until" timestamptz;
BEGIN
  IF "origin" IS NOT NULL THEN
    SELECT max("it"."locked_until") FILTER (WHERE "it"."id" <> "origin" || '|' AND "it"."locked_until" > "at"),
           max("it"."locked_until") FILTER (WHERE "it"."id" = "origin" || '|' AND "it"."locked_until" > "at")
    INTO "until", "network_until" FROM "public"."sign_in_sources" AS "it"
    WHERE "it"."id" IN (CASE WHEN "p_alone" THEN "origin" || '|' || "p_user" END, "origin" || '|');
    IF "until" IS NOT NULL THEN
      "locked" := 'source';
      RETURN;
    END IF;
  END IF;
  IF "network_until" IS NULL AND ("p_account_until" > "at") IS NOT TRUE THEN
    RETURN;
  END IF;
  IF "p_user" IS NOT NULL AND "origin" IS NOT NULL AND "public"."is_known_source"("p_user", "origin") THEN
    IF "p_account_until" = 'infinity' AND (
      SELECT "failures_in_row" FROM "public"."sign_in_sources" WHERE "id" = "origin" || '|' || "p_user"
    ) >= 100 THEN
      "locked" := 'blocked';
    END IF;
    RETURN;
  END IF;
  IF "p_account_until" = 'infinity' THEN
    "locked" := 'blocked';
    RETURN;
  END IF;
  "until" := CASE WHEN "p_account_until" > "at" THEN "p_account_until" END;
  "locked" := 'account';
  IF ("until" >= "network_until") IS NOT TRUE AND "network_until" IS NOT NULL THEN
    "until" := "network_until";
    "locked" := 'source';
  END IF;
END
$$;

-- The subject of an address without an account, which has the same limits as an account, so that no lock tells whether there is
-- one. The database does not keep the address.
CREATE FUNCTION "unknown_subject"("p_email" text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public AS $$
  SELECT '@' || encode(sha256(convert_to('sign in ' || "p_email", 'UTF8')), 'hex')
$$;

CREATE FUNCTION "is_unknown"("p_subject" text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public AS $$
  SELECT "p_subject" ~ '^@[0-9a-f]{64}$'
$$;

-- Counts a failed attempt against its source: for all accounts, which locks the network at ten times the limit of an account,
-- and with `p_alone` for this account, which locks the source at half the limit, so before the account. `p_subject` is an id, or
-- the subject of an unknown address, which has the limits of an account in a row of its own. Returns false and counts nothing if
-- a concurrent failure has locked the network.
-- Deletes a few expired rows, so that the table stays as small as the traffic of a day.
CREATE FUNCTION "fail_source"(
  "p_subject" text, "p_ip" text, "p_alone" boolean, "p_limit" integer, "p_window" interval, "p_lock" interval,
  "p_cap" interval
) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "at" timestamptz := "public"."database_time"();
  "origin" text := "public"."network_of"("p_ip");
  "unknown" boolean := coalesce("public"."is_unknown"("p_subject"), false);
  "it" record;
BEGIN
  FOR "it" IN
    SELECT "limits".* FROM (
      VALUES (1, "origin", '', "p_limit" * 10, greatest("p_window", "p_cap")),
        (2, "origin", "p_subject", greatest("p_limit" / 2, 1), greatest("p_window", "p_cap")),
        -- As an account, which forgets neither its locks nor its failures in a row, for as long as the table can keep it.
        (3, CASE WHEN "unknown" THEN '' END, "p_subject", "p_limit", greatest("p_window", "p_cap", interval '90 days'))
    ) AS "limits" ("place", "network", "subject", "attempts", "life")
    WHERE "limits"."network" IS NOT NULL AND ("limits"."place" = 1 OR ("p_alone" AND "p_subject" IS NOT NULL))
    ORDER BY "limits"."place"
  LOOP
    INSERT INTO "public"."sign_in_sources" AS "source" ("id", "user_id", "network", "failed_count", "first_failed_at",
      "failures_in_row", "lockout_count", "locked_until", "expires_at", "created_at", "updated_at")
    VALUES ("it"."network" || '|' || "it"."subject", CASE WHEN "it"."place" = 2 AND NOT "unknown" THEN "it"."subject" END,
      "it"."network", 1, "at", 1,
      CASE WHEN "it"."attempts" = 1 THEN 1 ELSE 0 END,
      CASE WHEN "it"."attempts" = 1 THEN "public"."lock_end"("at", 0, "p_lock", "p_cap") END,
      "at" + "it"."life", "at", "at")
    ON CONFLICT ("id") DO UPDATE
    SET "failures_in_row" = "source"."failures_in_row" + 1, ("failed_count", "first_failed_at", "lockout_count", "locked_until") = (
          SELECT "next"."failures",
                 CASE WHEN "next"."failures" = 1 THEN "at" ELSE "source"."first_failed_at" END,
                 "next"."locks" + CASE WHEN "next"."failures" >= "it"."attempts" THEN 1 ELSE 0 END,
                 CASE WHEN "next"."failures" >= "it"."attempts"
                   THEN "public"."lock_end"("at", "next"."locks", "p_lock", "p_cap") END
          FROM (SELECT CASE WHEN "source"."locked_until" IS NULL AND "source"."first_failed_at" > "at" - "p_window"
                         THEN "source"."failed_count" + 1 ELSE 1 END,
                       -- The row of a known network outlives its failures.
                       CASE WHEN "source"."first_failed_at" > "at" - "it"."life"
                         THEN "source"."lockout_count" ELSE 0 END
               ) AS "next" ("failures", "locks")),
        "expires_at" = greatest("source"."expires_at", "at" + "it"."life"), "updated_at" = "at"
    WHERE ("source"."locked_until" > "at") IS NOT TRUE;
    IF NOT FOUND AND "it"."place" = 1
       AND NOT coalesce("public"."is_known_source"("p_subject", "origin"), false) THEN
      RETURN false;
    END IF;
  END LOOP;
  DELETE FROM "public"."sign_in_sources" WHERE "id" IN (
    SELECT "old"."id" FROM "public"."sign_in_sources" AS "old" WHERE "old"."expires_at" <= "at"
    ORDER BY "old"."expires_at" LIMIT 5 FOR UPDATE SKIP LOCKED);
  RETURN true;
END
$$;

-- Writes an entry about a user, and after it or before it the one about a lock that began or ended with it, in one statement: each
-- statement moves the head of the chain. Without the action of the lock, writes the first entry alone.
CREATE FUNCTION "write_audit_entries"(
  "p_user" text, "p_action" text, "p_resource_type" text, "p_resource_id" text, "p_details" jsonb, "p_ip" text,
  "p_agent" text, "p_lock_action" text, "p_lock_details" jsonb
) RETURNS void LANGUAGE sql SET search_path = pg_catalog, public AS $$
  INSERT INTO "public"."audit_log" ("id", "user_id", "action", "resource_type", "resource_id", "details", "ip_address",
    "user_agent")
  SELECT replace(gen_random_uuid()::text, '-', ''), "p_user", "it".* FROM (
    VALUES ("p_action", "p_resource_type", "p_resource_id", "p_details", "p_ip", "p_agent"),
      ("p_lock_action", 'user', "p_user", "p_lock_details", NULL, NULL)
  ) AS "it" ("action", "resource_type", "resource_id", "details", "ip_address", "user_agent")
  WHERE "it"."action" IS NOT NULL ORDER BY "it"."action" = 'ACCOUNT_UNLOCKED' DESC, "it"."action" = "p_action" DESC
$$;

-- The end of the lock of the password: 'infinity' after 100 wrong ones in a row (NIST SP 800-63B, 5.2.2), which only a proof by
-- email, a right password from a known network or an administrator ends.
CREATE FUNCTION "password_lock"("p_subject" text) RETURNS timestamptz
LANGUAGE sql SET search_path = pg_catalog, public AS $$
  SELECT CASE WHEN "it"."failures_in_row" >= 100 THEN 'infinity' ELSE "it"."locked_until" END FROM (
    SELECT "failures_in_row", "locked_until" FROM "public"."users"
    WHERE "id" = "p_subject" AND NOT "public"."is_unknown"("p_subject")
    UNION ALL
    SELECT "failures_in_row", "locked_until" FROM "public"."sign_in_sources"
    WHERE "id" = '|' || "p_subject" AND "public"."is_unknown"("p_subject")
  ) AS "it"
$$;

-- Judges a password that the caller has compared with `p_hash`. The outcome is "right", "wrong", "account" or "source" if that
-- is locked, "blocked" after 100 wrong ones in a row, "changed" if the account has another hash by now, or "unknown". The user's
-- row is locked first and to the end of the transaction: of any number of concurrent guesses no more than the limit are answered,
-- and a wrong answer is given only together with its count. A guess without an answer, because its process or its statement
-- ended, counts for nothing. An unknown address is judged by the rows of `p_subject` in sign_in_sources, and answers alike.
CREATE FUNCTION "judge_password"(
  "p_user" text, "p_subject" text, "p_hash" text, "p_is_right" boolean, "p_action" text, "p_limit" integer,
  "p_window" interval, "p_lock" interval, "p_cap" interval, "p_ip" text, "p_agent" text,
  OUT "outcome" text, OUT "until" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "subject" text := coalesce("p_user", "p_subject");
  "account" record;
  "at" timestamptz;
  "account_until" timestamptz;
  "failures" integer;
  "in_row" integer;
  "locked_to" timestamptz;
BEGIN
  IF "p_user" IS NULL THEN
    PERFORM pg_advisory_xact_lock(hashtextextended("subject", 0));
  END IF;
  SELECT "password_hash", "failed_login_count", "first_failed_at", "lockout_count", "locked_until", "failures_in_row"
  INTO "account" FROM "public"."users" WHERE "id" = "p_user" AND "deleted_at" IS NULL FOR NO KEY UPDATE;
  "at" := "public"."database_time"();
  IF NOT FOUND AND "p_user" IS NOT NULL THEN
    "outcome" := 'unknown';
    RETURN;
  END IF;
  IF "account"."password_hash" IS DISTINCT FROM "p_hash" THEN
    "outcome" := 'changed';
    RETURN;
  END IF;
  "account_until" := "public"."password_lock"("subject");
  SELECT "it"."until", "it"."locked" INTO "until", "outcome"
  FROM "public"."attempt_lock"("subject", "account_until", "p_ip", true) AS "it";
  IF "outcome" IS NOT NULL THEN
    RETURN;
  END IF;
  IF "p_is_right" THEN
    "outcome" := 'right';
    RETURN;
  END IF;
  IF NOT "public"."fail_source"("subject", "p_ip", true, "p_limit", "p_window", "p_lock", "p_cap") THEN
    SELECT "it"."until", "it"."locked" INTO "until", "outcome"
    FROM "public"."attempt_lock"("subject", "account_until", "p_ip", true) AS "it";
    RETURN;
  END IF;
  "outcome" := 'wrong';
  IF "p_user" IS NOT NULL AND ("account_until" > "at") IS NOT TRUE THEN
    "in_row" := "account"."failures_in_row" + 1;
    "failures" := CASE WHEN "account"."locked_until" IS NULL AND "account"."first_failed_at" > "at" - "p_window"
      THEN "account"."failed_login_count" + 1 ELSE 1 END;
    IF "failures" >= "p_limit" THEN
      "locked_to" := "public"."lock_end"("at", "account"."lockout_count", "p_lock", "p_cap");
    END IF;
    UPDATE "public"."users"
    SET "failed_login_count" = "failures",
        "first_failed_at" = CASE WHEN "failures" = 1 THEN "at" ELSE "first_failed_at" END,
        "failures_in_row" = "in_row",
        "lockout_count" = "lockout_count" + CASE WHEN "locked_to" IS NULL THEN 0 ELSE 1 END,
        "locked_until" = "locked_to", "lockout_reason" = CASE WHEN "locked_to" IS NOT NULL THEN 'failed attempts' END,
        "updated_at" = "at"
    WHERE "id" = "p_user";
  ELSIF "p_user" IS NOT NULL THEN
    -- Counting a failure is written to disk, which takes a time that can be measured. So is this message, to no table.
    PERFORM pg_logical_emit_message(true, 'azora', repeat(' ', 200));
  END IF;
  PERFORM "public"."write_audit_entries"("p_user", "p_action", CASE WHEN "p_user" IS NOT NULL THEN 'user' END, "p_user",
    '{}', "p_ip", "p_agent",
    CASE WHEN "in_row" = 100 THEN 'PASSWORD_BLOCKED' WHEN "locked_to" IS NOT NULL THEN 'ACCOUNT_LOCKED' END,
    CASE WHEN "in_row" = 100 THEN jsonb_build_object('attempts', "in_row")
      ELSE jsonb_build_object('lock', 'password', 'until', extract(epoch FROM "locked_to"), 'attempts', "failures") END);
END
$$;

-- Accepts proofs that were judged right, in one write of the user's row, or in none if there is nothing to change. A right
-- password forgets its failures, ends its lock and stores a new hash; with an address, it forgets the failures of the source as
-- well. A right code forgets the failures of the second factor. A complete sign-in does both, sets the time of the last sign-in,
-- and makes its network known for 90 days, in a write about once a day. Returns
-- whether a lock of the password has ended; the caller writes that into the audit log with its own entry.
CREATE FUNCTION "accept_proof"(
  "p_user" text, "p_password" boolean, "p_factor" boolean, "p_signed_in" boolean, "p_new_hash" text, "p_ip" text
) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "at" timestamptz;
  "locked" timestamptz;
  "password" boolean := "p_password" OR "p_signed_in";
  "factor" boolean := "p_factor" OR "p_signed_in";
  "origin" text := "public"."network_of"("p_ip");
BEGIN
  SELECT "locked_until" INTO "locked" FROM "public"."users" WHERE "id" = "p_user" FOR NO KEY UPDATE;
  "at" := "public"."database_time"();
  UPDATE "public"."users"
  SET "failed_login_count" = CASE WHEN "password" THEN 0 ELSE "failed_login_count" END,
      "first_failed_at" = CASE WHEN NOT "password" THEN "first_failed_at" END,
      "failures_in_row" = CASE WHEN "password" THEN 0 ELSE "failures_in_row" END,
      "lockout_count" = CASE WHEN "password" THEN 0 ELSE "lockout_count" END,
      "locked_until" = CASE WHEN NOT "password" THEN "locked_until" END,
      "lockout_reason" = CASE WHEN NOT "password" THEN "lockout_reason" END,
      "factor_failed_count" = CASE WHEN "factor" THEN 0 ELSE "factor_failed_count" END,
      "factor_locked_until" = CASE WHEN NOT "factor" THEN "factor_locked_until" END,
      "last_login_at" = CASE WHEN "p_signed_in" THEN "at" ELSE "last_login_at" END,
      "last_activity_at" = CASE WHEN "p_signed_in" THEN "at" ELSE "last_activity_at" END,
      "password_hash" = coalesce("p_new_hash", "password_hash"),
      "password_reset_required" = "password_reset_required" AND "p_new_hash" IS NULL, "updated_at" = "at"
  WHERE "id" = "p_user" AND ("p_signed_in" OR "p_new_hash" IS NOT NULL
    OR ("password" AND ("first_failed_at" IS NOT NULL OR "failures_in_row" > 0 OR "lockout_count" > 0)) OR ("factor" AND "factor_failed_count" > 0));
  IF "origin" IS NOT NULL AND "p_signed_in" THEN
    INSERT INTO "public"."sign_in_sources" AS "source" ("id", "user_id", "network", "known_until", "expires_at", "created_at",
      "updated_at")
    VALUES ("origin" || '|' || "p_user", "p_user", "origin", "at" + interval '90 days', "at" + interval '90 days', "at", "at")
    ON CONFLICT ("id") DO UPDATE
    SET "failed_count" = 0, "first_failed_at" = NULL, "failures_in_row" = 0, "lockout_count" = 0,
        "locked_until" = NULL, "known_until" = excluded."known_until", "expires_at" = greatest("source"."expires_at", excluded."expires_at"),
        "updated_at" = "at"
    WHERE "source"."failed_count" > 0 OR ("source"."known_until" > "at" + interval '89 days') IS NOT TRUE;
  ELSIF "origin" IS NOT NULL AND "password" THEN
    UPDATE "public"."sign_in_sources"
    SET "failed_count" = 0, "first_failed_at" = NULL, "failures_in_row" = 0, "lockout_count" = 0, "updated_at" = "at"
    WHERE "id" = "origin" || '|' || "p_user" AND "failed_count" > 0;
  END IF;
  RETURN "password" AND coalesce("locked" > "at", false);
END
$$;

-- Ends the locks of an account's networks after a proof by email, and returns whether the lock of the password ends; the caller
-- forgets the failures of the password in the same write as it stores the new one. No other network stays known, because a thief
-- may have signed in from it. The source of the proof is known for a day, so
-- that a lock that others cause meanwhile does not apply to it. The second factor keeps its failures: access to the mailbox must
-- not give further attempts at it.
CREATE FUNCTION "prove_by_mail"("p_user" text, "p_ip" text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "at" timestamptz;
  "locked" timestamptz;
  "origin" text := "public"."network_of"("p_ip");
BEGIN
  SELECT "locked_until" INTO "locked" FROM "public"."users" WHERE "id" = "p_user" FOR NO KEY UPDATE;
  "at" := "public"."database_time"();
  DELETE FROM "public"."sign_in_sources" WHERE "user_id" = "p_user" AND "network" IS DISTINCT FROM "origin";
  IF "origin" IS NOT NULL THEN
    INSERT INTO "public"."sign_in_sources" ("id", "user_id", "network", "known_until", "expires_at", "created_at", "updated_at")
    VALUES ("origin" || '|' || "p_user", "p_user", "origin", "at" + interval '1 day',
      "at" + interval '1 day', "at", "at")
    ON CONFLICT ("id") DO UPDATE
    SET "failed_count" = 0, "first_failed_at" = NULL, "failures_in_row" = 0, "lockout_count" = 0, "locked_until" = NULL,
        "known_until" = excluded."known_until", "expires_at" = excluded."expires_at", "updated_at" = excluded."updated_at";
  END IF;
  RETURN coalesce("locked" > "at", false);
END
$$;

-- Judges a code of a second factor, as judge_password judges a password; the outcome can also be "blocked". All failures in a
-- row count, without a window: every p_limit of them lock the factor, and after 100 no code is answered (NIST SP 800-63B,
-- 5.2.2) until a recovery code or an administrator ends that. A recovery code cannot be guessed, so neither the lock nor the
-- count applies to it: it is how the owner gets past them. A wrong code also counts against the code
-- that was sent, `p_code`, under the same lock: after five of them take_one_time_code accepts it no more.
CREATE FUNCTION "judge_factor"(
  "p_user" text, "p_factor" text, "p_is_right" boolean, "p_code" text, "p_limit" integer, "p_window" interval,
  "p_lock" interval, "p_cap" interval, "p_ip" text, "p_agent" text, OUT "outcome" text, OUT "until" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "account" record;
  "at" timestamptz;
  "failures" integer;
  "locked_to" timestamptz;
BEGIN
  SELECT "factor_failed_count", "factor_locked_until" INTO "account" FROM "public"."users"
  WHERE "id" = "p_user" AND "deleted_at" IS NULL FOR NO KEY UPDATE;
  "at" := "public"."database_time"();
  IF NOT FOUND THEN
    "outcome" := 'unknown';
    RETURN;
  END IF;
  IF "p_factor" <> 'recovery' THEN
    IF "account"."factor_failed_count" >= 100 THEN
      "outcome" := 'blocked';
      RETURN;
    END IF;
    IF "account"."factor_locked_until" > "at" THEN
      "outcome" := 'factor';
      "until" := "account"."factor_locked_until";
      RETURN;
    END IF;
  END IF;
  SELECT "it"."until", "it"."locked" INTO "until", "outcome" FROM "public"."attempt_lock"("p_user", NULL, "p_ip", false) AS "it";
  IF "until" IS NOT NULL THEN
    RETURN;
  END IF;
  IF "p_is_right" THEN
    "outcome" := 'right';
    RETURN;
  END IF;
  IF NOT "public"."fail_source"("p_user", "p_ip", false, "p_limit", "p_window", "p_lock", "p_cap") THEN
    SELECT "it"."until", "it"."locked" INTO "until", "outcome" FROM "public"."attempt_lock"("p_user", NULL, "p_ip", false) AS "it";
    RETURN;
  END IF;
  "outcome" := 'wrong';
  UPDATE "public"."one_time_codes" SET "attempts" = "attempts" + 1, "updated_at" = "at"
  WHERE "id" = "p_code" AND "user_id" = "p_user" AND "used_at" IS NULL AND "revoked_at" IS NULL AND "attempts" < 5;
  IF "p_factor" <> 'recovery' THEN
    "failures" := "account"."factor_failed_count" + 1;
    IF "failures" % "p_limit" = 0 AND "failures" < 100 THEN
      "locked_to" := "public"."lock_end"("at", "failures" / "p_limit" - 1, "p_lock", "p_cap");
    END IF;
    UPDATE "public"."users"
    SET "factor_failed_count" = "failures", "factor_locked_until" = "locked_to", "updated_at" = "at"
    WHERE "id" = "p_user";
  END IF;
  PERFORM "public"."write_audit_entries"("p_user", 'MFA_FAILED', 'user', "p_user",
    jsonb_build_object('factor', "p_factor"), "p_ip", "p_agent",
    CASE WHEN "failures" >= 100 THEN 'FACTOR_BLOCKED' WHEN "locked_to" IS NOT NULL THEN 'ACCOUNT_LOCKED' END,
    CASE WHEN "failures" >= 100 THEN jsonb_build_object('attempts', "failures")
      ELSE jsonb_build_object('lock', 'factor', 'until', extract(epoch FROM "locked_to"), 'attempts', "failures") END);
END
$$;

-- Ends every lock of an account, and forgets all of its failures; its known networks stay known. Returns whether there was anything to end.
CREATE FUNCTION "unlock_account"("p_user" text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "ended" integer;
  "sources" integer;
BEGIN
  UPDATE "public"."users"
  SET "failed_login_count" = 0, "first_failed_at" = NULL, "lockout_count" = 0, "locked_until" = NULL,
      "lockout_reason" = NULL, "failures_in_row" = 0, "factor_failed_count" = 0, "factor_locked_until" = NULL,
      "updated_at" = "public"."database_time"()
  WHERE "id" = "p_user"
    AND ("first_failed_at" IS NOT NULL OR "lockout_count" > 0 OR "locked_until" IS NOT NULL OR "factor_failed_count" > 0
      OR "failures_in_row" > 0);
  GET DIAGNOSTICS "ended" = ROW_COUNT;
  UPDATE "public"."sign_in_sources"
  SET "failed_count" = 0, "first_failed_at" = NULL, "failures_in_row" = 0, "lockout_count" = 0, "locked_until" = NULL,
      "updated_at" = "public"."database_time"()
  WHERE "user_id" = "p_user" AND ("failed_count" > 0 OR "locked_until" IS NOT NULL);
  GET DIAGNOSTICS "sources" = ROW_COUNT;
  RETURN "ended" + "sources" > 0;
END
$$;

-- The first half of a sign-in, which writes nothing: finds an account by its address in lower case, and the lock that applies
-- to the source. Returns one row for an unknown address too.
CREATE FUNCTION "begin_sign_in"(
  "p_email" text, "p_ip" text, OUT "user_id" text, OUT "password_hash" text, OUT "until" timestamptz, OUT "locked" text
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
DECLARE
  "subject" text;
BEGIN
  SELECT "id", "found"."password_hash" INTO "user_id", "password_hash"
  FROM "public"."users" AS "found" WHERE lower("email") = "p_email" AND "deleted_at" IS NULL;
  "subject" := coalesce(begin_sign_in."user_id", "public"."unknown_subject"("p_email"));
  SELECT "it"."until", "it"."locked" INTO "until", "locked"
  FROM "public"."attempt_lock"("subject", "public"."password_lock"("subject"), "p_ip", true) AS "it";
END
$$;

-- Writes a session and its first refresh token, with the entry of the sign-in, and before it that a lock of the password ended.
CREATE FUNCTION "insert_session"(
  "p_user" text, "p_session" text, "p_session_hash" text, "p_refresh" text, "p_refresh_hash" text, "p_idle" interval,
  "p_absolute" interval, "p_method" text, "p_unlocked" boolean, "p_ip" text, "p_agent" text,
  OUT "expires_at" timestamptz, OUT "absolute_expires_at" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "at" timestamptz := "public"."database_time"();
BEGIN
  "expires_at" := "at" + least("p_idle", "p_absolute");
  "absolute_expires_at" := "at" + "p_absolute";
  INSERT INTO "public"."sessions" ("id", "user_id", "token_hash", "ip_address", "user_agent", "last_activity_at",
    "expires_at", "created_at", "updated_at")
  VALUES ("p_session", "p_user", "p_session_hash", "p_ip", "p_agent", "at", insert_session."expires_at", "at", "at");
  INSERT INTO "public"."tokens" ("id", "user_id", "kind", "token_hash", "family_id", "session_id", "expires_at",
    "family_expires_at", "created_at", "updated_at")
  VALUES ("p_refresh", "p_user", 'refresh', "p_refresh_hash", "p_refresh", "p_session",
    insert_session."expires_at", insert_session."absolute_expires_at", "at", "at");
  PERFORM "public"."write_audit_entries"("p_user", 'USER_LOGIN', 'session', "p_session",
    jsonb_build_object('method', "p_method"), "p_ip", "p_agent", CASE WHEN "p_unlocked" THEN 'ACCOUNT_UNLOCKED' END,
    '{"lock": "password"}');
END
$$;

-- Completes a sign-in whose factors were all right, in a transaction that holds the lock on the user's row.
CREATE OR REPLACE FUNCTION "open_session"(
  "p_user" text, "p_session" text, "p_session_hash" text, "p_refresh" text, "p_refresh_hash" text, "p_idle" interval,
  "p_absolute" interval, "p_method" text, "p_ip" text, "p_agent" text,
  OUT "expires_at" timestamptz, OUT "absolute_expires_at" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "unlocked" boolean := "public"."accept_proof"("p_user", true, true, true, NULL, "p_ip");
BEGIN
  SELECT * INTO "expires_at", "absolute_expires_at" FROM "public"."insert_session"("p_user", "p_session",
    "p_session_hash", "p_refresh", "p_refresh_hash", "p_idle", "p_absolute", "p_method", "unlocked", "p_ip", "p_agent");
END
$$;

-- The second half of a sign-in, after the caller compared the password with `p_hash`. Judges the password first, so a caller
-- with a wrong one, or a source that is locked, learns nothing else. A right password is rejected as "account_inactive",
-- "password_reset_required" or "email_unverified"; its outcome is "challenge" if a second factor is enabled, else "session".
-- If a concurrent sign-in replaced the hash, the outcome is "changed", and the caller compares the password again.
CREATE FUNCTION "finish_sign_in"(
  "p_user" text, "p_email" text, "p_hash" text, "p_is_right" boolean, "p_new_hash" text, "p_verified" boolean,
  "p_limit" integer, "p_window" interval, "p_lock" interval, "p_cap" interval, "p_session" text, "p_session_hash" text, "p_refresh" text,
  "p_refresh_hash" text, "p_idle" interval, "p_absolute" interval, "p_challenge" interval, "p_ip" text, "p_agent" text,
  OUT "outcome" text, OUT "until" timestamptz, OUT "factors" text[], OUT "expires_at" timestamptz,
  OUT "absolute_expires_at" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "refusal" text;
  "unlocked" boolean;
BEGIN
  SELECT "it"."outcome", "it"."until" INTO "outcome", "until"
  FROM "public"."judge_password"("p_user", "public"."unknown_subject"("p_email"), "p_hash", "p_is_right", 'LOGIN_FAILED',
    "p_limit", "p_window", "p_lock", "p_cap", "p_ip", "p_agent") AS "it";
  IF "outcome" <> 'right' THEN
    RETURN;
  END IF;
  SELECT CASE WHEN NOT "it"."is_active" THEN 'account_inactive'
    WHEN "it"."password_reset_required" THEN 'password_reset_required'
    WHEN "p_verified" AND NOT "it"."email_verified" THEN 'email_unverified' END
  INTO "refusal" FROM "public"."users" AS "it" WHERE "it"."id" = "p_user";
  IF "refusal" IS NOT NULL THEN
    "outcome" := "refusal";
    PERFORM "public"."write_audit_entry"("p_user", 'LOGIN_REFUSED', 'user', "p_user",
      jsonb_build_object('reason', 'AUTH.' || upper("refusal")), "p_ip", "p_agent");
    RETURN;
  END IF;
  SELECT array_remove(ARRAY[CASE WHEN "totp_enabled" THEN 'totp' END, CASE WHEN "sms_enabled" THEN 'sms' END,
    CASE WHEN "email_enabled" THEN 'email' END], NULL)
  INTO "factors" FROM "public"."mfa_settings" WHERE "user_id" = "p_user";
  IF cardinality("factors") > 0 THEN
    "outcome" := 'challenge';
    "unlocked" := "public"."accept_proof"("p_user", true, false, false, "p_new_hash", "p_ip");
    "expires_at" := "public"."issue_token"("p_user", 'mfa_challenge', "p_refresh", "p_refresh_hash", NULL, "p_challenge");
    PERFORM "public"."write_audit_entries"("p_user", 'MFA_CHALLENGED', 'user', "p_user", '{}', "p_ip", "p_agent",
      CASE WHEN "unlocked" THEN 'ACCOUNT_UNLOCKED' END, '{"lock": "password"}');
  ELSE
    "outcome" := 'session';
    "unlocked" := "public"."accept_proof"("p_user", true, false, true, "p_new_hash", "p_ip");
    SELECT * INTO "expires_at", "absolute_expires_at" FROM "public"."insert_session"("p_user", "p_session",
      "p_session_hash", "p_refresh", "p_refresh_hash", "p_idle", "p_absolute", 'password', "unlocked", "p_ip", "p_agent");
  END IF;
END
$$;

-- The row of a limit. The database keeps neither the address nor the account that a limit is about.
CREATE FUNCTION "message_limit_id"("p_kind" text, "p_role" text, "p_subject" text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public AS $$
  SELECT encode(sha256(convert_to(jsonb_build_array("p_kind", "p_role", "p_subject")::text, 'UTF8')), 'hex')
$$;

-- What limits a message, in one order for all. Each recipient (an account, an address) receives one message a minute, five at
-- once and then one an hour: at most 29 in a day, and never so few that the last link has expired before the next can be
-- requested. Each sender (an account, a network) causes at most 100 at once and then one in ten seconds. The account that codes
-- are for causes at most 30 at once and then two an hour, also if it answers each: messages to a number can cost money.
CREATE FUNCTION "message_subjects"("p_kind" text, "p_recipients" text[], "p_senders" text[], "p_ip" text)
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

-- Deletes a few expired rows, so that the table stays as small as the traffic of a few hours.
CREATE FUNCTION "prune_messages"() RETURNS void LANGUAGE sql SET search_path = pg_catalog, public AS $$
  DELETE FROM "public"."message_limits" WHERE "id" IN (
    SELECT "old"."id" FROM "public"."message_limits" AS "old" WHERE "old"."expires_at" <= "public"."database_time"()
    ORDER BY "old"."expires_at" LIMIT 5 FOR UPDATE SKIP LOCKED)
$$;

-- Counts a message of a kind that is about to be sent, or refuses it and counts nothing. `next_at` is the earliest time for the
-- next one.
CREATE FUNCTION "take_message"(
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

-- Ends the pause after a message whose sending failed. The message stays counted, so a sender that always fails is limited too.
CREATE FUNCTION "withdraw_message"("p_kind" text, "p_recipients" text[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public AS $$
  UPDATE "public"."message_limits" SET "sent_at" = NULL, "updated_at" = "public"."database_time"()
  WHERE "id" IN (SELECT "public"."message_limit_id"("p_kind", 'to', "subject") FROM unnest("p_recipients") AS "subject")
$$;

-- Forgets the messages to recipients who answered one: they wanted it.
CREATE FUNCTION "forget_messages"("p_kind" text, "p_recipients" text[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public AS $$
  DELETE FROM "public"."message_limits"
  WHERE "id" IN (SELECT "public"."message_limit_id"("p_kind", 'to', "subject") FROM unnest("p_recipients") AS "subject")
$$;

-- Issues a token for a new password to an address in lower case, if an active account has it and the limits allow a message. An
-- unknown address has the same limits, and its request writes an entry about nobody, so that neither the answer nor the work
-- tells whether the account exists. A refused request leaves the previous token valid.
CREATE FUNCTION "request_password_reset"(
  "p_email" text, "p_id" text, "p_hash" text, "p_life" interval, "p_ip" text, "p_agent" text
) RETURNS TABLE ("user_id" text, "email" text, "expires_at" timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
BEGIN
  IF NOT (SELECT "granted" FROM "public"."take_message"('password_reset', ARRAY["p_email"], '{}', "p_ip")) THEN
    RETURN;
  END IF;
  SELECT "id", "users"."email" INTO "user_id", "email" FROM "public"."users"
  WHERE lower("users"."email") = "p_email" AND "is_active" AND "deleted_at" IS NULL;
  IF FOUND THEN
    "expires_at" := "public"."issue_token"(request_password_reset."user_id", 'password_reset', "p_id", "p_hash", NULL,
      "p_life");
  END IF;
  PERFORM "public"."write_audit_entry"(request_password_reset."user_id", 'PASSWORD_RESET_REQUESTED', 'user',
    request_password_reset."user_id", '{}', "p_ip", "p_agent");
  PERFORM "public"."prune_messages"();
  IF request_password_reset."user_id" IS NOT NULL THEN
    RETURN NEXT;
  END IF;
END
$$;
