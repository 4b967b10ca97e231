-- Progress is derived: lessons are recorded, and the database computes the percentage of the module and of the course from them, also
-- for rows that an administrator writes, so that the three cannot disagree. Assessments get their terms, submissions an idempotency
-- key, and each grade a row of history.
-- Locks: SHARE ROW EXCLUSIVE on enrollments, learning_progress and assessment_submissions for the triggers, until the progress of
-- every module and of every active enrollment is computed anew and every grade is copied.

SET LOCAL lock_timeout = '5s';

-- Percentages are cut, not rounded: 100 means that every lesson is done.
CREATE FUNCTION "percent_of"("p_done" integer, "p_all" integer) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT CASE WHEN p_done >= p_all AND p_done > 0 THEN 100 WHEN p_all = 0 THEN 0 ELSE trunc(100.0 * p_done / p_all, 2) END
$$;

-- The mean of the modules; a module that the student has not begun counts as 0.
CREATE FUNCTION "course_progress"("p_enrollment_id" text, "p_course_id" text) RETURNS numeric LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce(trunc(avg(coalesce(p.progress, 0)), 2), 0)
  FROM modules AS m LEFT JOIN learning_progress AS p ON p.module_id = m.id AND p.enrollment_id = p_enrollment_id
  WHERE m.course_id = p_course_id
$$;

CREATE FUNCTION "derive_module_progress"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  NEW.progress := percent_of(NEW.completed_lessons,
    (SELECT coalesce(cardinality(lessons), 0) FROM modules WHERE id = NEW.module_id));
  NEW.completed_at := CASE WHEN NEW.progress = 100 THEN coalesce(NEW.completed_at, database_time()) END;
  RETURN NEW;
END
$$;
CREATE TRIGGER "learning_progress_derived" BEFORE INSERT OR UPDATE OF "completed_lessons", "progress", "completed_at", "module_id"
  ON "learning_progress" FOR EACH ROW EXECUTE FUNCTION "derive_module_progress"();

UPDATE "learning_progress" SET "progress" = "progress" WHERE "progress" <> 100;

-- One statement for all rows of a statement: a COPY of thousands updates each enrollment once.
CREATE FUNCTION "carry_progress"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  -- The trigger of enrollments computes the value.
  UPDATE enrollments AS e SET progress = e.progress, updated_at = greatest(e.updated_at, c.updated_at)
  FROM (SELECT enrollment_id, max(updated_at) AS updated_at FROM changed GROUP BY enrollment_id) AS c
  WHERE e.id = c.enrollment_id AND e.status = 'active';
  RETURN NULL;
END
$$;
CREATE TRIGGER "learning_progress_carried_new" AFTER INSERT ON "learning_progress" REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION "carry_progress"();
CREATE TRIGGER "learning_progress_carried_changed" AFTER UPDATE ON "learning_progress" REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION "carry_progress"();
CREATE TRIGGER "learning_progress_carried_gone" AFTER DELETE ON "learning_progress" REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION "carry_progress"();

CREATE FUNCTION "derive_course_progress"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  NEW.progress := CASE TG_OP WHEN 'INSERT' THEN 0 ELSE course_progress(NEW.id, NEW.course_id) END;
  RETURN NEW;
END
$$;
-- A completed enrollment can be inserted as such, by an import.
CREATE TRIGGER "enrollments_progress_new" BEFORE INSERT ON "enrollments" FOR EACH ROW WHEN (NEW."status" = 'active')
  EXECUTE FUNCTION "derive_course_progress"();
CREATE TRIGGER "enrollments_progress_changed" BEFORE UPDATE OF "progress", "status" ON "enrollments" FOR EACH ROW
  WHEN (OLD."status" = 'active') EXECUTE FUNCTION "derive_course_progress"();

UPDATE "enrollments" SET "progress" = "progress" WHERE "status" = 'active';

CREATE FUNCTION "record_progress"("p_enrollment_id" text, "p_module_id" text, "p_lessons" integer, "p_seconds" integer)
RETURNS SETOF learning_progress LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  enrollment enrollments;
  lesson_count integer;
  at timestamptz;
  was_complete boolean;
  made learning_progress;
BEGIN
  SELECT * INTO enrollment FROM enrollments WHERE id = p_enrollment_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('enrollment_not_found', jsonb_build_object('enrollmentId', p_enrollment_id), 'An enrollment has an id.');
  ELSIF enrollment.status <> 'active' THEN
    PERFORM refuse('enrollment_ended', jsonb_build_object('enrollmentId', p_enrollment_id, 'status', enrollment.status),
      'Only an active enrollment goes on.');
  END IF;
  at := database_time();
  SELECT coalesce(cardinality(lessons), 0) INTO lesson_count FROM modules WHERE id = p_module_id AND course_id = enrollment.course_id;
  IF NOT FOUND THEN
    PERFORM refuse('module_not_found', jsonb_build_object('moduleId', p_module_id), 'The module belongs to the course.');
  ELSIF p_lessons > lesson_count OR p_lessons < 0 THEN
    PERFORM refuse('lessons_invalid', jsonb_build_object('moduleId', p_module_id, 'lessons', lesson_count),
      'A module has this many lessons.');
  END IF;
  SELECT completed_at IS NOT NULL INTO was_complete FROM learning_progress
    WHERE enrollment_id = p_enrollment_id AND module_id = p_module_id;
  -- Both numbers only grow, so a report that is late or repeated changes nothing.
  INSERT INTO learning_progress AS p (id, enrollment_id, student_id, module_id, course_id, completed_lessons, time_spent_seconds,
      last_accessed_at, completed_at, created_at, updated_at)
    VALUES (gen_random_uuid()::text, p_enrollment_id, enrollment.student_id, p_module_id, enrollment.course_id, p_lessons, p_seconds,
      at, NULL, at, at)
    ON CONFLICT (enrollment_id, module_id) DO UPDATE SET
      completed_lessons = greatest(p.completed_lessons, excluded.completed_lessons),
      time_spent_seconds = greatest(p.time_spent_seconds, excluded.time_spent_seconds),
      last_accessed_at = at, updated_at = at
    RETURNING * INTO made;
  IF made.completed_at IS NOT NULL AND was_complete IS NOT TRUE THEN
    PERFORM emit('module-completed', enrollment.student_id, jsonb_build_object('enrollmentId', p_enrollment_id,
      'studentId', enrollment.student_id, 'courseId', enrollment.course_id, 'moduleId', p_module_id), at);
  END IF;
  RETURN NEXT made;
END
$$;

CREATE TABLE "assessments" (
  "id" TEXT NOT NULL,
  "module_id" TEXT NOT NULL,
  "course_id" TEXT NOT NULL,
  "title" VARCHAR(200) NOT NULL,
  "max_score" DECIMAL(7,2) NOT NULL DEFAULT 100,
  "pass_score" DECIMAL(7,2) NOT NULL DEFAULT 60,
  "max_attempts" SMALLINT,
  "deadline_days" SMALLINT,
  "is_required" BOOLEAN NOT NULL DEFAULT true,
  "answer_key" JSONB,
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "assessments_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "assessments_module_id_course_id_fkey" FOREIGN KEY ("module_id", "course_id") REFERENCES "modules" ("id", "course_id")
    ON DELETE CASCADE ON UPDATE RESTRICT,
  CONSTRAINT "assessments_title_check" CHECK (btrim("title") <> ''),
  CONSTRAINT "assessments_max_score_check" CHECK ("max_score" > 0 AND "max_score" <> 'NaN'),
  CONSTRAINT "assessments_pass_score_check" CHECK ("pass_score" >= 0 AND "pass_score" <= "max_score" AND "pass_score" <> 'NaN'),
  CONSTRAINT "assessments_max_attempts_check" CHECK ("max_attempts" > 0),
  CONSTRAINT "assessments_deadline_days_check" CHECK ("deadline_days" > 0),
  CONSTRAINT "assessments_answer_key_check" CHECK (jsonb_typeof("answer_key") = 'object'),
  CONSTRAINT "assessments_times_check" CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800)
    AND "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800))
);
CREATE UNIQUE INDEX "assessments_module_id_key" ON "assessments" ("module_id");
CREATE UNIQUE INDEX "assessments_module_id_course_id_key" ON "assessments" ("module_id", "course_id");
CREATE INDEX "assessments_course_id_idx" ON "assessments" ("course_id");

CREATE FUNCTION "points_of"("p_key" jsonb, "p_answers" jsonb) RETURNS numeric LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce(sum((question.value ->> 'points')::numeric), 0) FROM jsonb_each(p_key) AS question
  WHERE p_answers IS NULL OR p_answers -> question.key = question.value -> 'answer'
$$;

CREATE FUNCTION "set_assessment"("p_id" text, "p_module_id" text, "p_fields" jsonb) RETURNS SETOF assessments
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  course courses := lock_course_content(course_of_module(p_module_id), true);
  solution jsonb := nullif(p_fields -> 'answerKey', 'null');
  -- The points of the key are the maximum of an assessment that the database grades.
  most numeric := CASE WHEN solution IS NULL THEN coalesce((p_fields ->> 'maxScore')::numeric, 100) ELSE points_of(solution, NULL) END;
  at timestamptz := database_time();
BEGIN
  PERFORM course_of_module(p_module_id);
  RETURN QUERY INSERT INTO assessments (id, module_id, course_id, title, max_score, pass_score, max_attempts, deadline_days,
      is_required, answer_key, created_at, updated_at)
    VALUES (p_id, p_module_id, course.id, p_fields ->> 'title', most,
      coalesce((p_fields ->> 'passScore')::numeric, trunc(most * 0.6, 2)), (p_fields ->> 'maxAttempts')::smallint,
      (p_fields ->> 'deadlineDays')::smallint, coalesce((p_fields ->> 'isRequired')::boolean, true), solution, at, at)
    ON CONFLICT (module_id) DO UPDATE SET title = excluded.title, max_score = excluded.max_score, pass_score = excluded.pass_score,
      max_attempts = excluded.max_attempts, deadline_days = excluded.deadline_days, is_required = excluded.is_required,
      answer_key = excluded.answer_key, updated_at = at
    RETURNING *;
END
$$;

CREATE FUNCTION "remove_assessment"("p_module_id" text) RETURNS SETOF assessments
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM lock_course_content(course_of_module(p_module_id), true);
  RETURN QUERY DELETE FROM assessments WHERE module_id = p_module_id RETURNING *;
END
$$;

CREATE TABLE "grades" (
  "id" TEXT NOT NULL DEFAULT gen_random_uuid()::text,
  "submission_id" TEXT NOT NULL,
  "number" INTEGER NOT NULL,
  "score" DECIMAL(7,2) NOT NULL,
  "max_score" DECIMAL(7,2) NOT NULL,
  "feedback" TEXT,
  "graded_by_id" TEXT,
  "graded_at" TIMESTAMPTZ(6) NOT NULL,
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "grades_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "grades_submission_id_fkey" FOREIGN KEY ("submission_id") REFERENCES "assessment_submissions" ("id")
    ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT "grades_number_check" CHECK ("number" >= 1),
  CONSTRAINT "grades_score_check" CHECK ("score" >= 0 AND "score" <= "max_score" AND "score" <> 'NaN' AND "max_score" <> 'NaN'),
  CONSTRAINT "grades_times_check" CHECK ("graded_at" >= to_timestamp(-62135596800) AND "graded_at" < to_timestamp(253402300800)
    AND "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);
CREATE UNIQUE INDEX "grades_submission_id_number_key" ON "grades" ("submission_id", "number");
CREATE INDEX "grades_graded_by_id_idx" ON "grades" ("graded_by_id");

INSERT INTO "grades" ("submission_id", "number", "score", "max_score", "feedback", "graded_by_id", "graded_at", "created_at")
SELECT "id", 1, "score", "max_score", "feedback", "graded_by_id", "graded_at", "graded_at" FROM "assessment_submissions"
WHERE "status" = 'graded';

-- Every grade that a submission has or had is a row, whoever writes it.
CREATE FUNCTION "keep_grades"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  INSERT INTO grades (submission_id, number, score, max_score, feedback, graded_by_id, graded_at, created_at)
  SELECT n.id, 1 + (SELECT count(*) FROM grades AS g WHERE g.submission_id = n.id), n.score, n.max_score, n.feedback, n.graded_by_id,
    n.graded_at, n.graded_at
  FROM graded AS n WHERE n.status = 'graded' AND NOT EXISTS (
    SELECT FROM grades AS g WHERE g.submission_id = n.id AND g.graded_at = n.graded_at AND g.score = n.score);
  RETURN NULL;
END
$$;
CREATE TRIGGER "assessment_submissions_grade_new" AFTER INSERT ON "assessment_submissions" REFERENCING NEW TABLE AS graded
  FOR EACH STATEMENT EXECUTE FUNCTION "keep_grades"();
CREATE TRIGGER "assessment_submissions_grade_changed" AFTER UPDATE ON "assessment_submissions" REFERENCING NEW TABLE AS graded
  FOR EACH STATEMENT EXECUTE FUNCTION "keep_grades"();

CREATE FUNCTION "refuse_grade_change"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - 'feedback' = to_jsonb(OLD) - 'feedback' AND NEW.feedback IS NULL THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% on grades is refused: the history of grades is kept', TG_OP
    USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END
$$;
-- The erasure of a person removes the feedback.
CREATE TRIGGER "grades_append_only" BEFORE UPDATE OR DELETE ON "grades" FOR EACH ROW EXECUTE FUNCTION "refuse_grade_change"();

CREATE TRIGGER "assessment_submissions_transition" BEFORE UPDATE OF "status" ON "assessment_submissions" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status") EXECUTE FUNCTION "check_transition"('submitted>graded');

-- A submission stays as it was handed in. The erasure of a person empties the answers.
CREATE FUNCTION "check_submission_change"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF (OLD.id, OLD.enrollment_id, OLD.module_id, OLD.attempt, OLD.max_score, OLD.submitted_at)
    IS DISTINCT FROM (NEW.id, NEW.enrollment_id, NEW.module_id, NEW.attempt, NEW.max_score, NEW.submitted_at)
    OR (NEW.answers <> OLD.answers AND NEW.answers <> '{}')
  THEN
    PERFORM refuse('submission_fixed', jsonb_build_object('submissionId', OLD.id), 'Only the grade of a submission changes.');
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "assessment_submissions_fixed" BEFORE UPDATE ON "assessment_submissions" FOR EACH ROW
  EXECUTE FUNCTION "check_submission_change"();

CREATE FUNCTION "publish_grade"("p_submission" assessment_submissions) RETURNS void LANGUAGE sql
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT emit('submission-graded', (p_submission).student_id, jsonb_build_object('submissionId', (p_submission).id,
    'enrollmentId', (p_submission).enrollment_id, 'studentId', (p_submission).student_id, 'moduleId', (p_submission).module_id,
    'courseId', (p_submission).course_id, 'isPassed', (p_submission).score >= coalesce((SELECT pass_score FROM assessments
      WHERE module_id = (p_submission).module_id), 0)), (p_submission).graded_at)
$$;

-- The lock of the enrollment numbers the attempts.
CREATE FUNCTION "submit_assessment"(
  "p_key" text, "p_hash" text, "p_id" text, "p_enrollment_id" text, "p_module_id" text, "p_answers" jsonb
) RETURNS SETOF assessment_submissions LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier text := begin_request(p_key, 'submit', p_hash, p_id);
  enrollment enrollments;
  assessment assessments;
  made assessment_submissions;
  attempts integer;
  at timestamptz;
BEGIN
  IF earlier IS NOT NULL THEN
    RETURN QUERY SELECT * FROM assessment_submissions WHERE id = earlier;
    RETURN;
  END IF;
  SELECT * INTO enrollment FROM enrollments WHERE id = p_enrollment_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('enrollment_not_found', jsonb_build_object('enrollmentId', p_enrollment_id), 'An enrollment has an id.');
  ELSIF enrollment.status <> 'active' THEN
    PERFORM refuse('enrollment_ended', jsonb_build_object('enrollmentId', p_enrollment_id, 'status', enrollment.status),
      'Only an active enrollment goes on.');
  END IF;
  at := database_time();
  SELECT * INTO assessment FROM assessments WHERE module_id = p_module_id AND course_id = enrollment.course_id;
  IF NOT FOUND THEN
    PERFORM refuse('assessment_not_found', jsonb_build_object('moduleId', p_module_id), 'The module has no assessment.');
  END IF;
  SELECT count(*) INTO attempts FROM assessment_submissions WHERE enrollment_id = p_enrollment_id AND module_id = p_module_id;
  IF attempts >= assessment.max_attempts THEN
    PERFORM refuse('attempts_exhausted', jsonb_build_object('moduleId', p_module_id, 'maxAttempts', assessment.max_attempts),
      'Each submission is an attempt.');
  ELSIF at > enrollment.enrolled_at + make_interval(days => assessment.deadline_days) THEN
    PERFORM refuse('deadline_passed', jsonb_build_object('moduleId', p_module_id,
      'deadline', enrollment.enrolled_at + make_interval(days => assessment.deadline_days)), 'The deadline counts from the enrollment.');
  END IF;
  INSERT INTO assessment_submissions (id, enrollment_id, student_id, module_id, course_id, attempt, answers, max_score, score, status,
      submitted_at, graded_at, created_at, updated_at)
    VALUES (p_id, p_enrollment_id, enrollment.student_id, p_module_id, enrollment.course_id,
      (SELECT coalesce(max(attempt), 0) + 1 FROM assessment_submissions
        WHERE enrollment_id = p_enrollment_id AND module_id = p_module_id),
      p_answers, assessment.max_score,
      CASE WHEN assessment.answer_key IS NOT NULL THEN points_of(assessment.answer_key, p_answers) END,
      CASE WHEN assessment.answer_key IS NOT NULL THEN 'graded'::submission_status ELSE 'submitted' END,
      at, CASE WHEN assessment.answer_key IS NOT NULL THEN at END, at, at)
    RETURNING * INTO made;
  PERFORM emit('assessment-submitted', made.student_id, jsonb_build_object('submissionId', made.id, 'enrollmentId', p_enrollment_id,
    'studentId', made.student_id, 'moduleId', p_module_id, 'courseId', made.course_id, 'attempt', made.attempt), at);
  IF made.status = 'graded' THEN
    PERFORM publish_grade(made);
  END IF;
  RETURN NEXT made;
END
$$;

-- The first grade and a regrade are different requests, so that two graders of one submission do not overwrite each other.
CREATE FUNCTION "grade_submission"("p_id" text, "p_score" numeric, "p_feedback" text, "p_graded_by_id" text, "p_again" boolean)
RETURNS SETOF assessment_submissions LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  submission assessment_submissions;
  at timestamptz;
BEGIN
  SELECT * INTO submission FROM assessment_submissions WHERE id = p_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('submission_not_found', jsonb_build_object('submissionId', p_id), 'A submission has an id.');
  ELSIF p_again <> (submission.status = 'graded') THEN
    PERFORM refuse('grade_order', jsonb_build_object('submissionId', p_id, 'status', submission.status),
      'A submission is graded once, and regraded after that.');
  ELSIF (p_score >= 0 AND p_score <= submission.max_score AND p_score = round(p_score, 2)) IS NOT TRUE THEN
    PERFORM refuse('score_invalid', jsonb_build_object('submissionId', p_id, 'maxScore', submission.max_score::text),
      'A score has at most two decimals and is at most the maximum.');
  END IF;
  -- A later grade has a later time, also when the clock of the server went back.
  at := greatest(database_time(), submission.submitted_at, submission.graded_at + interval '1 microsecond');
  UPDATE assessment_submissions SET status = 'graded', score = p_score, feedback = p_feedback, graded_by_id = p_graded_by_id,
    graded_at = at, updated_at = at WHERE id = p_id RETURNING * INTO submission;
  PERFORM publish_grade(submission);
  PERFORM audit(p_graded_by_id, CASE WHEN p_again THEN 'submission.regraded' ELSE 'submission.graded' END, 'submission', p_id, '{}', at);
  RETURN NEXT submission;
END
$$;

-- The modules whose required assessment the enrollment has not passed.
CREATE FUNCTION "unpassed_modules"("p_enrollment_id" text, "p_course_id" text) RETURNS text[] LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT ARRAY(SELECT a.module_id FROM assessments AS a WHERE a.course_id = p_course_id AND a.is_required
    AND NOT EXISTS (SELECT FROM assessment_submissions AS s WHERE s.enrollment_id = p_enrollment_id AND s.module_id = a.module_id
      AND s.status = 'graded' AND s.score >= a.pass_score) ORDER BY a.module_id)
$$;
