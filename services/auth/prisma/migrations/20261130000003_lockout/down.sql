-- Reverts 20261130000003_lockout: the functions as 20261130000001_database_time defined them. Failures and locks of second
-- factors, of networks, and the limits of messages are forgotten.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "request_password_reset"(text, text, text, interval, text, text);
DROP FUNCTION "forget_messages"(text, text[]);
DROP FUNCTION "withdraw_message"(text, text[]);
DROP FUNCTION "take_message"(text, text[], text[], text);
DROP FUNCTION "prune_messages"();
DROP FUNCTION "message_subjects"(text, text[], text[], text);
DROP FUNCTION "message_limit_id"(text, text, text);
DROP FUNCTION "finish_sign_in"(text, text, text, boolean, text, boolean, integer, interval, interval, interval, text, text, text,
  text, interval, interval, interval, text, text);
DROP FUNCTION "begin_sign_in"(text, text);
DROP FUNCTION "unlock_account"(text);
DROP FUNCTION "insert_session"(text, text, text, text, text, interval, interval, text, boolean, text, text);
DROP FUNCTION "judge_factor"(text, text, boolean, text, integer, interval, interval, interval, text, text);
DROP FUNCTION "prove_by_mail"(text, text);
DROP FUNCTION "accept_proof"(text, boolean, boolean, boolean, text, text);
DROP FUNCTION "judge_password"(text, text, text, boolean, text, integer, interval, interval, interval, text, text);
DROP FUNCTION "password_lock"(text);
DROP FUNCTION "write_audit_entries"(text, text, text, text, jsonb, text, text, text, jsonb);
DROP FUNCTION "fail_source"(text, text, boolean, integer, interval, interval, interval);
DROP FUNCTION "attempt_lock"(text, timestamptz, text, boolean);
DROP FUNCTION "is_unknown"(text);
DROP FUNCTION "unknown_subject"(text);
DROP FUNCTION "end_sessions"(text, text, text, boolean, text);
DROP FUNCTION "forget_sources"(text, text);
DROP FUNCTION "is_known_source"(text, text);
DROP FUNCTION "lock_end"(timestamptz, integer, interval, interval);
DROP FUNCTION "network_of"(text);

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

-- Completes a sign-in whose factors were all right, in a transaction that holds the lock on the user's row.
CREATE OR REPLACE FUNCTION "open_session"(
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

DROP TRIGGER "users_factor_time" ON "users";
DROP TABLE "message_limits";
DROP TABLE "sign_in_sources";
ALTER TABLE "users"
  DROP COLUMN "failures_in_row",
  DROP COLUMN "factor_failed_count",
  DROP COLUMN "factor_locked_until";
