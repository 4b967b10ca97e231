-- Why: the app role could call a function with texts that the store refuses: an empty id, a text that is longer than the store allows,
-- a list with NULL as an element. Every text and every list gets the bounds of the store. The next migration reads the existing rows.
-- Locks: ACCESS EXCLUSIVE on each table for a moment, to add constraints that are not validated.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

ALTER TABLE recommendations ADD CONSTRAINT recommendations_texts_check CHECK (
    btrim(id) <> '' AND btrim(profile_id) <> '' AND char_length(reason) <= 1000) NOT VALID;
ALTER TABLE user_profiles ADD CONSTRAINT user_profiles_texts_check CHECK (
    btrim(id) <> '' AND array_position(interests, NULL) IS NULL AND array_position(interests, '') IS NULL AND
    cardinality(interests) <= 50 AND char_length(array_to_string(interests, '')) <= 5000) NOT VALID;
ALTER TABLE interactions ADD CONSTRAINT interactions_texts_check CHECK (
    btrim(id) <> '' AND btrim(profile_id) <> '') NOT VALID;
ALTER TABLE items ADD CONSTRAINT items_texts_check CHECK (
    array_position(tags, '') IS NULL) NOT VALID;
ALTER TABLE profile_items ADD CONSTRAINT profile_items_texts_check CHECK (
    btrim(profile_id) <> '') NOT VALID;
