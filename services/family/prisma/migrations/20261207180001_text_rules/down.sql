-- Reverts 20261207180001_text_rules.

SET LOCAL lock_timeout = '5s';

ALTER TABLE family_interactions DROP CONSTRAINT family_interactions_texts_check;
ALTER TABLE conversations DROP CONSTRAINT conversations_texts_check;
ALTER TABLE messages DROP CONSTRAINT messages_texts_check;
ALTER TABLE family_members DROP CONSTRAINT family_members_texts_check;
ALTER TABLE affinities DROP CONSTRAINT affinities_texts_check;
ALTER TABLE family_relationships DROP CONSTRAINT family_relationships_texts_check;
ALTER TABLE memory_words DROP CONSTRAINT memory_words_texts_check;
