-- Why: an erasure left the id of a teacher in the grades that the teacher gave and in the certificates that the teacher revoked, and an
-- export left them out. The feedback stays, because it belongs to the student.
-- Locks: none on tables.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION "refuse_grade_change"() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
    AS $$
BEGIN
  -- Erasing a student removes the feedback. Erasing a teacher removes the id of the grader.
  IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - '{feedback,graded_by_id}'::text[] = to_jsonb(OLD) - '{feedback,graded_by_id}'::text[]
    AND (NEW.feedback IS NULL OR NEW.feedback = OLD.feedback)
    AND (NEW.graded_by_id IS NULL OR NEW.graded_by_id = OLD.graded_by_id)
  THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% on grades is refused: the history of grades is kept', TG_OP
    USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END
$$;

CREATE OR REPLACE FUNCTION "check_certificate_change"() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, public, pg_temp
    AS $$
BEGIN
  IF to_jsonb(OLD) - '{holder_name,revocation,revoked_by_id,revoked_at,updated_at}'::text[]
    <> to_jsonb(NEW) - '{holder_name,revocation,revoked_by_id,revoked_at,updated_at}'::text[]
    OR (OLD.revoked_at IS NOT NULL
      AND ((OLD.revocation, OLD.revoked_at) IS DISTINCT FROM (NEW.revocation, NEW.revoked_at)
        OR (NEW.revoked_by_id IS DISTINCT FROM OLD.revoked_by_id AND NEW.revoked_by_id IS NOT NULL)))
  THEN
    PERFORM refuse('certificate_fixed', jsonb_build_object('certificateId', OLD.id), 'A certificate is revoked once, or stays as it is.');
  END IF;
  RETURN NEW;
END
$$;

CREATE OR REPLACE FUNCTION "erase_person"(p_user_id text) RETURNS integer
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

CREATE OR REPLACE FUNCTION "export_person"(p_user_id text) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER
    SET timezone = 'UTC'
    SET search_path = pg_catalog, public, pg_temp
    AS $$
  SELECT jsonb_build_object(
    'students', (SELECT coalesce(jsonb_agg(to_jsonb(t)), '[]') FROM students AS t WHERE user_id = p_user_id),
    'enrollments', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM enrollments AS t
      WHERE student_id IN (SELECT id FROM students WHERE user_id = p_user_id)),
    'seatReservations', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM seat_reservations AS t
      WHERE student_id IN (SELECT id FROM students WHERE user_id = p_user_id)),
    'learningProgress', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM learning_progress AS t
      WHERE student_id IN (SELECT id FROM students WHERE user_id = p_user_id)),
    'submissions', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM assessment_submissions AS t
      WHERE student_id IN (SELECT id FROM students WHERE user_id = p_user_id)),
    'grades', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM grades AS t
      WHERE submission_id IN (SELECT s.id FROM assessment_submissions AS s JOIN students AS p ON p.id = s.student_id
        WHERE p.user_id = p_user_id)),
    'certificates', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.issued_at, t.id), '[]') FROM certificates AS t
      WHERE student_id IN (SELECT id FROM students WHERE user_id = p_user_id)),
    'courses', (SELECT coalesce(jsonb_agg(to_jsonb(t) - 'search' ORDER BY t.created_at, t.id), '[]') FROM courses AS t
      WHERE instructor_id = p_user_id),
    'gradesGiven', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM grades AS t
      WHERE graded_by_id = p_user_id),
    -- Without the answers, which are the student's.
    'submissionsGraded', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'score', t.score, 'feedback', t.feedback,
        'graded_at', t.graded_at) ORDER BY t.graded_at, t.id), '[]') FROM assessment_submissions AS t WHERE graded_by_id = p_user_id),
    'certificatesRevoked', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'revocation', t.revocation,
        'revoked_at', t.revoked_at) ORDER BY t.revoked_at, t.id), '[]') FROM certificates AS t WHERE revoked_by_id = p_user_id),
    'wallets', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM wallets AS t WHERE user_id = p_user_id),
    'transactions', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM transactions AS t
      WHERE wallet_id IN (SELECT id FROM wallets WHERE user_id = p_user_id)),
    'auditLogs', (SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.created_at, t.id), '[]') FROM audit_logs AS t
      WHERE user_id = p_user_id))
$$;
