-- Reverts 20261206000001_authoring.
-- loses: requests, workflow_versions, workflows.created_by, workflows.updated_by, workflows.last_number

SET LOCAL lock_timeout = '5s';

-- lint-ignore require-concurrent-index-deletion: the migration is one transaction
DROP INDEX "logs_workflow_id_created_at_id_idx";
-- lint-ignore require-concurrent-index-deletion: the migration is one transaction
DROP INDEX "plugins_created_at_id_idx";
ALTER TABLE "plugins" DROP CONSTRAINT "plugins_semver_check";
DROP FUNCTION "plan_of"(jsonb, jsonb, jsonb);
DROP FUNCTION "bounded"(jsonb, integer, integer, integer);
DROP FUNCTION "graph_findings"(jsonb, jsonb, text[]);
DROP FUNCTION "nodes_on_cycles"(text[], text[]);
DROP FUNCTION "nodes_of"(jsonb);
DROP FUNCTION "edges_of"(jsonb);
DROP TRIGGER "workflows_last_number" ON "workflows";
DROP FUNCTION "keep_last_number"();
DROP TABLE "workflow_versions";
DROP FUNCTION "number_version"();
DROP FUNCTION "keep_version"();
DROP TRIGGER "workflows_transition" ON "workflows";
-- lint-ignore require-concurrent-index-deletion: the migration is one transaction
DROP INDEX "workflows_owner_id_created_at_id_idx";
ALTER TABLE "workflows" DROP COLUMN "created_by", DROP COLUMN "updated_by", DROP COLUMN "last_number";
DROP TABLE "requests";
DROP FUNCTION "check_transition"();
DROP FUNCTION "refuse"(text, jsonb);
DROP FUNCTION "database_time"();
