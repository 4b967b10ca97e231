-- Applies the rule of the last migration to the existing rows. Answers that are not an object become one, under the name `answer`.
-- Locks: SHARE UPDATE EXCLUSIVE, which lets others read and write, and the rows that are repaired.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- A trigger refuses every change of the answers.
DO $$
BEGIN
  IF EXISTS (SELECT FROM assessment_submissions WHERE jsonb_typeof(answers) <> 'object') THEN
    ALTER TABLE assessment_submissions DISABLE TRIGGER USER;
    UPDATE assessment_submissions SET answers = jsonb_build_object('answer', answers) WHERE jsonb_typeof(answers) <> 'object';
    ALTER TABLE assessment_submissions ENABLE TRIGGER USER;
  END IF;
END
$$;

ALTER TABLE assessment_submissions VALIDATE CONSTRAINT assessment_submissions_answers_check;
