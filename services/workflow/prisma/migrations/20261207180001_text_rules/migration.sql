-- Why: a list could have NULL as an element, which the store cannot read. The next migration reads the existing rows.
-- Locks: ACCESS EXCLUSIVE on each table for a moment, to add constraints that are not validated.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

ALTER TABLE run_steps ADD CONSTRAINT run_steps_texts_check CHECK (
    array_position(needs, NULL) IS NULL AND array_position(needs, '') IS NULL AND array_position(next_nodes, NULL) IS NULL AND
    array_position(next_nodes, '') IS NULL) NOT VALID;
