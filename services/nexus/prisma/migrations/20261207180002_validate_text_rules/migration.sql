-- Applies the bounds of the last migration to the existing rows. NULL and empty elements are removed.
-- It fails if a row has an empty id or a text that is too long; correct the row and run it again.
-- Locks: SHARE UPDATE EXCLUSIVE, which lets others read and write, and the rows that are repaired.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

UPDATE user_profiles SET interests = array_remove(array_remove(interests, NULL), '')
WHERE array_position(interests, NULL) IS NOT NULL OR array_position(interests, '') IS NOT NULL;
UPDATE items SET tags = array_remove(array_remove(tags, NULL), '')
WHERE array_position(tags, NULL) IS NOT NULL OR array_position(tags, '') IS NOT NULL;

ALTER TABLE recommendations VALIDATE CONSTRAINT recommendations_texts_check;
ALTER TABLE user_profiles VALIDATE CONSTRAINT user_profiles_texts_check;
ALTER TABLE interactions VALIDATE CONSTRAINT interactions_texts_check;
ALTER TABLE items VALIDATE CONSTRAINT items_texts_check;
ALTER TABLE profile_items VALIDATE CONSTRAINT profile_items_texts_check;
