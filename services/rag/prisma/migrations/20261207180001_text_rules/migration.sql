-- Why: a list could have NULL as an element, which the store cannot read. The next migration reads the existing rows.
-- Locks: ACCESS EXCLUSIVE on each table for a moment, to add constraints that are not validated.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

ALTER TABLE hashing_models ADD CONSTRAINT hashing_models_texts_check CHECK (
    array_position(frequencies, NULL) IS NULL) NOT VALID;
