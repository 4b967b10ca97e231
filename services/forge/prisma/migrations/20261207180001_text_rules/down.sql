-- Reverts 20261207180001_text_rules.

SET LOCAL lock_timeout = '5s';

ALTER TABLE contracts DROP CONSTRAINT contracts_texts_check;
ALTER TABLE applications DROP CONSTRAINT applications_texts_check;
ALTER TABLE escrows DROP CONSTRAINT escrows_texts_check;
ALTER TABLE jobs DROP CONSTRAINT jobs_texts_check;
ALTER TABLE disputes DROP CONSTRAINT disputes_texts_check;
ALTER TABLE milestones DROP CONSTRAINT milestones_texts_check;
ALTER TABLE ratings DROP CONSTRAINT ratings_texts_check;
ALTER TABLE skill_profiles DROP CONSTRAINT skill_profiles_texts_check;
ALTER TABLE requests DROP CONSTRAINT requests_texts_check;
