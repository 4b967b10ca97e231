-- Reverts 20261130000001_database_time: the functions as 20261121000003_accounts and 20261129000001_fewer_user_writes
-- defined them.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "refresh_session"(text, text, text, text, interval, text, text);
DROP FUNCTION "finish_sign_in"(text, text, text, text, text, text, text, interval, interval, interval, text, text);
DROP FUNCTION "request_password_reset"(text, text, text, interval, text, text);
DROP FUNCTION "end_sessions"(text, text, text);
DROP FUNCTION "take_token"("token_kind", text);
DROP FUNCTION "issue_token"(text, "token_kind", text, text, text, interval);
DROP FUNCTION "open_session"(text, text, text, text, text, interval, interval, text, text, text);
DROP FUNCTION "begin_sign_in"(text, integer, interval, interval, interval);
DROP FUNCTION "clear_attempts"(text);
DROP FUNCTION "return_attempt"(text);
DROP FUNCTION "claim_attempt"(text, integer, interval, interval, interval);
DROP FUNCTION "write_audit_entry"(text, text, text, text, jsonb, text, text);
DROP FUNCTION "insert_session"(text, text, text, text, text, interval, interval, text, text, text);
DROP FUNCTION "settle_attempt"(text, boolean, text);

CREATE FUNCTION "write_audit_entry"(
  "p_user" text, "p_at" timestamptz, "p_action" text, "p_resource_type" text, "p_resource_id" text, "p_details" jsonb,
  "p_ip" text, "p_agent" text
) RETURNS void LANGUAGE sql SET search_path = pg_catalog, public AS $$
  INSERT INTO "public"."audit_log" ("id", "timestamp", "user_id", "action", "resource_type", "resource_id", "details",
    "ip_address", "user_agent", "created_at")
  VALUES (replace(gen_random_uuid()::text, '-', ''), "p_at", "p_user", "p_action", "p_resource_type", "p_resource_id",
    "p_details", "p_ip", "p_agent", "p_at")
$$;

CREATE FUNCTION "claim_attempt"(
  "p_user" text, "p_at" timestamptz, "p_limit" integer, "p_window" interval, "p_lock" interval, "p_cap" interval,
  OUT "admitted" boolean, OUT "attempt" integer, OUT "until" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "account" record;
  "began" timestamptz;
BEGIN
  SELECT "failed_login_count", "first_failed_at", "lockout_count", "locked_until" INTO "account"
  FROM "public"."users" WHERE "id" = "p_user" FOR NO KEY UPDATE;
  IF NOT FOUND OR "account"."locked_until" > "p_at" THEN
    "admitted" := false;
    "attempt" := coalesce("account"."failed_login_count", 0);
    "until" := "account"."locked_until";
    RETURN;
  END IF;
  "admitted" := true;
  IF "account"."locked_until" IS NULL AND "account"."first_failed_at" > "p_at" - "p_window" THEN
    "attempt" := "account"."failed_login_count" + 1;
    "began" := "account"."first_failed_at";
  ELSE
    "attempt" := 1;
    "began" := "p_at";
  END IF;
  IF "attempt" >= "p_limit" THEN
    "until" := "p_at" + least("p_lock" * power(2, least("account"."lockout_count", 30)), "p_cap");
  END IF;
  UPDATE "public"."users"
  SET "failed_login_count" = "attempt", "first_failed_at" = "began", "locked_until" = "until",
      "lockout_count" = "lockout_count" + CASE WHEN "until" IS NULL THEN 0 ELSE 1 END,
      "lockout_reason" = CASE WHEN "until" IS NOT NULL THEN 'failed attempts' END, "updated_at" = "p_at"
  WHERE "id" = "p_user";
  IF "until" IS NOT NULL THEN
    PERFORM "public"."write_audit_entry"("p_user", "p_at", 'ACCOUNT_LOCKED', 'user', "p_user",
      jsonb_build_object('until', extract(epoch FROM "until"), 'attempts', "attempt"), NULL, NULL);
  END IF;
END
$$;

CREATE FUNCTION "settle_attempt"("p_user" text, "p_at" timestamptz, "p_signed_in" boolean, "p_new_hash" text)
  RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "was_locked" boolean;
BEGIN
  SELECT "locked_until" > "p_at" INTO "was_locked" FROM "public"."users" WHERE "id" = "p_user" FOR NO KEY UPDATE;
  UPDATE "public"."users"
  SET "failed_login_count" = CASE WHEN "p_signed_in" THEN 0 ELSE greatest("failed_login_count" - 1, 0) END,
      "first_failed_at" = CASE WHEN NOT "p_signed_in" AND "failed_login_count" > 1 THEN "first_failed_at" END,
      "lockout_count" = CASE WHEN "p_signed_in" THEN 0
        ELSE greatest("lockout_count" - CASE WHEN "locked_until" IS NULL THEN 0 ELSE 1 END, 0) END,
      "locked_until" = NULL, "lockout_reason" = NULL,
      "last_login_at" = CASE WHEN "p_signed_in" THEN "p_at" ELSE "last_login_at" END,
      "last_activity_at" = CASE WHEN "p_signed_in" THEN "p_at" ELSE "last_activity_at" END,
      "password_hash" = coalesce("p_new_hash", "password_hash"), "updated_at" = "p_at"
  -- Another sign-in may have forgotten the attempt: then there is nothing to give back.
  WHERE "id" = "p_user" AND ("p_signed_in" OR "p_new_hash" IS NOT NULL OR "first_failed_at" IS NOT NULL);
  IF "was_locked" THEN
    PERFORM "public"."write_audit_entry"("p_user", "p_at", 'ACCOUNT_UNLOCKED', 'user', "p_user", '{}', NULL, NULL);
  END IF;
END
$$;

CREATE FUNCTION "return_attempt"("p_user" text, "p_at" timestamptz) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM "public"."settle_attempt"("p_user", "p_at", false, NULL);
END
$$;

CREATE FUNCTION "clear_attempts"("p_user" text, "p_at" timestamptz) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "was_locked" boolean;
BEGIN
  SELECT "locked_until" > "p_at" INTO "was_locked" FROM "public"."users" WHERE "id" = "p_user" FOR NO KEY UPDATE;
  UPDATE "public"."users"
  SET "failed_login_count" = 0, "first_failed_at" = NULL, "lockout_count" = 0, "locked_until" = NULL,
      "lockout_reason" = NULL, "updated_at" = "p_at"
  WHERE "id" = "p_user";
  IF "was_locked" THEN
    PERFORM "public"."write_audit_entry"("p_user", "p_at", 'ACCOUNT_UNLOCKED', 'user', "p_user", '{}', NULL, NULL);
  END IF;
END
$$;

CREATE FUNCTION "begin_sign_in"(
  "p_email" text, "p_at" timestamptz, "p_limit" integer, "p_window" interval, "p_lock" interval, "p_cap" interval
) RETURNS TABLE (
  "user_id" text, "password_hash" text, "is_active" boolean, "email_verified" boolean, "reset_required" boolean,
  "admitted" boolean, "until" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  RETURN QUERY
  SELECT "found"."id", "found"."password_hash"::text, "found"."is_active", "found"."email_verified",
         "found"."password_reset_required", "claim"."admitted", "claim"."until"
  FROM "public"."users" AS "found"
  CROSS JOIN LATERAL "public"."claim_attempt"("found"."id", "p_at", "p_limit", "p_window", "p_lock", "p_cap") AS "claim"
  WHERE lower("found"."email") = "p_email" AND "found"."deleted_at" IS NULL;
  -- The try of an account is written to disk, which takes a time that can be measured; so is this, to no table.
  IF NOT FOUND THEN
    PERFORM pg_logical_emit_message(true, 'azora', '');
  END IF;
END
$$;

CREATE FUNCTION "insert_session"(
  "p_user" text, "p_at" timestamptz, "p_session" text, "p_session_hash" text, "p_refresh" text, "p_refresh_hash" text,
  "p_idle" interval, "p_absolute" interval, "p_method" text, "p_ip" text, "p_agent" text
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  INSERT INTO "public"."sessions" ("id", "user_id", "token_hash", "ip_address", "user_agent", "last_activity_at",
    "expires_at", "created_at", "updated_at")
  VALUES ("p_session", "p_user", "p_session_hash", "p_ip", "p_agent", "p_at", "p_at" + least("p_idle", "p_absolute"),
    "p_at", "p_at");
  INSERT INTO "public"."tokens" ("id", "user_id", "kind", "token_hash", "family_id", "session_id", "expires_at",
    "family_expires_at", "created_at", "updated_at")
  VALUES ("p_refresh", "p_user", 'refresh', "p_refresh_hash", "p_refresh", "p_session",
    "p_at" + least("p_idle", "p_absolute"), "p_at" + "p_absolute", "p_at", "p_at");
  PERFORM "public"."write_audit_entry"("p_user", "p_at", 'USER_LOGIN', 'session', "p_session",
    jsonb_build_object('method', "p_method"), "p_ip", "p_agent");
END
$$;

CREATE FUNCTION "open_session"(
  "p_user" text, "p_at" timestamptz, "p_session" text, "p_session_hash" text, "p_refresh" text, "p_refresh_hash" text,
  "p_idle" interval, "p_absolute" interval, "p_method" text, "p_ip" text, "p_agent" text
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM "public"."settle_attempt"("p_user", "p_at", true, NULL);
  PERFORM "public"."insert_session"("p_user", "p_at", "p_session", "p_session_hash", "p_refresh", "p_refresh_hash",
    "p_idle", "p_absolute", "p_method", "p_ip", "p_agent");
END
$$;

CREATE FUNCTION "issue_token"(
  "p_user" text, "p_at" timestamptz, "p_kind" "token_kind", "p_id" text, "p_hash" text, "p_email" text,
  "p_life" interval
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM FROM "public"."users" WHERE "id" = "p_user" FOR NO KEY UPDATE;
  UPDATE "public"."tokens" SET "revoked_at" = "p_at", "updated_at" = "p_at"
  WHERE "user_id" = "p_user" AND "kind" = "p_kind" AND "used_at" IS NULL AND "revoked_at" IS NULL;
  INSERT INTO "public"."tokens"
    ("id", "user_id", "kind", "token_hash", "email", "expires_at", "created_at", "updated_at")
  VALUES ("p_id", "p_user", "p_kind", "p_hash", "p_email", "p_at" + "p_life", "p_at", "p_at");
END
$$;

CREATE FUNCTION "take_token"("p_kind" "token_kind", "p_hash" text, "p_at" timestamptz)
  RETURNS TABLE ("user_id" text, "email" text) LANGUAGE sql SET search_path = pg_catalog, public AS $$
  UPDATE "public"."tokens" SET "used_at" = "p_at", "updated_at" = "p_at"
  WHERE "token_hash" = "p_hash" AND "kind" = "p_kind" AND "used_at" IS NULL AND "revoked_at" IS NULL
    AND "expires_at" > "p_at"
  RETURNING "user_id", "email"::text
$$;

CREATE FUNCTION "request_password_reset"(
  "p_email" text, "p_at" timestamptz, "p_id" text, "p_hash" text, "p_life" interval, "p_ip" text, "p_agent" text
) RETURNS TABLE ("user_id" text, "email" text) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
BEGIN
  SELECT "id", "users"."email" INTO "user_id", "email" FROM "public"."users"
  WHERE lower("users"."email") = "p_email" AND "is_active" AND "deleted_at" IS NULL;
  IF FOUND THEN
    PERFORM "public"."issue_token"(request_password_reset."user_id", "p_at", 'password_reset', "p_id", "p_hash", NULL,
      "p_life");
  END IF;
  PERFORM "public"."write_audit_entry"(request_password_reset."user_id", "p_at", 'PASSWORD_RESET_REQUESTED', 'user',
    request_password_reset."user_id", '{}', "p_ip", "p_agent");
  IF request_password_reset."user_id" IS NOT NULL THEN
    RETURN NEXT;
  END IF;
END
$$;

CREATE FUNCTION "end_sessions"("p_user" text, "p_at" timestamptz, "p_only" text, "p_except" text) RETURNS integer
  LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "ended" integer;
BEGIN
  PERFORM FROM "public"."users" WHERE "id" = "p_user" FOR NO KEY UPDATE;
  UPDATE "public"."tokens" SET "revoked_at" = "p_at", "updated_at" = "p_at"
  WHERE "user_id" = "p_user" AND "kind" = 'refresh' AND "used_at" IS NULL AND "revoked_at" IS NULL
    AND ("p_only" IS NULL OR "session_id" = "p_only")
    AND ("p_except" IS NULL OR "session_id" IS DISTINCT FROM "p_except");
  UPDATE "public"."sessions" SET "revoked_at" = "p_at", "updated_at" = "p_at"
  WHERE "user_id" = "p_user" AND "revoked_at" IS NULL AND "expires_at" > "p_at"
    AND ("p_only" IS NULL OR "id" = "p_only") AND ("p_except" IS NULL OR "id" <> "p_except");
  GET DIAGNOSTICS "ended" = ROW_COUNT;
  RETURN "ended";
END
$$;

CREATE FUNCTION "finish_sign_in"(
  "p_user" text, "p_at" timestamptz, "p_password_hash" text, "p_new_hash" text, "p_session" text, "p_session_hash" text,
  "p_refresh" text, "p_refresh_hash" text, "p_idle" interval, "p_absolute" interval, "p_challenge" interval,
  "p_ip" text, "p_agent" text, OUT "outcome" text, OUT "factors" text[]
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
    PERFORM "public"."settle_attempt"("p_user", "p_at", false, "p_new_hash");
    PERFORM "public"."issue_token"("p_user", "p_at", 'mfa_challenge', "p_refresh", "p_refresh_hash", NULL,
      "p_challenge");
    PERFORM "public"."write_audit_entry"("p_user", "p_at", 'MFA_CHALLENGED', 'user', "p_user", '{}', "p_ip", "p_agent");
  ELSE
    "outcome" := 'session';
    PERFORM "public"."settle_attempt"("p_user", "p_at", true, "p_new_hash");
    PERFORM "public"."insert_session"("p_user", "p_at", "p_session", "p_session_hash", "p_refresh", "p_refresh_hash",
      "p_idle", "p_absolute", 'password', "p_ip", "p_agent");
  END IF;
END
$$;

CREATE FUNCTION "refresh_session"(
  "p_hash" text, "p_at" timestamptz, "p_token" text, "p_new_hash" text, "p_session_hash" text, "p_idle" interval,
  "p_ip" text, "p_agent" text,
  OUT "outcome" text, OUT "user_id" text, OUT "session_id" text, OUT "expires_at" timestamptz,
  OUT "family_expires_at" timestamptz
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
#variable_conflict use_column
DECLARE
  "spent" record;
BEGIN
  UPDATE "public"."tokens" AS "token" SET "used_at" = "p_at", "updated_at" = "p_at"
  WHERE "token_hash" = "p_hash" AND "kind" = 'refresh' AND "used_at" IS NULL AND "revoked_at" IS NULL
    AND "expires_at" > "p_at"
  RETURNING "token".* INTO "spent";
  IF FOUND THEN
    "family_expires_at" := coalesce("spent"."family_expires_at", "spent"."expires_at");
    "expires_at" := least("p_at" + "p_idle", "family_expires_at");
    "user_id" := "spent"."user_id";
    "session_id" := "spent"."session_id";
    UPDATE "public"."sessions" AS "session"
    -- A clock that ran backwards by more than the idle time must not end a session before it began.
    SET "token_hash" = "p_session_hash", "last_activity_at" = "p_at", "updated_at" = "p_at",
        "expires_at" = greatest(refresh_session."expires_at", "session"."created_at" + interval '1 microsecond'),
        "ip_address" = coalesce("p_ip", "ip_address"),
        "user_agent" = coalesce("p_agent", "user_agent")
    FROM "public"."users" AS "owner"
    WHERE "session"."id" = "spent"."session_id" AND "session"."revoked_at" IS NULL AND "session"."expires_at" > "p_at"
      AND "owner"."id" = "session"."user_id" AND "owner"."is_active";
    IF FOUND THEN
      INSERT INTO "public"."tokens" ("id", "user_id", "kind", "token_hash", "family_id", "session_id", "expires_at",
        "family_expires_at", "created_at", "updated_at")
      VALUES ("p_token", "spent"."user_id", 'refresh', "p_new_hash", "spent"."family_id", "spent"."session_id",
        refresh_session."expires_at", refresh_session."family_expires_at", "p_at", "p_at");
      "outcome" := 'refreshed';
    ELSE
      "outcome" := 'ended';
    END IF;
    RETURN;
  END IF;
  SELECT * INTO "spent" FROM "public"."tokens" WHERE "token_hash" = "p_hash" AND "kind" = 'refresh';
  "outcome" := CASE WHEN "spent"."id" IS NULL THEN 'unknown' WHEN "spent"."used_at" IS NOT NULL THEN 'reused'
    WHEN "spent"."revoked_at" IS NOT NULL THEN 'ended' ELSE 'expired' END;
  IF "outcome" = 'reused' THEN
    UPDATE "public"."tokens" SET "revoked_at" = "p_at", "updated_at" = "p_at"
    WHERE "family_id" = "spent"."family_id" AND "used_at" IS NULL AND "revoked_at" IS NULL;
    UPDATE "public"."sessions" SET "revoked_at" = "p_at", "updated_at" = "p_at"
    WHERE "id" = "spent"."session_id" AND "revoked_at" IS NULL;
    IF FOUND THEN
      PERFORM "public"."write_audit_entry"("spent"."user_id", "p_at", 'TOKEN_REUSED', 'session', "spent"."session_id",
        '{}', "p_ip", "p_agent");
    END IF;
  END IF;
END
$$;

DROP TRIGGER "sessions_time_begins" ON "sessions";
DROP TRIGGER "sessions_time_stays" ON "sessions";
DROP TRIGGER "tokens_time_begins" ON "tokens";
DROP TRIGGER "tokens_time_stays" ON "tokens";
DROP TRIGGER "one_time_codes_time_begins" ON "one_time_codes";
DROP TRIGGER "one_time_codes_time_stays" ON "one_time_codes";
DROP TRIGGER "org_invitations_time_begins" ON "org_invitations";
DROP TRIGGER "org_invitations_time_stays" ON "org_invitations";
DROP TRIGGER "users_time_begins" ON "users";
DROP TRIGGER "users_time_stays" ON "users";
DROP FUNCTION "refuse_time"();

ALTER TABLE "sessions" DROP CONSTRAINT "sessions_life_check";
ALTER TABLE "tokens" DROP CONSTRAINT "tokens_life_check";
ALTER TABLE "one_time_codes" DROP CONSTRAINT "one_time_codes_life_check";
ALTER TABLE "org_invitations" DROP CONSTRAINT "org_invitations_life_check";

ALTER TABLE "users"
  ALTER COLUMN "created_at" SET DEFAULT CURRENT_TIMESTAMP,
  ALTER COLUMN "updated_at" SET DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE "user_profiles"
  ALTER COLUMN "created_at" SET DEFAULT CURRENT_TIMESTAMP,
  ALTER COLUMN "updated_at" SET DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE "sessions"
  ALTER COLUMN "created_at" SET DEFAULT CURRENT_TIMESTAMP,
  ALTER COLUMN "updated_at" SET DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE "tokens"
  ALTER COLUMN "created_at" SET DEFAULT CURRENT_TIMESTAMP,
  ALTER COLUMN "updated_at" SET DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE "token_blacklist"
  ALTER COLUMN "revoked_at" SET DEFAULT CURRENT_TIMESTAMP,
  ALTER COLUMN "created_at" SET DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE "mfa_settings"
  ALTER COLUMN "created_at" SET DEFAULT CURRENT_TIMESTAMP,
  ALTER COLUMN "updated_at" SET DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE "recovery_codes"
  ALTER COLUMN "created_at" SET DEFAULT CURRENT_TIMESTAMP,
  ALTER COLUMN "updated_at" SET DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE "one_time_codes"
  ALTER COLUMN "created_at" SET DEFAULT CURRENT_TIMESTAMP,
  ALTER COLUMN "updated_at" SET DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE "oauth_providers"
  ALTER COLUMN "created_at" SET DEFAULT CURRENT_TIMESTAMP,
  ALTER COLUMN "updated_at" SET DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE "organizations"
  ALTER COLUMN "created_at" SET DEFAULT CURRENT_TIMESTAMP,
  ALTER COLUMN "updated_at" SET DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE "organization_members"
  ALTER COLUMN "created_at" SET DEFAULT CURRENT_TIMESTAMP,
  ALTER COLUMN "updated_at" SET DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE "org_invitations"
  ALTER COLUMN "created_at" SET DEFAULT CURRENT_TIMESTAMP,
  ALTER COLUMN "updated_at" SET DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE "audit_log"
  ALTER COLUMN "timestamp" SET DEFAULT CURRENT_TIMESTAMP,
  ALTER COLUMN "created_at" SET DEFAULT CURRENT_TIMESTAMP;
ALTER TABLE "audit_chains"
  ALTER COLUMN "created_at" SET DEFAULT CURRENT_TIMESTAMP,
  ALTER COLUMN "updated_at" SET DEFAULT CURRENT_TIMESTAMP;

DROP FUNCTION "database_time"();
