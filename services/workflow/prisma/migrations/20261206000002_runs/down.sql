-- Reverts 20261206000002_runs.
-- loses: workflow_runs, run_steps, step_results, logs.run_id

SET LOCAL lock_timeout = '5s';

ALTER TABLE "logs" DROP COLUMN "run_id";
DROP TABLE "step_results";
DROP TABLE "run_steps";
DROP TABLE "workflow_runs";
DROP FUNCTION "check_step"();
DROP FUNCTION "keep_result"();
