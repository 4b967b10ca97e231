-- Reverts 20261130000004_audit_heads.

SET LOCAL lock_timeout = '5s';

ALTER TABLE "audit_logs" DROP CONSTRAINT "audit_logs_times_check";
DROP TRIGGER "audit_logs_time" ON "audit_logs";
DROP FUNCTION "set_audit_time"();
