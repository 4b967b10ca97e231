-- Applies the bounds of the last migration to the existing rows.
-- It fails if a row has an empty id or a text that is too long; correct the row and run it again.
-- Locks: SHARE UPDATE EXCLUSIVE, which lets others read and write.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

ALTER TABLE family_interactions VALIDATE CONSTRAINT family_interactions_texts_check;
ALTER TABLE conversations VALIDATE CONSTRAINT conversations_texts_check;
ALTER TABLE messages VALIDATE CONSTRAINT messages_texts_check;
ALTER TABLE family_members VALIDATE CONSTRAINT family_members_texts_check;
ALTER TABLE affinities VALIDATE CONSTRAINT affinities_texts_check;
ALTER TABLE family_relationships VALIDATE CONSTRAINT family_relationships_texts_check;
ALTER TABLE memory_words VALIDATE CONSTRAINT memory_words_texts_check;
