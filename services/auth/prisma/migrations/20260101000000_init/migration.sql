-- Why: the first schema of auth.
-- Locks: none that matter, every table is new.
-- Runs again: no, once per database; inside one transaction.

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateEnum
CREATE TYPE "token_kind" AS ENUM ('refresh', 'email_verification', 'password_reset', 'invitation');

-- CreateTable
CREATE TABLE "users" (
    "id" TEXT NOT NULL,
    "username" VARCHAR(255),
    "email" VARCHAR(255) NOT NULL,
    "password_hash" VARCHAR(255),
    "legacy_password_hash" TEXT,
    "password_salt" TEXT,
    "password_reset_required" BOOLEAN NOT NULL DEFAULT false,
    "name" TEXT NOT NULL DEFAULT '',
    "org_id" TEXT,
    "role" TEXT NOT NULL DEFAULT 'member',
    "is_active" BOOLEAN NOT NULL DEFAULT true,
    "email_verified" BOOLEAN NOT NULL DEFAULT false,
    "avatar_url" TEXT,
    "preferences" JSONB NOT NULL DEFAULT '{}',
    "locked_until" TIMESTAMPTZ(6),
    "failed_login_count" INTEGER NOT NULL DEFAULT 0,
    "lockout_reason" TEXT,
    "last_login_at" TIMESTAMPTZ(6),
    "last_activity_at" TIMESTAMPTZ(6),
    "last_debate_at" TIMESTAMPTZ(6),
    "deleted_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "users_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "user_profiles" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "bio" VARCHAR(2000),
    "phone" VARCHAR(16),
    "birth_date" DATE,
    "city" VARCHAR(100),
    "country" CHAR(2),
    "language" VARCHAR(35) NOT NULL DEFAULT 'en',
    "time_zone" VARCHAR(64) NOT NULL DEFAULT 'UTC',
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "user_profiles_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "sessions" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "token_hash" CHAR(64) NOT NULL,
    "ip_address" VARCHAR(45),
    "user_agent" TEXT,
    "last_activity_at" TIMESTAMPTZ(6),
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "revoked_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "sessions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "tokens" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "kind" "token_kind" NOT NULL,
    "token_hash" CHAR(64) NOT NULL,
    "family_id" TEXT,
    "session_id" TEXT,
    "email" VARCHAR(255),
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "used_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "tokens_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "token_blacklist" (
    "jti" TEXT NOT NULL,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "revoked_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "token_blacklist_pkey" PRIMARY KEY ("jti")
);

-- CreateTable
CREATE TABLE "mfa_settings" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "totp_enabled" BOOLEAN NOT NULL DEFAULT false,
    "totp_secret" TEXT,
    "totp_last_step" BIGINT,
    "sms_enabled" BOOLEAN NOT NULL DEFAULT false,
    "phone_number" VARCHAR(16),
    "email_enabled" BOOLEAN NOT NULL DEFAULT false,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "mfa_settings_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "recovery_codes" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "code_hash" CHAR(64) NOT NULL,
    "used_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "recovery_codes_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "oauth_providers" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    "provider_user_id" TEXT NOT NULL,
    "email" VARCHAR(255),
    "access_token" TEXT,
    "refresh_token" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "oauth_providers_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "organizations" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "slug" TEXT NOT NULL,
    "tier" TEXT NOT NULL DEFAULT 'free',
    "owner_id" TEXT,
    "stripe_customer_id" TEXT,
    "stripe_subscription_id" TEXT,
    "settings" JSONB NOT NULL DEFAULT '{}',
    "deleted_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "organizations_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "organization_members" (
    "id" TEXT NOT NULL,
    "org_id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "role" TEXT NOT NULL DEFAULT 'member',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "organization_members_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "org_invitations" (
    "id" TEXT NOT NULL,
    "org_id" TEXT NOT NULL,
    "email" VARCHAR(255) NOT NULL,
    "role" TEXT NOT NULL DEFAULT 'member',
    "token_hash" CHAR(64) NOT NULL,
    "invited_by" TEXT,
    "expires_at" TIMESTAMPTZ(6) NOT NULL,
    "accepted_at" TIMESTAMPTZ(6),
    "revoked_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "org_invitations_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit_log" (
    "id" TEXT NOT NULL,
    "timestamp" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "user_id" TEXT,
    "org_id" TEXT,
    "action" VARCHAR(100) NOT NULL,
    "resource_type" VARCHAR(50),
    "resource_id" VARCHAR(255),
    "details" JSONB NOT NULL DEFAULT '{}',
    "metadata" JSONB,
    "ip_address" VARCHAR(45),
    "user_agent" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "audit_log_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "idx_users_email" ON "users"("email");

-- CreateIndex
CREATE INDEX "idx_users_org" ON "users"("org_id");

-- CreateIndex
CREATE INDEX "users_role_idx" ON "users"("role");

-- CreateIndex
CREATE INDEX "users_created_at_idx" ON "users"("created_at");

-- CreateIndex
CREATE UNIQUE INDEX "user_profiles_user_id_key" ON "user_profiles"("user_id");

-- CreateIndex
CREATE UNIQUE INDEX "sessions_token_hash_key" ON "sessions"("token_hash");

-- CreateIndex
CREATE INDEX "sessions_user_id_idx" ON "sessions"("user_id");

-- CreateIndex
CREATE INDEX "sessions_expires_at_idx" ON "sessions"("expires_at");

-- CreateIndex
CREATE UNIQUE INDEX "tokens_token_hash_key" ON "tokens"("token_hash");

-- CreateIndex
CREATE INDEX "tokens_user_id_kind_idx" ON "tokens"("user_id", "kind");

-- CreateIndex
CREATE INDEX "tokens_family_id_idx" ON "tokens"("family_id");

-- CreateIndex
CREATE INDEX "tokens_session_id_idx" ON "tokens"("session_id");

-- CreateIndex
CREATE INDEX "tokens_expires_at_idx" ON "tokens"("expires_at");

-- CreateIndex
CREATE INDEX "token_blacklist_expires_at_idx" ON "token_blacklist"("expires_at");

-- CreateIndex
CREATE UNIQUE INDEX "mfa_settings_user_id_key" ON "mfa_settings"("user_id");

-- CreateIndex
CREATE UNIQUE INDEX "recovery_codes_user_id_code_hash_key" ON "recovery_codes"("user_id", "code_hash");

-- CreateIndex
CREATE INDEX "oauth_providers_user_id_idx" ON "oauth_providers"("user_id");

-- CreateIndex
CREATE UNIQUE INDEX "oauth_providers_provider_provider_user_id_key" ON "oauth_providers"("provider", "provider_user_id");

-- CreateIndex
CREATE UNIQUE INDEX "idx_orgs_slug" ON "organizations"("slug");

-- CreateIndex
CREATE UNIQUE INDEX "organizations_stripe_subscription_id_key" ON "organizations"("stripe_subscription_id");

-- CreateIndex
CREATE INDEX "organizations_owner_id_idx" ON "organizations"("owner_id");

-- CreateIndex
CREATE INDEX "idx_orgs_stripe" ON "organizations"("stripe_customer_id");

-- CreateIndex
CREATE INDEX "organization_members_user_id_idx" ON "organization_members"("user_id");

-- CreateIndex
CREATE UNIQUE INDEX "organization_members_org_id_user_id_key" ON "organization_members"("org_id", "user_id");

-- CreateIndex
CREATE UNIQUE INDEX "org_invitations_token_hash_key" ON "org_invitations"("token_hash");

-- CreateIndex
CREATE INDEX "org_invitations_org_id_idx" ON "org_invitations"("org_id");

-- CreateIndex
CREATE INDEX "org_invitations_invited_by_idx" ON "org_invitations"("invited_by");

-- CreateIndex
CREATE INDEX "org_invitations_expires_at_idx" ON "org_invitations"("expires_at");

-- CreateIndex
CREATE INDEX "idx_audit_user" ON "audit_log"("user_id");

-- CreateIndex
CREATE INDEX "idx_audit_org" ON "audit_log"("org_id");

-- CreateIndex
CREATE INDEX "idx_audit_timestamp" ON "audit_log"("timestamp");

-- CreateIndex
CREATE INDEX "audit_log_resource_type_resource_id_idx" ON "audit_log"("resource_type", "resource_id");

-- AddForeignKey
ALTER TABLE "users" ADD CONSTRAINT "users_org_id_fkey" FOREIGN KEY ("org_id") REFERENCES "organizations"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "user_profiles" ADD CONSTRAINT "user_profiles_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "tokens" ADD CONSTRAINT "tokens_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "tokens" ADD CONSTRAINT "tokens_session_id_fkey" FOREIGN KEY ("session_id") REFERENCES "sessions"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "mfa_settings" ADD CONSTRAINT "mfa_settings_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "recovery_codes" ADD CONSTRAINT "recovery_codes_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "oauth_providers" ADD CONSTRAINT "oauth_providers_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "organizations" ADD CONSTRAINT "organizations_owner_id_fkey" FOREIGN KEY ("owner_id") REFERENCES "users"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "organization_members" ADD CONSTRAINT "organization_members_org_id_fkey" FOREIGN KEY ("org_id") REFERENCES "organizations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "organization_members" ADD CONSTRAINT "organization_members_user_id_fkey" FOREIGN KEY ("user_id") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "org_invitations" ADD CONSTRAINT "org_invitations_org_id_fkey" FOREIGN KEY ("org_id") REFERENCES "organizations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "org_invitations" ADD CONSTRAINT "org_invitations_invited_by_fkey" FOREIGN KEY ("invited_by") REFERENCES "users"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- What the schema language cannot say.

-- Users and organizations refer to each other: a transaction may write both before this is checked.
ALTER TABLE "users" ALTER CONSTRAINT "users_org_id_fkey" DEFERRABLE INITIALLY IMMEDIATE;

ALTER TABLE "users"
  ADD CONSTRAINT "users_email_check" CHECK ("email" ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  ADD CONSTRAINT "users_username_check" CHECK ("username" <> '' AND "username" = btrim("username")),
  -- The shape of bcrypt, so that no plain password is ever stored by mistake.
  ADD CONSTRAINT "users_password_hash_check" CHECK ("password_hash" ~ '^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}$'),
  ADD CONSTRAINT "users_password_reset_check" CHECK ("password_hash" IS NOT NULL OR "password_reset_required"),
  ADD CONSTRAINT "users_legacy_password_check" CHECK ("legacy_password_hash" IS NULL OR "password_hash" IS NULL),
  ADD CONSTRAINT "users_password_salt_check" CHECK (("legacy_password_hash" IS NULL) = ("password_salt" IS NULL)),
  ADD CONSTRAINT "users_role_check"
    CHECK ("role" IN ('student', 'educator', 'employer', 'member', 'user', 'admin', 'owner')),
  ADD CONSTRAINT "users_preferences_check" CHECK (jsonb_typeof("preferences") = 'object'),
  ADD CONSTRAINT "users_failed_login_count_check" CHECK ("failed_login_count" >= 0),
  ADD CONSTRAINT "users_lockout_reason_check" CHECK ("lockout_reason" IS NULL OR "locked_until" IS NOT NULL),
  ADD CONSTRAINT "users_deleted_at_check" CHECK ("deleted_at" IS NULL OR NOT "is_active");

CREATE UNIQUE INDEX "users_email_lower_key" ON "users" (lower("email"));
CREATE UNIQUE INDEX "users_username_lower_key" ON "users" (lower("username"));
CREATE INDEX "users_locked_until_idx" ON "users" ("locked_until") WHERE "locked_until" IS NOT NULL;

ALTER TABLE "user_profiles"
  ADD CONSTRAINT "user_profiles_bio_check" CHECK (btrim("bio") <> ''),
  ADD CONSTRAINT "user_profiles_phone_check" CHECK ("phone" ~ '^\+[1-9][0-9]{6,14}$'),
  ADD CONSTRAINT "user_profiles_birth_date_check" CHECK ("birth_date" >= DATE '1900-01-01'),
  ADD CONSTRAINT "user_profiles_city_check" CHECK (btrim("city") <> ''),
  ADD CONSTRAINT "user_profiles_country_check" CHECK ("country" ~ '^[A-Z]{2}$'),
  ADD CONSTRAINT "user_profiles_language_check" CHECK ("language" ~ '^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$'),
  ADD CONSTRAINT "user_profiles_time_zone_check" CHECK (btrim("time_zone") <> ''),
  ADD CONSTRAINT "user_profiles_metadata_check" CHECK (jsonb_typeof("metadata") = 'object');

ALTER TABLE "sessions"
  ADD CONSTRAINT "sessions_token_hash_check" CHECK ("token_hash" ~ '^[0-9a-f]{64}$'),
  ADD CONSTRAINT "sessions_expires_at_check" CHECK ("expires_at" > "created_at");

-- A person's open sessions, and all of them at once on a change of password.
CREATE INDEX "sessions_live_idx" ON "sessions" ("user_id", "expires_at") WHERE "revoked_at" IS NULL;

ALTER TABLE "tokens"
  ADD CONSTRAINT "tokens_token_hash_check" CHECK ("token_hash" ~ '^[0-9a-f]{64}$'),
  ADD CONSTRAINT "tokens_expires_at_check" CHECK ("expires_at" > "created_at"),
  ADD CONSTRAINT "tokens_used_at_check" CHECK ("used_at" <= "expires_at"),
  ADD CONSTRAINT "tokens_family_id_check" CHECK (("kind" = 'refresh') = ("family_id" IS NOT NULL)),
  ADD CONSTRAINT "tokens_session_id_check" CHECK ("session_id" IS NULL OR "kind" = 'refresh'),
  ADD CONSTRAINT "tokens_email_check" CHECK (("kind" = 'email_verification') = ("email" IS NOT NULL));

-- Of a family the newest token is live; of the other kinds a new one takes the place of the last.
CREATE UNIQUE INDEX "tokens_live_family_key" ON "tokens" ("family_id")
  WHERE "used_at" IS NULL AND "revoked_at" IS NULL;
CREATE UNIQUE INDEX "tokens_live_kind_key" ON "tokens" ("user_id", "kind")
  WHERE "kind" <> 'refresh' AND "used_at" IS NULL AND "revoked_at" IS NULL;

ALTER TABLE "token_blacklist" ADD CONSTRAINT "token_blacklist_jti_check" CHECK (btrim("jti") <> '');

ALTER TABLE "mfa_settings"
  -- The shape of what is encrypted: a plain secret has no dots.
  ADD CONSTRAINT "mfa_settings_totp_secret_check"
    CHECK ("totp_secret" ~ '^v[0-9]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$'),
  ADD CONSTRAINT "mfa_settings_totp_enabled_check" CHECK (NOT "totp_enabled" OR "totp_secret" IS NOT NULL),
  ADD CONSTRAINT "mfa_settings_totp_last_step_check"
    CHECK ("totp_last_step" IS NULL OR ("totp_last_step" >= 0 AND "totp_secret" IS NOT NULL)),
  ADD CONSTRAINT "mfa_settings_sms_enabled_check" CHECK (NOT "sms_enabled" OR "phone_number" IS NOT NULL),
  ADD CONSTRAINT "mfa_settings_phone_number_check" CHECK ("phone_number" ~ '^\+[1-9][0-9]{6,14}$');

ALTER TABLE "recovery_codes" ADD CONSTRAINT "recovery_codes_code_hash_check" CHECK ("code_hash" ~ '^[0-9a-f]{64}$');

ALTER TABLE "oauth_providers"
  ADD CONSTRAINT "oauth_providers_provider_check" CHECK ("provider" ~ '^[a-z0-9_-]+$'),
  ADD CONSTRAINT "oauth_providers_provider_user_id_check" CHECK (btrim("provider_user_id") <> '');

ALTER TABLE "organizations"
  ADD CONSTRAINT "organizations_name_check" CHECK (btrim("name") <> ''),
  ADD CONSTRAINT "organizations_slug_check" CHECK ("slug" ~ '^[a-z0-9]+([_-][a-z0-9]+)*$'),
  ADD CONSTRAINT "organizations_tier_check" CHECK (btrim("tier") <> ''),
  ADD CONSTRAINT "organizations_settings_check" CHECK (jsonb_typeof("settings") = 'object');

ALTER TABLE "organization_members"
  ADD CONSTRAINT "organization_members_role_check" CHECK ("role" IN ('owner', 'admin', 'member'));

CREATE UNIQUE INDEX "organization_members_owner_key" ON "organization_members" ("org_id") WHERE "role" = 'owner';

-- Deferred, so that one transaction can hand an organization over. The lock makes a hand-over and a new owner wait for
-- each other; neither would see the other's row.
CREATE FUNCTION "check_organization_owner"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  "organization" text := to_jsonb(NEW) ->> TG_ARGV[0];
BEGIN
  PERFORM FROM "organizations" WHERE "id" = "organization" FOR UPDATE;
  IF EXISTS (
    SELECT FROM "organization_members" JOIN "organizations" ON "organizations"."id" = "organization_members"."org_id"
    WHERE "organizations"."id" = "organization" AND "organization_members"."role" = 'owner'
      AND "organization_members"."user_id" IS DISTINCT FROM "organizations"."owner_id"
  ) THEN
    RAISE EXCEPTION 'a member has the role owner without being the owner of the organization'
      USING ERRCODE = 'check_violation', TABLE = 'organization_members',
        CONSTRAINT = 'organization_members_owner_check',
        HINT = 'Change organizations.owner_id and the roles of both members in one transaction.';
  END IF;
  RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER "organization_members_owner_check" AFTER INSERT OR UPDATE ON "organization_members"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW."role" = 'owner')
  EXECUTE FUNCTION "check_organization_owner"('org_id');
CREATE CONSTRAINT TRIGGER "organizations_owner_check" AFTER UPDATE OF "owner_id" ON "organizations"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION "check_organization_owner"('id');

ALTER TABLE "org_invitations"
  ADD CONSTRAINT "org_invitations_email_check" CHECK ("email" ~ '^[^@[:space:]]+@[^@[:space:]]+$'),
  ADD CONSTRAINT "org_invitations_role_check" CHECK ("role" IN ('admin', 'member')),
  ADD CONSTRAINT "org_invitations_token_hash_check" CHECK ("token_hash" ~ '^[0-9a-f]{64}$'),
  ADD CONSTRAINT "org_invitations_expires_at_check" CHECK ("expires_at" > "created_at"),
  ADD CONSTRAINT "org_invitations_accepted_at_check" CHECK ("accepted_at" <= "expires_at"),
  ADD CONSTRAINT "org_invitations_outcome_check" CHECK ("accepted_at" IS NULL OR "revoked_at" IS NULL);

CREATE UNIQUE INDEX "org_invitations_open_key" ON "org_invitations" ("org_id", lower("email"))
  WHERE "accepted_at" IS NULL AND "revoked_at" IS NULL;

ALTER TABLE "audit_log"
  ADD CONSTRAINT "audit_log_action_check" CHECK (btrim("action") <> ''),
  ADD CONSTRAINT "audit_log_details_check" CHECK (jsonb_typeof("details") = 'object'),
  ADD CONSTRAINT "audit_log_metadata_check" CHECK (jsonb_typeof("metadata") = 'object');

CREATE FUNCTION "refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: its rows are kept as they were written', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation', HINT = 'Write a further entry; entries older than 90 days may be deleted.';
END
$$;

CREATE TRIGGER "audit_log_append_only" BEFORE UPDATE OR TRUNCATE ON "audit_log"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
-- What retention prunes, and nothing younger; the application's role may delete neither.
CREATE TRIGGER "audit_log_kept" BEFORE DELETE ON "audit_log"
  FOR EACH ROW WHEN (OLD."timestamp" > now() - interval '90 days') EXECUTE FUNCTION "refuse_change"();
