-- What other services must know is published: triggers write the events into the outbox, so no client can change the store without
-- them. The key is the workflow, the plugin or the run, whose row is locked when the position of an event is taken.
-- A payload has ids, numbers and words from closed lists; names, inputs, results and errors are left out. Steps are not published: a run
-- has many, and only its workers need them.
-- Locks: SHARE ROW EXCLUSIVE on four tables, for the triggers, for milliseconds.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION "publish_workflow_events"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  workflow workflows := CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
  facts jsonb := jsonb_build_object('workflowId', workflow.id, 'ownerId', workflow.owner_id);
  names text[] := CASE TG_OP WHEN 'INSERT' THEN ARRAY['created'] WHEN 'DELETE' THEN ARRAY['erased'] ELSE ARRAY_REMOVE(ARRAY[
    CASE WHEN OLD.owner_id <> NEW.owner_id THEN 'transferred' END,
    CASE WHEN OLD.status <> NEW.status AND NEW.status = 'archived' THEN 'archived' END,
    CASE WHEN OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL THEN 'deleted' END,
    CASE WHEN OLD.deleted_at IS NOT NULL AND NEW.deleted_at IS NULL THEN 'restored' END], NULL) END;
BEGIN
  INSERT INTO outbox (type, key, payload, created_at)
  SELECT 'workflow.workflow-' || name || '.v1', workflow.id::text,
    facts || CASE name WHEN 'transferred' THEN jsonb_build_object('fromId', OLD.owner_id) ELSE '{}' END,
    CASE TG_OP WHEN 'INSERT' THEN workflow.created_at WHEN 'DELETE' THEN database_time() ELSE workflow.updated_at END
  FROM unnest(names) WITH ORDINALITY AS listed (name, place) ORDER BY place;
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_workflows_publish_ends" AFTER INSERT OR DELETE ON "workflows" FOR EACH ROW
  EXECUTE FUNCTION "publish_workflow_events"();
CREATE TRIGGER "zz_workflows_publish_changed" AFTER UPDATE ON "workflows" FOR EACH ROW
  WHEN (OLD."owner_id" <> NEW."owner_id" OR OLD."deleted_at" IS DISTINCT FROM NEW."deleted_at"
    OR (OLD."status" <> NEW."status" AND NEW."status" = 'archived'))
  EXECUTE FUNCTION "publish_workflow_events"();

CREATE FUNCTION "publish_version"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (type, key, payload, created_at)
  SELECT 'workflow.workflow-published.v1', w.id::text, jsonb_build_object('workflowId', w.id, 'ownerId', w.owner_id, 'number', NEW.number),
    NEW.created_at
  FROM workflows AS w WHERE w.id = NEW.workflow_id;
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_workflow_versions_publish" AFTER INSERT ON "workflow_versions" FOR EACH ROW EXECUTE FUNCTION "publish_version"();

CREATE FUNCTION "publish_plugin"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (type, key, payload, created_at)
  VALUES ('workflow.plugin-' || CASE TG_OP WHEN 'INSERT' THEN 'registered' ELSE 'changed' END || '.v1', NEW.id::text,
    jsonb_build_object('pluginId', NEW.id, 'enabled', NEW.enabled), NEW.updated_at);
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_plugins_publish_registered" AFTER INSERT ON "plugins" FOR EACH ROW EXECUTE FUNCTION "publish_plugin"();
CREATE TRIGGER "zz_plugins_publish_changed" AFTER UPDATE ON "plugins" FOR EACH ROW
  WHEN ((OLD."version", OLD."enabled", OLD."config_schema") IS DISTINCT FROM (NEW."version", NEW."enabled", NEW."config_schema"))
  EXECUTE FUNCTION "publish_plugin"();

-- A run that is inserted when it has ended, as the seed does, has ended too.
CREATE FUNCTION "publish_run"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (type, key, payload, created_at)
  VALUES ('workflow.run-' || CASE WHEN NEW.status <> 'running' THEN 'ended' WHEN TG_OP = 'INSERT' THEN 'started' ELSE 'retried' END || '.v1',
    NEW.id, jsonb_build_object('runId', NEW.id, 'workflowId', NEW.workflow_id, 'number', NEW.number)
    || CASE NEW.status WHEN 'running' THEN '{}' ELSE jsonb_build_object('status', NEW.status) END,
    CASE TG_OP WHEN 'INSERT' THEN coalesce(NEW.finished_at, NEW.created_at) ELSE NEW.updated_at END);
  RETURN NULL;
END
$$;
CREATE TRIGGER "zz_workflow_runs_publish_started" AFTER INSERT ON "workflow_runs" FOR EACH ROW EXECUTE FUNCTION "publish_run"();
CREATE TRIGGER "zz_workflow_runs_publish_moved" AFTER UPDATE ON "workflow_runs" FOR EACH ROW WHEN (OLD."status" <> NEW."status")
  EXECUTE FUNCTION "publish_run"();
