-- Why: the app role could call a function with texts that the store refuses: an empty id, a text that is longer than the store allows,
-- a list with NULL as an element. Every text and every list gets the bounds of the store. The next migration reads the existing rows.
-- Locks: ACCESS EXCLUSIVE on each table for a moment, to add constraints that are not validated.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

ALTER TABLE modules ADD CONSTRAINT modules_texts_check CHECK (
    btrim(id) <> '' AND btrim(course_id) <> '' AND char_length(description) <= 20000 AND
    array_position(lessons, NULL) IS NULL AND array_position(lessons, '') IS NULL AND cardinality(lessons) <= 500 AND
    char_length(array_to_string(lessons, '')) <= 100000) NOT VALID;
ALTER TABLE courses ADD CONSTRAINT courses_texts_check CHECK (
    btrim(id) <> '' AND btrim(instructor_id) <> '' AND char_length(description) <= 20000) NOT VALID;
ALTER TABLE seat_reservations ADD CONSTRAINT seat_reservations_texts_check CHECK (
    btrim(id) <> '' AND btrim(student_id) <> '' AND btrim(course_id) <> '') NOT VALID;
ALTER TABLE students ADD CONSTRAINT students_texts_check CHECK (
    btrim(id) <> '' AND btrim(user_id) <> '') NOT VALID;
ALTER TABLE certificates ADD CONSTRAINT certificates_texts_check CHECK (
    btrim(id) <> '' AND btrim(enrollment_id) <> '' AND btrim(student_id) <> '' AND btrim(course_id) <> '' AND
    btrim(revoked_by_id) <> '') NOT VALID;
ALTER TABLE enrollments ADD CONSTRAINT enrollments_texts_check CHECK (
    btrim(id) <> '' AND btrim(student_id) <> '' AND btrim(course_id) <> '' AND btrim(payment_hold_id) <> '' AND
    btrim(payment_transaction_id) <> '') NOT VALID;
ALTER TABLE assessment_submissions ADD CONSTRAINT assessment_submissions_texts_check CHECK (
    btrim(id) <> '' AND btrim(enrollment_id) <> '' AND btrim(student_id) <> '' AND btrim(module_id) <> '' AND
    btrim(course_id) <> '' AND btrim(graded_by_id) <> '' AND char_length(feedback) <= 20000) NOT VALID;
ALTER TABLE learning_progress ADD CONSTRAINT learning_progress_texts_check CHECK (
    btrim(id) <> '' AND btrim(enrollment_id) <> '' AND btrim(student_id) <> '' AND btrim(module_id) <> '' AND
    btrim(course_id) <> '') NOT VALID;
ALTER TABLE assessments ADD CONSTRAINT assessments_texts_check CHECK (
    btrim(id) <> '' AND btrim(module_id) <> '' AND btrim(course_id) <> '') NOT VALID;
ALTER TABLE course_prerequisites ADD CONSTRAINT course_prerequisites_texts_check CHECK (
    btrim(course_id) <> '' AND btrim(prerequisite_id) <> '') NOT VALID;
ALTER TABLE grades ADD CONSTRAINT grades_texts_check CHECK (
    btrim(id) <> '' AND btrim(submission_id) <> '' AND btrim(graded_by_id) <> '' AND char_length(feedback) <= 20000) NOT VALID;
ALTER TABLE requests ADD CONSTRAINT requests_texts_check CHECK (
    btrim(answer_id) <> '') NOT VALID;
ALTER TABLE transactions ADD CONSTRAINT transactions_texts_check CHECK (
    btrim(id) <> '' AND btrim(wallet_id) <> '' AND btrim(enrollment_id) <> '' AND btrim(mint_transaction_id) <> '') NOT VALID;
ALTER TABLE wallets ADD CONSTRAINT wallets_texts_check CHECK (
    btrim(id) <> '' AND btrim(student_id) <> '' AND btrim(user_id) <> '' AND btrim(mint_wallet_id) <> '') NOT VALID;
