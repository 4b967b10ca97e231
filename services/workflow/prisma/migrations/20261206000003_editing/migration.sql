-- Why: the app role only reads the tables of the store. These functions make the changes of people: workflows, their plugins, and logs.
-- They take their locks in one order, so that no two of them deadlock: the key of the request; the workflow; its plugins.
-- Locks: none: the functions are new.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Takes the key for this request. Null if it is new; the id of the first answer if the same request took effect before.
CREATE FUNCTION "begin_request"("p_key" text, "p_operation" text, "p_input" jsonb, "p_answer" text, "p_user" text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  hash text := encode(sha256(convert_to(p_input::text, 'UTF8')), 'hex');
  earlier requests;
BEGIN
  INSERT INTO requests (key, operation, body_hash, answer_id, user_id, created_at)
  VALUES (p_key, p_operation, hash, p_answer, p_user, database_time()) ON CONFLICT (key) DO NOTHING;
  IF FOUND THEN
    RETURN NULL;
  END IF;
  SELECT * INTO earlier FROM requests WHERE key = p_key;
  IF (earlier.operation, earlier.body_hash) IS DISTINCT FROM (p_operation::varchar, hash::char(64)) THEN
    PERFORM refuse('key_reused', jsonb_build_object('operation', earlier.operation, 'asked', p_operation));
  END IF;
  RETURN earlier.answer_id;
END
$$;

-- An entry of the audit log. Only functions of the store call it.
CREATE FUNCTION "audit"("p_user" text, "p_action" text, "p_type" text, "p_id" text, "p_at" timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO audit_logs (id, user_id, action, resource_type, resource_id, created_at)
  VALUES (gen_random_uuid()::text, p_user, p_action, p_type, left(p_id, 255), p_at)
$$;

-- Locks the workflow of this owner. Others learn nothing about it.
CREATE FUNCTION "lock_workflow"("p_id" integer, "p_owner" text) RETURNS "workflows"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  workflow workflows;
BEGIN
  SELECT * INTO workflow FROM workflows WHERE id = p_id AND owner_id = p_owner AND deleted_at IS NULL FOR NO KEY UPDATE;
  IF workflow.id IS NULL THEN
    PERFORM refuse('workflow_not_found', jsonb_build_object('workflowId', p_id));
  END IF;
  RETURN workflow;
END
$$;

-- Only what is not archived changes.
CREATE FUNCTION "demand_open"("p_workflow" "workflows") RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF p_workflow.status = 'archived' THEN
    PERFORM refuse('workflow_archived', jsonb_build_object('workflowId', p_workflow.id));
  END IF;
END
$$;

-- A second editor notices that the first one has saved.
CREATE FUNCTION "demand_version"("p_workflow" "workflows", "p_version" integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF p_workflow.version IS DISTINCT FROM p_version THEN
    PERFORM refuse('version_conflict', jsonb_build_object('workflowId', p_workflow.id, 'version', p_version,
      'current', p_workflow.version));
  END IF;
END
$$;

-- Workflows -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION "create_workflow"("p_key" text, "p_input" jsonb) RETURNS "workflows"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  workflow workflows;
  own integer := nextval('workflows_id_seq');
  owner text := p_input ->> 'ownerId';
  earlier text := begin_request(p_key, 'create_workflow', p_input, own::text, owner);
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN lock_workflow(earlier::integer, owner);
  END IF;
  at := database_time();
  INSERT INTO workflows (id, name, description, nodes, connections, settings, owner_id, created_by, updated_by, created_at, updated_at)
  VALUES (own, p_input ->> 'name', p_input ->> 'description', p_input -> 'nodes', p_input -> 'connections', p_input -> 'settings', owner,
    coalesce(p_input ->> 'by', owner), coalesce(p_input ->> 'by', owner), at, at)
  RETURNING * INTO workflow;
  RETURN workflow;
END
$$;

-- Changes the given fields of a draft that still has the version that the editor has read.
CREATE FUNCTION "save_workflow"("p_id" integer, "p_owner" text, "p_version" integer, "p_by" text, "p_change" jsonb) RETURNS "workflows"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  workflow workflows := lock_workflow(p_id, p_owner);
BEGIN
  PERFORM demand_open(workflow);
  PERFORM demand_version(workflow, p_version);
  UPDATE workflows SET name = coalesce(p_change ->> 'name', name),
    description = CASE WHEN p_change ? 'description' THEN p_change ->> 'description' ELSE description END,
    nodes = coalesce(p_change -> 'nodes', nodes), connections = coalesce(p_change -> 'connections', connections),
    settings = coalesce(p_change -> 'settings', settings), version = version + 1, updated_by = coalesce(p_by, p_owner),
    updated_at = greatest(updated_at, database_time())
  WHERE id = p_id RETURNING * INTO workflow;
  RETURN workflow;
END
$$;

-- The enabled plugins of a workflow, as a version keeps them.
CREATE FUNCTION "plugins_of"("p_id" integer) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'version', p.version, 'configSchema', p.config_schema)
    ORDER BY p.id), '[]')
  FROM plugins AS p JOIN workflow_plugins AS l ON l.plugin_id = p.id WHERE l.workflow_id = p_id AND p.enabled
$$;

-- The findings about the graph of a draft with its present plugins.
CREATE FUNCTION "findings_of"("p_workflow" "workflows", "p_plugins" jsonb) RETURNS jsonb LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT graph_findings(p_workflow.nodes, p_workflow.connections,
    ARRAY(SELECT item ->> 'name' FROM jsonb_array_elements(p_plugins) AS item))
$$;

-- Keeps a draft as the next version, if it still has the version and the plugins with which its settings were checked. A draft that has
-- not changed since it was published keeps its number.
CREATE FUNCTION "publish_workflow"("p_id" integer, "p_owner" text, "p_version" integer, "p_by" text, "p_plugins" jsonb)
RETURNS "workflow_versions" LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  workflow workflows := lock_workflow(p_id, p_owner);
  published workflow_versions;
  plugins jsonb;
  findings jsonb;
  at timestamptz;
BEGIN
  PERFORM demand_open(workflow);
  PERFORM demand_version(workflow, p_version);
  PERFORM FROM plugins AS p WHERE p.id IN (SELECT plugin_id FROM workflow_plugins WHERE workflow_id = p_id) ORDER BY p.id FOR SHARE;
  plugins := plugins_of(p_id);
  IF plugins IS DISTINCT FROM p_plugins THEN
    PERFORM refuse('plugins_changed', jsonb_build_object('workflowId', p_id));
  END IF;
  SELECT * INTO published FROM workflow_versions WHERE workflow_id = p_id AND number = workflow.last_number;
  IF published.draft_version = p_version AND published.plugins = plugins AND workflow.status = 'published' THEN
    RETURN published;
  END IF;
  findings := findings_of(workflow, plugins);
  IF findings <> '[]' THEN
    PERFORM refuse('graph_invalid', jsonb_build_object('workflowId', p_id, 'findings', findings));
  END IF;
  at := greatest(database_time(), workflow.updated_at);
  INSERT INTO workflow_versions (workflow_id, number, draft_version, name, nodes, connections, settings, plugins, plan, published_by, created_at)
  VALUES (p_id, workflow.last_number + 1, workflow.version, workflow.name, workflow.nodes, workflow.connections, workflow.settings, plugins,
    plan_of(workflow.nodes, workflow.connections, workflow.settings), coalesce(p_by, p_owner), at)
  RETURNING * INTO published;
  UPDATE workflows SET status = 'published', updated_by = coalesce(p_by, p_owner), updated_at = at WHERE id = p_id;
  RETURN published;
END
$$;

-- An archived workflow starts no more runs. Archiving it again changes nothing.
CREATE FUNCTION "archive_workflow"("p_id" integer, "p_owner" text, "p_by" text) RETURNS "workflows"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  workflow workflows := lock_workflow(p_id, p_owner);
BEGIN
  IF workflow.status = 'archived' THEN
    RETURN workflow;
  END IF;
  UPDATE workflows SET status = 'archived', updated_by = coalesce(p_by, p_owner), updated_at = greatest(updated_at, database_time())
  WHERE id = p_id RETURNING * INTO workflow;
  RETURN workflow;
END
$$;

-- Hides a workflow until it is restored. False if there is none.
CREATE FUNCTION "delete_workflow"("p_id" integer, "p_owner" text, "p_by" text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz;
BEGIN
  PERFORM FROM workflows WHERE id = p_id AND owner_id = p_owner AND deleted_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  at := database_time();
  UPDATE workflows SET deleted_at = at, updated_by = coalesce(p_by, p_owner), updated_at = greatest(updated_at, at) WHERE id = p_id;
  PERFORM audit(coalesce(p_by, p_owner), 'workflow.deleted', 'workflow', p_id::text, at);
  RETURN true;
END
$$;

-- Shows a deleted workflow again. One that is not deleted is returned unchanged.
CREATE FUNCTION "restore_workflow"("p_id" integer, "p_owner" text, "p_by" text) RETURNS "workflows"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  workflow workflows;
  at timestamptz;
BEGIN
  PERFORM FROM workflows WHERE id = p_id AND owner_id = p_owner AND deleted_at IS NOT NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN lock_workflow(p_id, p_owner);
  END IF;
  at := database_time();
  UPDATE workflows SET deleted_at = NULL, updated_by = coalesce(p_by, p_owner), updated_at = greatest(updated_at, at)
  WHERE id = p_id RETURNING * INTO workflow;
  PERFORM audit(coalesce(p_by, p_owner), 'workflow.restored', 'workflow', p_id::text, at);
  RETURN workflow;
END
$$;

-- Gives a workflow to another owner, who alone finds it from now on.
CREATE FUNCTION "transfer_workflow"("p_id" integer, "p_owner" text, "p_to" text, "p_by" text) RETURNS "workflows"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  workflow workflows := lock_workflow(p_id, p_owner);
  at timestamptz;
BEGIN
  IF p_to = p_owner THEN
    RETURN workflow;
  END IF;
  at := database_time();
  UPDATE workflows SET owner_id = p_to, updated_by = coalesce(p_by, p_owner), updated_at = greatest(updated_at, at)
  WHERE id = p_id RETURNING * INTO workflow;
  PERFORM audit(coalesce(p_by, p_owner), 'workflow.transferred', 'workflow', p_id::text, at);
  RETURN workflow;
END
$$;

-- Plugins -------------------------------------------------------------------------------------------------------------

CREATE FUNCTION "lock_plugin"("p_name" text) RETURNS "plugins"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  plugin plugins;
BEGIN
  SELECT * INTO plugin FROM plugins WHERE name = p_name FOR NO KEY UPDATE;
  IF plugin.id IS NULL THEN
    PERFORM refuse('plugin_not_found', jsonb_build_object('name', p_name));
  END IF;
  RETURN plugin;
END
$$;

-- Adds a plugin. The same plugin again changes nothing.
CREATE FUNCTION "register_plugin"("p_input" jsonb) RETURNS "plugins"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  plugin plugins;
  at timestamptz := database_time();
BEGIN
  INSERT INTO plugins (name, description, version, author, config_schema, created_at, updated_at)
  VALUES (p_input ->> 'name', p_input ->> 'description', p_input ->> 'version', p_input ->> 'author', p_input -> 'configSchema', at, at)
  ON CONFLICT (name) DO NOTHING RETURNING * INTO plugin;
  IF FOUND THEN
    RETURN plugin;
  END IF;
  plugin := lock_plugin(p_input ->> 'name');
  IF (plugin.version, plugin.description, plugin.author, plugin.config_schema) IS DISTINCT FROM
    ((p_input ->> 'version')::varchar, p_input ->> 'description', (p_input ->> 'author')::varchar, p_input -> 'configSchema') THEN
    PERFORM refuse('plugin_exists', jsonb_build_object('name', plugin.name, 'version', plugin.version));
  END IF;
  RETURN plugin;
END
$$;

-- Replaces a plugin that still has the version that the caller has read.
CREATE FUNCTION "update_plugin"("p_from" text, "p_input" jsonb) RETURNS "plugins"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  plugin plugins := lock_plugin(p_input ->> 'name');
BEGIN
  IF plugin.version IS DISTINCT FROM p_from THEN
    PERFORM refuse('plugin_changed', jsonb_build_object('name', plugin.name, 'version', p_from, 'current', plugin.version));
  END IF;
  UPDATE plugins SET version = p_input ->> 'version', description = p_input ->> 'description', author = p_input ->> 'author',
    config_schema = p_input -> 'configSchema', updated_at = greatest(updated_at, database_time())
  WHERE id = plugin.id RETURNING * INTO plugin;
  RETURN plugin;
END
$$;

CREATE FUNCTION "enable_plugin"("p_name" text, "p_enabled" boolean) RETURNS "plugins"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  plugin plugins := lock_plugin(p_name);
BEGIN
  IF plugin.enabled = p_enabled THEN
    RETURN plugin;
  END IF;
  UPDATE plugins SET enabled = p_enabled, updated_at = greatest(updated_at, database_time()) WHERE id = plugin.id
  RETURNING * INTO plugin;
  RETURN plugin;
END
$$;

-- Lets a workflow use a plugin, or takes it from the workflow. Without a difference, nothing changes.
CREATE FUNCTION "link_plugin"("p_id" integer, "p_owner" text, "p_name" text, "p_linked" boolean, "p_by" text) RETURNS "workflows"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  workflow workflows := lock_workflow(p_id, p_owner);
  plugin integer := (SELECT id FROM plugins WHERE name = p_name);
BEGIN
  PERFORM demand_open(workflow);
  IF plugin IS NULL THEN
    PERFORM refuse('plugin_not_found', jsonb_build_object('name', p_name));
  END IF;
  IF p_linked THEN
    INSERT INTO workflow_plugins (workflow_id, plugin_id, created_at) VALUES (p_id, plugin, database_time()) ON CONFLICT DO NOTHING;
  ELSE
    DELETE FROM workflow_plugins WHERE workflow_id = p_id AND plugin_id = plugin;
  END IF;
  IF FOUND THEN
    UPDATE workflows SET updated_by = coalesce(p_by, p_owner), updated_at = greatest(updated_at, database_time()) WHERE id = p_id
    RETURNING * INTO workflow;
  END IF;
  RETURN workflow;
END
$$;

-- Logs ----------------------------------------------------------------------------------------------------------------

-- Adds lines to the log of a workflow, all or none, in their order. Returns their number.
CREATE FUNCTION "append_logs"("p_id" integer, "p_owner" text, "p_lines" jsonb) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
  missing text;
  added integer;
BEGIN
  -- A run that is under way when its workflow is deleted goes on.
  PERFORM FROM workflows WHERE id = p_id AND owner_id = p_owner FOR KEY SHARE;
  IF NOT FOUND THEN
    PERFORM refuse('workflow_not_found', jsonb_build_object('workflowId', p_id));
  END IF;
  SELECT item ->> 'runId' INTO missing FROM jsonb_array_elements(p_lines) AS item
  WHERE item ->> 'runId' IS NOT NULL AND NOT EXISTS (SELECT FROM workflow_runs AS r WHERE r.id = item ->> 'runId' AND r.workflow_id = p_id);
  IF FOUND THEN
    PERFORM refuse('run_not_found', jsonb_build_object('runId', missing));
  END IF;
  INSERT INTO logs (workflow_id, run_id, level, message, metadata, created_at, updated_at)
  SELECT p_id, item ->> 'runId', item ->> 'level', item ->> 'message', nullif(item -> 'metadata', 'null'), at, at
  FROM jsonb_array_elements(p_lines) WITH ORDINALITY AS listed (item, place) ORDER BY place;
  GET DIAGNOSTICS added = ROW_COUNT;
  RETURN added;
END
$$;
