-- Reverts 20261205000001_conversations.
-- loses: conversations.archived_at, conversations.last_position
-- loses: messages.position, messages.user_id, messages.search, requests

SET LOCAL lock_timeout = '5s';

-- lint-ignore require-concurrent-index-deletion: the migration is one transaction
DROP INDEX "chat_messages_session_id_id_idx";
DROP FUNCTION "search_messages"(text, text, uuid, timestamptz, uuid, integer);
DROP TRIGGER "messages_fixed" ON "messages";
DROP FUNCTION "keep_message"();
DROP TRIGGER "messages_place" ON "messages";
DROP FUNCTION "place_message"();
ALTER TABLE "messages"
  DROP COLUMN "search",
  DROP COLUMN "user_id",
  DROP COLUMN "position";
DROP FUNCTION "query_term"(text);
DROP FUNCTION "user_term"(text);
DROP TRIGGER "conversations_fixed" ON "conversations";
DROP FUNCTION "keep_conversation"();
-- lint-ignore require-concurrent-index-deletion: the migration is one transaction
DROP INDEX "conversations_user_id_created_at_id_idx";
ALTER TABLE "conversations"
  DROP CONSTRAINT "conversations_times_check",
  DROP COLUMN "archived_at",
  DROP COLUMN "last_position",
  ADD CONSTRAINT "conversations_times_check" CHECK (
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
    "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800)
  );
DROP TABLE "requests";
DROP FUNCTION "check_transition"();
DROP FUNCTION "refuse"(text, jsonb);
DROP FUNCTION "database_time"();
