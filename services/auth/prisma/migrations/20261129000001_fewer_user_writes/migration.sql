-- Why: a sign-in wrote the row of the user four times. It now writes the row twice: once to count the attempt, before
-- the password is checked, and once for the result.
-- Locks: none; only functions change.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Ends an attempt whose factor was right, in one write of the user's row. A complete sign-in forgets all failures and
-- sets the time of the last sign-in; otherwise the attempt alone is given back. Both end the lock that the attempt set. A
-- new password hash is stored with it.
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

-- Gives back an attempt whose factor was right although the sign-in is not complete.
CREATE OR REPLACE FUNCTION "return_attempt"("p_user" text, "p_at" timestamptz) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM "public"."settle_attempt"("p_user", "p_at", false, NULL);
END
$$;

-- Inserts a session, the first refresh token of its family, and the entry in the audit log.
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

-- Completes a sign-in whose factors were all right, in a transaction that holds the lock on the user's row.
CREATE OR REPLACE FUNCTION "open_session"(
  "p_user" text, "p_at" timestamptz, "p_session" text, "p_session_hash" text, "p_refresh" text, "p_refresh_hash" text,
  "p_idle" interval, "p_absolute" interval, "p_method" text, "p_ip" text, "p_agent" text
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  PERFORM "public"."settle_attempt"("p_user", "p_at", true, NULL);
  PERFORM "public"."insert_session"("p_user", "p_at", "p_session", "p_session_hash", "p_refresh", "p_refresh_hash",
    "p_idle", "p_absolute", "p_method", "p_ip", "p_agent");
END
$$;

-- The second half of a sign-in, after the password was right. The outcome is "refused" when the account was deactivated
-- or its password changed in the meantime, "challenge" when a second factor is on, else "session". The lock on the user's
-- row keeps such a change out until the transaction ends.
CREATE OR REPLACE FUNCTION "finish_sign_in"(
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
