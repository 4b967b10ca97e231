-- Reverts 20261205000004_operations.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "erase_person"(text);
DROP FUNCTION "export_person"(text);
DROP FUNCTION "retry_task"(text);
DROP FUNCTION "cancel_task"(text);
DROP FUNCTION "demand_status"("tasks", text[], text);
DROP FUNCTION "fail_task"(text, text, text, boolean);
DROP FUNCTION "retry_delay"(integer);
DROP FUNCTION "complete_task"(text, text);
DROP FUNCTION "extend_lease"(text, text, interval);
DROP FUNCTION "demand_lease"("tasks", text);
DROP FUNCTION "claim_tasks"(text, integer, interval, text);
DROP FUNCTION "lock_due_tasks"(text, text, timestamptz, integer);
DROP FUNCTION "add_dependency"(text, text);
DROP FUNCTION "create_task"(text, text, jsonb);
DROP FUNCTION "lock_task"(text);
DROP FUNCTION "set_model_price"(text, timestamptz, numeric, numeric);
DROP FUNCTION "fail_stalled_executions"(interval, integer);
DROP FUNCTION "end_execution"(uuid, "execution_status", jsonb);
DROP FUNCTION "start_execution"(text, jsonb);
DROP FUNCTION "add_chat_message"(text, jsonb);
DROP FUNCTION "add_message"(text, jsonb);
DROP FUNCTION "delete_conversation"(uuid, text);
DROP FUNCTION "archive_conversation"(uuid, text, boolean);
DROP FUNCTION "rename_conversation"(uuid, text, text);
DROP FUNCTION "start_conversation"(text, jsonb);
DROP FUNCTION "lock_conversation"(uuid, text);
DROP FUNCTION "audit"(text, text, text, text, timestamptz);
DROP FUNCTION "begin_request"(text, text, jsonb, text, text);
