-- loses: alerts, alert_rules, health_checks, constitutional_logs.subject_type, constitutional_logs.subject_id, constitutional_logs.evidence, constitutional_logs.request_key, constitutional_logs.request_hash
-- Reverts 20261201000011_checks_and_alerts.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "erase_person"(text);
DROP FUNCTION "prune_health_checks"(interval, integer);
DROP FUNCTION "move_alert"(text, alert_status, text);
DROP TABLE "alerts";
DROP FUNCTION "publish_alert"();
DROP FUNCTION "check_alert_move"();
DROP FUNCTION "set_alert_rule"(text, text, alert_kind, text, integer, integer, integer, boolean);
DROP FUNCTION "report_health"(json);
DROP FUNCTION "judge_all_alerts"();
DROP FUNCTION "judge_alerts"(integer[]);
DROP TABLE "alert_rules";
DROP TABLE "health_checks";
DROP FUNCTION "record_check"(text, text, text, text, text, text, verdict, double precision, text, text, text, text, jsonb, jsonb);
DROP TYPE "alert_status";
DROP TYPE "alert_kind";

-- lint-ignore require-concurrent-index-deletion: checks are few
DROP INDEX "constitutional_logs_created_at_idx";
ALTER TABLE "constitutional_logs" DROP COLUMN "subject_type", DROP COLUMN "subject_id", DROP COLUMN "evidence",
  DROP COLUMN "request_key", DROP COLUMN "request_hash";
