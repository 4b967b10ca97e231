-- Reverts 20261129000001_fewer_user_writes: the functions as 20261121000003_accounts defined them.

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION "finish_sign_in"(
  "p_user" text, "p_at" timestamptz, "p_password_hash" text, "p_new_hash" text, "p_session" text, "p_session_hash" text,
  "p_refresh" text, "p_refresh_hash" text, "p_idle" interval, "p_absolute" interval, "p_challenge" interval,
  "p_ip" text, "p_agent" text, OUT "outcome" text, OUT "factors" text[]
) LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  UPDATE "public"."users" SET "password_hash" = coalesce("p_new_hash", "password_hash")
  WHERE "id" = "p_user" AND "password_hash" = "p_password_hash" AND "is_active" AND NOT "password_reset_required";
  IF NOT FOUND THEN
    "outcome" := 'refused';
    RETURN;
  END IF;
  SELECT array_remove(ARRAY[CASE WHEN "totp_enabled" THEN 'totp' END, CASE WHEN "sms_enabled" THEN 'sms' END,
    CASE WHEN "email_enabled" THEN 'email' END], NULL)
  INTO "factors" FROM "public"."mfa_settings" WHERE "user_id" = "p_user";
  IF cardinality("factors") > 0 THEN
    "outcome" := 'challenge';
    PERFORM "public"."return_attempt"("p_user", "p_at");
    PERFORM "public"."issue_token"("p_user", "p_at", 'mfa_challenge', "p_refresh", "p_refresh_hash", NULL,
      "p_challenge");
    PERFORM "public"."write_audit_entry"("p_user", "p_at", 'MFA_CHALLENGED', 'user', "p_user", '{}', "p_ip", "p_agent");
  ELSE
    "outcome" := 'session';
    PERFORM "public"."open_session"("p_user", "p_at", "p_session", "p_session_hash", "p_refresh", "p_refresh_hash",
      "p_idle", "p_absolute", 'password', "p_ip", "p_agent");
  END IF;
END
$$;

CREATE OR REPLACE FUNCTION "open_session"(
  "p_user" text, "p_at" timestamptz, "p_session" text, "p_session_hash" text, "p_refresh" text, "p_refresh_hash" text,
  "p_idle" interval, "p_absolute" interval, "p_method" text, "p_ip" text, "p_agent" text
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM "public"."clear_attempts"("p_user", "p_at");
  UPDATE "public"."users" SET "last_login_at" = "p_at", "last_activity_at" = "p_at" WHERE "id" = "p_user";
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

CREATE OR REPLACE FUNCTION "return_attempt"("p_user" text, "p_at" timestamptz) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "was_locked" boolean;
BEGIN
  SELECT "locked_until" > "p_at" INTO "was_locked" FROM "public"."users" WHERE "id" = "p_user" FOR NO KEY UPDATE;
  UPDATE "public"."users"
  SET "failed_login_count" = greatest("failed_login_count" - 1, 0),
      "first_failed_at" = CASE WHEN "failed_login_count" > 1 THEN "first_failed_at" END,
      "lockout_count" = greatest("lockout_count" - CASE WHEN "locked_until" IS NULL THEN 0 ELSE 1 END, 0),
      "locked_until" = NULL, "lockout_reason" = NULL, "updated_at" = "p_at"
  WHERE "id" = "p_user" AND "first_failed_at" IS NOT NULL;
  IF "was_locked" THEN
    PERFORM "public"."write_audit_entry"("p_user", "p_at", 'ACCOUNT_UNLOCKED', 'user', "p_user", '{}', NULL, NULL);
  END IF;
END
$$;

DROP FUNCTION "insert_session"(text, timestamptz, text, text, text, text, interval, interval, text, text, text);
DROP FUNCTION "settle_attempt"(text, timestamptz, boolean, text);
