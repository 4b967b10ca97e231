-- Why: the first schema of nexus.
-- Locks: none that matter, every table is new.
-- Runs again: no, once per database; inside one transaction.

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateEnum
CREATE TYPE "recommendation_status" AS ENUM ('pending', 'shown', 'accepted', 'dismissed', 'expired');

-- CreateEnum
CREATE TYPE "event_status" AS ENUM ('pending', 'processed', 'failed');

-- CreateTable
CREATE TABLE "user_profiles" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "interests" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "preferences" JSONB NOT NULL DEFAULT '{}',
    "behavior" JSONB NOT NULL DEFAULT '{}',
    "locale" VARCHAR(35) NOT NULL DEFAULT 'en',
    "personalized" BOOLEAN NOT NULL DEFAULT true,
    "last_active_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "user_profiles_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "recommendations" (
    "id" TEXT NOT NULL,
    "profile_id" TEXT NOT NULL,
    "item_type" VARCHAR(50) NOT NULL,
    "item_id" VARCHAR(100) NOT NULL,
    "score" DOUBLE PRECISION NOT NULL,
    "reason" TEXT NOT NULL,
    "context" JSONB NOT NULL DEFAULT '{}',
    "status" "recommendation_status" NOT NULL DEFAULT 'pending',
    "source" VARCHAR(100) NOT NULL DEFAULT 'rules',
    "shown_at" TIMESTAMPTZ(6),
    "answered_at" TIMESTAMPTZ(6),
    "expires_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "recommendations_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "interactions" (
    "id" TEXT NOT NULL,
    "profile_id" TEXT NOT NULL,
    "kind" VARCHAR(30) NOT NULL,
    "item_type" VARCHAR(50) NOT NULL,
    "item_id" VARCHAR(100) NOT NULL,
    "duration_ms" INTEGER,
    "context" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "interactions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "audit_logs" (
    "id" TEXT NOT NULL,
    "user_id" TEXT,
    "action" VARCHAR(100) NOT NULL,
    "resource_type" VARCHAR(50),
    "resource_id" VARCHAR(255),
    "details" JSONB NOT NULL DEFAULT '{}',
    "ip_address" VARCHAR(45),
    "user_agent" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "audit_logs_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "events" (
    "id" TEXT NOT NULL,
    "type" VARCHAR(100) NOT NULL,
    "source" VARCHAR(50) NOT NULL,
    "user_id" TEXT,
    "payload" JSONB NOT NULL DEFAULT '{}',
    "status" "event_status" NOT NULL DEFAULT 'pending',
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "last_error" TEXT,
    "idempotency_key" VARCHAR(200) NOT NULL,
    "available_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "processed_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "events_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "user_profiles_user_id_key" ON "user_profiles"("user_id");

-- CreateIndex
CREATE INDEX "user_profiles_last_active_at_idx" ON "user_profiles"("last_active_at");

-- CreateIndex
CREATE INDEX "recommendations_profile_id_score_idx" ON "recommendations"("profile_id", "score");

-- CreateIndex
CREATE INDEX "recommendations_item_type_item_id_idx" ON "recommendations"("item_type", "item_id");

-- CreateIndex
CREATE INDEX "recommendations_created_at_idx" ON "recommendations"("created_at");

-- CreateIndex
CREATE INDEX "interactions_profile_id_created_at_idx" ON "interactions"("profile_id", "created_at");

-- CreateIndex
CREATE INDEX "interactions_item_type_item_id_idx" ON "interactions"("item_type", "item_id");

-- CreateIndex
CREATE INDEX "interactions_created_at_idx" ON "interactions"("created_at");

-- CreateIndex
CREATE INDEX "audit_logs_user_id_created_at_idx" ON "audit_logs"("user_id", "created_at");

-- CreateIndex
CREATE INDEX "audit_logs_resource_type_resource_id_idx" ON "audit_logs"("resource_type", "resource_id");

-- CreateIndex
CREATE INDEX "audit_logs_created_at_idx" ON "audit_logs"("created_at");

-- CreateIndex
CREATE INDEX "events_type_created_at_idx" ON "events"("type", "created_at");

-- CreateIndex
CREATE INDEX "events_user_id_idx" ON "events"("user_id");

-- CreateIndex
CREATE INDEX "events_created_at_idx" ON "events"("created_at");

-- CreateIndex
CREATE UNIQUE INDEX "events_source_idempotency_key_key" ON "events"("source", "idempotency_key");

-- AddForeignKey
ALTER TABLE "recommendations" ADD CONSTRAINT "recommendations_profile_id_fkey" FOREIGN KEY ("profile_id") REFERENCES "user_profiles"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "interactions" ADD CONSTRAINT "interactions_profile_id_fkey" FOREIGN KEY ("profile_id") REFERENCES "user_profiles"("id") ON DELETE CASCADE ON UPDATE CASCADE;

ALTER TABLE "user_profiles"
  ALTER COLUMN "interests" SET NOT NULL,
  ADD CONSTRAINT "user_profiles_user_id_check" CHECK (btrim("user_id") <> ''),
  ADD CONSTRAINT "user_profiles_preferences_check" CHECK (jsonb_typeof("preferences") = 'object'),
  ADD CONSTRAINT "user_profiles_behavior_check" CHECK (jsonb_typeof("behavior") = 'object'),
  ADD CONSTRAINT "user_profiles_locale_check" CHECK ("locale" ~ '^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$');

ALTER TABLE "recommendations"
  ADD CONSTRAINT "recommendations_item_type_check" CHECK (btrim("item_type") <> ''),
  ADD CONSTRAINT "recommendations_item_id_check" CHECK (btrim("item_id") <> ''),
  ADD CONSTRAINT "recommendations_score_check" CHECK ("score" BETWEEN 0 AND 1),
  ADD CONSTRAINT "recommendations_reason_check" CHECK (btrim("reason") <> ''),
  ADD CONSTRAINT "recommendations_context_check" CHECK (jsonb_typeof("context") = 'object'),
  ADD CONSTRAINT "recommendations_shown_at_check" CHECK ("status" NOT IN ('shown', 'accepted', 'dismissed') OR "shown_at" IS NOT NULL),
  ADD CONSTRAINT "recommendations_answered_at_check" CHECK (("status" IN ('accepted', 'dismissed')) = ("answered_at" IS NOT NULL)),
  ADD CONSTRAINT "recommendations_order_check" CHECK ("answered_at" >= "shown_at"),
  ADD CONSTRAINT "recommendations_expires_at_check" CHECK ("expires_at" > "created_at");

-- An item is open to a user once; what was answered may be suggested again.
CREATE UNIQUE INDEX "recommendations_open_key" ON "recommendations" ("profile_id", "item_type", "item_id")
  WHERE "status" IN ('pending', 'shown');

ALTER TABLE "interactions"
  ADD CONSTRAINT "interactions_kind_check" CHECK ("kind" IN ('view', 'click', 'search', 'complete', 'dismiss', 'rate')),
  ADD CONSTRAINT "interactions_item_type_check" CHECK (btrim("item_type") <> ''),
  ADD CONSTRAINT "interactions_item_id_check" CHECK (btrim("item_id") <> ''),
  ADD CONSTRAINT "interactions_duration_ms_check" CHECK ("duration_ms" >= 0),
  ADD CONSTRAINT "interactions_context_check" CHECK (jsonb_typeof("context") = 'object');

ALTER TABLE "audit_logs"
  ADD CONSTRAINT "audit_logs_action_check" CHECK (btrim("action") <> ''),
  ADD CONSTRAINT "audit_logs_details_check" CHECK (jsonb_typeof("details") = 'object');

ALTER TABLE "events"
  ADD CONSTRAINT "events_type_check" CHECK ("type" ~ '^[a-z]+[.][a-z0-9-]+$'),
  ADD CONSTRAINT "events_source_check" CHECK (btrim("source") <> ''),
  ADD CONSTRAINT "events_payload_check" CHECK (jsonb_typeof("payload") = 'object'),
  ADD CONSTRAINT "events_attempts_check" CHECK ("attempts" >= 0),
  ADD CONSTRAINT "events_processed_at_check" CHECK (("status" = 'processed') = ("processed_at" IS NOT NULL)),
  ADD CONSTRAINT "events_last_error_check" CHECK ("status" <> 'failed' OR "last_error" IS NOT NULL);

-- The queue: the next event is at its beginning, however many were processed.
CREATE INDEX "events_pending_idx" ON "events" ("available_at") WHERE "status" = 'pending';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'Table % is append-only: % is refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
END
$$;

CREATE TRIGGER "audit_logs_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit_logs"
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
