-- Why: the app role could call a function with texts that the store refuses: an empty id, a text that is longer than the store allows,
-- a list with NULL as an element. Every text and every list gets the bounds of the store. The next migration reads the existing rows.
-- Locks: ACCESS EXCLUSIVE on each table for a moment, to add constraints that are not validated.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

ALTER TABLE alerts ADD CONSTRAINT alerts_texts_check CHECK (
    btrim(id) <> '' AND char_length(id) <= 255 AND btrim(rule_id) <> '' AND char_length(rule_id) <= 255 AND
    btrim(acknowledged_by) <> '' AND char_length(acknowledged_by) <= 255) NOT VALID;
ALTER TABLE constitutional_logs ADD CONSTRAINT constitutional_logs_texts_check CHECK (
    btrim(id) <> '' AND char_length(id) <= 255 AND btrim(user_id) <> '' AND char_length(user_id) <= 255 AND
    char_length(reasoning) <= 10000) NOT VALID;
ALTER TABLE service_health ADD CONSTRAINT service_health_texts_check CHECK (
    char_length(error_message) <= 10000) NOT VALID;
ALTER TABLE alert_rules ADD CONSTRAINT alert_rules_texts_check CHECK (
    btrim(id) <> '' AND char_length(id) <= 255) NOT VALID;
ALTER TABLE logs ADD CONSTRAINT logs_texts_check CHECK (
    btrim(id) <> '' AND char_length(id) <= 255 AND btrim(user_id) <> '' AND char_length(user_id) <= 255 AND
    char_length(message) <= 32768) NOT VALID;
ALTER TABLE health_checks ADD CONSTRAINT health_checks_texts_check CHECK (
    char_length(error_message) <= 10000) NOT VALID;
