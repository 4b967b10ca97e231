-- Why: runs are started, executed by workers, canceled and retried by these functions only. They take their locks in one order, so that no
-- two of them deadlock: the key of the request; the run; its steps. A claim waits for no lock at all: it passes over what others hold.
-- Locks: none: the functions are new.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION "lock_run"("p_run" text) RETURNS "workflow_runs"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  run workflow_runs;
BEGIN
  SELECT * INTO run FROM workflow_runs WHERE id = p_run FOR NO KEY UPDATE;
  IF run.id IS NULL THEN
    PERFORM refuse('run_not_found', jsonb_build_object('runId', p_run));
  END IF;
  RETURN run;
END
$$;

-- The run of a workflow of this owner, locked.
CREATE FUNCTION "lock_own_run"("p_run" text, "p_owner" text) RETURNS "workflow_runs"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  run workflow_runs := lock_run(p_run);
BEGIN
  IF NOT EXISTS (SELECT FROM workflows WHERE id = run.workflow_id AND owner_id = p_owner) THEN
    PERFORM refuse('run_not_found', jsonb_build_object('runId', p_run));
  END IF;
  RETURN run;
END
$$;

-- The time at which a run is over that begins now.
CREATE FUNCTION "run_deadline"("p_workflow" integer, "p_number" integer, "p_at" timestamptz) RETURNS timestamptz LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT p_at + bounded(settings -> 'timeoutMs', NULL, 1, 2147483647) * interval '1 millisecond'
  FROM workflow_versions WHERE workflow_id = p_workflow AND number = p_number
$$;

-- Starts a run of a version, the newest one without a number. Its triggers are completed at once, and their result is the input.
CREATE FUNCTION "start_run"("p_key" text, "p_id" text, "p_input" jsonb) RETURNS "workflow_runs"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  run workflow_runs;
  workflow workflows;
  version workflow_versions;
  owner text := p_input ->> 'ownerId';
  earlier text := begin_request(p_key, 'start_run', p_input, p_id, owner);
  data jsonb := coalesce(p_input -> 'input', 'null');
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN lock_own_run(earlier, owner);
  END IF;
  SELECT * INTO workflow FROM workflows
  WHERE id = (p_input ->> 'workflowId')::integer AND owner_id = owner AND deleted_at IS NULL FOR SHARE;
  IF workflow.id IS NULL THEN
    PERFORM refuse('workflow_not_found', jsonb_build_object('workflowId', p_input -> 'workflowId'));
  END IF;
  PERFORM demand_open(workflow);
  SELECT * INTO version FROM workflow_versions
  WHERE workflow_id = workflow.id AND number = coalesce((p_input ->> 'number')::integer, workflow.last_number);
  IF version.number IS NULL THEN
    PERFORM refuse('not_published', jsonb_build_object('workflowId', workflow.id, 'number', p_input -> 'number'));
  END IF;
  at := database_time();
  INSERT INTO workflow_runs (id, workflow_id, number, input, started_by, deadline_at, created_at, updated_at)
  VALUES (p_id, workflow.id, version.number, data, coalesce(p_input ->> 'by', owner), run_deadline(workflow.id, version.number, at), at, at)
  RETURNING * INTO run;
  INSERT INTO run_steps (run_id, node_id, type, position, needs, next_nodes, status, waiting_for, max_attempts, retry_delay_ms, timeout_ms,
    due_at, lease_id, started_at, finished_at, created_at, updated_at)
  SELECT p_id, s.node_id, s.type, s.position, s.needs, s.next_nodes,
    CASE WHEN s.type = 'trigger' THEN 'completed' WHEN left_over.count = 0 THEN 'ready' ELSE 'waiting' END, left_over.count,
    s.max_attempts, s.retry_delay_ms, s.timeout_ms, at, CASE s.type WHEN 'trigger' THEN 'start' END,
    CASE s.type WHEN 'trigger' THEN at END, CASE s.type WHEN 'trigger' THEN at END, at, at
  FROM jsonb_to_recordset(version.plan) AS s (node_id text, type text, position integer, needs text[], next_nodes text[],
    max_attempts integer, retry_delay_ms integer, timeout_ms integer)
  CROSS JOIN LATERAL (
    SELECT count(*)::integer AS count FROM jsonb_to_recordset(version.plan) AS n (node_id text, type text)
    WHERE n.node_id = ANY (s.needs) AND n.type <> 'trigger'
  ) AS left_over;
  INSERT INTO step_results (run_id, node_id, lease_id, result, created_at)
  SELECT p_id, node_id, 'start', data, at FROM run_steps WHERE run_id = p_id AND status = 'completed';
  RETURN settle_run(run, at);
END
$$;

-- Completes a locked run when all of its steps are.
CREATE FUNCTION "settle_run"("p_run" "workflow_runs", "p_at" timestamptz) RETURNS "workflow_runs"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  run workflow_runs := p_run;
BEGIN
  IF NOT EXISTS (SELECT FROM run_steps WHERE run_id = p_run.id AND status <> 'completed') THEN
    UPDATE workflow_runs SET status = 'completed', finished_at = greatest(p_at, created_at), updated_at = greatest(updated_at, p_at)
    WHERE id = p_run.id RETURNING * INTO run;
  END IF;
  RETURN run;
END
$$;

-- Ends a locked run without success. Its open steps are canceled, and their workers lose their leases.
CREATE FUNCTION "end_run"("p_run" text, "p_status" text, "p_error" text, "p_at" timestamptz) RETURNS "workflow_runs"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  run workflow_runs;
BEGIN
  UPDATE run_steps SET status = 'cancelled', lease_id = NULL, deadline_at = NULL, finished_at = greatest(p_at, created_at),
    updated_at = greatest(updated_at, p_at)
  WHERE run_id = p_run AND status IN ('waiting', 'ready', 'running');
  UPDATE workflow_runs SET status = p_status, error = p_error, finished_at = greatest(p_at, created_at),
    updated_at = greatest(updated_at, p_at)
  WHERE id = p_run RETURNING * INTO run;
  RETURN run;
END
$$;

-- Work ----------------------------------------------------------------------------------------------------------------

-- Ends what nobody works on any more, 100 at most: runs whose time is over, and steps whose last attempt has lapsed.
CREATE FUNCTION "end_lapsed"("p_at" timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  run record;
  lapsed text;
BEGIN
  FOR run IN
    SELECT r.id FROM workflow_runs AS r WHERE r.status = 'running' AND r.deadline_at <= p_at
    ORDER BY r.deadline_at LIMIT 100 FOR NO KEY UPDATE SKIP LOCKED
  LOOP
    PERFORM end_run(run.id, 'failed', 'TIMEOUT: the run took longer than its limit', p_at);
  END LOOP;
  FOR run IN
    SELECT r.id FROM workflow_runs AS r
    WHERE r.status = 'running' AND r.id IN (
      SELECT s.run_id FROM run_steps AS s WHERE s.status = 'running' AND s.due_at <= p_at AND s.attempts >= s.max_attempts
      ORDER BY s.due_at LIMIT 100)
    FOR NO KEY UPDATE SKIP LOCKED
  LOOP
    WITH failed AS (
      UPDATE run_steps SET status = 'failed', error = 'LAPSED: no worker finished the last attempt within its lease',
        finished_at = greatest(p_at, created_at), deadline_at = NULL, updated_at = greatest(updated_at, p_at)
      WHERE run_id = run.id AND status = 'running' AND due_at <= p_at AND attempts >= max_attempts
      RETURNING node_id
    )
    SELECT min(node_id) INTO lapsed FROM failed;
    IF lapsed IS NOT NULL THEN
      PERFORM end_run(run.id, 'failed', format('Step %s failed: its last attempt has lapsed', lapsed), p_at);
    END IF;
  END LOOP;
END
$$;

-- What a worker needs for a step.
CREATE TYPE "claimed_step" AS ("run_id" text, "node_id" text, "type" text, "lease_id" text, "attempts" integer, "max_attempts" integer,
  "due_at" timestamptz, "timeout_ms" integer, "workflow_id" integer, "number" integer, "settings" jsonb, "input" jsonb, "inputs" jsonb);

-- The given steps of a worker, in their order.
CREATE FUNCTION "describe_steps"("p_runs" text[], "p_nodes" text[]) RETURNS SETOF "claimed_step"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RETURN QUERY
    SELECT s.run_id::text, s.node_id::text, s.type::text, s.lease_id::text, s.attempts, s.max_attempts, s.due_at, s.timeout_ms,
      r.workflow_id, r.number, coalesce(v.nodes -> s.position -> 'settings', '{}'), r.input,
      (SELECT coalesce(jsonb_object_agg(it.node_id, it.result), '{}') FROM step_results AS it
       WHERE it.run_id = s.run_id AND it.node_id = ANY (s.needs))
    FROM unnest(p_runs, p_nodes) WITH ORDINALITY AS wanted (run_id, node_id, place)
    JOIN run_steps AS s ON s.run_id = wanted.run_id AND s.node_id = wanted.node_id
    JOIN workflow_runs AS r ON r.id = s.run_id
    JOIN workflow_versions AS v ON v.workflow_id = r.workflow_id AND v.number = r.number
    ORDER BY wanted.place;
END
$$;

-- Gives locked steps to a worker. The lease ends after "p_lease", and no later than the attempt may take.
CREATE FUNCTION "take_steps"("p_runs" text[], "p_nodes" text[], "p_lease_id" text, "p_lease" interval, "p_at" timestamptz)
RETURNS SETOF "claimed_step" LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE run_steps AS s SET status = 'running', attempts = s.attempts + 1, lease_id = p_lease_id, started_at = p_at,
    deadline_at = p_at + s.timeout_ms * interval '1 millisecond',
    due_at = least(p_at + least(greatest(p_lease, interval '1 millisecond'), interval '1 day'),
      p_at + s.timeout_ms * interval '1 millisecond'),
    updated_at = greatest(s.updated_at, p_at)
  FROM unnest(p_runs, p_nodes) AS due (run_id, node_id) WHERE s.run_id = due.run_id AND s.node_id = due.node_id;
  RETURN QUERY SELECT * FROM describe_steps(p_runs, p_nodes);
END
$$;

-- Claims at most "p_limit" steps of these types that are due, the longest due first. Each claim is an attempt. The lease ends after
-- "p_lease": then the step is due again.
CREATE FUNCTION "claim_steps"("p_lease_id" text, "p_types" text[], "p_limit" integer, "p_lease" interval) RETURNS SETOF "claimed_step"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off AS $$
DECLARE
  at timestamptz := database_time();
  most integer := least(greatest(p_limit, 1), 1000);
  runs text[];
  nodes text[];
BEGIN
  PERFORM end_lapsed(at);
  SELECT array_agg(d.run_id ORDER BY d.due_at, d.run_id, d.node_id), array_agg(d.node_id ORDER BY d.due_at, d.run_id, d.node_id)
  INTO runs, nodes
  FROM (
    SELECT found.* FROM (SELECT DISTINCT unnest(p_types) AS type) AS wanted CROSS JOIN LATERAL (
      SELECT s.run_id, s.node_id, s.due_at FROM run_steps AS s
      WHERE s.type = wanted.type AND s.status IN ('ready', 'running') AND s.due_at <= at AND s.attempts < s.max_attempts
      ORDER BY s.due_at, s.run_id, s.node_id LIMIT most FOR NO KEY UPDATE SKIP LOCKED
    ) AS found ORDER BY found.due_at, found.run_id, found.node_id LIMIT most
  ) AS d;
  IF runs IS NOT NULL THEN
    RETURN QUERY SELECT * FROM take_steps(runs, nodes, p_lease_id, p_lease, at);
  END IF;
END
$$;

-- The step of a worker, under the lock of its run. A worker whose step another one has claimed, or whose step has ended, is rejected.
CREATE FUNCTION "lock_leased"("p_run" "workflow_runs", "p_node" text, "p_lease_id" text, "p_at" timestamptz) RETURNS "run_steps"
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  step run_steps;
BEGIN
  SELECT * INTO step FROM run_steps WHERE run_id = p_run.id AND node_id = p_node FOR NO KEY UPDATE;
  IF step.run_id IS NULL THEN
    PERFORM refuse('step_not_found', jsonb_build_object('runId', p_run.id, 'nodeId', p_node));
  END IF;
  IF step.status <> 'running' OR step.lease_id IS DISTINCT FROM p_lease_id OR least(step.deadline_at, p_run.deadline_at) <= p_at THEN
    PERFORM refuse('lease_lost', jsonb_build_object('runId', p_run.id, 'nodeId', p_node,
      'status', CASE WHEN step.status = 'running' AND step.lease_id = p_lease_id THEN 'timed out' ELSE step.status END));
  END IF;
  RETURN step;
END
$$;

-- Moves the end of a lease to the given time from now, and no later than the attempt may take.
CREATE FUNCTION "extend_lease"("p_run" text, "p_node" text, "p_lease_id" text, "p_lease" interval) RETURNS "run_steps"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  run workflow_runs := lock_run(p_run);
  at timestamptz := database_time();
  step run_steps := lock_leased(run, p_node, p_lease_id, at);
BEGIN
  UPDATE run_steps SET due_at = least(at + least(greatest(p_lease, interval '1 millisecond'), interval '1 day'), deadline_at),
    updated_at = greatest(updated_at, at)
  WHERE run_id = p_run AND node_id = p_node RETURNING * INTO step;
  RETURN step;
END
$$;

-- Records the result of a step, for the last worker that claimed it, and makes ready what waited for nothing else. The last step
-- completes the run. The same call again returns the step as it is.
CREATE FUNCTION "complete_step"("p_run" text, "p_node" text, "p_lease_id" text, "p_result" jsonb) RETURNS "run_steps"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  run workflow_runs := lock_run(p_run);
  at timestamptz := database_time();
  step run_steps;
BEGIN
  SELECT * INTO step FROM run_steps WHERE run_id = p_run AND node_id = p_node;
  IF step.status = 'completed' AND step.lease_id = p_lease_id THEN
    RETURN step;
  END IF;
  step := lock_leased(run, p_node, p_lease_id, at);
  INSERT INTO step_results (run_id, node_id, lease_id, result, created_at) VALUES (p_run, p_node, p_lease_id, p_result, at);
  UPDATE run_steps SET status = 'completed', finished_at = at, error = NULL, updated_at = greatest(updated_at, at)
  WHERE run_id = p_run AND node_id = p_node RETURNING * INTO step;
  IF cardinality(step.next_nodes) > 0 THEN
    UPDATE run_steps SET waiting_for = waiting_for - 1, status = CASE waiting_for WHEN 1 THEN 'ready' ELSE 'waiting' END, due_at = at,
      updated_at = greatest(updated_at, at)
    WHERE run_id = p_run AND node_id = ANY (step.next_nodes);
  ELSE
    PERFORM settle_run(run, at);
  END IF;
  RETURN step;
END
$$;

-- Records the result of a step and claims what waited for it, for the same worker, in one call. The same call again returns the steps that
-- the first one has claimed.
CREATE FUNCTION "complete_and_claim"("p_run" text, "p_node" text, "p_lease_id" text, "p_result" jsonb, "p_next_lease_id" text,
  "p_types" text[], "p_limit" integer, "p_lease" interval) RETURNS SETOF "claimed_step"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  step run_steps := complete_step(p_run, p_node, p_lease_id, p_result);
  at timestamptz := database_time();
  runs text[];
  nodes text[];
BEGIN
  IF cardinality(step.next_nodes) = 0 OR p_limit < 1 THEN
    RETURN;
  END IF;
  SELECT array_agg(s.run_id), array_agg(s.node_id) INTO runs, nodes FROM run_steps AS s
  WHERE s.run_id = p_run AND s.node_id = ANY (step.next_nodes) AND s.status = 'running' AND s.lease_id = p_next_lease_id;
  IF runs IS NOT NULL THEN
    RETURN QUERY SELECT * FROM describe_steps(runs, nodes);
    RETURN;
  END IF;
  SELECT array_agg(d.run_id), array_agg(d.node_id) INTO runs, nodes
  FROM (
    SELECT s.run_id, s.node_id FROM run_steps AS s
    WHERE s.run_id = p_run AND s.node_id = ANY (step.next_nodes) AND s.status = 'ready' AND s.due_at <= at AND s.type = ANY (p_types)
    ORDER BY s.position LIMIT least(p_limit, 1000) FOR NO KEY UPDATE SKIP LOCKED
  ) AS d;
  IF runs IS NOT NULL THEN
    RETURN QUERY SELECT * FROM take_steps(runs, nodes, p_next_lease_id, p_lease, at);
  END IF;
END
$$;

-- The pause of the step after the first attempt, twice as long after each further one, an hour at most; at random shortened by up to one
-- half, so that steps that failed together do not come back together.
CREATE FUNCTION "retry_delay"("p_step" "run_steps") RETURNS interval LANGUAGE sql VOLATILE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT least(p_step.retry_delay_ms * 2::double precision ^ (p_step.attempts - 1), 3600000) * (0.5 + random() / 2) * interval '1 millisecond'
$$;

-- Gives a step back after a failure. It is due again later, or fails its run after the last attempt and if no retry is wanted. The same
-- call again returns the step as it is. An attempt whose time is over may still be given back by its worker.
CREATE FUNCTION "fail_step"("p_run" text, "p_node" text, "p_lease_id" text, "p_error" text, "p_retry" boolean) RETURNS "run_steps"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  run workflow_runs := lock_run(p_run);
  at timestamptz := database_time();
  step run_steps;
BEGIN
  SELECT * INTO step FROM run_steps WHERE run_id = p_run AND node_id = p_node FOR NO KEY UPDATE;
  IF step.status IN ('ready', 'failed') AND step.lease_id = p_lease_id THEN
    RETURN step;
  END IF;
  step := lock_leased(run, p_node, p_lease_id, least(at, step.deadline_at - interval '1 microsecond'));
  IF p_retry AND step.attempts < step.max_attempts THEN
    UPDATE run_steps SET status = 'ready', error = p_error, due_at = at + retry_delay(step), deadline_at = NULL,
      updated_at = greatest(updated_at, at)
    WHERE run_id = p_run AND node_id = p_node RETURNING * INTO step;
  ELSE
    UPDATE run_steps SET status = 'failed', error = p_error, finished_at = at, deadline_at = NULL, updated_at = greatest(updated_at, at)
    WHERE run_id = p_run AND node_id = p_node RETURNING * INTO step;
    PERFORM end_run(p_run, 'failed', left(format('Step %s failed: %s', p_node, p_error), 10000), at);
  END IF;
  RETURN step;
END
$$;

-- Ends -----------------------------------------------------------------------------------------------------------------

-- Cancels a run that has not ended. Canceling it again changes nothing.
CREATE FUNCTION "cancel_run"("p_run" text, "p_owner" text) RETURNS "workflow_runs"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  run workflow_runs := lock_own_run(p_run, p_owner);
BEGIN
  IF run.status = 'cancelled' THEN
    RETURN run;
  ELSIF run.status <> 'running' THEN
    PERFORM refuse('illegal_transition', jsonb_build_object('what', 'run', 'id', p_run, 'from', run.status, 'to', 'cancelled'));
  END IF;
  RETURN end_run(p_run, 'cancelled', NULL, database_time());
END
$$;

-- Goes on with a failed or canceled run where it ended: what is completed stays, and the other steps get all of their attempts again. A
-- running run stays as it is.
CREATE FUNCTION "retry_run"("p_run" text, "p_owner" text) RETURNS "workflow_runs"
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  run workflow_runs := lock_own_run(p_run, p_owner);
  at timestamptz := database_time();
BEGIN
  IF run.status = 'running' THEN
    RETURN run;
  ELSIF run.status = 'completed' THEN
    PERFORM refuse('illegal_transition', jsonb_build_object('what', 'run', 'id', p_run, 'from', run.status, 'to', 'running'));
  END IF;
  UPDATE run_steps SET status = CASE waiting_for WHEN 0 THEN 'ready' ELSE 'waiting' END, attempts = 0, lease_id = NULL, due_at = at,
    finished_at = NULL, updated_at = greatest(updated_at, at)
  WHERE run_id = p_run AND status IN ('failed', 'cancelled');
  UPDATE workflow_runs SET status = 'running', error = NULL, finished_at = NULL, deadline_at = run_deadline(run.workflow_id, run.number, at),
    updated_at = greatest(updated_at, at)
  WHERE id = p_run RETURNING * INTO run;
  RETURN run;
END
$$;
