-- loses: message_chunks, messages.status, messages.tokens, tutoring_sessions.resumed_at, tutoring_sessions.active_seconds, tutoring_sessions.message_count, tutoring_sessions.token_count, messages
-- Reverts 20261202000002_sessions. Messages that are streaming or cancelled are deleted: the release before has no such messages.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "record_insight"(text, text, text, text, insight_kind, text, text, double precision);
DROP FUNCTION "finish_message"(text, double precision);
DROP FUNCTION "append_chunk"(text, integer, text, integer);
DROP FUNCTION "lock_message"(text);
DROP FUNCTION "append_message"(text, text, text, text, message_role, text, integer, double precision);
DROP FUNCTION "rate_session"(text, integer);
DROP FUNCTION "change_session_status"(text, session_status, text);
DROP FUNCTION "end_message"(text, double precision, timestamptz);
DROP FUNCTION "start_session"(text, text, text, text, text, text);
DROP FUNCTION "require_no_active_session"(text);
DROP FUNCTION "touch_profile"(text, timestamptz);
DROP FUNCTION "lock_active_session"(text);
DROP FUNCTION "lock_session"(text);
DROP TABLE "message_chunks";
DROP FUNCTION "check_chunk"();
DROP TRIGGER "messages_counted" ON "messages";
DROP FUNCTION "count_messages"();
DROP TRIGGER "messages_transition" ON "messages";
DROP TRIGGER "tutoring_sessions_transition" ON "tutoring_sessions";
DELETE FROM "messages" WHERE "status" <> 'complete';
ALTER TABLE "messages" DROP CONSTRAINT "messages_content_check";
ALTER TABLE "messages" DROP COLUMN "tokens", DROP COLUMN "status";
ALTER TABLE "messages" ADD CONSTRAINT "messages_content_check" CHECK (btrim("content") <> '');
ALTER TABLE "tutoring_sessions" DROP COLUMN "token_count", DROP COLUMN "message_count", DROP COLUMN "active_seconds",
  DROP COLUMN "resumed_at";
DROP TYPE "message_status";
