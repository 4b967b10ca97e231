-- Reverts 20261206000003_editing.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "append_logs"(integer, text, jsonb);
DROP FUNCTION "link_plugin"(integer, text, text, boolean, text);
DROP FUNCTION "enable_plugin"(text, boolean);
DROP FUNCTION "update_plugin"(text, jsonb);
DROP FUNCTION "register_plugin"(jsonb);
DROP FUNCTION "lock_plugin"(text);
DROP FUNCTION "transfer_workflow"(integer, text, text, text);
DROP FUNCTION "restore_workflow"(integer, text, text);
DROP FUNCTION "delete_workflow"(integer, text, text);
DROP FUNCTION "archive_workflow"(integer, text, text);
DROP FUNCTION "publish_workflow"(integer, text, integer, text, jsonb);
DROP FUNCTION "findings_of"("workflows", jsonb);
DROP FUNCTION "plugins_of"(integer);
DROP FUNCTION "save_workflow"(integer, text, integer, text, jsonb);
DROP FUNCTION "create_workflow"(text, jsonb);
DROP FUNCTION "demand_version"("workflows", integer);
DROP FUNCTION "demand_open"("workflows");
DROP FUNCTION "lock_workflow"(integer, text);
DROP FUNCTION "audit"(text, text, text, text, timestamptz);
DROP FUNCTION "begin_request"(text, text, jsonb, text, text);
