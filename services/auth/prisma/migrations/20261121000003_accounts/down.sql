-- Undoes 20261121000003_accounts.
-- loses: users.first_failed_at, users.lockout_count, tokens.family_expires_at, audit_log.seq, audit_log.previous_hash, audit_log.hash, audit_chains, one_time_codes

SET LOCAL lock_timeout = '5s';

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
DROP FUNCTION "prune_audit_log"(integer);

DROP TRIGGER "audit_log_anchor" ON "audit_log";
DROP FUNCTION "move_audit_anchor"();
DROP TRIGGER "zz_audit_log_chain" ON "audit_log";
DROP FUNCTION "chain_audit_entry"();
DROP FUNCTION "audit_entry_hash"("audit_log");

DROP TABLE "audit_chains";
DROP TABLE "one_time_codes";

-- lint-ignore require-concurrent-index-deletion: the loss of its column locks the table anyway
DROP INDEX "audit_log_chain_key";
ALTER TABLE "audit_log" DROP COLUMN "seq", DROP COLUMN "previous_hash", DROP COLUMN "hash";

-- A challenge is the half of a sign-in that lasts minutes: the person begins again.
DELETE FROM "tokens" WHERE "kind" = 'mfa_challenge';
ALTER TABLE "tokens" DROP COLUMN "family_expires_at";

ALTER TABLE "users" DROP COLUMN "first_failed_at", DROP COLUMN "lockout_count";

-- An enum loses a value only by being replaced, and what compares with the old one goes before and comes back after.
-- lint-ignore require-concurrent-index-deletion: the change of type locks the table anyway
DROP INDEX "tokens_live_kind_key";
ALTER TABLE "tokens"
  DROP CONSTRAINT "tokens_family_id_check",
  DROP CONSTRAINT "tokens_session_id_check",
  DROP CONSTRAINT "tokens_email_check";
ALTER TYPE "token_kind" RENAME TO "token_kind_old";
CREATE TYPE "token_kind" AS ENUM ('refresh', 'email_verification', 'password_reset', 'invitation');
-- lint-ignore changing-column-type: an enum loses a value in no other way
ALTER TABLE "tokens" ALTER COLUMN "kind" TYPE "token_kind" USING "kind"::text::"token_kind";
DROP TYPE "token_kind_old";
ALTER TABLE "tokens"
  ADD CONSTRAINT "tokens_family_id_check" CHECK (("kind" = 'refresh') = ("family_id" IS NOT NULL)),
  ADD CONSTRAINT "tokens_session_id_check" CHECK ("session_id" IS NULL OR "kind" = 'refresh'),
  ADD CONSTRAINT "tokens_email_check" CHECK (("kind" = 'email_verification') = ("email" IS NOT NULL));
CREATE UNIQUE INDEX "tokens_live_kind_key" ON "tokens" ("user_id", "kind")
  WHERE "kind" <> 'refresh' AND "used_at" IS NULL AND "revoked_at" IS NULL;
