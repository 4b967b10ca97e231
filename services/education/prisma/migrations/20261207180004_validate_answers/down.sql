-- Reverts 20261207180004_validate_answers. Answers that were repaired stay so.

SET LOCAL lock_timeout = '5s';

ALTER TABLE assessment_submissions DROP CONSTRAINT assessment_submissions_answers_check,
  ADD CONSTRAINT assessment_submissions_answers_check CHECK (jsonb_typeof(answers) = 'object') NOT VALID;
