-- Why: two calls removed the same step at once, and the second one returned a row of nulls. Progress, or prerequisites, of a step that was
-- removed at the same time failed with an error of a foreign key. A request that was repeated during the erasure of its student failed.
-- Locks: none on tables.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Locks the path of a step. The student is locked first, so that no other call removes the step between the search of its path and the
-- lock.
CREATE FUNCTION "lock_step"("p_step_id" text, "p_open" path_status[]) RETURNS learning_paths LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM lock_known_student((SELECT p.student_id FROM path_steps AS s JOIN learning_paths AS p ON p.id = s.path_id WHERE s.id = p_step_id),
    'step_not_found', jsonb_build_object('stepId', p_step_id));
  RETURN lock_path(path_of_step(p_step_id), p_open);
END
$$;

CREATE OR REPLACE FUNCTION "remove_step"("p_id" text) RETURNS SETOF path_steps
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  path learning_paths := lock_step(p_id, '{active,paused}');
  gone path_steps;
BEGIN
  IF EXISTS (SELECT FROM progress WHERE step_id = p_id) THEN
    PERFORM refuse('step_started', jsonb_build_object('stepId', p_id));
  END IF;
  DELETE FROM path_steps WHERE id = p_id RETURNING * INTO gone;
  PERFORM place_steps(path.id, ARRAY(SELECT id FROM path_steps WHERE path_id = path.id ORDER BY position));
  PERFORM complete_path(path.id, database_time());
  RETURN NEXT gone;
END
$$;

CREATE OR REPLACE FUNCTION "set_step_prerequisites"("p_id" text, "p_prerequisite_ids" text[]) RETURNS SETOF step_prerequisites
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  path learning_paths := lock_step(p_id, '{active,paused}');
BEGIN
  IF EXISTS (SELECT FROM progress WHERE step_id = p_id) THEN
    PERFORM refuse('step_started', jsonb_build_object('stepId', p_id));
  ELSIF EXISTS (SELECT FROM unnest(p_prerequisite_ids) AS n (id)
      WHERE NOT EXISTS (SELECT FROM path_steps AS s WHERE s.id = n.id AND s.path_id = path.id)) THEN
    PERFORM refuse('step_not_found', jsonb_build_object('stepId', p_id));
  END IF;
  DELETE FROM step_prerequisites WHERE step_id = p_id;
  INSERT INTO step_prerequisites (path_id, step_id, prerequisite_id, created_at)
    SELECT DISTINCT path.id, p_id, n.id, database_time() FROM unnest(p_prerequisite_ids) AS n (id);
  RETURN QUERY SELECT * FROM step_prerequisites WHERE step_id = p_id ORDER BY prerequisite_id;
END
$$;

CREATE OR REPLACE FUNCTION "record_step_progress"(
  "p_step_id" text, "p_percent" double precision, "p_score" double precision, "p_minutes" integer
) RETURNS SETOF progress LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  path learning_paths := lock_step(p_step_id, '{active,completed}');
  earlier progress;
  at timestamptz;
BEGIN
  SELECT * INTO earlier FROM progress WHERE step_id = p_step_id;
  IF path.status = 'completed' THEN
    RETURN NEXT earlier;
    RETURN;
  END IF;
  at := greatest(database_time(), earlier.started_at);
  INSERT INTO progress AS p (id, path_id, step_id, percent, score, time_spent_minutes, started_at, completed_at, created_at, updated_at)
    VALUES (gen_random_uuid()::text, path.id, p_step_id, p_percent, p_score, p_minutes, at, CASE WHEN p_percent = 100 THEN at END, at, at)
    ON CONFLICT (path_id, step_id) DO UPDATE SET percent = greatest(p.percent, excluded.percent),
      score = greatest(p.score, excluded.score), time_spent_minutes = greatest(p.time_spent_minutes, excluded.time_spent_minutes),
      completed_at = coalesce(p.completed_at, excluded.completed_at), updated_at = at;
  PERFORM touch_profile(path.student_id, at);
  IF p_percent = 100 AND earlier.completed_at IS NULL THEN
    PERFORM emit('step-completed', path.student_id, jsonb_build_object('pathId', path.id, 'stepId', p_step_id), at);
    PERFORM complete_path(path.id, at);
  END IF;
  RETURN QUERY SELECT * FROM progress WHERE step_id = p_step_id;
END
$$;

-- Records a request under its key. Returns null for a new request, and the id of the first answer for a repeated one. A concurrent
-- request with the same key waits here until the first one commits. A repeated request takes the lock of the student, so that the answer
-- is not erased before it is read; after an erasure it is a new request.
CREATE OR REPLACE FUNCTION "begin_request"("p_key" text, "p_operation" text, "p_hash" text, "p_answer_id" text, "p_student_id" text) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier requests;
BEGIN
  LOOP
    INSERT INTO requests (key, operation, body_hash, answer_id, student_id, created_at)
      VALUES (p_key, p_operation, p_hash, p_answer_id, p_student_id, database_time()) ON CONFLICT (key) DO NOTHING;
    IF FOUND THEN
      RETURN NULL;
    END IF;
    SELECT * INTO earlier FROM requests WHERE key = p_key;
    CONTINUE WHEN NOT FOUND;
    IF earlier.operation <> p_operation OR earlier.body_hash <> p_hash THEN
      PERFORM refuse('key_reused', jsonb_build_object('operation', earlier.operation, 'asked', p_operation));
    END IF;
    -- A request of nobody is never erased.
    EXIT WHEN earlier.student_id IS NULL;
    PERFORM FROM student_profiles WHERE student_id = earlier.student_id FOR NO KEY UPDATE;
    EXIT WHEN EXISTS (SELECT FROM requests WHERE key = p_key AND answer_id = earlier.answer_id);
  END LOOP;
  RETURN earlier.answer_id;
END
$$;
