-- Reverts 20261206000004_execution.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "retry_run"(text, text);
DROP FUNCTION "cancel_run"(text, text);
DROP FUNCTION "fail_step"(text, text, text, text, boolean);
DROP FUNCTION "retry_delay"("run_steps");
DROP FUNCTION "complete_and_claim"(text, text, text, jsonb, text, text[], integer, interval);
DROP FUNCTION "complete_step"(text, text, text, jsonb);
DROP FUNCTION "extend_lease"(text, text, text, interval);
DROP FUNCTION "lock_leased"("workflow_runs", text, text, timestamptz);
DROP FUNCTION "claim_steps"(text, text[], integer, interval);
DROP FUNCTION "take_steps"(text[], text[], text, interval, timestamptz);
DROP FUNCTION "describe_steps"(text[], text[]);
DROP TYPE "claimed_step";
DROP FUNCTION "end_lapsed"(timestamptz);
DROP FUNCTION "end_run"(text, text, text, timestamptz);
DROP FUNCTION "settle_run"("workflow_runs", timestamptz);
DROP FUNCTION "start_run"(text, text, jsonb);
DROP FUNCTION "run_deadline"(integer, integer, timestamptz);
DROP FUNCTION "lock_own_run"(text, text);
DROP FUNCTION "lock_run"(text);
