-- Why: the first schema of notification.
-- Locks: none that matter, every table is new.
-- Runs again: no, once per database; inside one transaction.

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateEnum
CREATE TYPE "notification_type" AS ENUM ('info', 'warning', 'success', 'error');

-- CreateTable
CREATE TABLE "notifications" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "type" "notification_type" NOT NULL DEFAULT 'info',
    "title" VARCHAR(200) NOT NULL,
    "message" TEXT NOT NULL,
    "source" VARCHAR(50) NOT NULL DEFAULT 'azora',
    "action_url" VARCHAR(1000),
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "is_read" BOOLEAN NOT NULL DEFAULT false,
    "read_at" TIMESTAMPTZ(6),
    "idempotency_key" VARCHAR(200),
    "expires_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deleted_at" TIMESTAMPTZ(6),

    CONSTRAINT "notifications_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "notifications_user_id_created_at_idx" ON "notifications"("user_id", "created_at");

-- CreateIndex
CREATE INDEX "notifications_type_idx" ON "notifications"("type");

-- CreateIndex
CREATE INDEX "notifications_created_at_idx" ON "notifications"("created_at");

-- CreateIndex
CREATE UNIQUE INDEX "notifications_user_id_idempotency_key_key" ON "notifications"("user_id", "idempotency_key");

ALTER TABLE "notifications"
  ADD CONSTRAINT "notifications_user_id_check" CHECK (btrim("user_id") <> ''),
  ADD CONSTRAINT "notifications_title_check" CHECK (btrim("title") <> ''),
  ADD CONSTRAINT "notifications_message_check" CHECK (btrim("message") <> ''),
  ADD CONSTRAINT "notifications_source_check" CHECK (btrim("source") <> ''),
  ADD CONSTRAINT "notifications_action_url_check" CHECK ("action_url" ~ '^/([^/]|$)'),
  ADD CONSTRAINT "notifications_metadata_check" CHECK (jsonb_typeof("metadata") = 'object'),
  ADD CONSTRAINT "notifications_read_check" CHECK ("is_read" = ("read_at" IS NOT NULL)),
  ADD CONSTRAINT "notifications_read_at_check" CHECK ("read_at" >= "created_at"),
  ADD CONSTRAINT "notifications_expires_at_check" CHECK ("expires_at" > "created_at"),
  ADD CONSTRAINT "notifications_deleted_at_check" CHECK ("deleted_at" >= "created_at");

-- The badge and the first page of everybody who opens the app.
CREATE INDEX "notifications_unread_idx" ON "notifications" ("user_id", "created_at" DESC)
  WHERE NOT "is_read" AND "deleted_at" IS NULL;
