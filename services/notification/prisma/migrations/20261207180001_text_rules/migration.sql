-- Why: the app role could call a function with texts that the store refuses: an empty id, a text that is longer than the store allows,
-- a list with NULL as an element. Every text and every list gets the bounds of the store. The next migration reads the existing rows.
-- Locks: ACCESS EXCLUSIVE on each table for a moment, to add constraints that are not validated.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

ALTER TABLE notifications ADD CONSTRAINT notifications_texts_check CHECK (
    btrim(id) <> '' AND char_length(id) <= 255 AND char_length(user_id) <= 255 AND char_length(message) <= 10000) NOT VALID;
ALTER TABLE recipients ADD CONSTRAINT recipients_texts_check CHECK (
    btrim(user_id) <> '' AND char_length(user_id) <= 255) NOT VALID;
ALTER TABLE delivery_settings ADD CONSTRAINT delivery_settings_texts_check CHECK (
    char_length(user_id) <= 255) NOT VALID;
ALTER TABLE batches ADD CONSTRAINT batches_texts_check CHECK (
    btrim(id) <> '' AND char_length(id) <= 255) NOT VALID;
ALTER TABLE bulk_reads ADD CONSTRAINT bulk_reads_texts_check CHECK (
    btrim(user_id) <> '' AND char_length(user_id) <= 255) NOT VALID;
ALTER TABLE deliveries ADD CONSTRAINT deliveries_texts_check CHECK (
    btrim(notification_id) <> '' AND char_length(notification_id) <= 255 AND btrim(user_id) <> '' AND
    char_length(user_id) <= 255) NOT VALID;
ALTER TABLE preferences ADD CONSTRAINT preferences_texts_check CHECK (
    char_length(user_id) <= 255) NOT VALID;
