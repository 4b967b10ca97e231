-- Questions, the profile that follows from what happened, and what this database holds about a person, as one document, with its
-- erasure.
-- Locks: none.

SET LOCAL lock_timeout = '5s';

CREATE FUNCTION "ask_question"(
  "p_key" text, "p_hash" text, "p_id" text, "p_student_id" text, "p_topic" text, "p_question" text, "p_difficulty" double precision
) RETURNS SETOF questions LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier text := begin_request(p_key, 'askQuestion', p_hash, p_id, p_student_id);
  at timestamptz;
BEGIN
  IF earlier IS NULL THEN
    PERFORM lock_student(p_student_id);
    at := database_time();
    INSERT INTO questions (id, student_id, topic, question, difficulty, created_at, updated_at)
      VALUES (p_id, p_student_id, p_topic, p_question, p_difficulty, at, at);
    PERFORM touch_profile(p_student_id, at);
    PERFORM emit('question-asked', p_student_id, jsonb_build_object('questionId', p_id), at);
  END IF;
  RETURN QUERY SELECT * FROM questions WHERE id = coalesce(earlier, p_id);
END
$$;

CREATE FUNCTION "lock_question"("p_id" text) RETURNS questions LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  target questions;
BEGIN
  PERFORM lock_known_student((SELECT student_id FROM questions WHERE id = p_id), 'question_not_found',
    jsonb_build_object('questionId', p_id));
  SELECT * INTO target FROM questions WHERE id = p_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('question_not_found', jsonb_build_object('questionId', p_id));
  END IF;
  RETURN target;
END
$$;

-- A question is answered once; the same answer again is a repeat.
CREATE FUNCTION "answer_question"("p_id" text, "p_answer" text, "p_confidence" double precision) RETURNS SETOF questions
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  question questions := lock_question(p_id);
  at timestamptz := greatest(database_time(), question.created_at);
BEGIN
  IF question.answer IS NOT NULL AND (question.answer, question.confidence) IS DISTINCT FROM (p_answer, p_confidence) THEN
    PERFORM refuse('question_answered', jsonb_build_object('questionId', p_id));
  ELSIF question.answer IS NULL THEN
    UPDATE questions SET answer = p_answer, confidence = p_confidence, answered_at = at, updated_at = at WHERE id = p_id;
    PERFORM emit('question-answered', question.student_id, jsonb_build_object('questionId', p_id), at);
  END IF;
  RETURN QUERY SELECT * FROM questions WHERE id = p_id;
END
$$;

CREATE FUNCTION "rate_answer"("p_id" text, "p_is_helpful" boolean) RETURNS SETOF questions
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  question questions := lock_question(p_id);
BEGIN
  IF question.answer IS NULL THEN
    PERFORM refuse('question_open', jsonb_build_object('questionId', p_id));
  END IF;
  RETURN QUERY UPDATE questions SET helpful = p_is_helpful, updated_at = database_time() WHERE id = p_id RETURNING *;
END
$$;

-- Profiles ------------------------------------------------------------------------------------------------------------

-- What follows from the student's rows. The mastery of a topic is the mean of the skills that were tried. A topic is a strength from
-- 0.85 on and a weakness below 0.4 after three attempts; without attempts, the last insight about it decides. The ability is the mean of
-- the last completed assessment of each topic, weighted by its precision, on the scale from 0 to 1.
CREATE FUNCTION "derive_profile"(
  "p_student_id" text, OUT "level" skill_level, OUT "ability" double precision, OUT "topic_mastery" jsonb, OUT "strengths" text[],
  OUT "weaknesses" text[]
) LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  WITH measured AS (
    SELECT min(s.topic) AS topic, avg(m.probability) AS mastery, sum(m.attempts) AS attempts
    FROM skill_mastery AS m JOIN skills AS s ON s.id = m.skill_id WHERE m.student_id = p_student_id GROUP BY lower(s.topic)
  ), observed AS (
    SELECT DISTINCT ON (lower(i.topic)) i.topic, i.kind FROM learning_insights AS i JOIN tutoring_sessions AS t ON t.id = i.session_id
    WHERE t.student_id = p_student_id AND i.kind <> 'recommendation'
      AND NOT EXISTS (SELECT FROM measured WHERE lower(measured.topic) = lower(i.topic))
    ORDER BY lower(i.topic), i.created_at DESC, i.id DESC
  ), tested AS (
    SELECT DISTINCT ON (lower(a.topic)) a.ability, a.standard_error FROM assessments AS a
    WHERE a.student_id = p_student_id AND a.status = 'completed' AND EXISTS (SELECT FROM assessment_items AS i
      WHERE i.assessment_id = a.id AND i.answered_at IS NOT NULL)
    ORDER BY lower(a.topic), a.ended_at DESC, a.id DESC
  ), overall AS (
    SELECT irt_probability(coalesce(sum(t.ability / t.standard_error ^ 2) / sum(1 / t.standard_error ^ 2), 0), 1, 0) AS ability,
      count(*) AS tests FROM tested AS t
  )
  SELECT CASE WHEN tests = 0 OR overall.ability < 0.5 THEN 'beginner' WHEN overall.ability < 0.7 THEN 'intermediate'
      WHEN overall.ability < 0.85 THEN 'advanced' ELSE 'expert' END::skill_level,
    overall.ability,
    (SELECT coalesce(jsonb_object_agg(topic, mastery), '{}') FROM measured),
    ARRAY(SELECT topic FROM (SELECT topic FROM measured WHERE mastery >= 0.85
      UNION ALL SELECT topic FROM observed WHERE kind = 'strength') AS t ORDER BY topic COLLATE "C"),
    ARRAY(SELECT topic FROM (SELECT topic FROM measured WHERE mastery < 0.4 AND attempts >= 3
      UNION ALL SELECT topic FROM observed WHERE kind IN ('weakness', 'misconception')) AS t ORDER BY topic COLLATE "C")
  FROM overall
$$;

-- The caller holds the lock of the student.
CREATE FUNCTION "refresh_profile"("p_student_id" text, "p_at" timestamptz) RETURNS void LANGUAGE sql
SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE student_profiles AS p SET level = d.level, ability = d.ability, topic_mastery = d.topic_mastery, strengths = d.strengths,
    weaknesses = d.weaknesses, last_active_at = greatest(p.last_active_at, p_at), updated_at = p_at
  FROM derive_profile(p_student_id) AS d WHERE p.student_id = p_student_id
$$;

-- What the student says: in a patch an absent field stays as it is, and null clears it.
CREATE FUNCTION "save_profile"("p_student_id" text, "p_patch" jsonb) RETURNS SETOF student_profiles
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM lock_student(p_student_id);
  RETURN QUERY UPDATE student_profiles SET updated_at = database_time(),
    learning_style = CASE WHEN p_patch ? 'learningStyle' THEN (p_patch ->> 'learningStyle')::learning_style ELSE learning_style END,
    preferred_language = coalesce(p_patch ->> 'preferredLanguage', preferred_language),
    goals = CASE WHEN p_patch ? 'goals' THEN p_patch ->> 'goals' ELSE goals END,
    interests = CASE WHEN p_patch ? 'interests' THEN ARRAY(SELECT jsonb_array_elements_text(p_patch -> 'interests')) ELSE interests END
  WHERE student_id = p_student_id RETURNING *;
END
$$;

-- People --------------------------------------------------------------------------------------------------------------

CREATE FUNCTION "export_person"("p_student_id" text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET timezone = 'UTC' SET search_path = pg_catalog, public, pg_temp AS $$
  WITH own_sessions AS (SELECT id FROM tutoring_sessions WHERE student_id = p_student_id),
    own_paths AS (SELECT id FROM learning_paths WHERE student_id = p_student_id),
    own_messages AS (SELECT id FROM messages WHERE session_id IN (SELECT id FROM own_sessions))
  SELECT jsonb_build_object(
    'studentProfiles', (SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM student_profiles AS t WHERE student_id = p_student_id),
    'tutoringSessions', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.started_at, t.id), '[]') FROM tutoring_sessions AS t
      WHERE student_id = p_student_id),
    'messages', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.session_id, t.position), '[]') FROM messages AS t
      WHERE session_id IN (SELECT id FROM own_sessions)),
    'messageChunks', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.message_id, t.number), '[]') FROM message_chunks AS t
      WHERE message_id IN (SELECT id FROM own_messages)),
    'learningInsights', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM learning_insights AS t
      WHERE session_id IN (SELECT id FROM own_sessions)),
    'learningPaths', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM learning_paths AS t
      WHERE student_id = p_student_id),
    'pathSteps', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.path_id, t.position), '[]') FROM path_steps AS t
      WHERE path_id IN (SELECT id FROM own_paths)),
    'stepPrerequisites', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.step_id, t.prerequisite_id), '[]') FROM step_prerequisites AS t
      WHERE path_id IN (SELECT id FROM own_paths)),
    'progress', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM progress AS t
      WHERE path_id IN (SELECT id FROM own_paths)),
    'questions', (SELECT coalesce(jsonb_agg(to_jsonb(t) - 'search' ORDER BY t.created_at, t.id), '[]') FROM questions AS t
      WHERE student_id = p_student_id),
    'assessments', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.started_at, t.id), '[]') FROM assessments AS t
      WHERE student_id = p_student_id),
    -- Without the correct option of an item that waits for its answer.
    'assessmentItems', (SELECT coalesce(jsonb_agg(CASE WHEN t.answered_at IS NULL THEN to_jsonb(t) - 'correct_option' ELSE to_jsonb(t) END
      ORDER BY t.assessment_id, t.position), '[]') FROM assessment_items AS t
      WHERE assessment_id IN (SELECT id FROM assessments WHERE student_id = p_student_id)),
    'skillMastery', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.skill_id), '[]') FROM skill_mastery AS t
      WHERE student_id = p_student_id),
    'skillAttempts', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.skill_id, t.number), '[]') FROM skill_attempts AS t
      WHERE student_id = p_student_id),
    'cards', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM cards AS t WHERE student_id = p_student_id),
    'cardReviews', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.card_id, t.number), '[]') FROM card_reviews AS t
      WHERE card_id IN (SELECT id FROM cards WHERE student_id = p_student_id)),
    'requests', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.key), '[]') FROM requests AS t
      WHERE student_id = p_student_id),
    'auditLogs', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM audit_logs AS t
      WHERE user_id = p_student_id))
$$;

-- Deletes a student's rows in the order of their references, under the lock of the student, and returns how many profiles there were:
-- a repeated call finds nobody. Entries of the audit log are retained.
CREATE FUNCTION "erase_person"("p_student_id" text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
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
