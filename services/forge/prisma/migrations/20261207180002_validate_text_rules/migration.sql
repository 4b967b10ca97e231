-- Applies the bounds of the last migration to the existing rows. NULL and empty elements are removed.
-- It fails if a row has an empty id or a text that is too long; correct the row and run it again.
-- Locks: SHARE UPDATE EXCLUSIVE, which lets others read and write, and the rows that are repaired.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

UPDATE skill_profiles SET skills = array_remove(array_remove(skills, NULL), '')
WHERE array_position(skills, NULL) IS NOT NULL OR array_position(skills, '') IS NOT NULL;

ALTER TABLE contracts VALIDATE CONSTRAINT contracts_texts_check;
ALTER TABLE applications VALIDATE CONSTRAINT applications_texts_check;
ALTER TABLE escrows VALIDATE CONSTRAINT escrows_texts_check;
ALTER TABLE jobs VALIDATE CONSTRAINT jobs_texts_check;
ALTER TABLE disputes VALIDATE CONSTRAINT disputes_texts_check;
ALTER TABLE milestones VALIDATE CONSTRAINT milestones_texts_check;
ALTER TABLE ratings VALIDATE CONSTRAINT ratings_texts_check;
ALTER TABLE skill_profiles VALIDATE CONSTRAINT skill_profiles_texts_check;
ALTER TABLE requests VALIDATE CONSTRAINT requests_texts_check;
