-- loses: seat_reservations, enrollments.price, enrollments.payment_hold_id, enrollments.payment_transaction_id, enrollments.paid_at
-- loses: enrollments.refund_until, enrollments.refund_max_progress, enrollments.refund_amount, enrollments.refund_key_hash
-- Reverts 20261201000012_enrollments. Reservations, prices, payments and refunds of enrollments are lost.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "delete_course"(text);
DROP FUNCTION "delete_student"(text);
DROP FUNCTION "void_enrollment"(text);
DROP FUNCTION "drop_enrollment"(text);
DROP FUNCTION "refund_of"(enrollments, timestamptz);
DROP FUNCTION "end_enrollment"(enrollments, numeric, text, timestamptz);
DROP FUNCTION "record_payment"(text, text);
DROP FUNCTION "owe_refund"(text, numeric, timestamptz);
DROP FUNCTION "lock_enrollment"(text);
DROP FUNCTION "expire_reservations"(integer);
DROP FUNCTION "cancel_reservation"(text);
DROP FUNCTION "enroll_student"(text, text, text, text, text);
DROP FUNCTION "confirm_enrollment"(text, text);
DROP FUNCTION "make_enrollment"(seat_reservations, text, timestamptz);
DROP FUNCTION "reserve_seat"(text, text, text, text, text, interval);
DROP FUNCTION "take_seat"(text, text, text, text, interval);
DROP FUNCTION "require_enrollable"(students, courses);
DROP FUNCTION "lock_seats"(text);
DROP FUNCTION "release_seats"(text[], reservation_status, timestamptz);
DROP TRIGGER "enrollments_transition" ON "enrollments";
-- lint-ignore require-concurrent-index-deletion: the columns below lock the table as well
DROP INDEX "enrollments_course_id_created_at_idx";
-- lint-ignore require-concurrent-index-deletion: the columns below lock the table as well
DROP INDEX "enrollments_student_id_created_at_idx";
ALTER TABLE "enrollments"
  DROP CONSTRAINT "enrollments_times_check",
  DROP COLUMN "price",
  DROP COLUMN "payment_hold_id",
  DROP COLUMN "payment_transaction_id",
  DROP COLUMN "paid_at",
  DROP COLUMN "refund_until",
  DROP COLUMN "refund_max_progress",
  DROP COLUMN "refund_amount",
  DROP COLUMN "refund_key_hash",
  ADD CONSTRAINT "enrollments_times_check" CHECK ("enrolled_at" >= to_timestamp(-62135596800)
    AND "enrolled_at" < to_timestamp(253402300800) AND "completed_at" >= to_timestamp(-62135596800)
    AND "completed_at" < to_timestamp(253402300800) AND "dropped_at" >= to_timestamp(-62135596800)
    AND "dropped_at" < to_timestamp(253402300800) AND "created_at" >= to_timestamp(-62135596800)
    AND "created_at" < to_timestamp(253402300800) AND "updated_at" >= to_timestamp(-62135596800)
    AND "updated_at" < to_timestamp(253402300800));
DROP TABLE "seat_reservations";
DROP TYPE "reservation_status";
