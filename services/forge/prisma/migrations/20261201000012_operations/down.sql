-- Reverts 20261201000012_operations.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "erase_person"(text);
DROP FUNCTION "export_person"(text);
DROP FUNCTION "save_skill_profile"(text, jsonb);
DROP FUNCTION "rate_contract"(text, text, jsonb);
DROP FUNCTION "resolve_dispute"(text, jsonb);
DROP FUNCTION "move_dispute"(text, text, "dispute_status");
DROP FUNCTION "demand_arbiter"(text, text, text);
DROP FUNCTION "lock_dispute"(text);
DROP FUNCTION "open_dispute"(text, text, jsonb);
DROP FUNCTION "cancel_contract"(text, text);
DROP FUNCTION "confirm_settlement"(text, text);
DROP FUNCTION "submit_milestone"(text, jsonb, "milestone_status");
DROP FUNCTION "move_milestone"(text, text, "milestone_status", text);
DROP FUNCTION "settle_escrow"(text, numeric);
DROP FUNCTION "cancel_funding"(text);
DROP FUNCTION "confirm_funding"(text, text);
DROP FUNCTION "fund_milestone"(text, text, jsonb);
DROP FUNCTION "finish_contract"(text);
DROP FUNCTION "count_result"(text, integer, numeric, "currency", integer);
DROP FUNCTION "accept_application"(text, text, jsonb);
DROP FUNCTION "move_application"(text, text, "application_status");
DROP FUNCTION "apply_to_job"(text, text, jsonb);
DROP FUNCTION "demand_open"("jobs");
DROP FUNCTION "hide_job"(text, text, boolean);
DROP FUNCTION "move_job"(text, text, "job_status");
DROP FUNCTION "update_job"(text, text, jsonb);
DROP FUNCTION "post_job"(text, text, jsonb);
DROP FUNCTION "demand_undisputed"(text, text);
DROP FUNCTION "demand_status"(text, text, text, text, text[]);
DROP FUNCTION "demand_person"(text, text, text, text);
DROP FUNCTION "lock_escrow"(text);
DROP FUNCTION "lock_milestone"(text);
DROP FUNCTION "lock_contract"(text);
DROP FUNCTION "lock_job"(text);
DROP FUNCTION "begin_request"(text, text, jsonb, text);
