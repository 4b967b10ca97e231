-- Why: enrollments that a process requests at the same time are made together, for a fraction of the time. One statement makes the calls
-- that fit, whatever their order; each of the others is a call of its own, such as one for a course whose seats are counted. A call that a
-- rule rejects is undone alone and left out of the result: the store repeats it as a single call, which has its error. If a student, a
-- course or a key stays locked for 100 ms, the calls that are left are left out too, so that nobody waits for many. The functions of single
-- calls read by index, also in a session whose plans are from when the tables were small.
-- Locks: none that reads or writes wait for; functions are added and their settings changed.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

ALTER FUNCTION "reserve_seat" SET enable_seqscan = off SET jit = off;
ALTER FUNCTION "confirm_enrollment" SET enable_seqscan = off SET jit = off;
ALTER FUNCTION "record_payment" SET enable_seqscan = off SET jit = off;
ALTER FUNCTION "enroll_student" SET enable_seqscan = off SET jit = off;

-- Locks students and then courses in the order of every function, before the calls that need them in their own order. Courses without
-- a limit are locked only against being archived or changed. False if one stays locked.
CREATE FUNCTION "lock_for_each"("p_student_ids" text[], "p_course_ids" text[]) RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM FROM students WHERE id = ANY (p_student_ids) ORDER BY id COLLATE "C" FOR NO KEY UPDATE;
  PERFORM FROM courses WHERE id = ANY (p_course_ids) AND capacity IS NOT NULL ORDER BY id COLLATE "C" FOR NO KEY UPDATE;
  PERFORM FROM courses WHERE id = ANY (p_course_ids) AND capacity IS NULL ORDER BY id COLLATE "C" FOR SHARE;
  RETURN true;
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
  RETURN false;
END
$$;

-- Takes the seats that fit, and returns the places of their calls. The students and courses are locked by the caller. A seat fits in a
-- course without a limit, if every check of take_seat passes and no reservation has to be ended before. OFFSET 0 leaves a look-up by
-- index for each seat, also in a plan from when the tables were small.
CREATE FUNCTION "take_seats"(
  "p_operation" text, "p_keys" text[], "p_hashes" text[], "p_ids" text[], "p_student_ids" text[], "p_course_ids" text[],
  "p_expire_ins" interval[], "p_at" timestamptz
) RETURNS integer[] LANGUAGE plpgsql SET timezone = 'UTC' SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  fitting integer[];
BEGIN
  SELECT coalesce(array_agg(valid.place), '{}') INTO fitting FROM (
    SELECT item.place, count(*) OVER (PARTITION BY item.key) AS same_key,
      count(*) OVER (PARTITION BY item.student_id, item.course_id) AS same_seat
    FROM unnest(p_keys, p_student_ids, p_course_ids, p_expire_ins) WITH ORDINALITY AS item (key, student_id, course_id, expires_in, place)
    CROSS JOIN LATERAL (SELECT * FROM students AS s WHERE s.id = item.student_id OFFSET 0) AS student
    CROSS JOIN LATERAL (SELECT * FROM courses AS c WHERE c.id = item.course_id OFFSET 0) AS course
    WHERE student.status = 'active' AND student.deleted_at IS NULL
      AND course.status = 'published' AND course.deleted_at IS NULL AND course.capacity IS NULL
      AND (p_operation = 'reserve_seat' OR course.price = 0)
      AND item.expires_in > '0' AND item.expires_in <= '7 days'
      AND NOT EXISTS (SELECT FROM enrollments AS e
        WHERE e.student_id = item.student_id AND e.course_id = item.course_id AND e.status IN ('active', 'completed') OFFSET 0)
      AND NOT EXISTS (SELECT FROM seat_reservations AS r
        WHERE r.student_id = item.student_id AND r.course_id = item.course_id AND r.status = 'held' OFFSET 0)
      AND NOT EXISTS (SELECT FROM course_prerequisites AS p WHERE p.course_id = item.course_id
        AND NOT EXISTS (SELECT FROM enrollments AS e
          WHERE e.student_id = item.student_id AND e.course_id = p.prerequisite_id AND e.status = 'completed') OFFSET 0)
      AND NOT EXISTS (SELECT FROM requests AS r WHERE r.key = item.key OFFSET 0)
  ) AS valid
  WHERE valid.same_key = 1 AND valid.same_seat = 1;
  IF fitting = '{}' THEN
    RETURN fitting;
  END IF;
  INSERT INTO requests (key, operation, body_hash, answer_id, created_at)
    SELECT p_keys[n], p_operation, p_hashes[n], p_ids[n], p_at FROM unnest(fitting) AS n ORDER BY p_keys[n] COLLATE "C";
  WITH made AS (
    INSERT INTO seat_reservations (id, student_id, course_id, price, request_key, expires_at, created_at, updated_at)
    SELECT p_ids[n], p_student_ids[n], p_course_ids[n], c.price, p_keys[n], p_at + p_expire_ins[n], p_at, p_at
    FROM unnest(fitting) AS n JOIN courses AS c ON c.id = p_course_ids[n]
    RETURNING *
  )
  INSERT INTO outbox (type, key, payload, created_at)
    SELECT 'education.seat-reserved.v1', left(m.student_id, 200), jsonb_build_object('reservationId', m.id, 'studentId', m.student_id,
      'courseId', m.course_id, 'price', m.price::text, 'expiresAt', m.expires_at), p_at
    FROM made AS m ORDER BY array_position(p_ids, m.id);
  RETURN fitting;
END
$$;

-- Makes the enrollments of reservations that are held. The caller has locked them and checked their time.
CREATE FUNCTION "make_enrollments"("p_ids" text[], "p_hold_ids" text[], "p_at" timestamptz) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE seat_reservations SET status = 'confirmed', resolved_at = p_at, updated_at = p_at WHERE id = ANY (p_ids);
  WITH made AS (
    INSERT INTO enrollments (id, student_id, course_id, price, payment_hold_id, refund_until, refund_max_progress, enrolled_at,
      created_at, updated_at)
    SELECT r.id, r.student_id, r.course_id, r.price, item.hold_id, p_at + make_interval(days => c.refund_days), c.refund_max_progress,
      p_at, p_at, p_at
    FROM unnest(p_ids, p_hold_ids) AS item (id, hold_id)
    CROSS JOIN LATERAL (SELECT * FROM seat_reservations AS s WHERE s.id = item.id OFFSET 0) AS r
    CROSS JOIN LATERAL (SELECT * FROM courses AS k WHERE k.id = r.course_id OFFSET 0) AS c
    RETURNING *
  )
  INSERT INTO outbox (type, key, payload, created_at)
    SELECT 'education.enrollment-confirmed.v1', left(m.student_id, 200), jsonb_build_object('enrollmentId', m.id,
      'studentId', m.student_id, 'courseId', m.course_id, 'price', m.price::text, 'paymentHoldId', m.payment_hold_id), p_at
    FROM made AS m ORDER BY array_position(p_ids, m.id);
END
$$;

CREATE FUNCTION "reserve_seat_each"(
  "p_keys" text[], "p_hashes" text[], "p_ids" text[], "p_student_ids" text[], "p_course_ids" text[], "p_expire_ins" interval[]
) RETURNS TABLE ("place" integer, "made" seat_reservations) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
SET lock_timeout = '100ms' AS $$
DECLARE
  at timestamptz;
  fitting integer[];
BEGIN
  IF NOT lock_for_each(p_student_ids, p_course_ids) THEN
    RETURN;
  END IF;
  at := database_time();
  fitting := take_seats('reserve_seat', p_keys, p_hashes, p_ids, p_student_ids, p_course_ids, p_expire_ins, at);
  RETURN QUERY SELECT n, t FROM unnest(fitting) AS n JOIN seat_reservations AS t ON t.id = p_ids[n];
  FOR n IN 1 .. coalesce(cardinality(p_ids), 0) LOOP
    CONTINUE WHEN n = ANY (fitting);
    BEGIN
      SELECT * INTO STRICT made FROM reserve_seat(p_keys[n], p_hashes[n], p_ids[n], p_student_ids[n], p_course_ids[n], p_expire_ins[n]);
      place := n;
      RETURN NEXT;
    EXCEPTION
      WHEN lock_not_available OR deadlock_detected THEN RETURN;
      WHEN OTHERS THEN NULL;
    END;
  END LOOP;
END
$$;

CREATE FUNCTION "enroll_student_each"(
  "p_keys" text[], "p_hashes" text[], "p_ids" text[], "p_student_ids" text[], "p_course_ids" text[]
) RETURNS TABLE ("place" integer, "made" enrollments) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
SET lock_timeout = '100ms' AS $$
DECLARE
  at timestamptz;
  fitting integer[];
BEGIN
  IF NOT lock_for_each(p_student_ids, p_course_ids) THEN
    RETURN;
  END IF;
  at := database_time();
  fitting := take_seats('enroll', p_keys, p_hashes, p_ids, p_student_ids, p_course_ids,
    array_fill(interval '1 minute', ARRAY[cardinality(p_keys)]), at);
  IF fitting <> '{}' THEN
    PERFORM make_enrollments(ARRAY(SELECT p_ids[n] FROM unnest(fitting) AS n), '{}', at);
  END IF;
  RETURN QUERY SELECT n, t FROM unnest(fitting) AS n JOIN enrollments AS t ON t.id = p_ids[n];
  FOR n IN 1 .. coalesce(cardinality(p_ids), 0) LOOP
    CONTINUE WHEN n = ANY (fitting);
    BEGIN
      SELECT * INTO STRICT made FROM enroll_student(p_keys[n], p_hashes[n], p_ids[n], p_student_ids[n], p_course_ids[n]);
      place := n;
      RETURN NEXT;
    EXCEPTION
      WHEN lock_not_available OR deadlock_detected THEN RETURN;
      WHEN OTHERS THEN NULL;
    END;
  END LOOP;
END
$$;

CREATE FUNCTION "confirm_enrollment_each"(
  "p_ids" text[], "p_hold_ids" text[]
) RETURNS TABLE ("place" integer, "made" enrollments) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
SET lock_timeout = '100ms' AS $$
DECLARE
  at timestamptz;
  fitting integer[];
BEGIN
  IF NOT lock_for_each(ARRAY(SELECT s.student_id FROM seat_reservations AS s WHERE s.id = ANY (p_ids)), '{}') THEN
    RETURN;
  END IF;
  PERFORM FROM seat_reservations WHERE id = ANY (p_ids) ORDER BY id COLLATE "C" FOR NO KEY UPDATE;
  at := database_time();
  SELECT array_agg(valid.place) INTO fitting FROM (
    SELECT item.place, count(*) OVER (PARTITION BY item.id) AS same_id
    FROM unnest(p_ids, p_hold_ids) WITH ORDINALITY AS item (id, hold_id, place)
    CROSS JOIN LATERAL (SELECT * FROM seat_reservations AS s WHERE s.id = item.id OFFSET 0) AS r
    CROSS JOIN LATERAL (SELECT * FROM students AS s WHERE s.id = r.student_id OFFSET 0) AS student
    WHERE r.status = 'held' AND r.expires_at > at AND (r.price > 0) = (item.hold_id IS NOT NULL) AND student.deleted_at IS NULL
  ) AS valid
  WHERE valid.same_id = 1;
  IF fitting IS NOT NULL THEN
    PERFORM make_enrollments(ARRAY(SELECT p_ids[n] FROM unnest(fitting) WITH ORDINALITY AS f (n, k) ORDER BY k),
      ARRAY(SELECT p_hold_ids[n] FROM unnest(fitting) WITH ORDINALITY AS f (n, k) ORDER BY k), at);
  END IF;
  RETURN QUERY SELECT n, t FROM unnest(fitting) AS n JOIN enrollments AS t ON t.id = p_ids[n];
  FOR n IN 1 .. coalesce(cardinality(p_ids), 0) LOOP
    CONTINUE WHEN n = ANY (fitting);
    BEGIN
      SELECT * INTO STRICT made FROM confirm_enrollment(p_ids[n], p_hold_ids[n]);
      place := n;
      RETURN NEXT;
    EXCEPTION
      WHEN lock_not_available OR deadlock_detected THEN RETURN;
      WHEN OTHERS THEN NULL;
    END;
  END LOOP;
END
$$;

CREATE FUNCTION "record_payment_each"(
  "p_ids" text[], "p_transaction_ids" text[]
) RETURNS TABLE ("place" integer, "made" enrollments) LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET jit = off
SET lock_timeout = '100ms' AS $$
DECLARE
  at timestamptz;
  fitting integer[];
BEGIN
  IF NOT lock_for_each(ARRAY(SELECT e.student_id FROM enrollments AS e WHERE e.id = ANY (p_ids)), '{}') THEN
    RETURN;
  END IF;
  PERFORM FROM enrollments WHERE id = ANY (p_ids) ORDER BY id COLLATE "C" FOR NO KEY UPDATE;
  at := database_time();
  SELECT array_agg(valid.place) INTO fitting FROM (
    SELECT item.place, count(*) OVER (PARTITION BY item.id) AS same_id
    FROM unnest(p_ids, p_transaction_ids) WITH ORDINALITY AS item (id, transaction_id, place)
    CROSS JOIN LATERAL (SELECT * FROM enrollments AS e WHERE e.id = item.id OFFSET 0) AS e
    WHERE e.payment_transaction_id IS NULL AND e.payment_hold_id IS NOT NULL AND e.status <> 'dropped'
      AND item.transaction_id IS NOT NULL
  ) AS valid
  WHERE valid.same_id = 1;
  IF fitting IS NOT NULL THEN
    WITH paid AS (
      UPDATE enrollments AS e SET payment_transaction_id = p_transaction_ids[n], paid_at = at, updated_at = at
      FROM unnest(fitting) AS n WHERE e.id = p_ids[n] RETURNING e.*
    )
    INSERT INTO outbox (type, key, payload, created_at)
      SELECT 'education.enrollment-paid.v1', left(p.student_id, 200), jsonb_build_object('enrollmentId', p.id,
        'studentId', p.student_id, 'courseId', p.course_id, 'transactionId', p.payment_transaction_id), at
      FROM paid AS p ORDER BY array_position(p_ids, p.id);
  END IF;
  RETURN QUERY SELECT n, t FROM unnest(fitting) AS n JOIN enrollments AS t ON t.id = p_ids[n];
  FOR n IN 1 .. coalesce(cardinality(p_ids), 0) LOOP
    CONTINUE WHEN n = ANY (fitting);
    BEGIN
      SELECT * INTO STRICT made FROM record_payment(p_ids[n], p_transaction_ids[n]);
      place := n;
      RETURN NEXT;
    EXCEPTION
      WHEN lock_not_available OR deadlock_detected THEN RETURN;
      WHEN OTHERS THEN NULL;
    END;
  END LOOP;
END
$$;
