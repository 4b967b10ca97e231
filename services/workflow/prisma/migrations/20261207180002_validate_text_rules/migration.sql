-- Applies the bounds of the last migration to the existing rows. NULL and empty elements are removed.
-- Locks: SHARE UPDATE EXCLUSIVE, which lets others read and write, and the rows that are repaired.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

UPDATE run_steps SET needs = array_remove(array_remove(needs, NULL), ''),
  next_nodes = array_remove(array_remove(next_nodes, NULL), '')
WHERE array_position(needs, NULL) IS NOT NULL OR array_position(needs, '') IS NOT NULL
  OR array_position(next_nodes, NULL) IS NOT NULL OR array_position(next_nodes, '') IS NOT NULL;

ALTER TABLE run_steps VALIDATE CONSTRAINT run_steps_texts_check;
