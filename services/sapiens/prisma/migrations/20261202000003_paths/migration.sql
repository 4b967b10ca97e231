-- Learning paths: their state machine, steps in an order without gaps, prerequisites that come before the steps that need them, and
-- progress from which the completion of a path follows.
-- Locks: SHARE ROW EXCLUSIVE on learning_paths, path_steps and progress for the triggers. Gaps between existing steps are closed.

SET LOCAL lock_timeout = '5s';

CREATE TABLE "step_prerequisites" (
  "path_id" TEXT NOT NULL,
  "step_id" TEXT NOT NULL,
  "prerequisite_id" TEXT NOT NULL,
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "step_prerequisites_pkey" PRIMARY KEY ("step_id", "prerequisite_id"),
  CONSTRAINT "step_prerequisites_step_fkey" FOREIGN KEY ("path_id", "step_id") REFERENCES "path_steps" ("path_id", "id")
    ON DELETE CASCADE ON UPDATE RESTRICT,
  CONSTRAINT "step_prerequisites_prerequisite_fkey" FOREIGN KEY ("path_id", "prerequisite_id") REFERENCES "path_steps" ("path_id", "id")
    ON DELETE CASCADE ON UPDATE RESTRICT,
  CONSTRAINT "step_prerequisites_times_check"
    CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);
CREATE INDEX "step_prerequisites_path_id_step_id_idx" ON "step_prerequisites" ("path_id", "step_id");
CREATE INDEX "step_prerequisites_path_id_prerequisite_id_idx" ON "step_prerequisites" ("path_id", "prerequisite_id");

-- In two steps, because the positions of a path are unique at every moment.
UPDATE path_steps SET position = position + 1000000;
UPDATE path_steps AS s SET position = o.place
FROM (SELECT id, row_number() OVER (PARTITION BY path_id ORDER BY position) AS place FROM path_steps) AS o WHERE o.id = s.id;

CREATE TRIGGER "learning_paths_transition" BEFORE UPDATE OF "status" ON "learning_paths" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status")
  EXECUTE FUNCTION "check_transition"('active>paused', 'paused>active', 'active>completed', 'active>abandoned', 'paused>abandoned');

-- When a transaction commits, the positions of the steps of a path are 1 to n, and each prerequisite comes before the step that needs
-- it, whoever changed them. So no step can need itself, directly or through others.
CREATE FUNCTION "check_step_order"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  touched text := coalesce(to_jsonb(NEW) ->> 'path_id', to_jsonb(OLD) ->> 'path_id');
BEGIN
  IF EXISTS (SELECT FROM path_steps WHERE path_id = touched HAVING count(*) <> max(position)) THEN
    PERFORM refuse('step_positions', jsonb_build_object('pathId', touched));
  ELSIF EXISTS (SELECT FROM step_prerequisites AS n JOIN path_steps AS s ON s.id = n.step_id
      JOIN path_steps AS p ON p.id = n.prerequisite_id WHERE n.path_id = touched AND p.position >= s.position) THEN
    PERFORM refuse('prerequisite_order', jsonb_build_object('pathId', touched));
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER "path_steps_order" AFTER INSERT OR DELETE OR UPDATE OF "position", "path_id" ON "path_steps"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION "check_step_order"();
CREATE CONSTRAINT TRIGGER "step_prerequisites_order" AFTER INSERT OR UPDATE ON "step_prerequisites"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION "check_step_order"();

CREATE FUNCTION "missing_prerequisites"("p_step_id" text) RETURNS text[] LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT ARRAY(SELECT n.prerequisite_id FROM step_prerequisites AS n JOIN path_steps AS s ON s.id = n.prerequisite_id
    WHERE n.step_id = p_step_id AND NOT EXISTS (SELECT FROM progress AS p WHERE p.step_id = n.prerequisite_id AND p.percent = 100)
    ORDER BY s.position)
$$;

-- A step begins when its prerequisites are completed, and progress never falls.
CREATE FUNCTION "check_progress"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  missing text[];
BEGIN
  IF TG_OP = 'INSERT' THEN
    missing := missing_prerequisites(NEW.step_id);
    IF cardinality(missing) > 0 THEN
      PERFORM refuse('prerequisites_missing', jsonb_build_object('stepId', NEW.step_id, 'missing', missing));
    END IF;
  ELSIF NEW.percent < OLD.percent OR NEW.time_spent_minutes < OLD.time_spent_minutes OR NEW.step_id <> OLD.step_id THEN
    PERFORM refuse('progress_fixed', jsonb_build_object('stepId', OLD.step_id));
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "progress_grows" BEFORE INSERT OR UPDATE ON "progress" FOR EACH ROW EXECUTE FUNCTION "check_progress"();

-- A path is completed when all of its steps are.
CREATE FUNCTION "check_path_completion"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM path_steps WHERE path_id = NEW.id) OR EXISTS (SELECT FROM path_steps AS s WHERE s.path_id = NEW.id
      AND NOT EXISTS (SELECT FROM progress AS p WHERE p.step_id = s.id AND p.percent = 100)) THEN
    PERFORM refuse('path_unfinished', jsonb_build_object('pathId', NEW.id));
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "learning_paths_completion" BEFORE UPDATE OF "status" ON "learning_paths" FOR EACH ROW
  WHEN (NEW."status" = 'completed' AND OLD."status" <> 'completed') EXECUTE FUNCTION "check_path_completion"();

-- Locks a path; its steps and progress change only while it is in one of the statuses.
CREATE FUNCTION "lock_path"("p_id" text, "p_open" path_status[]) RETURNS learning_paths LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  target learning_paths;
BEGIN
  PERFORM lock_known_student((SELECT student_id FROM learning_paths WHERE id = p_id), 'path_not_found', jsonb_build_object('pathId', p_id));
  SELECT * INTO target FROM learning_paths WHERE id = p_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('path_not_found', jsonb_build_object('pathId', p_id));
  ELSIF NOT (target.status = ANY (p_open)) THEN
    PERFORM refuse('path_closed', jsonb_build_object('pathId', p_id, 'status', target.status));
  END IF;
  RETURN target;
END
$$;

CREATE FUNCTION "path_of_step"("p_step_id" text) RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  found_id text := (SELECT path_id FROM path_steps WHERE id = p_step_id);
BEGIN
  IF found_id IS NULL THEN
    PERFORM refuse('step_not_found', jsonb_build_object('stepId', p_step_id));
  END IF;
  RETURN found_id;
END
$$;

-- Puts the steps of a path in the order of the ids, which names each of them once.
CREATE FUNCTION "place_steps"("p_path_id" text, "p_ids" text[]) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF p_ids IS NULL OR (SELECT array_agg(id ORDER BY id COLLATE "C") FROM path_steps WHERE path_id = p_path_id)
    IS DISTINCT FROM (SELECT array_agg(id ORDER BY id COLLATE "C") FROM unnest(p_ids) AS given (id)) THEN
    PERFORM refuse('order_invalid', jsonb_build_object('pathId', p_path_id));
  END IF;
  UPDATE path_steps SET position = position + 1000000 WHERE path_id = p_path_id;
  UPDATE path_steps AS s SET position = o.place, updated_at = database_time()
    FROM unnest(p_ids) WITH ORDINALITY AS o (id, place) WHERE s.id = o.id AND s.path_id = p_path_id;
END
$$;

CREATE FUNCTION "insert_step"("p_id" text, "p_path_id" text, "p_fields" jsonb, "p_position" integer, "p_at" timestamptz) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO path_steps (id, path_id, position, kind, title, description, estimated_minutes, created_at, updated_at)
  VALUES (p_id, p_path_id, p_position, coalesce((p_fields ->> 'kind')::step_kind, 'lesson'), p_fields ->> 'title',
    p_fields ->> 'description', (p_fields ->> 'estimatedMinutes')::integer, p_at, p_at)
$$;

-- "p_steps" are the fields of the steps in their order; "needs" are the numbers of the earlier steps that a step needs.
CREATE FUNCTION "create_path"("p_key" text, "p_hash" text, "p_id" text, "p_student_id" text, "p_fields" jsonb, "p_steps" jsonb)
RETURNS SETOF learning_paths LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier text := begin_request(p_key, 'createPath', p_hash, p_id, p_student_id);
  step record;
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM learning_paths WHERE id = earlier;
    RETURN;
  END IF;
  PERFORM lock_student(p_student_id);
  at := database_time();
  INSERT INTO learning_paths (id, student_id, course_id, title, subject, description, start_level, target_level, estimated_hours,
      started_at, created_at, updated_at)
    VALUES (p_id, p_student_id, p_fields ->> 'courseId', p_fields ->> 'title', p_fields ->> 'subject', p_fields ->> 'description',
      (p_fields ->> 'startLevel')::skill_level, (p_fields ->> 'targetLevel')::skill_level, (p_fields ->> 'estimatedHours')::integer,
      at, at, at);
  FOR step IN SELECT fields, number FROM jsonb_array_elements(p_steps) WITH ORDINALITY AS s (fields, number) LOOP
    PERFORM insert_step(step.fields ->> 'id', p_id, step.fields, step.number::integer, at);
    INSERT INTO step_prerequisites (path_id, step_id, prerequisite_id, created_at)
      SELECT DISTINCT p_id, step.fields ->> 'id', (p_steps -> (needed::integer - 1)) ->> 'id', at
      FROM jsonb_array_elements_text(coalesce(step.fields -> 'needs', '[]')) AS n (needed);
  END LOOP;
  PERFORM emit('path-created', p_student_id, jsonb_build_object('pathId', p_id), at);
  RETURN QUERY SELECT * FROM learning_paths WHERE id = p_id;
END
$$;

CREATE FUNCTION "add_step"("p_id" text, "p_path_id" text, "p_fields" jsonb, "p_position" integer) RETURNS SETOF path_steps
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  path learning_paths := lock_path(p_path_id, '{active,paused}');
  ids text[] := ARRAY(SELECT id FROM path_steps WHERE path_id = path.id ORDER BY position);
  place integer := coalesce(p_position, cardinality(ids) + 1);
BEGIN
  IF place NOT BETWEEN 1 AND cardinality(ids) + 1 THEN
    PERFORM refuse('position_invalid', jsonb_build_object('pathId', path.id));
  END IF;
  PERFORM insert_step(p_id, path.id, p_fields, 2000000, database_time());
  PERFORM place_steps(path.id, ids[:place - 1] || p_id || ids[place:]);
  RETURN QUERY SELECT * FROM path_steps WHERE id = p_id;
END
$$;

CREATE FUNCTION "remove_step"("p_id" text) RETURNS SETOF path_steps
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  path learning_paths := lock_path(path_of_step(p_id), '{active,paused}');
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

CREATE FUNCTION "reorder_steps"("p_path_id" text, "p_ids" text[]) RETURNS SETOF path_steps
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM lock_path(p_path_id, '{active,paused}');
  PERFORM place_steps(p_path_id, p_ids);
  RETURN QUERY SELECT * FROM path_steps WHERE path_id = p_path_id ORDER BY position;
END
$$;

CREATE FUNCTION "set_step_prerequisites"("p_id" text, "p_prerequisite_ids" text[]) RETURNS SETOF step_prerequisites
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  path learning_paths := lock_path(path_of_step(p_id), '{active,paused}');
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

CREATE FUNCTION "complete_path"("p_id" text, "p_at" timestamptz) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  path learning_paths;
BEGIN
  UPDATE learning_paths AS l SET status = 'completed', completed_at = greatest(p_at, l.started_at), updated_at = p_at
    WHERE l.id = p_id AND l.status = 'active' AND EXISTS (SELECT FROM path_steps AS s WHERE s.path_id = p_id)
      AND NOT EXISTS (SELECT FROM path_steps AS s WHERE s.path_id = p_id
        AND NOT EXISTS (SELECT FROM progress AS p WHERE p.step_id = s.id AND p.percent = 100))
    RETURNING * INTO path;
  IF FOUND THEN
    PERFORM emit('path-completed', path.student_id, jsonb_build_object('pathId', p_id), p_at);
  END IF;
END
$$;

CREATE FUNCTION "change_path_status"("p_id" text, "p_status" path_status) RETURNS SETOF learning_paths
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  path learning_paths := lock_path(p_id, '{active,paused,completed,abandoned}');
BEGIN
  IF path.status <> p_status THEN
    UPDATE learning_paths SET status = p_status, updated_at = database_time() WHERE id = p_id;
    -- The last open step may have been removed during the pause.
    PERFORM complete_path(p_id, database_time());
  END IF;
  RETURN QUERY SELECT * FROM learning_paths WHERE id = p_id;
END
$$;

-- The numbers only grow: a report that is late or repeated changes nothing.
CREATE FUNCTION "record_step_progress"(
  "p_step_id" text, "p_percent" double precision, "p_score" double precision, "p_minutes" integer
) RETURNS SETOF progress LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  path learning_paths := lock_path(path_of_step(p_step_id), '{active,completed}');
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
