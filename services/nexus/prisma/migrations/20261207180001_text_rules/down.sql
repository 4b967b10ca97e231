-- Reverts 20261207180001_text_rules.

SET LOCAL lock_timeout = '5s';

ALTER TABLE recommendations DROP CONSTRAINT recommendations_texts_check;
ALTER TABLE user_profiles DROP CONSTRAINT user_profiles_texts_check;
ALTER TABLE interactions DROP CONSTRAINT interactions_texts_check;
ALTER TABLE items DROP CONSTRAINT items_texts_check;
ALTER TABLE profile_items DROP CONSTRAINT profile_items_texts_check;
