-- Applies the bounds of the last migration to the existing rows. NULL in a list is replaced by 0.
-- Locks: SHARE UPDATE EXCLUSIVE, which lets others read and write, and the rows that are repaired.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

UPDATE hashing_models SET frequencies = array_replace(frequencies, NULL, 0)
WHERE array_position(frequencies, NULL) IS NOT NULL;

ALTER TABLE hashing_models VALIDATE CONSTRAINT hashing_models_texts_check;
