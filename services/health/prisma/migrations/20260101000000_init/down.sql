DROP TABLE "service_health";
DROP TABLE "constitutional_logs";
DROP TABLE "logs";
DROP FUNCTION refuse_change();
DROP TYPE "verdict";
DROP TYPE "log_level";
