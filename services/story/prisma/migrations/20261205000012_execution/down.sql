-- Reverts 20261205000012_execution.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "cancel_story"(uuid, text);
DROP FUNCTION "end_story"(stories, timestamptz);
DROP FUNCTION "complete_story"(uuid, text, text);
DROP FUNCTION "record_verification"(uuid, jsonb);
DROP FUNCTION "rerun_story"(uuid, integer, text);
DROP FUNCTION "decide_gate"(uuid, integer, boolean, text, jsonb, text);
DROP FUNCTION "start_story"(uuid);
DROP FUNCTION "move_task"(uuid, uuid, text);
DROP FUNCTION "add_task"(text, text, uuid, text);
DROP FUNCTION "skip_step"(uuid, text);
DROP FUNCTION "retry_step"(uuid, text);
DROP FUNCTION "review_step"(uuid, text, text, text);
DROP FUNCTION "close_attempts"(uuid[], timestamptz);
DROP FUNCTION "refuse_running"(uuid[], timestamptz);
DROP FUNCTION "lock_step"(uuid);
DROP FUNCTION "finish_step"(uuid, text, text, text);
DROP FUNCTION "extend_lease"(uuid, interval);
DROP FUNCTION "require_lease"(step_attempts, timestamptz);
DROP FUNCTION "lock_claim"(uuid);
DROP FUNCTION "claim_steps"(uuid, text, text[], integer, interval);
DROP FUNCTION "claim_in_story"(uuid, text, text[], integer, interval);
