-- Why: an enrollment that was begun, a code that was sent and a challenge stayed valid although the factors of the account
-- had changed since, and a code answered every challenge. Now each of them ends after ten minutes, or with such a change.
-- Locks: mfa_settings, one_time_codes, tokens and users wholly until the end; one_time_codes and tokens are read once.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Enrollments and codes that wait now have no end or no challenge. Their owners begin again.
UPDATE "mfa_settings" SET "totp_secret" = NULL, "totp_last_step" = NULL WHERE "totp_secret" IS NOT NULL AND NOT "totp_enabled";
UPDATE "one_time_codes" SET "revoked_at" = database_time() WHERE "used_at" IS NULL AND "revoked_at" IS NULL;
DELETE FROM "tokens" WHERE "kind" = 'mfa_challenge' AND "expires_at" > "created_at" + interval '10 minutes';

-- AlterTable
ALTER TABLE "mfa_settings" ADD COLUMN "totp_pending_until" TIMESTAMPTZ(6);

-- AlterTable
ALTER TABLE "one_time_codes" ADD COLUMN "challenge_id" TEXT;

-- CreateIndex
-- lint-ignore index-not-concurrent: the new column has locked the table already
CREATE INDEX "one_time_codes_challenge_id_idx" ON "one_time_codes"("challenge_id");

-- AddForeignKey
-- lint-ignore adding-foreign-key-constraint: the new column has locked the table already
ALTER TABLE "one_time_codes" ADD CONSTRAINT "one_time_codes_challenge_id_fkey" FOREIGN KEY ("challenge_id") REFERENCES "tokens"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What the schema language cannot say.

-- A change to SMS needs two codes at once: one for the new number, and one for the old number as the proof.
-- lint-ignore require-concurrent-index-deletion: the new column has locked the table already
DROP INDEX "one_time_codes_live_key";
-- lint-ignore index-not-concurrent: the new column has locked the table already
CREATE UNIQUE INDEX "one_time_codes_live_key" ON "one_time_codes" ("user_id", "channel", "purpose")
  WHERE "used_at" IS NULL AND "revoked_at" IS NULL;

-- lint-ignore constraint-missing-not-valid: the new column has locked the table already
ALTER TABLE "one_time_codes"
  ADD CONSTRAINT "one_time_codes_challenge_id_check" CHECK (
    CASE WHEN "purpose" = 'sign_in' THEN "challenge_id" IS NOT NULL OR "used_at" IS NOT NULL OR "revoked_at" IS NOT NULL
      ELSE "challenge_id" IS NULL END
  );

-- lint-ignore constraint-missing-not-valid: the new column has locked the table already
ALTER TABLE "mfa_settings"
  ADD CONSTRAINT "mfa_settings_totp_pending_until_check"
    CHECK (("totp_pending_until" IS NOT NULL) = ("totp_secret" IS NOT NULL AND NOT "totp_enabled"));

-- lint-ignore constraint-missing-not-valid: the foreign key has locked the table already
ALTER TABLE "tokens"
  ADD CONSTRAINT "tokens_challenge_life_check"
    CHECK ("kind" <> 'mfa_challenge' OR "expires_at" <= "created_at" + interval '10 minutes');

-- Refuses a change that no client may make; the argument names the rule. The conditions are in the triggers, so that a row
-- that follows the rules costs no call.
CREATE FUNCTION "refuse_factor_change"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
BEGIN
  RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'AZ001',
    DETAIL = jsonb_build_object('table', TG_TABLE_NAME, 'channel', to_jsonb(NEW) -> 'channel')::text,
    HINT = 'Start again: request another code or token, or enroll again.';
END
$$;

CREATE TRIGGER "one_time_codes_used_in_time" BEFORE UPDATE OF "used_at" ON "one_time_codes" FOR EACH ROW
  WHEN (OLD."used_at" IS NULL AND NEW."used_at" IS NOT NULL AND OLD."expires_at" <= database_time())
  EXECUTE FUNCTION "refuse_factor_change"('one_time_code_expired');
CREATE TRIGGER "one_time_codes_spent_stays" BEFORE UPDATE ON "one_time_codes" FOR EACH ROW
  WHEN (NEW."attempts" < OLD."attempts" OR ((OLD."used_at" IS NOT NULL OR OLD."revoked_at" IS NOT NULL)
    AND (NEW."used_at", NEW."revoked_at") IS DISTINCT FROM (OLD."used_at", OLD."revoked_at")))
  EXECUTE FUNCTION "refuse_factor_change"('one_time_code_spent');

CREATE TRIGGER "tokens_used_in_time" BEFORE UPDATE OF "used_at" ON "tokens" FOR EACH ROW
  WHEN (OLD."used_at" IS NULL AND NEW."used_at" IS NOT NULL AND OLD."expires_at" <= database_time())
  EXECUTE FUNCTION "refuse_factor_change"('token_expired');
-- Refresh tokens have rules of their own, in refresh_session().
CREATE TRIGGER "tokens_spent_stays" BEFORE UPDATE OF "used_at", "revoked_at" ON "tokens" FOR EACH ROW
  WHEN (OLD."kind" <> 'refresh' AND (OLD."used_at" IS NOT NULL OR OLD."revoked_at" IS NOT NULL)
    AND (NEW."used_at", NEW."revoked_at") IS DISTINCT FROM (OLD."used_at", OLD."revoked_at"))
  EXECUTE FUNCTION "refuse_factor_change"('token_spent');

CREATE TRIGGER "mfa_settings_pending_life" BEFORE INSERT OR UPDATE OF "totp_pending_until" ON "mfa_settings" FOR EACH ROW
  WHEN (NEW."totp_pending_until" > database_time() + interval '10 minutes')
  EXECUTE FUNCTION "refuse_factor_change"('totp_enrollment_too_long');
CREATE TRIGGER "mfa_settings_enabled_in_time" BEFORE UPDATE OF "totp_enabled" ON "mfa_settings" FOR EACH ROW
  WHEN (NEW."totp_enabled" AND NOT OLD."totp_enabled" AND (OLD."totp_pending_until" > database_time()) IS NOT TRUE)
  EXECUTE FUNCTION "refuse_factor_change"('totp_enrollment_expired');

-- Ends the enrollment, the codes and the tokens of some kinds that wait for a second factor of an account. The first
-- argument is the column with the account's id, the second one lists the kinds.
CREATE FUNCTION "end_pending_factors"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "account" text := to_jsonb(NEW) ->> TG_ARGV[0];
  "at" timestamptz := "public"."database_time"();
BEGIN
  UPDATE "public"."tokens" SET "revoked_at" = "at", "updated_at" = "at"
  WHERE "user_id" = "account" AND "kind"::text = ANY (TG_ARGV[1]::text[]) AND "used_at" IS NULL AND "revoked_at" IS NULL;
  UPDATE "public"."one_time_codes" SET "revoked_at" = "at", "updated_at" = "at"
  WHERE "user_id" = "account" AND "used_at" IS NULL AND "revoked_at" IS NULL;
  UPDATE "public"."mfa_settings"
  SET "totp_secret" = NULL, "totp_last_step" = NULL, "totp_pending_until" = NULL, "updated_at" = "at"
  WHERE "user_id" = "account" AND "totp_pending_until" IS NOT NULL;
  RETURN NULL;
END
$$;

-- An enrollment that waits ends in the same write as the factors change.
CREATE FUNCTION "end_pending_totp"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  NEW."totp_secret" := NULL;
  NEW."totp_last_step" := NULL;
  NEW."totp_pending_until" := NULL;
  RETURN NEW;
END
$$;

CREATE TRIGGER "mfa_settings_change_ends_totp"
  BEFORE UPDATE OF "sms_enabled", "email_enabled", "phone_number" ON "mfa_settings" FOR EACH ROW
  WHEN (NEW."totp_pending_until" IS NOT NULL AND NOT NEW."totp_enabled"
    AND (NEW."sms_enabled" IS DISTINCT FROM OLD."sms_enabled" OR NEW."email_enabled" IS DISTINCT FROM OLD."email_enabled"
      OR NEW."phone_number" IS DISTINCT FROM OLD."phone_number"))
  EXECUTE FUNCTION "end_pending_totp"();

CREATE TRIGGER "mfa_settings_first_ends_pending" AFTER INSERT ON "mfa_settings" FOR EACH ROW
  WHEN (NEW."totp_enabled" OR NEW."sms_enabled" OR NEW."email_enabled")
  EXECUTE FUNCTION "end_pending_factors"('user_id', '{mfa_challenge}');
-- Column by column: PostgreSQL words a comparison of rows otherwise after a restore.
CREATE TRIGGER "mfa_settings_change_ends_pending"
  AFTER UPDATE OF "totp_enabled", "sms_enabled", "email_enabled", "phone_number" ON "mfa_settings" FOR EACH ROW
  WHEN (NEW."totp_enabled" IS DISTINCT FROM OLD."totp_enabled" OR NEW."sms_enabled" IS DISTINCT FROM OLD."sms_enabled"
    OR NEW."email_enabled" IS DISTINCT FROM OLD."email_enabled" OR NEW."phone_number" IS DISTINCT FROM OLD."phone_number")
  EXECUTE FUNCTION "end_pending_factors"('user_id', '{mfa_challenge}');
CREATE TRIGGER "users_change_ends_pending"
  AFTER UPDATE OF "password_hash", "password_reset_required", "is_active", "deleted_at" ON "users" FOR EACH ROW
  WHEN (NEW."password_hash" IS DISTINCT FROM OLD."password_hash"
    OR NEW."password_reset_required" IS DISTINCT FROM OLD."password_reset_required"
    OR NEW."is_active" IS DISTINCT FROM OLD."is_active" OR NEW."deleted_at" IS DISTINCT FROM OLD."deleted_at")
  EXECUTE FUNCTION "end_pending_factors"('id', '{mfa_challenge}');
-- Another person may read the messages to the old address.
CREATE TRIGGER "users_address_ends_pending" AFTER UPDATE OF "email" ON "users" FOR EACH ROW
  WHEN (lower(NEW."email") <> lower(OLD."email"))
  EXECUTE FUNCTION "end_pending_factors"('id', '{mfa_challenge,password_reset,invitation}');

-- Uses up a code that was sent, if it still has its authority: nothing ended it, fewer than five wrong ones were answered, it was
-- sent to the present number or address of the account, and its channel is on, unless the code enables the channel. The caller holds the lock on the account.
CREATE FUNCTION "take_one_time_code"("p_id" text) RETURNS boolean
  LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "at" timestamptz;
BEGIN
  PERFORM FROM "public"."one_time_codes" WHERE "id" = "p_id" FOR NO KEY UPDATE;
  "at" := "public"."database_time"();
  UPDATE "public"."one_time_codes" AS "code" SET "used_at" = "at", "updated_at" = "at"
  FROM "public"."users" AS "owner" LEFT JOIN "public"."mfa_settings" AS "factor" ON "factor"."user_id" = "owner"."id"
  WHERE "code"."id" = "p_id" AND "code"."used_at" IS NULL AND "code"."revoked_at" IS NULL AND "code"."expires_at" > "at"
    AND "code"."attempts" < 5 AND "owner"."id" = "code"."user_id" AND "owner"."is_active"
    AND CASE "code"."channel"
      WHEN 'email' THEN lower("code"."sent_to") = lower("owner"."email") AND "owner"."email_verified"
        AND ("code"."purpose" = 'enable' OR "factor"."email_enabled")
      ELSE "code"."purpose" = 'enable' OR ("factor"."sms_enabled" AND "code"."sent_to" = "factor"."phone_number")
    END;
  RETURN FOUND;
END
$$;
