-- Reverts 20261206000006_publish.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER "zz_workflow_runs_publish_moved" ON "workflow_runs";
DROP TRIGGER "zz_workflow_runs_publish_started" ON "workflow_runs";
DROP FUNCTION "publish_run"();
DROP TRIGGER "zz_plugins_publish_changed" ON "plugins";
DROP TRIGGER "zz_plugins_publish_registered" ON "plugins";
DROP FUNCTION "publish_plugin"();
DROP TRIGGER "zz_workflow_versions_publish" ON "workflow_versions";
DROP FUNCTION "publish_version"();
DROP TRIGGER "zz_workflows_publish_changed" ON "workflows";
DROP TRIGGER "zz_workflows_publish_ends" ON "workflows";
DROP FUNCTION "publish_workflow_events"();
