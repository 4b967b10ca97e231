-- A seat is reserved, confirmed and given back. A reservation holds one seat of a course until it expires; confirming it makes the
-- enrollment with the same id. The price is paid in mint: the enrollment keeps the id of the hold and of the transaction. What a student
-- gets back after dropping out follows the terms that the enrollment keeps since its confirmation.
-- Locks: ACCESS EXCLUSIVE on enrollments, while its rows are read for the constraints and the indexes.

SET LOCAL lock_timeout = '5s';

CREATE TYPE "reservation_status" AS ENUM ('held', 'confirmed', 'cancelled', 'expired');

CREATE TABLE "seat_reservations" (
  "id" TEXT NOT NULL,
  "student_id" TEXT NOT NULL,
  "course_id" TEXT NOT NULL,
  "status" "reservation_status" NOT NULL DEFAULT 'held',
  "price" DECIMAL(18,8) NOT NULL,
  "request_key" VARCHAR(200) NOT NULL,
  "expires_at" TIMESTAMPTZ(6) NOT NULL,
  "resolved_at" TIMESTAMPTZ(6),
  "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "seat_reservations_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "seat_reservations_student_id_fkey" FOREIGN KEY ("student_id") REFERENCES "students" ("id")
    ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT "seat_reservations_course_id_fkey" FOREIGN KEY ("course_id") REFERENCES "courses" ("id")
    ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT "seat_reservations_request_key_fkey" FOREIGN KEY ("request_key") REFERENCES "requests" ("key")
    ON DELETE RESTRICT ON UPDATE RESTRICT,
  CONSTRAINT "seat_reservations_price_check" CHECK ("price" >= 0 AND "price" <> 'NaN'),
  CONSTRAINT "seat_reservations_expires_at_check" CHECK ("expires_at" > "created_at"),
  CONSTRAINT "seat_reservations_resolved_at_check" CHECK (("status" = 'held') = ("resolved_at" IS NULL)),
  CONSTRAINT "seat_reservations_times_check" CHECK ("expires_at" >= to_timestamp(-62135596800)
    AND "expires_at" < to_timestamp(253402300800) AND "resolved_at" >= to_timestamp(-62135596800)
    AND "resolved_at" < to_timestamp(253402300800) AND "created_at" >= to_timestamp(-62135596800)
    AND "created_at" < to_timestamp(253402300800) AND "updated_at" >= to_timestamp(-62135596800)
    AND "updated_at" < to_timestamp(253402300800))
);
CREATE UNIQUE INDEX "seat_reservations_request_key_key" ON "seat_reservations" ("request_key");
CREATE UNIQUE INDEX "seat_reservations_student_id_course_id_held_key" ON "seat_reservations" ("student_id", "course_id")
  WHERE "status" = 'held';
CREATE INDEX "seat_reservations_student_id_created_at_idx" ON "seat_reservations" ("student_id", "created_at");
CREATE INDEX "seat_reservations_course_id_status_idx" ON "seat_reservations" ("course_id", "status");
CREATE INDEX "seat_reservations_status_expires_at_idx" ON "seat_reservations" ("status", "expires_at");

-- lint-ignore constraint-missing-not-valid: the new columns have locked the table already
ALTER TABLE "enrollments"
  ADD COLUMN "price" DECIMAL(18,8) NOT NULL DEFAULT 0,
  ADD COLUMN "payment_hold_id" TEXT,
  ADD COLUMN "payment_transaction_id" TEXT,
  ADD COLUMN "paid_at" TIMESTAMPTZ(6),
  ADD COLUMN "refund_until" TIMESTAMPTZ(6),
  ADD COLUMN "refund_max_progress" DECIMAL(5,2),
  ADD COLUMN "refund_amount" DECIMAL(18,8),
  ADD COLUMN "refund_key_hash" CHAR(64),
  ADD CONSTRAINT "enrollments_price_check" CHECK ("price" >= 0 AND "price" <> 'NaN'),
  ADD CONSTRAINT "enrollments_payment_check" CHECK (("payment_transaction_id" IS NULL) = ("paid_at" IS NULL)
    AND ("payment_hold_id" IS NULL OR "price" > 0)),
  ADD CONSTRAINT "enrollments_refund_max_progress_check" CHECK ("refund_max_progress" BETWEEN 0 AND 100),
  ADD CONSTRAINT "enrollments_refund_amount_check" CHECK ("refund_amount" IS NULL
    OR ("refund_amount" >= 0 AND "refund_amount" <= "price" AND "refund_amount" <> 'NaN' AND "status" = 'dropped')),
  ADD CONSTRAINT "enrollments_refund_key_hash_check" CHECK (("refund_key_hash" IS NOT NULL) = (coalesce("refund_amount", 0) > 0)),
  DROP CONSTRAINT "enrollments_times_check",
  ADD CONSTRAINT "enrollments_times_check" CHECK ("enrolled_at" >= to_timestamp(-62135596800)
    AND "enrolled_at" < to_timestamp(253402300800) AND "completed_at" >= to_timestamp(-62135596800)
    AND "completed_at" < to_timestamp(253402300800) AND "dropped_at" >= to_timestamp(-62135596800)
    AND "dropped_at" < to_timestamp(253402300800) AND "created_at" >= to_timestamp(-62135596800)
    AND "created_at" < to_timestamp(253402300800) AND "updated_at" >= to_timestamp(-62135596800)
    AND "updated_at" < to_timestamp(253402300800) AND "paid_at" >= to_timestamp(-62135596800)
    AND "paid_at" < to_timestamp(253402300800) AND "refund_until" >= to_timestamp(-62135596800)
    AND "refund_until" < to_timestamp(253402300800));
-- lint-ignore index-not-concurrent: the new columns have locked the table already
CREATE UNIQUE INDEX "enrollments_payment_hold_id_key" ON "enrollments" ("payment_hold_id");
-- lint-ignore index-not-concurrent: the new columns have locked the table already
CREATE UNIQUE INDEX "enrollments_payment_transaction_id_key" ON "enrollments" ("payment_transaction_id");
-- lint-ignore index-not-concurrent: the new columns have locked the table already
CREATE UNIQUE INDEX "enrollments_refund_key_hash_key" ON "enrollments" ("refund_key_hash");
-- lint-ignore index-not-concurrent: the new columns have locked the table already
CREATE INDEX "enrollments_student_id_created_at_idx" ON "enrollments" ("student_id", "created_at");
-- lint-ignore index-not-concurrent: the new columns have locked the table already
CREATE INDEX "enrollments_course_id_created_at_idx" ON "enrollments" ("course_id", "created_at");

CREATE TRIGGER "enrollments_transition" BEFORE UPDATE OF "status" ON "enrollments" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status")
  EXECUTE FUNCTION "check_transition"('active>completed', 'active>dropped');
CREATE TRIGGER "seat_reservations_transition" BEFORE UPDATE OF "status" ON "seat_reservations" FOR EACH ROW
  WHEN (OLD."status" IS DISTINCT FROM NEW."status")
  EXECUTE FUNCTION "check_transition"('held>confirmed', 'held>cancelled', 'held>expired');

-- Ends reservations and publishes it. The rows are locked by the caller.
CREATE FUNCTION "release_seats"("p_ids" text[], "p_status" reservation_status, "p_at" timestamptz) RETURNS SETOF seat_reservations
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RETURN QUERY WITH ended AS (
    UPDATE seat_reservations SET status = p_status, resolved_at = p_at, updated_at = p_at
    WHERE id = ANY (p_ids) AND status = 'held' RETURNING *
  ), published AS (
    INSERT INTO outbox (type, key, payload, created_at)
    SELECT 'education.seat-released.v1', left(student_id, 200), jsonb_build_object('reservationId', id, 'studentId', student_id,
      'courseId', course_id, 'reason', status), p_at
    FROM ended
  ) SELECT * FROM ended;
END
$$;

-- The course of a new reservation. A limited course is locked against other reservations, an unlimited one only against being
-- archived or changed, so that its students do not wait for each other.
CREATE FUNCTION "lock_seats"("p_course_id" text) RETURNS courses LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  target courses;
BEGIN
  SELECT * INTO target FROM courses WHERE id = p_course_id AND capacity IS NULL FOR SHARE;
  IF NOT FOUND OR target.capacity IS NOT NULL THEN
    RETURN lock_course(p_course_id);
  ELSIF target.deleted_at IS NOT NULL THEN
    PERFORM refuse('course_not_found', jsonb_build_object('courseId', p_course_id), 'A deleted course takes part in nothing.');
  END IF;
  RETURN target;
END
$$;

CREATE FUNCTION "require_enrollable"("p_student" students, "p_course" courses) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier enrollment_status;
  missing text[];
BEGIN
  IF p_student.status <> 'active' THEN
    PERFORM refuse('student_inactive', jsonb_build_object('studentId', p_student.id, 'status', p_student.status),
      'Only an active student enrolls.');
  ELSIF p_course.status <> 'published' THEN
    PERFORM refuse('course_not_open', jsonb_build_object('courseId', p_course.id, 'status', p_course.status),
      'Only a published course accepts students.');
  END IF;
  SELECT status INTO earlier FROM enrollments
    WHERE student_id = p_student.id AND course_id = p_course.id AND status IN ('active', 'completed') LIMIT 1;
  IF FOUND THEN
    PERFORM refuse('already_enrolled', jsonb_build_object('studentId', p_student.id, 'courseId', p_course.id, 'status', earlier),
      'A student takes a course once, and may enroll again after dropping out.');
  END IF;
  missing := ARRAY(SELECT p.prerequisite_id FROM course_prerequisites AS p WHERE p.course_id = p_course.id
    AND NOT EXISTS (SELECT FROM enrollments AS e WHERE e.student_id = p_student.id AND e.course_id = p.prerequisite_id
      AND e.status = 'completed') ORDER BY 1);
  IF cardinality(missing) > 0 THEN
    PERFORM refuse('prerequisites_missing', jsonb_build_object('courseId', p_course.id, 'missing', missing),
      'A student completes the prerequisites of a course first.');
  END IF;
END
$$;

-- Expired reservations are ended before the seats are counted, so that a confirmation that comes late finds its reservation ended
-- and not the seat that someone else has now.
CREATE FUNCTION "take_seat"("p_key" text, "p_id" text, "p_student_id" text, "p_course_id" text, "p_expires_in" interval)
RETURNS seat_reservations LANGUAGE plpgsql SET timezone = 'UTC' SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  student students := lock_student(p_student_id);
  course courses := lock_seats(p_course_id);
  at timestamptz := database_time();
  taken integer;
  made seat_reservations;
BEGIN
  PERFORM require_enrollable(student, course);
  PERFORM release_seats(ARRAY(
    SELECT id FROM seat_reservations WHERE course_id = p_course_id AND status = 'held' AND expires_at <= at
      AND (course.capacity IS NOT NULL OR student_id = p_student_id) ORDER BY id FOR NO KEY UPDATE), 'expired', at);
  IF EXISTS (SELECT FROM seat_reservations WHERE student_id = p_student_id AND course_id = p_course_id AND status = 'held') THEN
    PERFORM refuse('seat_reserved', jsonb_build_object('studentId', p_student_id, 'courseId', p_course_id),
      'A student has at most one open reservation of a course.');
  END IF;
  IF course.capacity IS NOT NULL THEN
    SELECT (SELECT count(*) FROM enrollments WHERE course_id = p_course_id AND status = 'active')
      + (SELECT count(*) FROM seat_reservations WHERE course_id = p_course_id AND status = 'held') INTO taken;
    IF taken >= course.capacity THEN
      PERFORM refuse('course_full', jsonb_build_object('courseId', p_course_id, 'capacity', course.capacity),
        'Active enrollments and open reservations take the seats.');
    END IF;
  END IF;
  INSERT INTO seat_reservations (id, student_id, course_id, price, request_key, expires_at, created_at, updated_at)
    VALUES (p_id, p_student_id, p_course_id, course.price, p_key, at + p_expires_in, at, at) RETURNING * INTO made;
  PERFORM emit('seat-reserved', p_student_id, jsonb_build_object('reservationId', p_id, 'studentId', p_student_id,
    'courseId', p_course_id, 'price', made.price::text, 'expiresAt', made.expires_at), at);
  RETURN made;
END
$$;

CREATE FUNCTION "reserve_seat"(
  "p_key" text, "p_hash" text, "p_id" text, "p_student_id" text, "p_course_id" text, "p_expires_in" interval
) RETURNS SETOF seat_reservations LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier text := begin_request(p_key, 'reserve_seat', p_hash, p_id);
  made seat_reservations;
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO STRICT made FROM seat_reservations WHERE id = earlier;
    RETURN NEXT made;
    RETURN;
  END IF;
  IF (p_expires_in > '0' AND p_expires_in <= '7 days') IS NOT TRUE THEN
    PERFORM refuse('expiry_invalid', '{}', 'A reservation expires within seven days.');
  END IF;
  made := take_seat(p_key, p_id, p_student_id, p_course_id, p_expires_in);
  RETURN NEXT made;
END
$$;

-- Makes the enrollment of a reservation that the caller has locked.
CREATE FUNCTION "make_enrollment"("p_seat" seat_reservations, "p_hold_id" text, "p_at" timestamptz) RETURNS enrollments
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  made enrollments;
BEGIN
  UPDATE seat_reservations SET status = 'confirmed', resolved_at = p_at, updated_at = p_at WHERE id = p_seat.id;
  INSERT INTO enrollments (id, student_id, course_id, price, payment_hold_id, refund_until, refund_max_progress, enrolled_at,
      created_at, updated_at)
    SELECT p_seat.id, p_seat.student_id, p_seat.course_id, p_seat.price, p_hold_id, p_at + make_interval(days => c.refund_days),
      c.refund_max_progress, p_at, p_at, p_at
    FROM courses AS c WHERE c.id = p_seat.course_id
    RETURNING * INTO made;
  PERFORM emit('enrollment-confirmed', made.student_id, jsonb_build_object('enrollmentId', made.id, 'studentId', made.student_id,
    'courseId', made.course_id, 'price', made.price::text, 'paymentHoldId', made.payment_hold_id), p_at);
  RETURN made;
END
$$;

CREATE FUNCTION "confirm_enrollment"("p_id" text, "p_hold_id" text) RETURNS SETOF enrollments
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  seat seat_reservations;
  made enrollments;
  at timestamptz;
BEGIN
  SELECT * INTO seat FROM seat_reservations WHERE id = p_id;
  IF NOT FOUND THEN
    PERFORM refuse('reservation_not_found', jsonb_build_object('reservationId', p_id), 'A reservation has an id.');
  END IF;
  PERFORM lock_student(seat.student_id);
  SELECT * INTO seat FROM seat_reservations WHERE id = p_id FOR NO KEY UPDATE;
  at := database_time();
  IF seat.status = 'confirmed' THEN
    SELECT * INTO STRICT made FROM enrollments WHERE id = p_id;
    IF made.payment_hold_id IS DISTINCT FROM p_hold_id THEN
      PERFORM refuse('payment_differs', jsonb_build_object('enrollmentId', p_id), 'An enrollment is paid by one hold.');
    END IF;
    RETURN NEXT made;
    RETURN;
  ELSIF seat.status = 'expired' OR (seat.status = 'held' AND seat.expires_at <= at) THEN
    PERFORM refuse('reservation_expired', jsonb_build_object('reservationId', p_id, 'expiredAt', seat.expires_at),
      'A reservation is confirmed before it expires.');
  ELSIF seat.price > 0 AND p_hold_id IS NULL THEN
    PERFORM refuse('payment_required', jsonb_build_object('courseId', seat.course_id, 'price', seat.price::text),
      'The price is set aside in mint first.');
  ELSIF seat.price = 0 AND p_hold_id IS NOT NULL THEN
    PERFORM refuse('payment_differs', jsonb_build_object('enrollmentId', p_id), 'A free course is not paid.');
  END IF;
  made := make_enrollment(seat, p_hold_id, at);
  RETURN NEXT made;
END
$$;

-- Reserves and confirms at once; for courses without a price.
CREATE FUNCTION "enroll_student"("p_key" text, "p_hash" text, "p_id" text, "p_student_id" text, "p_course_id" text)
RETURNS SETOF enrollments LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier text := begin_request(p_key, 'enroll', p_hash, p_id);
  seat seat_reservations;
  made enrollments;
BEGIN
  IF earlier IS NOT NULL THEN
    SELECT * INTO STRICT made FROM enrollments WHERE id = earlier;
    RETURN NEXT made;
    RETURN;
  END IF;
  seat := take_seat(p_key, p_id, p_student_id, p_course_id, '1 minute');
  IF seat.price > 0 THEN
    PERFORM refuse('payment_required', jsonb_build_object('courseId', p_course_id, 'price', seat.price::text),
      'The price is set aside in mint first.');
  END IF;
  made := make_enrollment(seat, NULL, seat.created_at);
  RETURN NEXT made;
END
$$;

CREATE FUNCTION "cancel_reservation"("p_id" text) RETURNS SETOF seat_reservations
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  seat seat_reservations;
BEGIN
  SELECT * INTO seat FROM seat_reservations WHERE id = p_id FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    PERFORM refuse('reservation_not_found', jsonb_build_object('reservationId', p_id), 'A reservation has an id.');
  ELSIF seat.status = 'confirmed' THEN
    PERFORM refuse('status_transition', jsonb_build_object('table', 'seat_reservations', 'id', p_id, 'from', seat.status,
      'to', 'cancelled'), 'A confirmed reservation is an enrollment.');
  END IF;
  RETURN QUERY SELECT * FROM release_seats(ARRAY[p_id], 'cancelled', database_time());
  IF NOT FOUND THEN
    RETURN NEXT seat;
  END IF;
END
$$;

CREATE FUNCTION "expire_reservations"("p_most" integer) RETURNS SETOF seat_reservations
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz := database_time();
BEGIN
  RETURN QUERY SELECT * FROM release_seats(ARRAY(
    SELECT id FROM seat_reservations WHERE status = 'held' AND expires_at <= at ORDER BY expires_at, id
    LIMIT least(greatest(p_most, 0), 10000) FOR NO KEY UPDATE SKIP LOCKED), 'expired', at);
END
$$;

-- Locks the student before the enrollment, in the order of every function that adds enrollments.
CREATE FUNCTION "lock_enrollment"("p_id" text) RETURNS enrollments LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  target enrollments;
BEGIN
  SELECT * INTO target FROM enrollments WHERE id = p_id;
  IF NOT FOUND THEN
    PERFORM refuse('enrollment_not_found', jsonb_build_object('enrollmentId', p_id), 'An enrollment has an id.');
  END IF;
  -- Also of a deleted student, whose payment may still arrive.
  PERFORM FROM students WHERE id = target.student_id FOR NO KEY UPDATE;
  SELECT * INTO STRICT target FROM enrollments WHERE id = p_id FOR NO KEY UPDATE;
  RETURN target;
END
$$;

-- Sets what a dropped enrollment gives back. Mint pays the refund under one key, the same for every attempt, so it pays it once.
CREATE FUNCTION "owe_refund"("p_id" text, "p_amount" numeric, "p_at" timestamptz) RETURNS enrollments LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  made enrollments;
BEGIN
  UPDATE enrollments SET refund_amount = p_amount, updated_at = p_at,
    refund_key_hash = CASE WHEN p_amount > 0 THEN encode(sha256(convert_to('education.refund:' || p_id, 'UTF8')), 'hex') END
  WHERE id = p_id RETURNING * INTO made;
  IF p_amount > 0 THEN
    PERFORM emit('refund-due', made.student_id, jsonb_build_object('enrollmentId', p_id, 'studentId', made.student_id,
      'courseId', made.course_id, 'amount', made.refund_amount::text), p_at);
  END IF;
  RETURN made;
END
$$;

-- Once, by whoever reports it first: the saga of the payment, or the event of mint. A payment that arrives after its enrollment was
-- voided is given back whole.
CREATE FUNCTION "record_payment"("p_id" text, "p_transaction_id" text) RETURNS SETOF enrollments
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  enrollment enrollments := lock_enrollment(p_id);
  at timestamptz := database_time();
BEGIN
  IF enrollment.payment_transaction_id IS NULL THEN
    IF enrollment.payment_hold_id IS NULL THEN
      PERFORM refuse('payment_differs', jsonb_build_object('enrollmentId', p_id), 'A free course is not paid.');
    END IF;
    UPDATE enrollments SET payment_transaction_id = p_transaction_id, paid_at = at, updated_at = at
      WHERE id = p_id RETURNING * INTO enrollment;
    PERFORM emit('enrollment-paid', enrollment.student_id, jsonb_build_object('enrollmentId', p_id,
      'studentId', enrollment.student_id, 'courseId', enrollment.course_id, 'transactionId', p_transaction_id), at);
    IF enrollment.status = 'dropped' THEN
      enrollment := owe_refund(p_id, enrollment.price, at);
    END IF;
  ELSIF enrollment.payment_transaction_id <> p_transaction_id THEN
    PERFORM refuse('payment_differs', jsonb_build_object('enrollmentId', p_id), 'An enrollment is paid once.');
  END IF;
  RETURN NEXT enrollment;
END
$$;

-- Ends an active, locked enrollment. The refund is decided here, and paid in mint.
CREATE FUNCTION "end_enrollment"("p_enrollment" enrollments, "p_refund" numeric, "p_reason" text, "p_at" timestamptz)
RETURNS enrollments LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE enrollments SET status = 'dropped', dropped_at = greatest(p_at, enrolled_at), updated_at = p_at WHERE id = p_enrollment.id;
  PERFORM emit('enrollment-dropped', p_enrollment.student_id, jsonb_build_object('enrollmentId', p_enrollment.id,
    'studentId', p_enrollment.student_id, 'courseId', p_enrollment.course_id, 'reason', p_reason), p_at);
  RETURN owe_refund(p_enrollment.id, p_refund, p_at);
END
$$;

-- The whole price until the end of the term, as long as no more of the course is done than the terms allow; nothing otherwise.
CREATE FUNCTION "refund_of"("p_enrollment" enrollments, "p_at" timestamptz) RETURNS numeric LANGUAGE sql STABLE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT CASE WHEN (p_enrollment).payment_transaction_id IS NOT NULL AND p_at <= (p_enrollment).refund_until
    AND (p_enrollment).progress <= (p_enrollment).refund_max_progress THEN (p_enrollment).price ELSE 0 END
$$;

-- A dropped enrollment is returned as it is, so that a repeated call has the same refund.
CREATE FUNCTION "drop_enrollment"("p_id" text) RETURNS SETOF enrollments
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  enrollment enrollments := lock_enrollment(p_id);
  at timestamptz := database_time();
BEGIN
  IF enrollment.status <> 'dropped' THEN
    IF enrollment.status = 'active' AND enrollment.price > 0 AND enrollment.payment_transaction_id IS NULL
      AND enrollment.payment_hold_id IS NOT NULL
    THEN
      PERFORM refuse('payment_pending', jsonb_build_object('enrollmentId', p_id),
        'What is given back is known when the payment has succeeded or failed.');
    END IF;
    enrollment := end_enrollment(enrollment, refund_of(enrollment, at), 'student', at);
  END IF;
  RETURN NEXT enrollment;
END
$$;

CREATE FUNCTION "void_enrollment"("p_id" text) RETURNS SETOF enrollments
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  enrollment enrollments := lock_enrollment(p_id);
  at timestamptz := database_time();
BEGIN
  IF enrollment.payment_transaction_id IS NOT NULL OR enrollment.payment_hold_id IS NULL THEN
    PERFORM refuse('enrollment_not_unpaid', jsonb_build_object('enrollmentId', p_id),
      'Only an enrollment whose payment is open is voided.');
  ELSIF enrollment.status <> 'dropped' THEN
    enrollment := end_enrollment(enrollment, 0, 'unpaid', at);
  END IF;
  RETURN NEXT enrollment;
END
$$;

-- Neither a student nor a course is deleted while seats are taken.
CREATE FUNCTION "delete_student"("p_id" text) RETURNS SETOF students
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  student students;
  at timestamptz;
BEGIN
  SELECT * INTO student FROM students WHERE id = p_id FOR NO KEY UPDATE;
  at := database_time();
  IF NOT FOUND THEN
    PERFORM refuse('student_not_found', jsonb_build_object('studentId', p_id), 'A student has an id.');
  ELSIF student.deleted_at IS NULL THEN
    IF EXISTS (SELECT FROM enrollments WHERE student_id = p_id AND status = 'active')
      OR EXISTS (SELECT FROM seat_reservations WHERE student_id = p_id AND status = 'held' AND expires_at > at)
    THEN
      PERFORM refuse('still_enrolled', jsonb_build_object('studentId', p_id), 'End the enrollments and reservations first.');
    END IF;
    UPDATE students SET deleted_at = at, updated_at = at WHERE id = p_id RETURNING * INTO student;
  END IF;
  RETURN NEXT student;
END
$$;

CREATE FUNCTION "delete_course"("p_id" text) RETURNS SETOF courses
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  course courses;
  at timestamptz;
BEGIN
  SELECT * INTO course FROM courses WHERE id = p_id FOR NO KEY UPDATE;
  at := database_time();
  IF NOT FOUND THEN
    PERFORM refuse('course_not_found', jsonb_build_object('courseId', p_id), 'A course has an id.');
  ELSIF course.deleted_at IS NULL THEN
    IF course.status = 'published' THEN
      PERFORM refuse('course_fixed', jsonb_build_object('courseId', p_id, 'status', course.status), 'Archive the course first.');
    ELSIF EXISTS (SELECT FROM enrollments WHERE course_id = p_id AND status = 'active')
      OR EXISTS (SELECT FROM seat_reservations WHERE course_id = p_id AND status = 'held' AND expires_at > at)
    THEN
      PERFORM refuse('still_enrolled', jsonb_build_object('courseId', p_id), 'End the enrollments and reservations first.');
    END IF;
    UPDATE courses SET deleted_at = at, updated_at = at WHERE id = p_id RETURNING * INTO course;
  END IF;
  RETURN NEXT course;
END
$$;
