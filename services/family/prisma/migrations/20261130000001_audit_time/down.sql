-- Reverts 20261130000001_audit_time.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER "audit_logs_time" ON "audit_logs";
DROP FUNCTION "set_audit_time"();
