-- Completing a course issues its certificate in the same transaction. Anyone with the verification code can check it. It can be
-- revoked once, and nothing else of it changes.
-- Locks: none on existing tables.

SET LOCAL lock_timeout = '5s';

CREATE TYPE "certificate_revocation" AS ENUM ('issued_in_error', 'misconduct', 'holder_request');

CREATE SEQUENCE "certificate_numbers" AS bigint;

CREATE TABLE "certificates" (
  "id" TEXT NOT NULL,
  "enrollment_id" TEXT NOT NULL,
  "student_id" TEXT NOT NULL,
  "course_id" TEXT NOT NULL,
  "number" VARCHAR(30) NOT NULL,
  "verification_code" VARCHAR(32) NOT NULL,
  "holder_name" VARCHAR(200) NOT NULL,
  "course_title" VARCHAR(200) NOT NULL,
  "issued_at" TIMESTAMPTZ(6) NOT NULL,
  "revocation" "certificate_revocation",
  "revoked_by_id" TEXT,
  "revoked_at" TIMESTAMPTZ(6),
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "certificates_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "certificates_enrollment_id_student_id_course_id_fkey" FOREIGN KEY ("enrollment_id", "student_id", "course_id")
    REFERENCES "enrollments" ("id", "student_id", "course_id") ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT "certificates_number_check" CHECK ("number" ~ '^AZ-[0-9]{4}-[0-9]{8,}$'),
  CONSTRAINT "certificates_verification_code_check" CHECK ("verification_code" ~ '^[0-9A-F]{24}$'),
  CONSTRAINT "certificates_holder_name_check" CHECK (btrim("holder_name") <> ''),
  CONSTRAINT "certificates_revoked_check" CHECK (("revoked_at" IS NULL) = ("revocation" IS NULL)
    AND ("revoked_by_id" IS NULL OR "revoked_at" IS NOT NULL) AND "revoked_at" >= "issued_at"),
  CONSTRAINT "certificates_times_check" CHECK ("issued_at" >= to_timestamp(-62135596800) AND "issued_at" < to_timestamp(253402300800)
    AND "revoked_at" >= to_timestamp(-62135596800) AND "revoked_at" < to_timestamp(253402300800)
    AND "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800)
    AND "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800))
);
CREATE UNIQUE INDEX "certificates_enrollment_id_key" ON "certificates" ("enrollment_id");
CREATE UNIQUE INDEX "certificates_enrollment_id_student_id_course_id_key"
  ON "certificates" ("enrollment_id", "student_id", "course_id");
CREATE UNIQUE INDEX "certificates_number_key" ON "certificates" ("number");
CREATE UNIQUE INDEX "certificates_verification_code_key" ON "certificates" ("verification_code");
CREATE INDEX "certificates_student_id_issued_at_idx" ON "certificates" ("student_id", "issued_at");

CREATE FUNCTION "check_certificate_change"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF to_jsonb(OLD) - '{holder_name,revocation,revoked_by_id,revoked_at,updated_at}'::text[]
    <> to_jsonb(NEW) - '{holder_name,revocation,revoked_by_id,revoked_at,updated_at}'::text[]
    OR (OLD.revoked_at IS NOT NULL
      AND (OLD.revocation, OLD.revoked_by_id, OLD.revoked_at) IS DISTINCT FROM (NEW.revocation, NEW.revoked_by_id, NEW.revoked_at))
  THEN
    PERFORM refuse('certificate_fixed', jsonb_build_object('certificateId', OLD.id), 'A certificate is revoked once, or stays as it is.');
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER "certificates_fixed" BEFORE UPDATE ON "certificates" FOR EACH ROW EXECUTE FUNCTION "check_certificate_change"();

-- Completed once; a repeated call returns the certificate.
CREATE FUNCTION "complete_enrollment"("p_id" text, "p_certificate_id" text) RETURNS SETOF certificates
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  enrollment enrollments := lock_enrollment(p_id);
  unpassed text[] := unpassed_modules(p_id, enrollment.course_id);
  at timestamptz := database_time();
  made certificates;
BEGIN
  SELECT * INTO made FROM certificates WHERE enrollment_id = p_id;
  IF FOUND THEN
    RETURN NEXT made;
    RETURN;
  ELSIF enrollment.status = 'active' THEN
    IF enrollment.payment_hold_id IS NOT NULL AND enrollment.payment_transaction_id IS NULL THEN
      PERFORM refuse('payment_pending', jsonb_build_object('enrollmentId', p_id), 'A course is paid before it is completed.');
    ELSIF enrollment.progress < 100 THEN
      PERFORM refuse('course_unfinished', jsonb_build_object('enrollmentId', p_id, 'progress', enrollment.progress::text),
        'Every lesson is done first.');
    ELSIF cardinality(unpassed) > 0 THEN
      PERFORM refuse('assessments_unpassed', jsonb_build_object('enrollmentId', p_id, 'modules', unpassed),
        'Every required assessment is passed first.');
    END IF;
  END IF;
  IF enrollment.status <> 'completed' THEN
    UPDATE enrollments SET status = 'completed', completed_at = at, updated_at = at WHERE id = p_id RETURNING * INTO enrollment;
    PERFORM emit('enrollment-completed', enrollment.student_id, jsonb_build_object('enrollmentId', p_id,
      'studentId', enrollment.student_id, 'courseId', enrollment.course_id), at);
  END IF;
  INSERT INTO certificates (id, enrollment_id, student_id, course_id, number, verification_code, holder_name, course_title, issued_at,
      created_at, updated_at)
    SELECT p_certificate_id, p_id, s.id, c.id,
      'AZ-' || to_char(at AT TIME ZONE 'UTC', 'YYYY') || '-' || lpad(nextval('certificate_numbers')::text, 8, '0'),
      upper(left(encode(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 'hex'), 24)),
      s.display_name, c.title, at, at, at
    FROM students AS s, courses AS c WHERE s.id = enrollment.student_id AND c.id = enrollment.course_id
    RETURNING * INTO made;
  PERFORM emit('certificate-issued', made.student_id, jsonb_build_object('certificateId', made.id, 'enrollmentId', p_id,
    'studentId', made.student_id, 'courseId', made.course_id, 'number', made.number), at);
  RETURN NEXT made;
END
$$;

CREATE FUNCTION "revoke_certificate"("p_id" text, "p_revocation" certificate_revocation, "p_revoked_by_id" text)
RETURNS SETOF certificates LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  certificate certificates;
  at timestamptz;
BEGIN
  SELECT * INTO certificate FROM certificates WHERE id = p_id FOR NO KEY UPDATE;
  at := greatest(database_time(), certificate.issued_at);
  IF certificate.id IS NULL THEN
    PERFORM refuse('certificate_not_found', jsonb_build_object('certificateId', p_id), 'A certificate has an id.');
  ELSIF certificate.revoked_at IS NULL THEN
    UPDATE certificates SET revocation = p_revocation, revoked_by_id = p_revoked_by_id, revoked_at = at, updated_at = at
      WHERE id = p_id RETURNING * INTO certificate;
    PERFORM emit('certificate-revoked', certificate.student_id, jsonb_build_object('certificateId', p_id,
      'studentId', certificate.student_id, 'courseId', certificate.course_id, 'reason', p_revocation), at);
    PERFORM audit(p_revoked_by_id, 'certificate.revoked', 'certificate', p_id, jsonb_build_object('reason', p_revocation), at);
  END IF;
  RETURN NEXT certificate;
END
$$;
