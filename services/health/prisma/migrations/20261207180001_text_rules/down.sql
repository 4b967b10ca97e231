-- Reverts 20261207180001_text_rules.

SET LOCAL lock_timeout = '5s';

ALTER TABLE alerts DROP CONSTRAINT alerts_texts_check;
ALTER TABLE constitutional_logs DROP CONSTRAINT constitutional_logs_texts_check;
ALTER TABLE service_health DROP CONSTRAINT service_health_texts_check;
ALTER TABLE alert_rules DROP CONSTRAINT alert_rules_texts_check;
ALTER TABLE logs DROP CONSTRAINT logs_texts_check;
ALTER TABLE health_checks DROP CONSTRAINT health_checks_texts_check;
