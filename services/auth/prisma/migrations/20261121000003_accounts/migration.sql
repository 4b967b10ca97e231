-- Why: signing in needs lockout, absolute ends and one-time codes; the audit log becomes a chain that shows tampering.
-- Locks: audit_log, users and tokens wholly until the end; every entry of the audit log is written anew.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- AlterEnum
ALTER TYPE "token_kind" ADD VALUE 'mfa_challenge';

-- AlterTable
ALTER TABLE "users"
  ADD COLUMN "first_failed_at" TIMESTAMPTZ(6),
  ADD COLUMN "lockout_count" INTEGER NOT NULL DEFAULT 0;

-- AlterTable
ALTER TABLE "tokens" ADD COLUMN "family_expires_at" TIMESTAMPTZ(6);

-- AlterTable
ALTER TABLE "audit_log"
  ADD COLUMN "seq" BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN "previous_hash" CHAR(64) NOT NULL DEFAULT '',
  ADD COLUMN "hash" CHAR(64) NOT NULL DEFAULT '';

-- CreateTable
CREATE TABLE "one_time_codes" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "channel" VARCHAR(5) NOT NULL,
    "purpose" VARCHAR(40) NOT NULL,
    "sent_to" VARCHAR(255),
    "code_hash" CHAR(64) NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "used_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "one_time_codes_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit_chains" (
    "account" TEXT NOT NULL,
    "first_seq" BIGINT NOT NULL,
    "first_previous_hash" CHAR(64) NOT NULL,
    "last_seq" BIGINT NOT NULL,
    "last_hash" CHAR(64) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "audit_chains_pkey" PRIMARY KEY ("account")
);

-- CreateIndex
CREATE INDEX "one_time_codes_user_id_idx" ON "one_time_codes"("user_id");

-- CreateIndex
CREATE INDEX "one_time_codes_expires_at_idx" ON "one_time_codes"("expires_at");

-- AddForeignKey
ALTER TABLE "one_time_codes" ADD CONSTRAINT "one_time_codes_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- What the schema language cannot say.

-- lint-ignore constraint-missing-not-valid: the new columns have locked the table already
ALTER TABLE "users"
  ADD CONSTRAINT "users_lockout_count_check" CHECK ("lockout_count" >= 0);

UPDATE "tokens" SET "family_expires_at" = "families"."expires_at"
FROM (SELECT "family_id", max("expires_at") AS "expires_at" FROM "tokens" GROUP BY "family_id") AS "families"
WHERE "tokens"."family_id" = "families"."family_id";

-- lint-ignore constraint-missing-not-valid: the new column has locked the table already
ALTER TABLE "tokens"
  ADD CONSTRAINT "tokens_family_expires_at_check"
    CHECK ("family_expires_at" IS NULL OR ("kind" = 'refresh' AND "expires_at" <= "family_expires_at"));

ALTER TABLE "one_time_codes"
  ADD CONSTRAINT "one_time_codes_channel_check" CHECK ("channel" IN ('sms', 'email')),
  ADD CONSTRAINT "one_time_codes_purpose_check" CHECK ("purpose" ~ '^[a-z]+(_[a-z]+)*$'),
  ADD CONSTRAINT "one_time_codes_code_hash_check" CHECK ("code_hash" ~ '^[0-9a-f]{64}$'),
  ADD CONSTRAINT "one_time_codes_attempts_check" CHECK ("attempts" >= 0),
  ADD CONSTRAINT "one_time_codes_expires_at_check" CHECK ("expires_at" > "created_at"),
  ADD CONSTRAINT "one_time_codes_used_at_check" CHECK ("used_at" <= "expires_at"),
  ADD CONSTRAINT "one_time_codes_outcome_check" CHECK ("used_at" IS NULL OR "revoked_at" IS NULL);

CREATE UNIQUE INDEX "one_time_codes_live_key" ON "one_time_codes" ("user_id", "channel")
  WHERE "used_at" IS NULL AND "revoked_at" IS NULL;

ALTER TABLE "audit_chains"
  ADD CONSTRAINT "audit_chains_seq_check" CHECK ("first_seq" >= 1 AND "last_seq" >= "first_seq" - 1),
  ADD CONSTRAINT "audit_chains_hash_check"
    CHECK ("first_previous_hash" ~ '^[0-9a-f]{64}$' AND "last_hash" ~ '^[0-9a-f]{64}$');

-- The hash of an entry in its place: of every column but the hash itself, as a JSON array, which tells null from text
-- and where one value ends. Times are seconds since 1970, for their text depends on the session's time zone.
CREATE FUNCTION "audit_entry_hash"("entry" "audit_log") RETURNS text
  LANGUAGE sql STABLE SET search_path = pg_catalog, public AS $$
  SELECT encode(sha256(convert_to(jsonb_build_array(
    "entry"."seq", "entry"."previous_hash", "entry"."id", extract(epoch FROM "entry"."timestamp")::text,
    "entry"."user_id", "entry"."org_id", "entry"."action", "entry"."resource_type", "entry"."resource_id",
    "entry"."details", "entry"."metadata", "entry"."ip_address", "entry"."user_agent",
    extract(epoch FROM "entry"."created_at")::text
  )::text, 'UTF8')), 'hex')
$$;

-- Entries that are there become chains in the order of their times.
ALTER TABLE "audit_log" DISABLE TRIGGER "audit_log_append_only";
DO $$
DECLARE
  "entry" "audit_log";
  "account" text;
  "next_seq" bigint;
  "last" text;
BEGIN
  FOR "entry" IN SELECT * FROM "audit_log" ORDER BY coalesce("user_id", ''), "timestamp", "id" LOOP
    IF "account" IS DISTINCT FROM coalesce("entry"."user_id", '') THEN
      "account" := coalesce("entry"."user_id", '');
      "next_seq" := 1;
      "last" := repeat('0', 64);
      INSERT INTO "audit_chains" ("account", "first_seq", "first_previous_hash", "last_seq", "last_hash")
      VALUES ("account", 1, "last", 0, "last");
    END IF;
    "entry"."seq" := "next_seq";
    "entry"."previous_hash" := "last";
    "last" := "audit_entry_hash"("entry");
    UPDATE "audit_log" SET "seq" = "next_seq", "previous_hash" = "entry"."previous_hash", "hash" = "last"
    WHERE "id" = "entry"."id";
    UPDATE "audit_chains" SET "last_seq" = "next_seq", "last_hash" = "last"
    WHERE "audit_chains"."account" = coalesce("entry"."user_id", '');
    "next_seq" := "next_seq" + 1;
  END LOOP;
END
$$;
ALTER TABLE "audit_log" ENABLE TRIGGER "audit_log_append_only";

-- lint-ignore constraint-missing-not-valid: the table is locked to its end anyway, while its entries are chained
ALTER TABLE "audit_log"
  ADD CONSTRAINT "audit_log_seq_check" CHECK ("seq" >= 1),
  ADD CONSTRAINT "audit_log_hash_check" CHECK ("previous_hash" ~ '^[0-9a-f]{64}$' AND "hash" ~ '^[0-9a-f]{64}$');
-- lint-ignore index-not-concurrent: the table is locked to its end anyway, while its entries are chained
CREATE UNIQUE INDEX "audit_log_chain_key" ON "audit_log" (coalesce("user_id", ''), "seq");

-- Appends an entry to the chain of its account, whose head is locked to the end of the transaction. It runs as its
-- owner: the app role may not write the heads. An entry that is there already (ON CONFLICT DO NOTHING) must not move
-- the head.
CREATE FUNCTION "chain_audit_entry"() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  "head" "public"."audit_chains";
BEGIN
  LOOP
    SELECT * INTO "head" FROM "public"."audit_chains" WHERE "account" = coalesce(NEW."user_id", '') FOR UPDATE;
    EXIT WHEN FOUND;
    INSERT INTO "public"."audit_chains" ("account", "first_seq", "first_previous_hash", "last_seq", "last_hash")
    VALUES (coalesce(NEW."user_id", ''), 1, repeat('0', 64), 0, repeat('0', 64)) ON CONFLICT DO NOTHING;
  END LOOP;
  NEW."seq" := "head"."last_seq" + 1;
  NEW."previous_hash" := "head"."last_hash";
  NEW."hash" := "public"."audit_entry_hash"(NEW);
  IF NOT EXISTS (SELECT FROM "public"."audit_log" WHERE "id" = NEW."id") THEN
    UPDATE "public"."audit_chains"
    SET "last_seq" = NEW."seq", "last_hash" = NEW."hash", "updated_at" = clock_timestamp()
    WHERE "account" = "head"."account";
  END IF;
  RETURN NEW;
END
$$;

-- Named to run after every other trigger of its kind, so that nothing changes an entry after it was hashed.
CREATE TRIGGER "zz_audit_log_chain" BEFORE INSERT ON "audit_log"
  FOR EACH ROW EXECUTE FUNCTION "chain_audit_entry"();

-- A deletion takes the oldest entries of a chain, without gaps, and leaves the hash that the next one refers to.
CREATE FUNCTION "move_audit_anchor"() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
  "gone" record;
BEGIN
  FOR "gone" IN
    SELECT coalesce("user_id", '') AS "account", count(*) AS "entries", max("seq") AS "seq",
           (array_agg("hash" ORDER BY "seq" DESC))[1] AS "hash"
    FROM "deleted" GROUP BY 1 ORDER BY 1
  LOOP
    UPDATE "public"."audit_chains"
    SET "first_seq" = "gone"."seq" + 1, "first_previous_hash" = "gone"."hash", "updated_at" = clock_timestamp()
    WHERE "account" = "gone"."account" AND "first_seq" + "gone"."entries" = "gone"."seq" + 1;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'audit_log_deletion_leaves_gap' USING ERRCODE = 'restrict_violation',
        TABLE = 'audit_log', CONSTRAINT = 'audit_log_deletion_leaves_gap',
        HINT = 'Delete by prune_audit_log(), which takes the oldest entries of each chain.';
    END IF;
  END LOOP;
  RETURN NULL;
END
$$;

CREATE TRIGGER "audit_log_anchor" AFTER DELETE ON "audit_log" REFERENCING OLD TABLE AS "deleted"
  FOR EACH STATEMENT EXECUTE FUNCTION "move_audit_anchor"();

-- Deletes up to so many entries that are older than 90 days, from the beginning of each chain to the first that is not;
-- returns how many. For the administrator: the app role may not delete from the table.
CREATE FUNCTION "prune_audit_log"("at_most" integer) RETURNS integer
  LANGUAGE plpgsql SET search_path = pg_catalog, public AS $$
DECLARE
  "pruned" integer;
BEGIN
  WITH "old" AS (
    SELECT "entry"."id" FROM "public"."audit_chains" AS "chain"
    JOIN "public"."audit_log" AS "entry" ON coalesce("entry"."user_id", '') = "chain"."account"
    WHERE "entry"."timestamp" <= now() - interval '90 days'
      AND "entry"."seq" < coalesce((
        SELECT min("kept"."seq") FROM "public"."audit_log" AS "kept"
        WHERE coalesce("kept"."user_id", '') = "chain"."account" AND "kept"."timestamp" > now() - interval '90 days'
      ), "chain"."last_seq" + 1)
    ORDER BY "chain"."account", "entry"."seq"
    LIMIT "at_most"
  )
  DELETE FROM "public"."audit_log" WHERE "id" IN (SELECT "id" FROM "old");
  GET DIAGNOSTICS "pruned" = ROW_COUNT;
  RETURN "pruned";
END
$$;

-- Writes an entry about a user from other functions.
CREATE FUNCTION "write_audit_entry"(
  "p_user" text, "p_at" timestamptz, "p_action" text, "p_resource_type" text, "p_resource_id" text, "p_details" jsonb,
  "p_ip" text, "p_agent" text
) RETURNS void LANGUAGE sql SET search_path = pg_catalog, public AS $$
  INSERT INTO "public"."audit_log" ("id", "timestamp", "user_id", "action", "resource_type", "resource_id", "details",
    "ip_address", "user_agent", "created_at")
  VALUES (replace(gen_random_uuid()::text, '-', ''), "p_at", "p_user", "p_action", "p_resource_type", "p_resource_id",
    "p_details", "p_ip", "p_agent", "p_at")
$$;

-- Takes one of the tries that an account has. A try is counted before the factor is looked at, so that of many at once
-- no more than the limit are looked at; the last one locks the account, which who succeeds takes back. While it is
-- locked nothing is counted. Each lock lasts twice as long as the one before, up to a cap. A clock that runs backwards
-- finds the window and the lock still there.
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

-- Gives back a try whose factor was right, and the lock if there are tries again; the failed ones stay counted.
CREATE FUNCTION "return_attempt"("p_user" text, "p_at" timestamptz) RETURNS void
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

-- Forgets all failed tries, and ends the lock.
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

-- Finds who signs in by an address in lower case, and takes one of the account's tries; no row for an unknown address.
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

-- Signs a user in on a device: the session, the first refresh token of its family, no failures counted any more, and
-- the entry in the audit log. The factors must have been shown.
CREATE FUNCTION "open_session"(
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

-- Puts a token of a kind in the place of the live one. The user's row is locked first, for two at once would both find
-- none.
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

-- Takes a token of a kind: a row once, to one of all who ask.
CREATE FUNCTION "take_token"("p_kind" "token_kind", "p_hash" text, "p_at" timestamptz)
  RETURNS TABLE ("user_id" text, "email" text) LANGUAGE sql SET search_path = pg_catalog, public AS $$
  UPDATE "public"."tokens" SET "used_at" = "p_at", "updated_at" = "p_at"
  WHERE "token_hash" = "p_hash" AND "kind" = "p_kind" AND "used_at" IS NULL AND "revoked_at" IS NULL
    AND "expires_at" > "p_at"
  RETURNING "user_id", "email"::text
$$;

-- Puts a token for a new password to an address in lower case, if an active account has it; else writes an entry about
-- nobody, so that the work is alike.
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

-- Ends the live sessions of a user, one of them or all but one, with their refresh tokens; returns how many. The user's
-- row is locked first, so that no session is opened meanwhile; a refresh that is under way finds its session ended.
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

-- The second half of signing in, after the password was found right: refused when the account ended or its password
-- changed meanwhile; a challenge when a second factor is on; else a session.
CREATE FUNCTION "finish_sign_in"(
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

-- Exchanges a refresh token for the next of its family. One that was used before ends the family and its session:
-- either the thief or the owner holds a later one. Says what happened instead of refusing, for a refusal would take
-- that back.
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
