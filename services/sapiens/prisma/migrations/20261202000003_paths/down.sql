-- loses: step_prerequisites
-- Reverts 20261202000003_paths. The order of steps stays.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "record_step_progress"(text, double precision, double precision, integer);
DROP FUNCTION "change_path_status"(text, path_status);
DROP FUNCTION "complete_path"(text, timestamptz);
DROP FUNCTION "set_step_prerequisites"(text, text[]);
DROP FUNCTION "reorder_steps"(text, text[]);
DROP FUNCTION "remove_step"(text);
DROP FUNCTION "add_step"(text, text, jsonb, integer);
DROP FUNCTION "create_path"(text, text, text, text, jsonb, jsonb);
DROP FUNCTION "insert_step"(text, text, jsonb, integer, timestamptz);
DROP FUNCTION "place_steps"(text, text[]);
DROP FUNCTION "path_of_step"(text);
DROP FUNCTION "lock_path"(text, path_status[]);
DROP TRIGGER "learning_paths_completion" ON "learning_paths";
DROP FUNCTION "check_path_completion"();
DROP TRIGGER "progress_grows" ON "progress";
DROP FUNCTION "check_progress"();
DROP FUNCTION "missing_prerequisites"(text);
DROP TRIGGER "path_steps_order" ON "path_steps";
DROP TABLE "step_prerequisites";
DROP FUNCTION "check_step_order"();
DROP TRIGGER "learning_paths_transition" ON "learning_paths";
