-- Why: the app role could call a function with texts that the store refuses: an empty id, a text that is longer than the store allows,
-- a list with NULL as an element. Every text and every list gets the bounds of the store. The next migration reads the existing rows.
-- Locks: ACCESS EXCLUSIVE on each table for a moment, to add constraints that are not validated.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

ALTER TABLE family_interactions ADD CONSTRAINT family_interactions_texts_check CHECK (
    btrim(id) <> '' AND btrim(member_id) <> '' AND btrim(conversation_id) <> '') NOT VALID;
ALTER TABLE conversations ADD CONSTRAINT conversations_texts_check CHECK (
    btrim(id) <> '' AND btrim(member_id) <> '' AND char_length(title) <= 200 AND char_length(summary) <= 20000) NOT VALID;
ALTER TABLE messages ADD CONSTRAINT messages_texts_check CHECK (
    btrim(id) <> '' AND btrim(conversation_id) <> '' AND btrim(member_id) <> '' AND btrim(user_id) <> '' AND
    char_length(content) <= 20000) NOT VALID;
ALTER TABLE family_members ADD CONSTRAINT family_members_texts_check CHECK (
    btrim(id) <> '' AND char_length(slug) <= 100 AND char_length(name) <= 200 AND char_length(role) <= 200 AND
    char_length(background) <= 20000 AND char_length(avatar_url) <= 2000 AND cardinality(traits) <= 20 AND
    char_length(array_to_string(traits, '')) <= 2000) NOT VALID;
ALTER TABLE affinities ADD CONSTRAINT affinities_texts_check CHECK (
    btrim(user_id) <> '' AND btrim(member_id) <> '') NOT VALID;
ALTER TABLE family_relationships ADD CONSTRAINT family_relationships_texts_check CHECK (
    btrim(member_id) <> '' AND btrim(relative_id) <> '') NOT VALID;
ALTER TABLE memory_words ADD CONSTRAINT memory_words_texts_check CHECK (
    btrim(user_id) <> '') NOT VALID;
