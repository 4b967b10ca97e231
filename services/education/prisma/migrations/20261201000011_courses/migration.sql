-- Students and courses: their state machines, the terms of a course, its prerequisites, and modules in an order without gaps. From
-- here on only these functions write students, courses and modules, because the app role loses its rights to write the tables.
-- Locks: ACCESS EXCLUSIVE on courses for the columns, for milliseconds; SHARE ROW EXCLUSIVE on students, courses and modules for
-- the triggers. Gaps between the positions of existing modules are closed.

SET LOCAL lock_timeout = '5s';

ALTER TABLE "courses"
  ADD COLUMN "capacity" INTEGER CONSTRAINT "courses_capacity_check" CHECK ("capacity" > 0),
  ADD COLUMN "refund_days" SMALLINT NOT NULL DEFAULT 14 CONSTRAINT "courses_refund_days_check" CHECK ("refund_days" BETWEEN 0 AND 365),
  ADD COLUMN "refund_max_progress" DECIMAL(5,2) NOT NULL DEFAULT 20
    CONSTRAINT "courses_refund_max_progress_check" CHECK ("refund_max_progress" BETWEEN 0 AND 100);

CREATE TABLE "course_prerequisites" (
  "course_id" TEXT NOT NULL,
  "prerequisite_id" TEXT NOT NULL,
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "course_prerequisites_pkey" PRIMARY KEY ("course_id", "prerequisite_id"),
  CONSTRAINT "course_prerequisites_course_id_fkey" FOREIGN KEY ("course_id") REFERENCES "courses" ("id")
    ON DELETE CASCADE ON UPDATE RESTRICT,
  CONSTRAINT "course_prerequisites_prerequisite_id_fkey" FOREIGN KEY ("prerequisite_id") REFERENCES "courses" ("id")
    ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT "course_prerequisites_other_check" CHECK ("course_id" <> "prerequisite_id"),
  CONSTRAINT "course_prerequisites_times_check"
    CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);
CREATE INDEX "course_prerequisites_prerequisite_id_idx" ON "course_prerequisites" ("prerequisite_id");

-- In two steps, because the positions of a course are unique at every moment.
UPDATE modules SET position = position + 1000000;
UPDATE modules AS m SET position = o.place
FROM (SELECT id, row_number() OVER (PARTITION BY course_id ORDER BY position) AS place FROM modules) AS o WHERE o.id = m.id;

-- The positions of the modules of a course are 1 to n when a transaction commits, whoever changed them.
CREATE FUNCTION "check_module_positions"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  touched text := coalesce(to_jsonb(NEW) ->> 'course_id', to_jsonb(OLD) ->> 'course_id');
BEGIN
  IF EXISTS (SELECT FROM modules WHERE course_id = touched HAVING count(*) <> max(position)) THEN
    PERFORM refuse('module_positions', jsonb_build_object('courseId', touched), 'The positions of modules have no gaps.');
  END IF;
  RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER "modules_positions" AFTER INSERT OR DELETE OR UPDATE OF "position", "course_id" ON "modules"
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION "check_module_positions"();

CREATE TRIGGER "students_transition" BEFORE UPDATE OF "status" ON "students" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status")
  EXECUTE FUNCTION "check_transition"('active>paused', 'paused>active', 'active>graduated', 'paused>graduated');
CREATE TRIGGER "courses_transition" BEFORE UPDATE OF "status" ON "courses" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status") EXECUTE FUNCTION "check_transition"('draft>published', 'published>archived');

-- The lock of a student orders everything that happens to this student's enrollments. It is taken before the lock of a course.
CREATE FUNCTION "lock_student"("p_id" text) RETURNS students LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  target students;
BEGIN
  SELECT * INTO target FROM students WHERE id = p_id FOR NO KEY UPDATE;
  IF NOT FOUND OR target.deleted_at IS NOT NULL THEN
    PERFORM refuse('student_not_found', jsonb_build_object('studentId', p_id), 'A deleted student takes part in nothing.');
  END IF;
  RETURN target;
END
$$;

CREATE FUNCTION "lock_course"("p_id" text) RETURNS courses LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  target courses;
BEGIN
  SELECT * INTO target FROM courses WHERE id = p_id FOR NO KEY UPDATE;
  IF NOT FOUND OR target.deleted_at IS NOT NULL THEN
    PERFORM refuse('course_not_found', jsonb_build_object('courseId', p_id), 'A deleted course takes part in nothing.');
  END IF;
  RETURN target;
END
$$;

-- The course whose content is about to change: an archived course is fixed, and the structure of a published one is, because the
-- progress of its students is counted by modules and lessons.
CREATE FUNCTION "lock_course_content"("p_id" text, "p_structure" boolean) RETURNS courses LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  target courses := lock_course(p_id);
BEGIN
  IF target.status = 'archived' OR (p_structure AND target.status <> 'draft') THEN
    PERFORM refuse('course_fixed', jsonb_build_object('courseId', p_id, 'status', target.status),
      'Modules, lessons and assessments are added and removed in a draft.');
  END IF;
  RETURN target;
END
$$;

CREATE FUNCTION "register_student"("p_id" text, "p_user_id" text, "p_fields" jsonb) RETURNS SETOF students
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
  made students;
BEGIN
  INSERT INTO students (id, user_id, display_name, grade_level, country, created_at, updated_at)
    VALUES (p_id, p_user_id, p_fields ->> 'displayName', (p_fields ->> 'gradeLevel')::smallint, p_fields ->> 'country', at, at)
    ON CONFLICT (user_id) DO NOTHING RETURNING * INTO made;
  IF FOUND THEN
    PERFORM emit('student-registered', made.id, jsonb_build_object('studentId', made.id, 'userId', made.user_id), at);
  ELSE
    SELECT * INTO STRICT made FROM students WHERE user_id = p_user_id;
    made := lock_student(made.id);
  END IF;
  RETURN NEXT made;
END
$$;

-- In a patch an absent field stays as it is, and null clears it.
CREATE FUNCTION "update_student"("p_id" text, "p_patch" jsonb) RETURNS SETOF students
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM lock_student(p_id);
  RETURN QUERY UPDATE students SET updated_at = database_time(),
    display_name = CASE WHEN p_patch ? 'displayName' THEN p_patch ->> 'displayName' ELSE display_name END,
    grade_level = CASE WHEN p_patch ? 'gradeLevel' THEN (p_patch ->> 'gradeLevel')::smallint ELSE grade_level END,
    country = CASE WHEN p_patch ? 'country' THEN p_patch ->> 'country' ELSE country END
  WHERE id = p_id RETURNING *;
END
$$;

CREATE FUNCTION "change_student_status"("p_id" text, "p_status" student_status) RETURNS SETOF students
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  student students := lock_student(p_id);
  at timestamptz := database_time();
BEGIN
  IF student.status <> p_status THEN
    UPDATE students SET status = p_status, updated_at = at WHERE id = p_id RETURNING * INTO student;
    PERFORM emit('student-status-changed', p_id, jsonb_build_object('studentId', p_id, 'status', p_status), at);
  END IF;
  RETURN NEXT student;
END
$$;

CREATE FUNCTION "restore_student"("p_id" text) RETURNS SETOF students
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  student students;
BEGIN
  SELECT * INTO student FROM students WHERE id = p_id FOR NO KEY UPDATE;
  IF NOT FOUND OR student.user_id LIKE 'erased:%' THEN
    PERFORM refuse('student_not_found', jsonb_build_object('studentId', p_id), 'An erased student does not come back.');
  ELSIF student.deleted_at IS NOT NULL THEN
    UPDATE students SET deleted_at = NULL, updated_at = database_time() WHERE id = p_id RETURNING * INTO student;
  END IF;
  RETURN NEXT student;
END
$$;

CREATE FUNCTION "create_course"("p_id" text, "p_slug" text, "p_instructor_id" text, "p_fields" jsonb) RETURNS SETOF courses
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
BEGIN
  RETURN QUERY INSERT INTO courses (id, slug, instructor_id, title, description, category, level, price, duration_hours, capacity,
      refund_days, refund_max_progress, created_at, updated_at)
    VALUES (p_id, p_slug, p_instructor_id, p_fields ->> 'title', coalesce(p_fields ->> 'description', ''), p_fields ->> 'category',
      coalesce((p_fields ->> 'level')::course_level, 'beginner'), coalesce((p_fields ->> 'price')::numeric, 0),
      (p_fields ->> 'durationHours')::integer, (p_fields ->> 'capacity')::integer,
      coalesce((p_fields ->> 'refundDays')::smallint, 14), coalesce((p_fields ->> 'refundMaxProgress')::numeric, 20), at, at)
    RETURNING *;
END
$$;

-- A course is complete when a student can work through it: a description, modules, and lessons in each of them.
CREATE FUNCTION "require_complete"("p_course" courses) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  missing text[] := ARRAY[]::text[];
BEGIN
  IF btrim(p_course.description) = '' THEN
    missing := missing || 'a description'::text;
  END IF;
  IF NOT EXISTS (SELECT FROM modules WHERE course_id = p_course.id) THEN
    missing := missing || 'a module'::text;
  END IF;
  IF EXISTS (SELECT FROM modules WHERE course_id = p_course.id AND coalesce(cardinality(lessons), 0) = 0) THEN
    missing := missing || 'lessons in every module'::text;
  END IF;
  IF cardinality(missing) > 0 THEN
    PERFORM refuse('course_incomplete', jsonb_build_object('courseId', p_course.id, 'missing', missing),
      'Only a complete course is published.');
  END IF;
END
$$;

CREATE FUNCTION "update_course"("p_id" text, "p_patch" jsonb) RETURNS SETOF courses
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  course courses := lock_course_content(p_id, false);
BEGIN
  UPDATE courses SET updated_at = database_time(),
    title = coalesce(p_patch ->> 'title', title),
    description = coalesce(p_patch ->> 'description', description),
    category = coalesce(p_patch ->> 'category', category),
    level = coalesce((p_patch ->> 'level')::course_level, level),
    price = coalesce((p_patch ->> 'price')::numeric, price),
    duration_hours = coalesce((p_patch ->> 'durationHours')::integer, duration_hours),
    capacity = CASE WHEN p_patch ? 'capacity' THEN (p_patch ->> 'capacity')::integer ELSE capacity END,
    refund_days = coalesce((p_patch ->> 'refundDays')::smallint, refund_days),
    refund_max_progress = coalesce((p_patch ->> 'refundMaxProgress')::numeric, refund_max_progress)
  WHERE id = p_id RETURNING * INTO course;
  IF course.status = 'published' THEN
    PERFORM require_complete(course);
  END IF;
  RETURN NEXT course;
END
$$;

CREATE FUNCTION "publish_course"("p_id" text) RETURNS SETOF courses
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  course courses := lock_course(p_id);
  at timestamptz := database_time();
BEGIN
  IF course.status <> 'published' THEN
    IF course.status = 'draft' THEN
      PERFORM require_complete(course);
    END IF;
    UPDATE courses SET status = 'published', published_at = at, updated_at = at WHERE id = p_id RETURNING * INTO course;
    PERFORM emit('course-published', p_id, jsonb_build_object('courseId', p_id, 'instructorId', course.instructor_id,
      'level', course.level), at);
    PERFORM audit(course.instructor_id, 'course.published', 'course', p_id, '{}', at);
  END IF;
  RETURN NEXT course;
END
$$;

CREATE FUNCTION "archive_course"("p_id" text) RETURNS SETOF courses
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  course courses := lock_course(p_id);
  at timestamptz := database_time();
BEGIN
  IF course.status <> 'archived' THEN
    UPDATE courses SET status = 'archived', updated_at = at WHERE id = p_id RETURNING * INTO course;
    PERFORM emit('course-archived', p_id, jsonb_build_object('courseId', p_id, 'instructorId', course.instructor_id), at);
    PERFORM audit(course.instructor_id, 'course.archived', 'course', p_id, '{}', at);
  END IF;
  RETURN NEXT course;
END
$$;

CREATE FUNCTION "restore_course"("p_id" text) RETURNS SETOF courses
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  course courses;
BEGIN
  SELECT * INTO course FROM courses WHERE id = p_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('course_not_found', jsonb_build_object('courseId', p_id), 'A course has an id.');
  ELSIF course.deleted_at IS NOT NULL THEN
    UPDATE courses SET deleted_at = NULL, updated_at = database_time() WHERE id = p_id RETURNING * INTO course;
  END IF;
  RETURN NEXT course;
END
$$;

-- Changes of the graph wait for each other: two of them could close a cycle that neither sees.
CREATE FUNCTION "set_prerequisites"("p_id" text, "p_prerequisite_ids" text[]) RETURNS SETOF course_prerequisites
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  missing text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('education.course_prerequisites', 0));
  PERFORM lock_course_content(p_id, false);
  SELECT wanted INTO missing FROM unnest(p_prerequisite_ids) AS wanted
    WHERE NOT EXISTS (SELECT FROM courses WHERE id = wanted AND deleted_at IS NULL) LIMIT 1;
  IF FOUND THEN
    PERFORM refuse('course_not_found', jsonb_build_object('courseId', missing), 'A prerequisite is a course.');
  END IF;
  IF EXISTS (
    WITH RECURSIVE needed AS (
      SELECT wanted AS id FROM unnest(p_prerequisite_ids) AS wanted
      UNION
      SELECT p.prerequisite_id FROM course_prerequisites AS p JOIN needed ON p.course_id = needed.id
    ) SELECT FROM needed WHERE id = p_id
  ) THEN
    PERFORM refuse('prerequisite_cycle', jsonb_build_object('courseId', p_id), 'No course needs itself.');
  END IF;
  DELETE FROM course_prerequisites WHERE course_id = p_id AND prerequisite_id <> ALL (p_prerequisite_ids);
  INSERT INTO course_prerequisites (course_id, prerequisite_id, created_at)
    SELECT p_id, wanted, database_time() FROM unnest(p_prerequisite_ids) AS wanted ON CONFLICT DO NOTHING;
  RETURN QUERY SELECT * FROM course_prerequisites WHERE course_id = p_id ORDER BY prerequisite_id;
END
$$;

-- Puts the modules of a locked course at the positions of the array. In two steps, because positions are unique at every moment.
CREATE FUNCTION "place_modules"("p_course_id" text, "p_ids" text[]) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE modules SET position = position + 1000000 WHERE course_id = p_course_id;
  UPDATE modules AS m SET position = o.place, updated_at = database_time()
  FROM unnest(p_ids) WITH ORDINALITY AS o (id, place) WHERE m.id = o.id AND m.course_id = p_course_id;
END
$$;

CREATE FUNCTION "module_ids"("p_course_id" text) RETURNS text[] LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce(array_agg(id ORDER BY position), ARRAY[]::text[]) FROM modules WHERE course_id = p_course_id
$$;

CREATE FUNCTION "add_module"("p_id" text, "p_course_id" text, "p_fields" jsonb, "p_position" integer) RETURNS SETOF modules
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  course courses := lock_course_content(p_course_id, true);
  ids text[] := module_ids(p_course_id);
  place integer := coalesce(p_position, cardinality(ids) + 1);
  at timestamptz := database_time();
BEGIN
  IF place < 1 OR place > cardinality(ids) + 1 THEN
    PERFORM refuse('position_invalid', jsonb_build_object('courseId', p_course_id), 'The positions of modules have no gaps.');
  END IF;
  INSERT INTO modules (id, course_id, position, title, description, lessons, duration_minutes, created_at, updated_at)
    VALUES (p_id, p_course_id, cardinality(ids) + 1, p_fields ->> 'title', coalesce(p_fields ->> 'description', ''),
      ARRAY(SELECT jsonb_array_elements_text(coalesce(p_fields -> 'lessons', '[]'))), (p_fields ->> 'durationMinutes')::integer, at, at);
  IF place <= cardinality(ids) THEN
    PERFORM place_modules(p_course_id, ids[:place - 1] || p_id || ids[place:]);
  END IF;
  RETURN QUERY SELECT * FROM modules WHERE id = p_id;
END
$$;

CREATE FUNCTION "course_of_module"("p_id" text) RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  target text := (SELECT course_id FROM modules WHERE id = p_id);
BEGIN
  IF target IS NULL THEN
    PERFORM refuse('module_not_found', jsonb_build_object('moduleId', p_id), 'A module has an id.');
  END IF;
  RETURN target;
END
$$;

-- The number of lessons is structure; their titles are not.
CREATE FUNCTION "update_module"("p_id" text, "p_patch" jsonb) RETURNS SETOF modules
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  course courses := lock_course_content(course_of_module(p_id), false);
BEGIN
  PERFORM course_of_module(p_id);
  IF p_patch ? 'lessons' AND course.status <> 'draft'
    AND jsonb_array_length(p_patch -> 'lessons') <> (SELECT coalesce(cardinality(lessons), 0) FROM modules WHERE id = p_id)
  THEN
    PERFORM lock_course_content(course.id, true);
  END IF;
  RETURN QUERY UPDATE modules SET updated_at = database_time(),
    title = coalesce(p_patch ->> 'title', title),
    description = coalesce(p_patch ->> 'description', description),
    lessons = CASE WHEN p_patch ? 'lessons' THEN ARRAY(SELECT jsonb_array_elements_text(p_patch -> 'lessons')) ELSE lessons END,
    duration_minutes = CASE WHEN p_patch ? 'durationMinutes' THEN (p_patch ->> 'durationMinutes')::integer ELSE duration_minutes END
  WHERE id = p_id RETURNING *;
END
$$;

CREATE FUNCTION "remove_module"("p_id" text) RETURNS SETOF modules
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  course courses := lock_course_content(course_of_module(p_id), true);
BEGIN
  -- Another call may have removed it before this one had the lock.
  PERFORM course_of_module(p_id);
  RETURN QUERY DELETE FROM modules WHERE id = p_id RETURNING *;
  PERFORM place_modules(course.id, module_ids(course.id));
END
$$;

CREATE FUNCTION "reorder_modules"("p_course_id" text, "p_ids" text[]) RETURNS SETOF modules
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  course courses := lock_course_content(p_course_id, false);
  ids text[] := module_ids(p_course_id);
BEGIN
  IF NOT (p_ids @> ids AND ids @> p_ids AND cardinality(ids) = cardinality(p_ids)) THEN
    PERFORM refuse('order_invalid', jsonb_build_object('courseId', p_course_id), 'An order names each module of the course once.');
  END IF;
  PERFORM place_modules(p_course_id, p_ids);
  RETURN QUERY SELECT * FROM modules WHERE course_id = p_course_id ORDER BY position;
END
$$;
