-- Why: the first schema of family.
-- Locks: none that matter, every table is new.
-- Runs again: no, once per database; inside one transaction.

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateEnum
CREATE TYPE "mood" AS ENUM ('neutral', 'happy', 'calm', 'excited', 'proud', 'thoughtful', 'concerned', 'sad');

-- CreateEnum
CREATE TYPE "relationship_kind" AS ENUM ('parent', 'sibling', 'friend', 'coordinator');

-- CreateEnum
CREATE TYPE "message_role" AS ENUM ('user', 'member', 'system');

-- CreateEnum
CREATE TYPE "interaction_kind" AS ENUM ('greeting', 'question', 'advice', 'encouragement', 'celebration', 'story', 'routing');

-- CreateTable
CREATE TABLE "family_members" (
    "id" TEXT NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "role" TEXT NOT NULL,
    "background" TEXT NOT NULL,
    "traits" TEXT[],
    "mood" "mood" NOT NULL DEFAULT 'neutral',
    "temperature" DOUBLE PRECISION NOT NULL DEFAULT 0.7,
    "avatar_url" TEXT,
    "is_active" BOOLEAN NOT NULL DEFAULT true,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "family_members_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "family_relationships" (
    "member_id" TEXT NOT NULL,
    "relative_id" TEXT NOT NULL,
    "kind" "relationship_kind" NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "family_relationships_pkey" PRIMARY KEY ("member_id","relative_id","kind")
);

-- CreateTable
CREATE TABLE "conversations" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "member_id" TEXT NOT NULL,
    "title" TEXT,
    "mood" "mood" NOT NULL DEFAULT 'neutral',
    "context" JSONB NOT NULL DEFAULT '{}',
    "started_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "conversations_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "messages" (
    "id" TEXT NOT NULL,
    "conversation_id" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "role" "message_role" NOT NULL,
    "member_id" TEXT,
    "content" TEXT NOT NULL,
    "mood" "mood" NOT NULL DEFAULT 'neutral',
    "sentiment" DOUBLE PRECISION,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "messages_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "family_interactions" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "member_id" TEXT NOT NULL,
    "conversation_id" TEXT,
    "kind" "interaction_kind" NOT NULL,
    "mood" "mood" NOT NULL DEFAULT 'neutral',
    "sentiment" DOUBLE PRECISION,
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "family_interactions_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "family_members_slug_key" ON "family_members"("slug");

-- CreateIndex
CREATE INDEX "family_members_is_active_idx" ON "family_members"("is_active");

-- CreateIndex
CREATE INDEX "family_relationships_relative_id_idx" ON "family_relationships"("relative_id");

-- CreateIndex
CREATE INDEX "conversations_user_id_started_at_idx" ON "conversations"("user_id", "started_at");

-- CreateIndex
CREATE INDEX "conversations_member_id_idx" ON "conversations"("member_id");

-- CreateIndex
CREATE INDEX "messages_member_id_idx" ON "messages"("member_id");

-- CreateIndex
CREATE UNIQUE INDEX "messages_conversation_id_position_key" ON "messages"("conversation_id", "position");

-- CreateIndex
CREATE INDEX "family_interactions_user_id_created_at_idx" ON "family_interactions"("user_id", "created_at");

-- CreateIndex
CREATE INDEX "family_interactions_member_id_idx" ON "family_interactions"("member_id");

-- CreateIndex
CREATE INDEX "family_interactions_conversation_id_idx" ON "family_interactions"("conversation_id");

-- CreateIndex
CREATE INDEX "family_interactions_created_at_idx" ON "family_interactions"("created_at");

-- AddForeignKey
ALTER TABLE "family_relationships" ADD CONSTRAINT "family_relationships_member_id_fkey" FOREIGN KEY ("member_id") REFERENCES "family_members"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "family_relationships" ADD CONSTRAINT "family_relationships_relative_id_fkey" FOREIGN KEY ("relative_id") REFERENCES "family_members"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "conversations" ADD CONSTRAINT "conversations_member_id_fkey" FOREIGN KEY ("member_id") REFERENCES "family_members"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "messages" ADD CONSTRAINT "messages_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "messages" ADD CONSTRAINT "messages_member_id_fkey" FOREIGN KEY ("member_id") REFERENCES "family_members"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "family_interactions" ADD CONSTRAINT "family_interactions_member_id_fkey" FOREIGN KEY ("member_id") REFERENCES "family_members"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "family_interactions" ADD CONSTRAINT "family_interactions_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversations"("id") ON DELETE SET NULL ON UPDATE CASCADE;

ALTER TABLE "family_members" ALTER COLUMN "traits" SET NOT NULL;

-- Rules of single rows
ALTER TABLE "family_members"
  ADD CONSTRAINT "family_members_slug_check" CHECK ("slug" ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  ADD CONSTRAINT "family_members_name_check" CHECK (btrim("name") <> ''),
  ADD CONSTRAINT "family_members_role_check" CHECK (btrim("role") <> ''),
  ADD CONSTRAINT "family_members_background_check" CHECK (btrim("background") <> ''),
  ADD CONSTRAINT "family_members_traits_check"
    CHECK (cardinality("traits") > 0 AND array_position("traits", NULL) IS NULL AND array_position("traits", '') IS NULL),
  ADD CONSTRAINT "family_members_temperature_check" CHECK ("temperature" BETWEEN 0 AND 2);

ALTER TABLE "family_relationships"
  ADD CONSTRAINT "family_relationships_relative_id_check" CHECK ("member_id" <> "relative_id");

ALTER TABLE "conversations"
  ADD CONSTRAINT "conversations_user_id_check" CHECK (btrim("user_id") <> ''),
  ADD CONSTRAINT "conversations_title_check" CHECK (btrim("title") <> ''),
  ADD CONSTRAINT "conversations_context_check" CHECK (jsonb_typeof("context") = 'object'),
  ADD CONSTRAINT "conversations_ended_at_check" CHECK ("ended_at" >= "started_at");

ALTER TABLE "messages"
  ADD CONSTRAINT "messages_position_check" CHECK ("position" >= 1),
  ADD CONSTRAINT "messages_content_check" CHECK (btrim("content") <> ''),
  ADD CONSTRAINT "messages_member_id_check" CHECK (("role" = 'member') = ("member_id" IS NOT NULL)),
  ADD CONSTRAINT "messages_sentiment_check" CHECK ("sentiment" BETWEEN -1 AND 1);

ALTER TABLE "family_interactions"
  ADD CONSTRAINT "family_interactions_user_id_check" CHECK (btrim("user_id") <> ''),
  ADD CONSTRAINT "family_interactions_sentiment_check" CHECK ("sentiment" BETWEEN -1 AND 1),
  ADD CONSTRAINT "family_interactions_metadata_check" CHECK (jsonb_typeof("metadata") = 'object');

CREATE UNIQUE INDEX "family_members_name_key" ON "family_members" (lower("name"));

-- A pair is related in one direction per kind: nobody is the parent of a parent, a friendship is stored once.
CREATE UNIQUE INDEX "family_relationships_pair_key" ON "family_relationships"
  (least("member_id", "relative_id"), greatest("member_id", "relative_id"), "kind");

-- A user who comes back to a member goes on with the conversation that is open.
CREATE UNIQUE INDEX "conversations_open_key" ON "conversations" ("user_id", "member_id") WHERE "ended_at" IS NULL;
