-- Reverts 20261207180001_text_rules.

SET LOCAL lock_timeout = '5s';

ALTER TABLE modules DROP CONSTRAINT modules_texts_check;
ALTER TABLE courses DROP CONSTRAINT courses_texts_check;
ALTER TABLE seat_reservations DROP CONSTRAINT seat_reservations_texts_check;
ALTER TABLE students DROP CONSTRAINT students_texts_check;
ALTER TABLE certificates DROP CONSTRAINT certificates_texts_check;
ALTER TABLE enrollments DROP CONSTRAINT enrollments_texts_check;
ALTER TABLE assessment_submissions DROP CONSTRAINT assessment_submissions_texts_check;
ALTER TABLE learning_progress DROP CONSTRAINT learning_progress_texts_check;
ALTER TABLE assessments DROP CONSTRAINT assessments_texts_check;
ALTER TABLE course_prerequisites DROP CONSTRAINT course_prerequisites_texts_check;
ALTER TABLE grades DROP CONSTRAINT grades_texts_check;
ALTER TABLE requests DROP CONSTRAINT requests_texts_check;
ALTER TABLE transactions DROP CONSTRAINT transactions_texts_check;
ALTER TABLE wallets DROP CONSTRAINT wallets_texts_check;
