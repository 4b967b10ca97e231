-- Reverts 20261207182001_gather_enrollments: the store of this version needs the functions, so stop it first.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "record_payment_each"(text[], text[]);
DROP FUNCTION "confirm_enrollment_each"(text[], text[]);
DROP FUNCTION "enroll_student_each"(text[], text[], text[], text[], text[]);
DROP FUNCTION "reserve_seat_each"(text[], text[], text[], text[], text[], interval[]);
DROP FUNCTION "make_enrollments"(text[], text[], timestamptz);
DROP FUNCTION "take_seats"(text, text[], text[], text[], text[], text[], interval[], timestamptz);
DROP FUNCTION "lock_for_each"(text[], text[]);
ALTER FUNCTION "enroll_student" RESET enable_seqscan RESET jit;
ALTER FUNCTION "record_payment" RESET enable_seqscan RESET jit;
ALTER FUNCTION "confirm_enrollment" RESET enable_seqscan RESET jit;
ALTER FUNCTION "reserve_seat" RESET enable_seqscan RESET jit;
