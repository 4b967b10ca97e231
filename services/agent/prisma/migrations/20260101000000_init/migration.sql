-- Why: the first schema of agent.
-- Locks: none that matter, every table is new.
-- Runs again: no, once per database; inside one transaction.

-- PostgreSQL 18 has uuidv7(); this makes the same on 15 to 17 too: 48 bits of milliseconds, version 7, random bits.
CREATE FUNCTION uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN encode(
  set_bit(
    set_bit(
      overlay(
        uuid_send(gen_random_uuid())
        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
        FROM 1 FOR 6
      ),
      52, 1
    ),
    53, 1
  ),
  'hex'
)::uuid;

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateTable
CREATE TABLE "conversations" (
    "id" UUID NOT NULL DEFAULT uuid_v7(),
    "title" VARCHAR(500),
    "agent_id" VARCHAR(100),
    "repository_path" VARCHAR(1000),
    "user_id" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "conversations_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "messages" (
    "id" UUID NOT NULL DEFAULT uuid_v7(),
    "conversation_id" UUID NOT NULL,
    "role" VARCHAR(20) NOT NULL,
    "content" TEXT NOT NULL,
    "model" VARCHAR(100),
    "tokens_used" INTEGER,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "messages_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "message_rag_contexts" (
    "id" UUID NOT NULL DEFAULT uuid_v7(),
    "message_id" UUID NOT NULL,
    "query" TEXT NOT NULL,
    "content_id" VARCHAR(500) NOT NULL,
    "chunk_index" INTEGER NOT NULL,
    "chunk_content" TEXT NOT NULL,
    "score" DOUBLE PRECISION NOT NULL,
    "source_path" VARCHAR(1000),
    "content_type" VARCHAR(50),
    "retrieved_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "message_rag_contexts_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "agent_executions" (
    "id" UUID NOT NULL DEFAULT uuid_v7(),
    "agent_id" VARCHAR(100) NOT NULL,
    "conversation_id" UUID,
    "user_id" TEXT,
    "prompt" TEXT NOT NULL,
    "response" TEXT,
    "model" VARCHAR(100),
    "tokens_used" INTEGER,
    "duration_ms" INTEGER,
    "success" BOOLEAN NOT NULL,
    "error" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "agent_executions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "tasks" (
    "id" VARCHAR(32) NOT NULL,
    "title" VARCHAR(255) NOT NULL,
    "description" TEXT,
    "status" VARCHAR(50) NOT NULL DEFAULT 'pending',
    "priority" VARCHAR(20) NOT NULL DEFAULT 'normal',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "completed_at" TIMESTAMPTZ(6),
    "created_by" TEXT,
    "task_type" VARCHAR(50),
    "metadata" JSONB,

    CONSTRAINT "tasks_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "chat_messages" (
    "id" SERIAL NOT NULL,
    "session_id" VARCHAR(255) NOT NULL,
    "role" VARCHAR(20) NOT NULL,
    "content" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "metadata" JSONB,
    "user_id" TEXT,

    CONSTRAINT "chat_messages_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "ix_conversations_agent_id" ON "conversations"("agent_id");

-- CreateIndex
CREATE INDEX "ix_conversations_created_at" ON "conversations"("created_at");

-- CreateIndex
CREATE INDEX "conversations_user_id_idx" ON "conversations"("user_id");

-- CreateIndex
CREATE INDEX "ix_messages_conversation_id" ON "messages"("conversation_id");

-- CreateIndex
CREATE INDEX "ix_messages_created_at" ON "messages"("created_at");

-- CreateIndex
CREATE INDEX "ix_message_rag_contexts_message_id" ON "message_rag_contexts"("message_id");

-- CreateIndex
CREATE INDEX "ix_message_rag_contexts_content_id" ON "message_rag_contexts"("content_id");

-- CreateIndex
CREATE INDEX "ix_agent_executions_agent_id" ON "agent_executions"("agent_id");

-- CreateIndex
CREATE INDEX "ix_agent_executions_created_at" ON "agent_executions"("created_at");

-- CreateIndex
CREATE INDEX "agent_executions_conversation_id_idx" ON "agent_executions"("conversation_id");

-- CreateIndex
CREATE INDEX "agent_executions_user_id_idx" ON "agent_executions"("user_id");

-- CreateIndex
CREATE INDEX "tasks_status_created_at_idx" ON "tasks"("status", "created_at");

-- CreateIndex
CREATE INDEX "tasks_created_by_idx" ON "tasks"("created_by");

-- CreateIndex
CREATE INDEX "chat_messages_session_id_created_at_idx" ON "chat_messages"("session_id", "created_at");

-- CreateIndex
CREATE INDEX "chat_messages_user_id_idx" ON "chat_messages"("user_id");

-- AddForeignKey
ALTER TABLE "messages" ADD CONSTRAINT "messages_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversations"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "message_rag_contexts" ADD CONSTRAINT "message_rag_contexts_message_id_fkey" FOREIGN KEY ("message_id") REFERENCES "messages"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "agent_executions" ADD CONSTRAINT "agent_executions_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversations"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- Conversations

ALTER TABLE conversations
  ADD CONSTRAINT conversations_title_check CHECK (btrim(title) <> ''),
  ADD CONSTRAINT conversations_agent_id_check CHECK (btrim(agent_id) <> '');

ALTER TABLE messages
  ADD CONSTRAINT messages_role_check CHECK (role IN ('user', 'assistant', 'system')),
  ADD CONSTRAINT messages_tokens_used_check CHECK (tokens_used >= 0);

-- Retrieved context

ALTER TABLE message_rag_contexts
  ADD CONSTRAINT message_rag_contexts_content_id_check CHECK (btrim(content_id) <> ''),
  ADD CONSTRAINT message_rag_contexts_chunk_index_check CHECK (chunk_index >= 0),
  -- A cosine similarity; NaN is greater than every number and is refused too.
  ADD CONSTRAINT message_rag_contexts_score_check CHECK (score BETWEEN -1 AND 1);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'Table % is append-only: % is refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
END
$$;

-- What was retrieved goes with its message (the cascade is a DELETE); the app role may not delete it by itself.
CREATE TRIGGER message_rag_contexts_append_only BEFORE UPDATE OR TRUNCATE ON message_rag_contexts
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Executions

ALTER TABLE agent_executions
  ADD CONSTRAINT agent_executions_agent_id_check CHECK (btrim(agent_id) <> ''),
  ADD CONSTRAINT agent_executions_tokens_used_check CHECK (tokens_used >= 0),
  ADD CONSTRAINT agent_executions_duration_ms_check CHECK (duration_ms >= 0),
  ADD CONSTRAINT agent_executions_error_check CHECK (NOT success OR error IS NULL);

-- Tasks

ALTER TABLE tasks
  ADD CONSTRAINT tasks_id_check CHECK (btrim(id) <> ''),
  ADD CONSTRAINT tasks_title_check CHECK (btrim(title) <> ''),
  ADD CONSTRAINT tasks_status_check
    CHECK (status IN ('pending', 'in_progress', 'completed', 'failed', 'cancelled')),
  ADD CONSTRAINT tasks_priority_check CHECK (priority IN ('low', 'normal', 'medium', 'high', 'critical')),
  -- Not the other way round: some completed legacy tasks do not say when.
  ADD CONSTRAINT tasks_completed_at_check CHECK (completed_at IS NULL OR status = 'completed');

-- The Aurora chat

ALTER TABLE chat_messages
  ADD CONSTRAINT chat_messages_session_id_check CHECK (btrim(session_id) <> ''),
  ADD CONSTRAINT chat_messages_role_check CHECK (role IN ('user', 'aurora'));
