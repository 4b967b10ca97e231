-- Applies the bounds of the last migration to the existing rows.
-- It fails if a row has an empty id or a text that is too long; correct the row and run it again.
-- Locks: SHARE UPDATE EXCLUSIVE, which lets others read and write.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

ALTER TABLE notifications VALIDATE CONSTRAINT notifications_texts_check;
ALTER TABLE recipients VALIDATE CONSTRAINT recipients_texts_check;
ALTER TABLE delivery_settings VALIDATE CONSTRAINT delivery_settings_texts_check;
ALTER TABLE batches VALIDATE CONSTRAINT batches_texts_check;
ALTER TABLE bulk_reads VALIDATE CONSTRAINT bulk_reads_texts_check;
ALTER TABLE deliveries VALIDATE CONSTRAINT deliveries_texts_check;
ALTER TABLE preferences VALIDATE CONSTRAINT preferences_texts_check;
