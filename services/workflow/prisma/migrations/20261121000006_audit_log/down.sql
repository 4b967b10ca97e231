-- Undoes 20261121000006_audit_log.

SET LOCAL lock_timeout = '5s';

DROP TABLE "audit_logs";
DROP FUNCTION "refuse_audit_change"();
