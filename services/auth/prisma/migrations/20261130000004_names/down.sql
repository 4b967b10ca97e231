-- Reverts 20261130000004_names. Usernames that it removed or changed stay as they are.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "refresh_session"(text, text, text, text, text, interval, text, text);

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

DROP FUNCTION "may_invite"(text, text);

CREATE OR REPLACE FUNCTION "take_token"(
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

DROP FUNCTION "may_use_token"(text, text);

CREATE OR REPLACE FUNCTION "issue_token"(
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

ALTER TABLE "tokens" DROP CONSTRAINT "tokens_successor_check", DROP COLUMN "successor_salt", DROP COLUMN "successor_id";
ALTER TABLE "tokens" DROP CONSTRAINT "tokens_email_check";
UPDATE "tokens" SET "email" = NULL WHERE "kind" <> 'email_verification' AND "email" IS NOT NULL;
ALTER TABLE "tokens"
  ADD CONSTRAINT "tokens_email_check" CHECK (("kind" = 'email_verification') = ("email" IS NOT NULL));

-- lint-ignore require-concurrent-index-deletion: the constraints below lock the table as well
DROP INDEX "users_username_skeleton_key";

ALTER TABLE "users" DROP CONSTRAINT "users_name_check", DROP CONSTRAINT "users_username_check",
  ADD CONSTRAINT "users_username_check" CHECK ("username" <> '' AND "username" = btrim("username"));
ALTER TABLE "organizations" DROP CONSTRAINT "organizations_name_check",
  ADD CONSTRAINT "organizations_name_check" CHECK (btrim("name") <> '');
ALTER TABLE "user_profiles" DROP CONSTRAINT "user_profiles_city_check",
  ADD CONSTRAINT "user_profiles_city_check" CHECK (btrim("city") <> '');

DROP FUNCTION "is_username"(text);
DROP FUNCTION "without_hidden"(text);
DROP FUNCTION "username_skeleton"(text);
