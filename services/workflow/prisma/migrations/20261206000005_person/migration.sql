-- Why: a person gets everything that is kept about them, and can be erased.
-- Locks: none: the functions are new.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Everything about a person, as one JSON object of lists of rows. Of the workflows of others, only what the person did.
CREATE FUNCTION "export_person"("p_user" text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
  WITH own AS (SELECT id FROM workflows WHERE owner_id = p_user)
  SELECT jsonb_build_object(
    'workflows', (SELECT coalesce(jsonb_agg(to_jsonb(w) ORDER BY w.id), '[]') FROM workflows AS w WHERE w.owner_id = p_user),
    'versions', (SELECT coalesce(jsonb_agg(to_jsonb(v) - 'plan' ORDER BY v.workflow_id, v.number), '[]') FROM workflow_versions AS v
      WHERE v.workflow_id IN (SELECT id FROM own)),
    'plugins', (SELECT coalesce(jsonb_agg(to_jsonb(l) ORDER BY l.workflow_id, l.plugin_id), '[]') FROM workflow_plugins AS l
      WHERE l.workflow_id IN (SELECT id FROM own)),
    'logs', (SELECT coalesce(jsonb_agg(to_jsonb(l) ORDER BY l.id), '[]') FROM logs AS l WHERE l.workflow_id IN (SELECT id FROM own)),
    'runs', (SELECT coalesce(jsonb_agg(to_jsonb(r) ORDER BY r.created_at, r.id), '[]') FROM workflow_runs AS r
      WHERE r.workflow_id IN (SELECT id FROM own)),
    'steps', (SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.run_id, s.position), '[]') FROM run_steps AS s
      JOIN workflow_runs AS r ON r.id = s.run_id WHERE r.workflow_id IN (SELECT id FROM own)),
    'results', (SELECT coalesce(jsonb_agg(to_jsonb(s) ORDER BY s.run_id, s.node_id), '[]') FROM step_results AS s
      JOIN workflow_runs AS r ON r.id = s.run_id WHERE r.workflow_id IN (SELECT id FROM own)),
    'edited', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', w.id, 'created', w.created_by = p_user, 'updated', w.updated_by = p_user)
      ORDER BY w.id), '[]') FROM workflows AS w WHERE w.owner_id <> p_user AND (w.created_by = p_user OR w.updated_by = p_user)),
    'published', (SELECT coalesce(jsonb_agg(jsonb_build_object('workflow_id', v.workflow_id, 'number', v.number, 'created_at', v.created_at)
      ORDER BY v.workflow_id, v.number), '[]') FROM workflow_versions AS v
      WHERE v.published_by = p_user AND v.workflow_id NOT IN (SELECT id FROM own)),
    'started', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'workflow_id', r.workflow_id, 'created_at', r.created_at)
      ORDER BY r.created_at, r.id), '[]') FROM workflow_runs AS r
      WHERE r.started_by = p_user AND r.workflow_id NOT IN (SELECT id FROM own)),
    'requests', (SELECT coalesce(jsonb_agg(to_jsonb(q) ORDER BY q.created_at, q.key), '[]') FROM requests AS q WHERE q.user_id = p_user),
    'auditLogs', (SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.created_at, a.id), '[]') FROM audit_logs AS a WHERE a.user_id = p_user))
$$;

-- Deletes the workflows of a person with everything that belongs to them, also what is running, and removes the person from what is left.
-- The audit log stays, for security. Returns how many rows changed.
CREATE FUNCTION "erase_person"("p_user" text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  deleted integer;
  anonymised integer := 0;
  changed integer;
BEGIN
  -- Two persons who work on the workflows of each other are erased one after the other.
  PERFORM pg_advisory_xact_lock(hashtextextended('workflow.erasure', 0));
  DELETE FROM workflows WHERE owner_id = p_user;
  GET DIAGNOSTICS deleted = ROW_COUNT;
  UPDATE workflows SET created_by = nullif(created_by, p_user), updated_by = nullif(updated_by, p_user)
  WHERE created_by = p_user OR updated_by = p_user;
  GET DIAGNOSTICS changed = ROW_COUNT;
  anonymised := anonymised + changed;
  UPDATE workflow_versions SET published_by = NULL WHERE published_by = p_user;
  GET DIAGNOSTICS changed = ROW_COUNT;
  anonymised := anonymised + changed;
  UPDATE workflow_runs SET started_by = NULL WHERE started_by = p_user;
  GET DIAGNOSTICS changed = ROW_COUNT;
  anonymised := anonymised + changed;
  DELETE FROM requests WHERE user_id = p_user;
  IF deleted + anonymised > 0 THEN
    PERFORM audit(p_user, 'person.erased', 'person', p_user, database_time());
  END IF;
  RETURN jsonb_build_object('deleted', deleted, 'anonymised', anonymised);
END
$$;
