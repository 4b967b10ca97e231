-- Reverts 20261130000002_factor_limits.
-- loses: mfa_settings.totp_pending_until, one_time_codes.challenge_id

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "take_one_time_code"(text);
DROP TRIGGER "users_address_ends_pending" ON "users";
DROP TRIGGER "users_change_ends_pending" ON "users";
DROP TRIGGER "mfa_settings_change_ends_pending" ON "mfa_settings";
DROP TRIGGER "mfa_settings_first_ends_pending" ON "mfa_settings";
DROP TRIGGER "mfa_settings_change_ends_totp" ON "mfa_settings";
DROP FUNCTION "end_pending_totp"();
DROP FUNCTION "end_pending_factors"();
DROP TRIGGER "mfa_settings_enabled_in_time" ON "mfa_settings";
DROP TRIGGER "mfa_settings_pending_life" ON "mfa_settings";
DROP TRIGGER "tokens_spent_stays" ON "tokens";
DROP TRIGGER "tokens_used_in_time" ON "tokens";
DROP TRIGGER "one_time_codes_spent_stays" ON "one_time_codes";
DROP TRIGGER "one_time_codes_used_in_time" ON "one_time_codes";
DROP FUNCTION "refuse_factor_change"();

-- Without an end, an enrollment that waits would wait for ever. Its owner begins again.
UPDATE "mfa_settings" SET "totp_secret" = NULL, "totp_last_step" = NULL, "totp_pending_until" = NULL WHERE "totp_pending_until" IS NOT NULL;
UPDATE "one_time_codes" SET "revoked_at" = database_time() WHERE "used_at" IS NULL AND "revoked_at" IS NULL;

ALTER TABLE "tokens" DROP CONSTRAINT "tokens_challenge_life_check";
ALTER TABLE "mfa_settings" DROP COLUMN "totp_pending_until";
-- lint-ignore require-concurrent-index-deletion: the loss of the column locks the table anyway
DROP INDEX "one_time_codes_live_key";
CREATE UNIQUE INDEX "one_time_codes_live_key" ON "one_time_codes" ("user_id", "channel")
  WHERE "used_at" IS NULL AND "revoked_at" IS NULL;
ALTER TABLE "one_time_codes" DROP COLUMN "challenge_id";
