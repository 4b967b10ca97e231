-- Reverts 20261202000002_operations.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "erase_person"(text);
DROP FUNCTION "export_person"(text);
DROP FUNCTION "suggest_member"(text);
DROP FUNCTION "conversation_context"(text, text, text, integer, integer, integer, integer);
DROP FUNCTION "search_memories"(text, text, text, integer, integer);
DROP FUNCTION "affinity_course"(text, text, timestamptz[]);
DROP FUNCTION "record_interaction"(text, text, jsonb);
DROP FUNCTION "answer_message"(text, jsonb);
DROP FUNCTION "add_interaction"("family_interactions");
DROP FUNCTION "append_message"(text, text, jsonb);
DROP FUNCTION "add_message"("conversations", "messages");
DROP FUNCTION "mood_for"("mood", double precision);
DROP FUNCTION "save_summary"(text, text, text, integer);
DROP FUNCTION "delete_conversation"(text, text);
DROP FUNCTION "end_conversation"(text, text);
DROP FUNCTION "update_conversation"(text, text, jsonb);
DROP FUNCTION "start_conversation"(text, text, text, text);
DROP FUNCTION "demand_open"("conversations");
DROP FUNCTION "lock_conversation"(text, text);
DROP FUNCTION "lock_user"(text);
DROP FUNCTION "unrelate_members"(text, text, text);
DROP FUNCTION "relate_members"(text, text, text);
DROP FUNCTION "save_member"(text, jsonb);
DROP FUNCTION "member_of"(text, boolean);
DROP FUNCTION "emit"(text, text, jsonb, timestamptz);
