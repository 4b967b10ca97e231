-- Reverts 20261207180001_text_rules.

SET LOCAL lock_timeout = '5s';

ALTER TABLE notifications DROP CONSTRAINT notifications_texts_check;
ALTER TABLE recipients DROP CONSTRAINT recipients_texts_check;
ALTER TABLE delivery_settings DROP CONSTRAINT delivery_settings_texts_check;
ALTER TABLE batches DROP CONSTRAINT batches_texts_check;
ALTER TABLE bulk_reads DROP CONSTRAINT bulk_reads_texts_check;
ALTER TABLE deliveries DROP CONSTRAINT deliveries_texts_check;
ALTER TABLE preferences DROP CONSTRAINT preferences_texts_check;
