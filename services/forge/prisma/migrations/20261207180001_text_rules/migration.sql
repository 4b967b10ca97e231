-- Why: the app role could call a function with texts that the store refuses: an empty id, a text that is longer than the store allows,
-- a list with NULL as an element. Every text and every list gets the bounds of the store. The next migration reads the existing rows.
-- Locks: ACCESS EXCLUSIVE on each table for a moment, to add constraints that are not validated.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

ALTER TABLE contracts ADD CONSTRAINT contracts_texts_check CHECK (
    btrim(id) <> '' AND btrim(job_id) <> '' AND btrim(application_id) <> '' AND btrim(employer_id) <> '' AND
    btrim(freelancer_id) <> '' AND char_length(terms) <= 20000) NOT VALID;
ALTER TABLE applications ADD CONSTRAINT applications_texts_check CHECK (
    btrim(id) <> '' AND btrim(job_id) <> '' AND btrim(freelancer_id) <> '' AND char_length(cover_letter) <= 20000) NOT VALID;
ALTER TABLE escrows ADD CONSTRAINT escrows_texts_check CHECK (
    btrim(id) <> '' AND btrim(contract_id) <> '' AND btrim(milestone_id) <> '' AND btrim(payer_wallet_id) <> '' AND
    btrim(payee_wallet_id) <> '' AND btrim(hold_id) <> '' AND btrim(transaction_id) <> '') NOT VALID;
ALTER TABLE jobs ADD CONSTRAINT jobs_texts_check CHECK (
    btrim(id) <> '' AND btrim(employer_id) <> '' AND btrim(organization_id) <> '' AND char_length(description) <= 20000 AND
    char_length(array_to_string(skills, '')) <= 5000) NOT VALID;
ALTER TABLE disputes ADD CONSTRAINT disputes_texts_check CHECK (
    btrim(id) <> '' AND btrim(contract_id) <> '' AND btrim(milestone_id) <> '' AND btrim(raised_by_id) <> '' AND
    btrim(resolved_by_id) <> '' AND char_length(description) <= 20000 AND char_length(resolution) <= 20000) NOT VALID;
ALTER TABLE milestones ADD CONSTRAINT milestones_texts_check CHECK (
    btrim(id) <> '' AND btrim(contract_id) <> '' AND char_length(description) <= 20000 AND
    char_length(deliverable) <= 20000 AND char_length(feedback) <= 20000) NOT VALID;
ALTER TABLE ratings ADD CONSTRAINT ratings_texts_check CHECK (
    btrim(id) <> '' AND btrim(contract_id) <> '' AND btrim(author_id) <> '' AND btrim(ratee_id) <> '' AND
    char_length(comment) <= 20000) NOT VALID;
ALTER TABLE skill_profiles ADD CONSTRAINT skill_profiles_texts_check CHECK (
    btrim(id) <> '' AND btrim(user_id) <> '' AND char_length(bio) <= 20000 AND array_position(skills, NULL) IS NULL AND
    array_position(skills, '') IS NULL AND cardinality(skills) <= 50 AND char_length(array_to_string(skills, '')) <= 5000) NOT VALID;
ALTER TABLE requests ADD CONSTRAINT requests_texts_check CHECK (
    btrim(answer_id) <> '') NOT VALID;
