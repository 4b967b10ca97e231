-- Why: the database's time decides in every rule, so that no client's clock counts.
-- Locks: every table wholly until the end; sessions, tokens, one_time_codes and org_invitations are read once.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- One function tells the time of every rule of this database. It reads the clock when it is called, not the start of the
-- transaction: a rule that waited for a lock is judged at the time at which it holds the lock. Only the administrator can
-- replace the function, as tests do.
CREATE FUNCTION "database_time"() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT pg_catalog.clock_timestamp() $$;

-- AlterTable
ALTER TABLE "users"
  ALTER COLUMN "created_at" SET DEFAULT database_time(),
  ALTER COLUMN "updated_at" SET DEFAULT database_time();

-- AlterTable
ALTER TABLE "user_profiles"
  ALTER COLUMN "created_at" SET DEFAULT database_time(),
  ALTER COLUMN "updated_at" SET DEFAULT database_time();

-- AlterTable
ALTER TABLE "sessions"
  ALTER COLUMN "created_at" SET DEFAULT database_time(),
  ALTER COLUMN "updated_at" SET DEFAULT database_time();

-- AlterTable
ALTER TABLE "tokens"
  ALTER COLUMN "created_at" SET DEFAULT database_time(),
  ALTER COLUMN "updated_at" SET DEFAULT database_time();

-- AlterTable
ALTER TABLE "token_blacklist"
  ALTER COLUMN "revoked_at" SET DEFAULT database_time(),
  ALTER COLUMN "created_at" SET DEFAULT database_time();

-- AlterTable
ALTER TABLE "mfa_settings"
  ALTER COLUMN "created_at" SET DEFAULT database_time(),
  ALTER COLUMN "updated_at" SET DEFAULT database_time();

-- AlterTable
ALTER TABLE "recovery_codes"
  ALTER COLUMN "created_at" SET DEFAULT database_time(),
  ALTER COLUMN "updated_at" SET DEFAULT database_time();

-- AlterTable
ALTER TABLE "one_time_codes"
  ALTER COLUMN "created_at" SET DEFAULT database_time(),
  ALTER COLUMN "updated_at" SET DEFAULT database_time();

-- AlterTable
ALTER TABLE "oauth_providers"
  ALTER COLUMN "created_at" SET DEFAULT database_time(),
  ALTER COLUMN "updated_at" SET DEFAULT database_time();

-- AlterTable
ALTER TABLE "organizations"
  ALTER COLUMN "created_at" SET DEFAULT database_time(),
  ALTER COLUMN "updated_at" SET DEFAULT database_time();

-- AlterTable
ALTER TABLE "organization_members"
  ALTER COLUMN "created_at" SET DEFAULT database_time(),
  ALTER COLUMN "updated_at" SET DEFAULT database_time();

-- AlterTable
ALTER TABLE "org_invitations"
  ALTER COLUMN "created_at" SET DEFAULT database_time(),
  ALTER COLUMN "updated_at" SET DEFAULT database_time();

-- AlterTable
ALTER TABLE "audit_log"
  ALTER COLUMN "timestamp" SET DEFAULT database_time(),
  ALTER COLUMN "created_at" SET DEFAULT database_time();

-- AlterTable
ALTER TABLE "audit_chains"
  ALTER COLUMN "created_at" SET DEFAULT database_time(),
  ALTER COLUMN "updated_at" SET DEFAULT database_time();

-- What the schema language cannot say.

-- The longest life of each row, whichever client writes. The settings of a store stay below; earlier they did not have to. In hours,
-- because a day on which the clocks change is longer than 24.
UPDATE "sessions" SET "expires_at" = "created_at" + interval '8784 hours'
WHERE "expires_at" > "created_at" + interval '8784 hours';
UPDATE "tokens" SET "expires_at" = least("expires_at", "created_at" + "longest"),
  -- Only refresh tokens have it, and least() ignores NULL.
  "family_expires_at" = CASE WHEN "family_expires_at" IS NOT NULL THEN least("family_expires_at", "created_at" + "longest") END
FROM (VALUES ('refresh', interval '8784 hours'), ('password_reset', '24 hours'), ('mfa_challenge', '1 hour'),
  ('email_verification', '744 hours'), ('invitation', '744 hours')) AS "lives" ("kind", "longest")
WHERE "tokens"."kind"::text = "lives"."kind" AND greatest("expires_at", "family_expires_at") > "created_at" + "longest";

-- lint-ignore constraint-missing-not-valid: the new defaults have locked the tables already
ALTER TABLE "sessions"
  ADD CONSTRAINT "sessions_life_check" CHECK ("expires_at" <= "created_at" + interval '8784 hours');
-- lint-ignore constraint-missing-not-valid: the new defaults have locked the tables already
ALTER TABLE "tokens"
  ADD CONSTRAINT "tokens_life_check" CHECK (
    greatest("expires_at", "family_expires_at") <= "created_at" + CASE "kind"::text
      WHEN 'refresh' THEN interval '8784 hours'
      WHEN 'password_reset' THEN interval '24 hours'
      WHEN 'mfa_challenge' THEN interval '1 hour'
      ELSE interval '744 hours'
    END
  );
-- lint-ignore constraint-missing-not-valid: the new defaults have locked the tables already
ALTER TABLE "one_time_codes"
  ADD CONSTRAINT "one_time_codes_life_check" CHECK ("expires_at" <= "created_at" + interval '10 minutes');
-- lint-ignore constraint-missing-not-valid: the new defaults have locked the tables already
ALTER TABLE "org_invitations"
  ADD CONSTRAINT "org_invitations_life_check" CHECK ("expires_at" <= "created_at" + interval '168 hours');

-- The conditions are in the triggers, so that a row that follows the rule costs no call. The five seconds allow for a clock
-- that is set back a little between the reading of the time and the write.
CREATE FUNCTION "refuse_time"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  RAISE EXCEPTION 'a time of % is refused: %', TG_TABLE_NAME, TG_ARGV[0]
    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_TABLE_NAME || '_time_check',
      HINT = 'Leave out the column, or use database_time().';
END
$$;

-- A life begins at the latest when its row is written, and is not extended afterwards. Only a session is, up to its longest
-- life.
CREATE TRIGGER "sessions_time_begins" BEFORE INSERT ON "sessions" FOR EACH ROW
  WHEN (greatest(NEW."created_at", NEW."last_activity_at") > database_time() + interval '5 seconds')
  EXECUTE FUNCTION "refuse_time"('it lies in the future');
CREATE TRIGGER "sessions_time_stays" BEFORE UPDATE OF "created_at", "last_activity_at" ON "sessions" FOR EACH ROW
  WHEN (NEW."created_at" > OLD."created_at" OR (NEW."last_activity_at" IS DISTINCT FROM OLD."last_activity_at"
    AND NEW."last_activity_at" > database_time() + interval '5 seconds'))
  EXECUTE FUNCTION "refuse_time"('it lies in the future, or begins a session again');
CREATE TRIGGER "tokens_time_begins" BEFORE INSERT ON "tokens" FOR EACH ROW
  WHEN (NEW."created_at" > database_time() + interval '5 seconds')
  EXECUTE FUNCTION "refuse_time"('it lies in the future');
CREATE TRIGGER "tokens_time_stays" BEFORE UPDATE OF "created_at", "expires_at", "family_expires_at" ON "tokens"
  FOR EACH ROW WHEN (NEW."created_at" > OLD."created_at"
    OR NEW."expires_at" > OLD."expires_at"
    OR NEW."family_expires_at" > coalesce(OLD."family_expires_at", OLD."expires_at"))
  EXECUTE FUNCTION "refuse_time"('a life is not extended');
CREATE TRIGGER "one_time_codes_time_begins" BEFORE INSERT ON "one_time_codes" FOR EACH ROW
  WHEN (NEW."created_at" > database_time() + interval '5 seconds')
  EXECUTE FUNCTION "refuse_time"('it lies in the future');
CREATE TRIGGER "one_time_codes_time_stays" BEFORE UPDATE OF "created_at", "expires_at" ON "one_time_codes"
  FOR EACH ROW WHEN (NEW."created_at" > OLD."created_at"
    OR NEW."expires_at" > OLD."expires_at")
  EXECUTE FUNCTION "refuse_time"('a life is not extended');
CREATE TRIGGER "org_invitations_time_begins" BEFORE INSERT ON "org_invitations" FOR EACH ROW
  WHEN (NEW."created_at" > database_time() + interval '5 seconds')
  EXECUTE FUNCTION "refuse_time"('it lies in the future');
CREATE TRIGGER "org_invitations_time_stays" BEFORE UPDATE OF "created_at", "expires_at" ON "org_invitations"
  FOR EACH ROW WHEN (NEW."created_at" > OLD."created_at"
    OR NEW."expires_at" > OLD."expires_at")
  EXECUTE FUNCTION "refuse_time"('a life is not extended');

-- A first failure in the future would keep its window open for ever, and a lock without an end is a deactivation.
CREATE TRIGGER "users_time_begins" BEFORE INSERT ON "users" FOR EACH ROW
  WHEN (NEW."first_failed_at" > database_time() + interval '5 seconds'
    OR NEW."locked_until" > database_time() + interval '744 hours 5 seconds')
  EXECUTE FUNCTION "refuse_time"('a failure lies in the future, or a lock lasts longer than 31 days');
CREATE TRIGGER "users_time_stays" BEFORE UPDATE OF "first_failed_at", "locked_until" ON "users" FOR EACH ROW
  WHEN ((NEW."first_failed_at" IS DISTINCT FROM OLD."first_failed_at"
      AND NEW."first_failed_at" > database_time() + interval '5 seconds')
    OR (NEW."locked_until" IS DISTINCT FROM OLD."locked_until"
      AND NEW."locked_until" > database_time() + interval '744 hours 5 seconds'))
  EXECUTE FUNCTION "refuse_time"('a failure lies in the future, or a lock lasts longer than 31 days');

-- The functions read the time themselves, as soon as they hold their locks. Their other rules stay as they were.
DROP FUNCTION "refresh_session"(text, timestamptz, text, text, text, interval, text, text);
DROP FUNCTION "finish_sign_in"(text, timestamptz, text, text, text, text, text, text, interval, interval, interval, text, text);
DROP FUNCTION "request_password_reset"(text, timestamptz, text, text, interval, text, text);
DROP FUNCTION "end_sessions"(text, timestamptz, text, text);
DROP FUNCTION "take_token"("token_kind", text, timestamptz);
DROP FUNCTION "issue_token"(text, timestamptz, "token_kind", text, text, text, interval);
DROP FUNCTION "open_session"(text, timestamptz, text, text, text, text, interval, interval, text, text, text);
DROP FUNCTION "begin_sign_in"(text, timestamptz, integer, interval, interval, interval);
DROP FUNCTION "clear_attempts"(text, timestamptz);
DROP FUNCTION "return_attempt"(text, timestamptz);
DROP FUNCTION "claim_attempt"(text, timestamptz, integer, interval, interval, interval);
DROP FUNCTION "write_audit_entry"(text, timestamptz, text, text, text, jsonb, text, text);
DROP FUNCTION "insert_session"(text, timestamptz, text, text, text, text, interval, interval, text, text, text);
DROP FUNCTION "settle_attempt"(text, timestamptz, boolean, text);

-- Writes an entry about a user from other functions.
CREATE FUNCTION "write_audit_entry"(
  "p_user" text, "p_action" text, "p_resource_type" text, "p_resource_id" text, "p_details" jsonb, "p_ip" text,
  "p_agent" text
) RETURNS void LANGUAGE sql SET search_path = pg_catalog, public AS $$
  INSERT INTO "public"."audit_log" ("id", "user_id", "action", "resource_type", "resource_id", "details", "ip_address",
    "user_agent")
  VALUES (replace(gen_random_uuid()::text, '-', ''), "p_user", "p_action", "p_resource_type", "p_resource_id",
    "p_details", "p_ip", "p_agent")
$$;

-- Takes one of the tries that an account has. A try is counted before the factor is looked at, so that of many at once
-- no more than the limit are looked at; the last one locks the account, which who succeeds takes back. While it is
-- locked nothing is counted. Each lock lasts twice as long as the one before, up to a cap. A clock that runs backwards
-- finds the window and the lock still there.
CREATE FUNCTION "claim_attempt"(
  "p_user" text, "p_limit" integer, "p_window" interval, "p_lock" interval, "p_cap" interval,
  OUT "admitted" boolean, OUT "attempt" integer, OUT "until" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "account" record;
  "began" timestamptz;
  "at" timestamptz;
BEGIN
  SELECT "failed_login_count", "first_failed_at", "lockout_count", "locked_until" INTO "account"
  FROM "public"."users" WHERE "id" = "p_user" FOR NO KEY UPDATE;
  "at" := "public"."database_time"();
  IF NOT FOUND OR "account"."locked_until" > "at" THEN
    "admitted" := false;
    "attempt" := coalesce("account"."failed_login_count", 0);
    "until" := "account"."locked_until";
    RETURN;
  END IF;
  "admitted" := true;
  IF "account"."locked_until" IS NULL AND "account"."first_failed_at" > "at" - "p_window" THEN
    "attempt" := "account"."failed_login_count" + 1;
    "began" := "account"."first_failed_at";
  ELSE
    "attempt" := 1;
    "began" := "at";
  END IF;
  IF "attempt" >= "p_limit" THEN
    "until" := "at" + least("p_lock" * power(2, least("account"."lockout_count", 30)), "p_cap");
  END IF;
  UPDATE "public"."users"
  SET "failed_login_count" = "attempt", "first_failed_at" = "began", "locked_until" = "until",
      "lockout_count" = "lockout_count" + CASE WHEN "until" IS NULL THEN 0 ELSE 1 END,
      "lockout_reason" = CASE WHEN "until" IS NOT NULL THEN 'failed attempts' END, "updated_at" = "at"
  WHERE "id" = "p_user";
  IF "until" IS NOT NULL THEN
    PERFORM "public"."write_audit_entry"("p_user", 'ACCOUNT_LOCKED', 'user', "p_user",
      jsonb_build_object('until', extract(epoch FROM "until"), 'attempts', "attempt"), NULL, NULL);
  END IF;
END
$$;

-- Ends an attempt whose factor was right, in one write of the user's row. A complete sign-in forgets all failures and
-- sets the time of the last sign-in; otherwise the attempt alone is given back. Both end the lock that the attempt set. A
-- new password hash is stored with it.
CREATE FUNCTION "settle_attempt"("p_user" text, "p_signed_in" boolean, "p_new_hash" text) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "locked" timestamptz;
  "at" timestamptz;
BEGIN
  SELECT "locked_until" INTO "locked" FROM "public"."users" WHERE "id" = "p_user" FOR NO KEY UPDATE;
  "at" := "public"."database_time"();
  UPDATE "public"."users"
  SET "failed_login_count" = CASE WHEN "p_signed_in" THEN 0 ELSE greatest("failed_login_count" - 1, 0) END,
      "first_failed_at" = CASE WHEN NOT "p_signed_in" AND "failed_login_count" > 1 THEN "first_failed_at" END,
      "lockout_count" = CASE WHEN "p_signed_in" THEN 0
        ELSE greatest("lockout_count" - CASE WHEN "locked_until" IS NULL THEN 0 ELSE 1 END, 0) END,
      "locked_until" = NULL, "lockout_reason" = NULL,
      "last_login_at" = CASE WHEN "p_signed_in" THEN "at" ELSE "last_login_at" END,
      "last_activity_at" = CASE WHEN "p_signed_in" THEN "at" ELSE "last_activity_at" END,
      "password_hash" = coalesce("p_new_hash", "password_hash"), "updated_at" = "at"
  -- Another sign-in may have forgotten the attempt: then there is nothing to give back.
  WHERE "id" = "p_user" AND ("p_signed_in" OR "p_new_hash" IS NOT NULL OR "first_failed_at" IS NOT NULL);
  IF "locked" > "at" THEN
    PERFORM "public"."write_audit_entry"("p_user", 'ACCOUNT_UNLOCKED', 'user', "p_user", '{}', NULL, NULL);
  END IF;
END
$$;

-- Gives back an attempt whose factor was right although the sign-in is not complete.
CREATE FUNCTION "return_attempt"("p_user" text) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM "public"."settle_attempt"("p_user", false, NULL);
END
$$;

-- Forgets all failed tries, and ends the lock.
CREATE FUNCTION "clear_attempts"("p_user" text) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "locked" timestamptz;
  "at" timestamptz;
BEGIN
  SELECT "locked_until" INTO "locked" FROM "public"."users" WHERE "id" = "p_user" FOR NO KEY UPDATE;
  "at" := "public"."database_time"();
  UPDATE "public"."users"
  SET "failed_login_count" = 0, "first_failed_at" = NULL, "lockout_count" = 0, "locked_until" = NULL,
      "lockout_reason" = NULL, "updated_at" = "at"
  WHERE "id" = "p_user";
  IF "locked" > "at" THEN
    PERFORM "public"."write_audit_entry"("p_user", 'ACCOUNT_UNLOCKED', 'user', "p_user", '{}', NULL, NULL);
  END IF;
END
$$;

-- Finds who signs in by an address in lower case, and takes one of the account's tries; no row for an unknown address.
CREATE FUNCTION "begin_sign_in"(
  "p_email" text, "p_limit" integer, "p_window" interval, "p_lock" interval, "p_cap" interval
) RETURNS TABLE (
  "user_id" text, "password_hash" text, "is_active" boolean, "email_verified" boolean, "reset_required" boolean,
  "admitted" boolean, "until" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  RETURN QUERY
  SELECT "found"."id", "found"."password_hash"::text, "found"."is_active", "found"."email_verified",
         "found"."password_reset_required", "claim"."admitted", "claim"."until"
  FROM "public"."users" AS "found"
  CROSS JOIN LATERAL "public"."claim_attempt"("found"."id", "p_limit", "p_window", "p_lock", "p_cap") AS "claim"
  WHERE lower("found"."email") = "p_email" AND "found"."deleted_at" IS NULL;
  -- The try of an account is written to disk, which takes a time that can be measured; so is this, to no table.
  IF NOT FOUND THEN
    PERFORM pg_logical_emit_message(true, 'azora', '');
  END IF;
END
$$;

-- Inserts a session, the first refresh token of its family, and the entry in the audit log.
CREATE FUNCTION "insert_session"(
  "p_user" text, "p_session" text, "p_session_hash" text, "p_refresh" text, "p_refresh_hash" text, "p_idle" interval,
  "p_absolute" interval, "p_method" text, "p_ip" text, "p_agent" text,
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
  PERFORM "public"."write_audit_entry"("p_user", 'USER_LOGIN', 'session', "p_session",
    jsonb_build_object('method', "p_method"), "p_ip", "p_agent");
END
$$;

-- Completes a sign-in whose factors were all right, in a transaction that holds the lock on the user's row.
CREATE FUNCTION "open_session"(
  "p_user" text, "p_session" text, "p_session_hash" text, "p_refresh" text, "p_refresh_hash" text, "p_idle" interval,
  "p_absolute" interval, "p_method" text, "p_ip" text, "p_agent" text,
  OUT "expires_at" timestamptz, OUT "absolute_expires_at" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM "public"."settle_attempt"("p_user", true, NULL);
  SELECT * INTO "expires_at", "absolute_expires_at" FROM "public"."insert_session"("p_user", "p_session",
    "p_session_hash", "p_refresh", "p_refresh_hash", "p_idle", "p_absolute", "p_method", "p_ip", "p_agent");
END
$$;

-- Puts a token of a kind in the place of the live one. The user's row is locked first, for two at once would both find
-- none.
CREATE FUNCTION "issue_token"(
  "p_user" text, "p_kind" "token_kind", "p_id" text, "p_hash" text, "p_email" text, "p_life" interval
) RETURNS timestamptz LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "at" timestamptz;
BEGIN
  PERFORM FROM "public"."users" WHERE "id" = "p_user" FOR NO KEY UPDATE;
  "at" := "public"."database_time"();
  UPDATE "public"."tokens" SET "revoked_at" = "at", "updated_at" = "at"
  WHERE "user_id" = "p_user" AND "kind" = "p_kind" AND "used_at" IS NULL AND "revoked_at" IS NULL;
  INSERT INTO "public"."tokens"
    ("id", "user_id", "kind", "token_hash", "email", "expires_at", "created_at", "updated_at")
  VALUES ("p_id", "p_user", "p_kind", "p_hash", "p_email", "at" + "p_life", "at", "at");
  RETURN "at" + "p_life";
END
$$;

-- Takes a token of a kind: a row once, to one of all who ask.
CREATE FUNCTION "take_token"(
  "p_kind" "token_kind", "p_hash" text, OUT "user_id" text, OUT "email" text, OUT "at" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
BEGIN
  PERFORM FROM "public"."tokens" WHERE "token_hash" = "p_hash" AND "kind" = "p_kind" FOR NO KEY UPDATE;
  "at" := "public"."database_time"();
  UPDATE "public"."tokens" SET "used_at" = take_token."at", "updated_at" = take_token."at"
  WHERE "token_hash" = "p_hash" AND "kind" = "p_kind" AND "used_at" IS NULL AND "revoked_at" IS NULL
    AND "expires_at" > take_token."at"
  RETURNING "user_id", "email" INTO take_token."user_id", take_token."email";
END
$$;

-- Puts a token for a new password to an address in lower case, if an active account has it; else writes an entry about
-- nobody, so that the work is alike.
CREATE FUNCTION "request_password_reset"(
  "p_email" text, "p_id" text, "p_hash" text, "p_life" interval, "p_ip" text, "p_agent" text
) RETURNS TABLE ("user_id" text, "email" text, "expires_at" timestamptz)
  LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
BEGIN
  SELECT "id", "users"."email" INTO "user_id", "email" FROM "public"."users"
  WHERE lower("users"."email") = "p_email" AND "is_active" AND "deleted_at" IS NULL;
  IF FOUND THEN
    "expires_at" := "public"."issue_token"(request_password_reset."user_id", 'password_reset', "p_id", "p_hash", NULL,
      "p_life");
  END IF;
  PERFORM "public"."write_audit_entry"(request_password_reset."user_id", 'PASSWORD_RESET_REQUESTED', 'user',
    request_password_reset."user_id", '{}', "p_ip", "p_agent");
  IF request_password_reset."user_id" IS NOT NULL THEN
    RETURN NEXT;
  END IF;
END
$$;

-- Ends the live sessions of a user, one of them or all but one, with their refresh tokens; returns how many. The user's
-- row is locked first, so that no session is opened meanwhile; a refresh that is under way finds its session ended.
CREATE FUNCTION "end_sessions"("p_user" text, "p_only" text, "p_except" text) RETURNS integer
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
  RETURN "ended";
END
$$;

-- The second half of a sign-in, after the password was right. The outcome is "refused" when the account was deactivated
-- or its password changed in the meantime, "challenge" when a second factor is on, else "session". The lock on the user's
-- row keeps such a change out until the transaction ends.
CREATE FUNCTION "finish_sign_in"(
  "p_user" text, "p_password_hash" text, "p_new_hash" text, "p_session" text, "p_session_hash" text, "p_refresh" text,
  "p_refresh_hash" text, "p_idle" interval, "p_absolute" interval, "p_challenge" interval, "p_ip" text, "p_agent" text,
  OUT "outcome" text, OUT "factors" text[], OUT "expires_at" timestamptz, OUT "absolute_expires_at" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM FROM "public"."users"
  WHERE "id" = "p_user" AND "password_hash" = "p_password_hash" AND "is_active" AND NOT "password_reset_required"
  FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    "outcome" := 'refused';
    RETURN;
  END IF;
  SELECT array_remove(ARRAY[CASE WHEN "totp_enabled" THEN 'totp' END, CASE WHEN "sms_enabled" THEN 'sms' END,
    CASE WHEN "email_enabled" THEN 'email' END], NULL)
  INTO "factors" FROM "public"."mfa_settings" WHERE "user_id" = "p_user";
  IF cardinality("factors") > 0 THEN
    "outcome" := 'challenge';
    PERFORM "public"."settle_attempt"("p_user", false, "p_new_hash");
    "expires_at" := "public"."issue_token"("p_user", 'mfa_challenge', "p_refresh", "p_refresh_hash", NULL,
      "p_challenge");
    PERFORM "public"."write_audit_entry"("p_user", 'MFA_CHALLENGED', 'user', "p_user", '{}', "p_ip", "p_agent");
  ELSE
    "outcome" := 'session';
    PERFORM "public"."settle_attempt"("p_user", true, "p_new_hash");
    SELECT * INTO "expires_at", "absolute_expires_at" FROM "public"."insert_session"("p_user", "p_session",
      "p_session_hash", "p_refresh", "p_refresh_hash", "p_idle", "p_absolute", 'password', "p_ip", "p_agent");
  END IF;
END
$$;

-- Exchanges a refresh token for the next of its family. One that was used before ends the family and its session:
-- either the thief or the owner holds a later one. Says what happened instead of refusing, for a refusal would take
-- that back.
CREATE FUNCTION "refresh_session"(
  "p_hash" text, "p_token" text, "p_new_hash" text, "p_session_hash" text, "p_idle" interval, "p_ip" text,
  "p_agent" text,
  OUT "outcome" text, OUT "user_id" text, OUT "session_id" text, OUT "expires_at" timestamptz,
  OUT "family_expires_at" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
DECLARE
  "spent" record;
  "at" timestamptz;
BEGIN
  SELECT * INTO "spent" FROM "public"."tokens" WHERE "token_hash" = "p_hash" AND "kind" = 'refresh' FOR NO KEY UPDATE;
  PERFORM FROM "public"."sessions" WHERE "id" = "spent"."session_id" FOR NO KEY UPDATE;
  "at" := "public"."database_time"();
  IF "spent"."used_at" IS NULL AND "spent"."revoked_at" IS NULL AND "spent"."expires_at" > "at" THEN
    UPDATE "public"."tokens" SET "used_at" = "at", "updated_at" = "at" WHERE "id" = "spent"."id";
    "family_expires_at" := coalesce("spent"."family_expires_at", "spent"."expires_at");
    "expires_at" := least("at" + "p_idle", "family_expires_at");
    "user_id" := "spent"."user_id";
    "session_id" := "spent"."session_id";
    UPDATE "public"."sessions" AS "session"
    -- A clock that ran backwards by more than the idle time must not end a session before it began.
    SET "token_hash" = "p_session_hash", "last_activity_at" = "at", "updated_at" = "at",
        "expires_at" = greatest(refresh_session."expires_at", "session"."created_at" + interval '1 microsecond'),
        "ip_address" = coalesce("p_ip", "ip_address"),
        "user_agent" = coalesce("p_agent", "user_agent")
    FROM "public"."users" AS "owner"
    WHERE "session"."id" = "spent"."session_id" AND "session"."revoked_at" IS NULL AND "session"."expires_at" > "at"
      AND "owner"."id" = "session"."user_id" AND "owner"."is_active";
    IF FOUND THEN
      INSERT INTO "public"."tokens" ("id", "user_id", "kind", "token_hash", "family_id", "session_id", "expires_at",
        "family_expires_at", "created_at", "updated_at")
      VALUES ("p_token", "spent"."user_id", 'refresh', "p_new_hash", "spent"."family_id", "spent"."session_id",
        refresh_session."expires_at", refresh_session."family_expires_at", "at", "at");
      "outcome" := 'refreshed';
    ELSE
      "outcome" := 'ended';
    END IF;
    RETURN;
  END IF;
  "outcome" := CASE WHEN "spent"."id" IS NULL THEN 'unknown' WHEN "spent"."used_at" IS NOT NULL THEN 'reused'
    WHEN "spent"."revoked_at" IS NOT NULL THEN 'ended' ELSE 'expired' END;
  IF "outcome" = 'reused' THEN
    UPDATE "public"."tokens" SET "revoked_at" = "at", "updated_at" = "at"
    WHERE "family_id" = "spent"."family_id" AND "used_at" IS NULL AND "revoked_at" IS NULL;
    UPDATE "public"."sessions" SET "revoked_at" = "at", "updated_at" = "at"
    WHERE "id" = "spent"."session_id" AND "revoked_at" IS NULL;
    IF FOUND THEN
      PERFORM "public"."write_audit_entry"("spent"."user_id", 'TOKEN_REUSED', 'session', "spent"."session_id",
        '{}', "p_ip", "p_agent");
    END IF;
  END IF;
END
$$;
