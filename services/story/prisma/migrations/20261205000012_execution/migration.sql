-- Why: workers claim steps under leases, and people review steps, decide gates and end stories, by functions that hold the lock of the
-- story. From here on only functions write these tables, because the app role loses its rights to write them.
-- Locks: none.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Work ----------------------------------------------------------------------------------------------------------------

-- Claims steps of one story that is locked by the caller and executes: at most "p_limit", and with the running ones at most the maximum
-- parallelism. A lapsed lease is claimed again, and at its fifth lapse in a row the step fails.
CREATE FUNCTION "claim_in_story"("p_story_id" uuid, "p_agent_id" text, "p_capabilities" text[], "p_limit" integer, "p_lease" interval)
RETURNS SETOF story_steps LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  story stories;
  at timestamptz := database_time();
  room integer;
  given_up uuid[];
BEGIN
  UPDATE step_attempts SET ended_at = lease_until, outcome = 'Lapsed', updated_at = at
  WHERE ended_at IS NULL
    AND id IN (SELECT claim_id FROM story_steps WHERE story_id = p_story_id AND status = 'Running' AND lease_until <= at);
  WITH failed AS (
    UPDATE story_steps SET status = 'Failed', claim_id = NULL, lease_until = NULL, lapses = 5, completed_at = greatest(at, started_at),
      error = 'The lease of the step has lapsed five times in a row', updated_at = at
    WHERE story_id = p_story_id AND status = 'Running' AND lease_until <= at AND lapses >= 4
    RETURNING id
  )
  SELECT array_agg(id ORDER BY id) INTO given_up FROM failed;
  PERFORM emit('step-failed', p_story_id, jsonb_build_object('stepId', s.id, 'wave', s.wave, 'attempt', s.attempts, 'reason', 'lapsed'), at)
    FROM story_steps AS s WHERE s.id = ANY (given_up) ORDER BY s.id;
  SELECT * INTO STRICT story FROM stories WHERE id = p_story_id;
  IF story.status <> 'Executing' THEN
    RETURN;
  END IF;
  room := least(p_limit, story.max_parallelism
    - (SELECT count(*) FROM story_steps WHERE story_id = p_story_id AND status = 'Running' AND lease_until > at));
  IF room <= 0 THEN
    RETURN;
  END IF;
  RETURN QUERY
  WITH ready AS (
    SELECT s.id FROM story_steps AS s
    WHERE s.story_id = p_story_id AND s.wave = story.current_wave
      AND (s.status = 'Pending' OR s.status = 'Running' AND s.lease_until <= at)
      AND (p_capabilities IS NULL OR s.capability = ANY (p_capabilities))
    ORDER BY s."order" LIMIT room
  ), claimed AS (
    UPDATE story_steps AS s SET status = 'Running', claim_id = gen_random_uuid(), lease_until = at + p_lease,
      attempts = s.attempts + 1, lapses = s.lapses + CASE s.status WHEN 'Running' THEN 1 ELSE 0 END, assigned_agent_id = p_agent_id,
      started_at = at, completed_at = NULL, updated_at = greatest(at, s.updated_at)
    FROM ready WHERE s.id = ready.id RETURNING s.*
  ), kept AS (
    INSERT INTO step_attempts (id, step_id, story_id, number, agent_id, started_at, lease_until, created_at, updated_at)
    SELECT claim_id, id, story_id, attempts, p_agent_id, at, lease_until, at, at FROM claimed
  ), published AS (
    INSERT INTO outbox (type, key, payload, created_at)
    SELECT 'story.step-started.v1', story_id::text,
      jsonb_build_object('storyId', story_id, 'stepId', id, 'wave', wave, 'attempt', attempts), at
    FROM claimed ORDER BY "order"
  ), reopened AS (
    UPDATE story_tasks SET status = 'Pending', completed_at = NULL, updated_at = at
    WHERE step_id IN (SELECT id FROM claimed) AND status IN ('Running', 'Failed')
  )
  SELECT * FROM claimed ORDER BY "order";
END
$$;

-- Claims ready steps of one story, or, without a story, of the stories in execution by priority and age. Stories that another session has
-- locked at this moment are passed over.
CREATE FUNCTION "claim_steps"("p_story_id" uuid, "p_agent_id" text, "p_capabilities" text[], "p_limit" integer, "p_lease" interval)
RETURNS SETOF story_steps LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  wanted integer := least(greatest(p_limit, 1), 100);
  seen uuid[] := '{}';
  candidate uuid;
  found_steps integer;
BEGIN
  IF (p_lease BETWEEN interval '1 millisecond' AND interval '1 day') IS NOT TRUE THEN
    PERFORM refuse('lease_invalid', '{}');
  END IF;
  IF p_story_id IS NOT NULL THEN
    PERFORM lock_story(p_story_id);
    RETURN QUERY SELECT * FROM claim_in_story(p_story_id, p_agent_id, p_capabilities, wanted, p_lease);
    RETURN;
  END IF;
  WHILE wanted > 0 LOOP
    SELECT s.id INTO candidate FROM stories AS s
    WHERE s.status = 'Executing' AND s.id <> ALL (seen)
      AND EXISTS (
        SELECT FROM story_steps AS t WHERE t.story_id = s.id AND t.wave = s.current_wave
          AND (t.status = 'Pending' OR t.status = 'Running' AND t.lease_until <= database_time())
          AND (p_capabilities IS NULL OR t.capability = ANY (p_capabilities)))
      AND s.max_parallelism > (
        SELECT count(*) FROM story_steps AS t
        WHERE t.story_id = s.id AND t.status = 'Running' AND t.lease_until > database_time())
    ORDER BY priority_rank(s.priority), s.created_at, s.id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    EXIT WHEN NOT FOUND;
    seen := seen || candidate;
    RETURN QUERY SELECT * FROM claim_in_story(candidate, p_agent_id, p_capabilities, wanted, p_lease);
    GET DIAGNOSTICS found_steps = ROW_COUNT;
    wanted := wanted - found_steps;
  END LOOP;
END
$$;

-- The attempt of a claim whose lease has not lapsed, under the lock of its story.
CREATE FUNCTION "lock_claim"("p_claim_id" uuid) RETURNS step_attempts LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  attempt step_attempts;
BEGIN
  SELECT * INTO attempt FROM step_attempts WHERE id = p_claim_id;
  IF NOT FOUND THEN
    PERFORM refuse('claim_not_found', jsonb_build_object('claimId', p_claim_id));
  END IF;
  PERFORM lock_story(attempt.story_id);
  SELECT * INTO STRICT attempt FROM step_attempts WHERE id = p_claim_id;
  RETURN attempt;
END
$$;

CREATE FUNCTION "require_lease"("p_attempt" step_attempts, "p_at" timestamptz) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF p_attempt.ended_at IS NOT NULL OR p_attempt.lease_until <= p_at THEN
    PERFORM refuse('lease_lost', jsonb_build_object('stepId', p_attempt.step_id,
      'reason', CASE WHEN p_attempt.outcome IN ('Completed', 'Failed', 'Revoked') THEN 'ended' ELSE 'lapsed' END));
  END IF;
END
$$;

-- Moves the end of a lease to the given time from now; never to an earlier one.
CREATE FUNCTION "extend_lease"("p_claim_id" uuid, "p_lease" interval) RETURNS SETOF story_steps
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  attempt step_attempts;
  at timestamptz;
BEGIN
  IF (p_lease BETWEEN interval '1 millisecond' AND interval '1 day') IS NOT TRUE THEN
    PERFORM refuse('lease_invalid', '{}');
  END IF;
  attempt := lock_claim(p_claim_id);
  at := database_time();
  PERFORM require_lease(attempt, at);
  UPDATE step_attempts SET lease_until = greatest(lease_until, at + p_lease), updated_at = at WHERE id = p_claim_id;
  RETURN QUERY UPDATE story_steps SET lease_until = greatest(lease_until, at + p_lease), updated_at = greatest(at, updated_at)
    WHERE claim_id = p_claim_id RETURNING *;
END
$$;

-- Ends an attempt with its outcome, 'Completed' with the output or 'Failed' with the error, for the holder of the lease. A repeated call
-- with the same outcome returns the step as it is now.
CREATE FUNCTION "finish_step"("p_claim_id" uuid, "p_outcome" text, "p_text" text, "p_hash" text) RETURNS SETOF story_steps
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  attempt step_attempts := lock_claim(p_claim_id);
  at timestamptz := greatest(database_time(), attempt.started_at);
  ended story_steps;
BEGIN
  IF (p_outcome IN ('Completed', 'Failed') AND p_hash ~ '^[0-9a-f]{64}$') IS NOT TRUE THEN
    PERFORM refuse('outcome_invalid', '{}');
  ELSIF attempt.outcome = p_outcome AND attempt.outcome_hash = p_hash THEN
    RETURN QUERY SELECT * FROM story_steps WHERE id = attempt.step_id;
    RETURN;
  ELSIF attempt.outcome IN ('Completed', 'Failed') THEN
    PERFORM refuse('outcome_differs', jsonb_build_object('stepId', attempt.step_id, 'outcome', attempt.outcome, 'asked', p_outcome));
  END IF;
  PERFORM require_lease(attempt, at);
  UPDATE step_attempts SET ended_at = at, outcome = p_outcome, outcome_hash = p_hash, updated_at = at,
    error = CASE p_outcome WHEN 'Failed' THEN p_text END
  WHERE id = p_claim_id;
  UPDATE story_steps SET status = p_outcome, claim_id = NULL, lease_until = NULL, lapses = 0, completed_at = at,
    output = CASE p_outcome WHEN 'Completed' THEN p_text ELSE output END, error = CASE p_outcome WHEN 'Failed' THEN p_text END,
    approval = CASE p_outcome WHEN 'Failed' THEN approval END,
    review_feedback = CASE p_outcome WHEN 'Failed' THEN review_feedback END, updated_at = greatest(at, updated_at)
  WHERE id = attempt.step_id RETURNING * INTO ended;
  IF p_outcome = 'Completed' THEN
    PERFORM emit('step-completed', ended.story_id, jsonb_build_object('stepId', ended.id, 'wave', ended.wave, 'attempt', ended.attempts), at);
  ELSE
    PERFORM emit('step-failed', ended.story_id,
      jsonb_build_object('stepId', ended.id, 'wave', ended.wave, 'attempt', ended.attempts, 'reason', 'error'), at);
  END IF;
  RETURN NEXT ended;
END
$$;

-- Steps ---------------------------------------------------------------------------------------------------------------

-- A step under the lock of its story, which has not ended.
CREATE FUNCTION "lock_step"("p_id" uuid) RETURNS story_steps LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  step story_steps;
BEGIN
  SELECT * INTO step FROM story_steps WHERE id = p_id;
  IF FOUND THEN
    PERFORM lock_open_story(step.story_id);
    SELECT * INTO step FROM story_steps WHERE id = p_id;
  END IF;
  -- A new plan may have replaced it meanwhile.
  IF NOT FOUND THEN
    PERFORM refuse('step_not_found', jsonb_build_object('stepId', p_id));
  END IF;
  RETURN step;
END
$$;

-- A step never runs twice within a lease: what would let it run again waits for the holder.
CREATE FUNCTION "refuse_running"("p_step_ids" uuid[], "p_at" timestamptz) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  running uuid := (SELECT id FROM story_steps WHERE id = ANY (p_step_ids) AND status = 'Running' AND lease_until > p_at
    ORDER BY "order" LIMIT 1);
BEGIN
  IF running IS NOT NULL THEN
    PERFORM refuse('step_running', jsonb_build_object('stepId', running));
  END IF;
END
$$;

-- Ends the open attempts of steps whose leases have lapsed, or whose story ends.
CREATE FUNCTION "close_attempts"("p_step_ids" uuid[], "p_at" timestamptz) RETURNS void LANGUAGE sql
SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE step_attempts SET ended_at = greatest(least(p_at, lease_until), started_at), updated_at = p_at,
    outcome = CASE WHEN lease_until <= p_at THEN 'Lapsed' ELSE 'Revoked' END
  WHERE step_id = ANY (p_step_ids) AND ended_at IS NULL
$$;

-- Approves a completed step, or rejects it with feedback: a rejected step of the current wave runs again, and its next attempt reads
-- the feedback.
CREATE FUNCTION "review_step"("p_id" uuid, "p_approval" text, "p_feedback" text, "p_by" text) RETURNS SETOF story_steps
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  step story_steps := lock_step(p_id);
  at timestamptz := greatest(database_time(), step.updated_at);
  current integer := (SELECT current_wave FROM stories WHERE id = step.story_id);
BEGIN
  IF (p_approval IN ('Approved', 'Rejected')) IS NOT TRUE THEN
    PERFORM refuse('approval_invalid', '{}');
  ELSIF step.approval = p_approval AND step.review_feedback IS NOT DISTINCT FROM p_feedback AND step.status IN ('Completed', 'Pending') THEN
    RETURN NEXT step;
    RETURN;
  ELSIF step.status <> 'Completed' THEN
    PERFORM refuse('step_not_completed', jsonb_build_object('stepId', p_id, 'status', step.status));
  ELSIF p_approval = 'Rejected' AND step.wave <> current THEN
    PERFORM refuse('wave_passed', jsonb_build_object('stepId', p_id, 'wave', step.wave, 'currentWave', current));
  END IF;
  IF p_approval = 'Rejected' THEN
    UPDATE story_steps SET status = 'Pending', approval = p_approval, review_feedback = p_feedback, completed_at = NULL, updated_at = at
      WHERE id = p_id RETURNING * INTO step;
    UPDATE story_tasks SET status = 'Pending', completed_at = NULL, updated_at = at WHERE step_id = p_id AND status <> 'Pending';
  ELSE
    UPDATE story_steps SET approval = p_approval, review_feedback = p_feedback, updated_at = at WHERE id = p_id RETURNING * INTO step;
  END IF;
  PERFORM emit('step-reviewed', step.story_id, jsonb_build_object('stepId', p_id, 'wave', step.wave, 'approval', p_approval), at);
  PERFORM audit(p_by, 'step.reviewed', 'step', p_id, jsonb_build_object('approval', p_approval), at);
  RETURN NEXT step;
END
$$;

-- Lets a failed step run again. The error and the output of the last attempt stay until the next one ends.
CREATE FUNCTION "retry_step"("p_id" uuid, "p_by" text) RETURNS SETOF story_steps
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  step story_steps := lock_step(p_id);
  at timestamptz := greatest(database_time(), step.updated_at);
BEGIN
  IF step.status = 'Pending' THEN
    RETURN NEXT step;
    RETURN;
  ELSIF step.status <> 'Failed' THEN
    PERFORM refuse_move('story_steps', p_id, step.status, 'Pending');
  END IF;
  UPDATE story_steps SET status = 'Pending', completed_at = NULL, lapses = 0, updated_at = at WHERE id = p_id RETURNING * INTO step;
  PERFORM emit('step-retried', step.story_id, jsonb_build_object('stepId', p_id, 'wave', step.wave), at);
  PERFORM audit(p_by, 'step.retried', 'step', p_id, '{}', at);
  RETURN NEXT step;
END
$$;

-- Leaves out a step that does not run, with its unfinished tasks.
CREATE FUNCTION "skip_step"("p_id" uuid, "p_by" text) RETURNS SETOF story_steps
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  step story_steps := lock_step(p_id);
  at timestamptz := greatest(database_time(), step.updated_at);
BEGIN
  IF step.status = 'Skipped' THEN
    RETURN NEXT step;
    RETURN;
  ELSIF step.status = 'Completed' THEN
    PERFORM refuse_move('story_steps', p_id, step.status, 'Skipped');
  END IF;
  PERFORM refuse_running(ARRAY[p_id], at);
  PERFORM close_attempts(ARRAY[p_id], at);
  UPDATE story_tasks SET status = 'Skipped', updated_at = at WHERE step_id = p_id AND status NOT IN ('Completed', 'Skipped');
  UPDATE story_steps SET status = 'Skipped', claim_id = NULL, lease_until = NULL, lapses = 0, updated_at = at
    WHERE id = p_id RETURNING * INTO step;
  PERFORM emit('step-skipped', step.story_id, jsonb_build_object('stepId', p_id, 'wave', step.wave), at);
  PERFORM audit(p_by, 'step.skipped', 'step', p_id, '{}', at);
  RETURN NEXT step;
END
$$;

-- Adds a task to the end of a step that has not ended, once per key.
CREATE FUNCTION "add_task"("p_key" text, "p_hash" text, "p_step_id" uuid, "p_description" text) RETURNS SETOF story_tasks
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  new_id uuid := uuid_v7();
  earlier uuid := begin_request(p_key, 'addTask', p_hash, new_id);
  step story_steps;
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM story_tasks WHERE id = earlier;
    -- A new plan has deleted the task with its step.
    IF NOT FOUND THEN
      PERFORM refuse('task_not_found', jsonb_build_object('taskId', earlier));
    END IF;
    RETURN;
  END IF;
  step := lock_step(p_step_id);
  at := database_time();
  IF (SELECT count(*) FROM story_tasks WHERE step_id = p_step_id) >= 100 THEN
    PERFORM refuse('tasks_full', jsonb_build_object('stepId', p_step_id));
  END IF;
  RETURN QUERY INSERT INTO story_tasks (id, step_id, "order", description, created_at, updated_at)
    SELECT new_id, p_step_id, coalesce(max("order"), 0) + 1, p_description, at, at FROM story_tasks WHERE step_id = p_step_id
    RETURNING *;
END
$$;

-- Moves a task, for the holder of the lease of its step.
CREATE FUNCTION "move_task"("p_claim_id" uuid, "p_task_id" uuid, "p_to" text) RETURNS SETOF story_tasks
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  attempt step_attempts := lock_claim(p_claim_id);
  at timestamptz := database_time();
  task story_tasks;
BEGIN
  SELECT * INTO task FROM story_tasks WHERE id = p_task_id AND step_id = attempt.step_id;
  IF NOT FOUND THEN
    PERFORM refuse('task_not_found', jsonb_build_object('taskId', p_task_id));
  ELSIF task.status = p_to THEN
    RETURN NEXT task;
    RETURN;
  ELSIF p_to = 'Pending' THEN
    PERFORM refuse_move('story_tasks', p_task_id, task.status, p_to);
  END IF;
  PERFORM require_lease(attempt, at);
  RETURN QUERY UPDATE story_tasks SET status = p_to, completed_at = CASE p_to WHEN 'Completed' THEN at END, updated_at = greatest(at, updated_at)
    WHERE id = p_task_id RETURNING *;
END
$$;

-- Stories -------------------------------------------------------------------------------------------------------------

-- Starts the first wave of a planned story.
CREATE FUNCTION "start_story"("p_id" uuid) RETURNS SETOF stories
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  story stories := lock_story(p_id);
BEGIN
  IF story.current_wave > 0 AND story.status <> 'Cancelled' THEN
    RETURN NEXT story;
    RETURN;
  ELSIF story.status <> 'Planned' THEN
    PERFORM refuse_move('stories', p_id, story.status, 'Executing');
  ELSIF coalesce((SELECT min(wave) FROM story_steps WHERE story_id = p_id), 0) < 1 THEN
    PERFORM refuse('plan_invalid', jsonb_build_object('storyId', p_id));
  END IF;
  RETURN QUERY UPDATE stories SET status = 'Executing', updated_at = greatest(database_time(), updated_at) WHERE id = p_id RETURNING *;
END
$$;

-- Decides the gate after a wave, with feedback and the results of its checks.
CREATE FUNCTION "decide_gate"("p_id" uuid, "p_wave" integer, "p_passed" boolean, "p_feedback" text, "p_checks" jsonb, "p_by" text)
RETURNS SETOF stories LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  story stories := lock_open_story(p_id);
  at timestamptz := greatest(database_time(), story.updated_at);
  result jsonb := jsonb_strip_nulls(jsonb_build_object('wave', p_wave, 'passed', p_passed, 'feedback', p_feedback, 'checks', p_checks));
BEGIN
  IF story.gate_result = result THEN
    RETURN NEXT story;
    RETURN;
  ELSIF story.status NOT IN ('GatePending', 'GateFailed') OR story.current_wave <> p_wave THEN
    PERFORM refuse('gate_not_open', jsonb_build_object('storyId', p_id, 'status', story.status, 'wave', p_wave,
      'currentWave', story.current_wave));
  END IF;
  PERFORM emit('gate-decided', p_id, jsonb_build_object('wave', p_wave, 'passed', p_passed), at);
  PERFORM audit(p_by, 'gate.decided', 'story', p_id, jsonb_build_object('wave', p_wave, 'passed', p_passed), at);
  RETURN QUERY UPDATE stories SET gate_result = result, updated_at = at WHERE id = p_id RETURNING *;
END
$$;

-- Resets every step from a wave on, so that the waves run again. Numbers of attempts and the history of attempts stay.
CREATE FUNCTION "rerun_story"("p_id" uuid, "p_wave" integer, "p_by" text) RETURNS SETOF stories
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  story stories := lock_open_story(p_id);
  at timestamptz := greatest(database_time(), story.updated_at);
  steps uuid[] := ARRAY(SELECT id FROM story_steps WHERE story_id = p_id AND wave >= p_wave ORDER BY "order");
BEGIN
  IF story.current_wave = 0 OR p_wave > story.current_wave OR NOT EXISTS (
    SELECT FROM story_steps WHERE story_id = p_id AND wave = p_wave) THEN
    PERFORM refuse('wave_not_reached', jsonb_build_object('storyId', p_id, 'wave', p_wave, 'currentWave', story.current_wave));
  END IF;
  PERFORM refuse_running(steps, at);
  IF story.current_wave = p_wave AND NOT EXISTS (SELECT FROM story_steps WHERE id = ANY (steps) AND (status <> 'Pending' OR attempts > 0
    AND num_nonnulls(output, error, approval, review_feedback, assigned_agent_id) > 0)) THEN
    RETURN NEXT story;
    RETURN;
  END IF;
  PERFORM close_attempts(steps, at);
  UPDATE stories SET verification_passed = NULL, verification_result = NULL, updated_at = at WHERE id = p_id;
  UPDATE story_steps SET status = 'Pending', claim_id = NULL, lease_until = NULL, lapses = 0, assigned_agent_id = NULL, output = NULL,
    error = NULL, approval = NULL, review_feedback = NULL, started_at = NULL, completed_at = NULL, updated_at = greatest(at, updated_at)
  WHERE id = ANY (steps);
  UPDATE story_tasks SET status = 'Pending', completed_at = NULL, updated_at = at WHERE step_id = ANY (steps) AND status <> 'Pending';
  PERFORM emit('waves-rerun', p_id, jsonb_build_object('wave', p_wave), at);
  PERFORM audit(p_by, 'story.rerun', 'story', p_id, jsonb_build_object('wave', p_wave), at);
  RETURN QUERY SELECT * FROM stories WHERE id = p_id;
END
$$;

-- Replaces the results of the checks of a story that has run its steps. It has passed when every check has.
CREATE FUNCTION "record_verification"("p_id" uuid, "p_checks" jsonb) RETURNS SETOF stories
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  story stories := lock_open_story(p_id);
  at timestamptz := greatest(database_time(), story.updated_at);
  passed boolean := (SELECT bool_and(coalesce((c ->> 'passed')::boolean, false)) FROM jsonb_array_elements(p_checks) AS c);
  result jsonb := jsonb_build_object('passed', passed, 'checks', p_checks);
BEGIN
  IF story.status <> 'ReadyToComplete' THEN
    PERFORM refuse('story_not_ready', jsonb_build_object('storyId', p_id, 'status', story.status));
  ELSIF passed IS NULL THEN
    PERFORM refuse('checks_invalid', '{}');
  ELSIF story.verification_result = result THEN
    RETURN NEXT story;
    RETURN;
  END IF;
  PERFORM emit('story-verified', p_id, jsonb_build_object('passed', passed), at);
  RETURN QUERY UPDATE stories SET verification_passed = passed, verification_result = result, updated_at = at WHERE id = p_id RETURNING *;
END
$$;

-- Completes a story whose steps have all ended and whose verification has not failed.
CREATE FUNCTION "complete_story"("p_id" uuid, "p_pull_request_url" text, "p_by" text) RETURNS SETOF stories
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  story stories := lock_story(p_id);
  at timestamptz := greatest(database_time(), story.updated_at, story.created_at);
BEGIN
  IF story.status = 'Completed' THEN
    RETURN NEXT story;
    RETURN;
  ELSIF story.status <> 'ReadyToComplete' THEN
    PERFORM refuse('story_not_ready', jsonb_build_object('storyId', p_id, 'status', story.status));
  ELSIF story.verification_passed IS FALSE THEN
    PERFORM refuse('verification_failed', jsonb_build_object('storyId', p_id));
  END IF;
  PERFORM audit(p_by, 'story.completed', 'story', p_id, '{}', at);
  RETURN QUERY UPDATE stories SET status = 'Completed', completed_at = at, updated_at = at,
    pull_request_url = coalesce(p_pull_request_url, pull_request_url) WHERE id = p_id RETURNING *;
END
$$;

-- Ends a story for good: its leases are revoked, and its unfinished steps and tasks are skipped.
CREATE FUNCTION "end_story"("p_story" stories, "p_at" timestamptz) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  steps uuid[] := ARRAY(SELECT id FROM story_steps WHERE story_id = p_story.id AND status NOT IN ('Completed', 'Skipped')
    ORDER BY "order");
BEGIN
  UPDATE stories SET status = 'Cancelled', completed_at = p_at, updated_at = p_at WHERE id = p_story.id;
  PERFORM close_attempts(steps, p_at);
  UPDATE story_tasks SET status = 'Skipped', updated_at = p_at
    WHERE step_id = ANY (steps) AND status NOT IN ('Completed', 'Skipped');
  UPDATE story_steps SET status = 'Skipped', claim_id = NULL, lease_until = NULL, updated_at = greatest(p_at, updated_at)
    WHERE id = ANY (steps);
END
$$;

CREATE FUNCTION "cancel_story"("p_id" uuid, "p_by" text) RETURNS SETOF stories
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  story stories := lock_story(p_id);
  at timestamptz := greatest(database_time(), story.updated_at, story.created_at);
BEGIN
  IF story.status = 'Completed' THEN
    PERFORM refuse_move('stories', p_id, story.status, 'Cancelled');
  ELSIF story.status <> 'Cancelled' THEN
    PERFORM end_story(story, at);
    PERFORM audit(p_by, 'story.cancelled', 'story', p_id, '{}', at);
  END IF;
  RETURN QUERY SELECT * FROM stories WHERE id = p_id;
END
$$;
