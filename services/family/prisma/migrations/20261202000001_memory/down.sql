-- Reverts 20261202000001_memory.
-- loses: conversations.valence, conversations.summary, conversations.summarized_to
-- loses: messages.answers, messages.idempotency_key, messages.body_hash
-- loses: conversations.message_count, messages.user_id, messages.search, memory_words, affinities
-- loses: family_interactions.idempotency_key, family_interactions.body_hash

SET LOCAL lock_timeout = '5s';

DROP TRIGGER "family_relationships_consistent" ON "family_relationships";
DROP FUNCTION "check_relationship"();
DROP FUNCTION "ties_of"(text);

DROP TRIGGER "family_interactions_fixed" ON "family_interactions";
DROP FUNCTION "keep_interaction"();
DROP TRIGGER "family_interactions_count_deleted" ON "family_interactions";
DROP TRIGGER "family_interactions_count_added" ON "family_interactions";
DROP FUNCTION "count_affinity"();
DROP FUNCTION "replay_affinities"(text, text);
DROP FUNCTION "affinity_score"(double precision, double precision, interval);
DROP FUNCTION "fading"(interval);
DROP TABLE "affinities";
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "family_interactions_user_id_member_id_created_at_idx";
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "family_interactions_user_id_created_at_id_idx";
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "family_interactions_user_id_idempotency_key_key";
ALTER TABLE "family_interactions"
  DROP CONSTRAINT "family_interactions_idempotency_key_check",
  DROP CONSTRAINT "family_interactions_body_hash_check",
  DROP COLUMN "body_hash",
  DROP COLUMN "idempotency_key";

DROP TRIGGER "messages_count_words_deleted" ON "messages";
DROP TRIGGER "messages_count_words_said" ON "messages";
DROP FUNCTION "count_words"();
DROP FUNCTION "words_of"(tsvector);
DROP TABLE "memory_words";

DROP TRIGGER "messages_fixed" ON "messages";
DROP FUNCTION "keep_message"();
-- lint-ignore adding-foreign-key-constraint: the table is locked by this migration anyway
ALTER TABLE "messages" DROP CONSTRAINT "messages_answers_fkey",
  DROP CONSTRAINT "messages_conversation_id_fkey",
  ADD CONSTRAINT "messages_conversation_id_fkey" FOREIGN KEY ("conversation_id") REFERENCES "conversations"("id") ON DELETE CASCADE ON UPDATE CASCADE;
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "messages_search_idx";
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "messages_conversation_id_user_id_idx";
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "messages_conversation_id_answers_key";
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "messages_conversation_id_idempotency_key_key";
ALTER TABLE "messages"
  DROP CONSTRAINT "messages_idempotency_key_check",
  DROP CONSTRAINT "messages_body_hash_check",
  DROP CONSTRAINT "messages_answers_check",
  DROP COLUMN "search",
  DROP COLUMN "body_hash",
  DROP COLUMN "idempotency_key",
  DROP COLUMN "answers",
  DROP COLUMN "user_id";
DROP FUNCTION "query_term"(text);
DROP FUNCTION "user_term"(text);

DROP TRIGGER "conversations_ended" ON "conversations";
DROP FUNCTION "keep_ended"();
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "conversations_user_id_created_at_id_idx";
-- lint-ignore require-concurrent-index-deletion: the table is locked by this migration anyway
DROP INDEX "conversations_id_user_id_key";
ALTER TABLE "conversations"
  DROP CONSTRAINT "conversations_summarized_to_check",
  DROP CONSTRAINT "conversations_summary_check",
  DROP CONSTRAINT "conversations_valence_check",
  DROP CONSTRAINT "conversations_message_count_check",
  DROP COLUMN "summarized_to",
  DROP COLUMN "summary",
  DROP COLUMN "valence",
  DROP COLUMN "message_count";

DROP FUNCTION "refuse"(text, jsonb);
DROP FUNCTION "database_time"();
DROP EXTENSION "pg_trgm";
