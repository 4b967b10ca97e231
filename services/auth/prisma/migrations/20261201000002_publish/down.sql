-- Reverts 20261201000002_publish. Events that were published stay in the outbox.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER "zz_audit_log_publish" ON "audit_log";
DROP FUNCTION "publish_audit_entries"();
