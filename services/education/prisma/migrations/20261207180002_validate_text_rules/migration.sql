-- Applies the bounds of the last migration to the existing rows. NULL and empty elements are replaced where their place counts.
-- It fails if a row has an empty id or a text that is too long; correct the row and run it again.
-- Locks: SHARE UPDATE EXCLUSIVE, which lets others read and write, and the rows that are repaired.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

UPDATE modules SET lessons = array_replace(array_replace(lessons, NULL, 'Untitled lesson'), '', 'Untitled lesson')
WHERE array_position(lessons, NULL) IS NOT NULL OR array_position(lessons, '') IS NOT NULL;

ALTER TABLE modules VALIDATE CONSTRAINT modules_texts_check;
ALTER TABLE courses VALIDATE CONSTRAINT courses_texts_check;
ALTER TABLE seat_reservations VALIDATE CONSTRAINT seat_reservations_texts_check;
ALTER TABLE students VALIDATE CONSTRAINT students_texts_check;
ALTER TABLE certificates VALIDATE CONSTRAINT certificates_texts_check;
ALTER TABLE enrollments VALIDATE CONSTRAINT enrollments_texts_check;
ALTER TABLE assessment_submissions VALIDATE CONSTRAINT assessment_submissions_texts_check;
ALTER TABLE learning_progress VALIDATE CONSTRAINT learning_progress_texts_check;
ALTER TABLE assessments VALIDATE CONSTRAINT assessments_texts_check;
ALTER TABLE course_prerequisites VALIDATE CONSTRAINT course_prerequisites_texts_check;
ALTER TABLE grades VALIDATE CONSTRAINT grades_texts_check;
ALTER TABLE requests VALIDATE CONSTRAINT requests_texts_check;
ALTER TABLE transactions VALIDATE CONSTRAINT transactions_texts_check;
ALTER TABLE wallets VALIDATE CONSTRAINT wallets_texts_check;
