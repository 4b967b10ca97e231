-- Reverts 20261204000001_audit: the functions write no entries of the audit log.

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION "create_skill"(p_id text, p_slug text, p_fields jsonb) RETURNS SETOF skills
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    AS $$
DECLARE
  at timestamptz := database_time();
BEGIN
  RETURN QUERY INSERT INTO skills (id, slug, name, topic, prior, learn, guess, slip, created_at, updated_at)
    VALUES (p_id, p_slug, p_fields ->> 'name', p_fields ->> 'topic', coalesce((p_fields ->> 'prior')::double precision, 0.3),
      coalesce((p_fields ->> 'learn')::double precision, 0.1), coalesce((p_fields ->> 'guess')::double precision, 0.2),
      coalesce((p_fields ->> 'slip')::double precision, 0.1), at, at)
    RETURNING *;
END
$$;

CREATE OR REPLACE FUNCTION "add_item"(p_key text, p_hash text, p_id text, p_skill_id text, p_prompt text, p_options text[], p_correct_option integer, p_discrimination double precision, p_location double precision) RETURNS SETOF items
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    AS $$
DECLARE
  earlier text := begin_request(p_key, 'addItem', p_hash, p_id, NULL);
  at timestamptz := database_time();
BEGIN
  IF earlier IS NULL THEN
    PERFORM require_skill(p_skill_id);
    INSERT INTO items (id, skill_id, prompt, options, correct_option, discrimination, location, created_at, updated_at)
      VALUES (p_id, p_skill_id, p_prompt, p_options, p_correct_option, p_discrimination, p_location, at, at);
  END IF;
  RETURN QUERY SELECT * FROM items WHERE id = coalesce(earlier, p_id);
END
$$;

CREATE OR REPLACE FUNCTION "retire_item"(p_id text) RETURNS SETOF items
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    AS $$
BEGIN
  UPDATE items SET status = 'retired', updated_at = database_time() WHERE id = p_id AND status = 'active';
  IF NOT EXISTS (SELECT FROM items WHERE id = p_id) THEN
    PERFORM refuse('item_not_found', jsonb_build_object('itemId', p_id));
  END IF;
  RETURN QUERY SELECT * FROM items WHERE id = p_id;
END
$$;

CREATE OR REPLACE FUNCTION "erase_person"(p_student_id text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    AS $$
BEGIN
  PERFORM FROM student_profiles WHERE student_id = p_student_id FOR UPDATE;
  IF NOT FOUND THEN
    -- Rows of an earlier release may have no profile, which is the lock.
    IF NOT EXISTS (SELECT FROM tutoring_sessions WHERE student_id = p_student_id)
      AND NOT EXISTS (SELECT FROM learning_paths WHERE student_id = p_student_id)
      AND NOT EXISTS (SELECT FROM questions WHERE student_id = p_student_id)
      AND NOT EXISTS (SELECT FROM assessments WHERE student_id = p_student_id)
    THEN
      RETURN 0;
    END IF;
    PERFORM lock_student(p_student_id);
  END IF;
  DELETE FROM skill_attempts WHERE student_id = p_student_id;
  DELETE FROM skill_mastery WHERE student_id = p_student_id;
  DELETE FROM assessments WHERE student_id = p_student_id;
  DELETE FROM cards WHERE student_id = p_student_id;
  DELETE FROM tutoring_sessions WHERE student_id = p_student_id;
  DELETE FROM learning_paths WHERE student_id = p_student_id;
  DELETE FROM questions WHERE student_id = p_student_id;
  DELETE FROM requests WHERE student_id = p_student_id;
  DELETE FROM student_profiles WHERE student_id = p_student_id;
  PERFORM emit('student-erased', p_student_id, '{}', database_time());
  RETURN 1;
END
$$;

DROP FUNCTION "audit"(text, text, text, text, timestamptz);
