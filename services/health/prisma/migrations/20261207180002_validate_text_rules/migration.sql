-- Applies the bounds of the last migration to the existing rows.
-- It fails if a row has an empty id or a text that is too long; correct the row and run it again.
-- Locks: SHARE UPDATE EXCLUSIVE, which lets others read and write.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

ALTER TABLE alerts VALIDATE CONSTRAINT alerts_texts_check;
ALTER TABLE constitutional_logs VALIDATE CONSTRAINT constitutional_logs_texts_check;
ALTER TABLE service_health VALIDATE CONSTRAINT service_health_texts_check;
ALTER TABLE alert_rules VALIDATE CONSTRAINT alert_rules_texts_check;
ALTER TABLE logs VALIDATE CONSTRAINT logs_texts_check;
ALTER TABLE health_checks VALIDATE CONSTRAINT health_checks_texts_check;
