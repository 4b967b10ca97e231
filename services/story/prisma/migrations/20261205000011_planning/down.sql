-- Reverts 20261205000011_planning. The constraints stay validated until the migration before it is reverted.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "append_chat"(text, text, uuid, text, text);
DROP FUNCTION "record_plan"(uuid, jsonb);
DROP FUNCTION "record_analysis"(uuid, jsonb);
DROP FUNCTION "move_story"(uuid, text);
DROP FUNCTION "update_story"(uuid, jsonb);
DROP FUNCTION "create_story"(text, text, jsonb);
DROP FUNCTION "refuse_move"(text, uuid, text, text);
DROP FUNCTION "lock_open_story"(uuid);
DROP FUNCTION "lock_story"(uuid);
