-- Reverts 20261205180001_count_erasure: an erasure reports only the number of students.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "erase_person"(text);

CREATE FUNCTION "erase_person"(p_user_id text) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, public, pg_temp
    AS $$
DECLARE
  student students;
  active enrollments;
  at timestamptz;
BEGIN
  SELECT * INTO student FROM students WHERE user_id = p_user_id FOR UPDATE;
  at := database_time();
  -- In one order, because students and teachers that are erased at the same time share submissions.
  PERFORM FROM assessment_submissions WHERE graded_by_id = p_user_id OR student_id = student.id ORDER BY id FOR NO KEY UPDATE;
  UPDATE assessment_submissions SET graded_by_id = NULL, updated_at = at WHERE graded_by_id = p_user_id;
  UPDATE grades SET graded_by_id = NULL WHERE graded_by_id = p_user_id;
  UPDATE certificates SET revoked_by_id = NULL, updated_at = at WHERE revoked_by_id = p_user_id;
  IF student.id IS NULL THEN
    RETURN 0;
  END IF;
  PERFORM release_seats(ARRAY(SELECT id FROM seat_reservations WHERE student_id = student.id AND status = 'held'
    ORDER BY id FOR NO KEY UPDATE), 'cancelled', at);
  FOR active IN SELECT * FROM enrollments WHERE student_id = student.id AND status = 'active' ORDER BY id FOR NO KEY UPDATE LOOP
    PERFORM end_enrollment(active, refund_of(active, at), 'erased', at);
  END LOOP;
  UPDATE assessment_submissions SET answers = '{}', feedback = NULL, updated_at = at WHERE student_id = student.id;
  UPDATE grades SET feedback = NULL WHERE feedback IS NOT NULL
    AND submission_id IN (SELECT id FROM assessment_submissions WHERE student_id = student.id);
  UPDATE certificates SET holder_name = 'Erased', updated_at = at WHERE student_id = student.id;
  UPDATE students SET user_id = 'erased:' || id, display_name = 'Erased', country = NULL, grade_level = NULL,
    deleted_at = coalesce(deleted_at, at), updated_at = at WHERE id = student.id;
  PERFORM emit('student-erased', student.id, jsonb_build_object('studentId', student.id), at);
  RETURN 1;
END
$$;
