DROP TABLE "events";
DROP TABLE "audit_logs";
DROP TABLE "interactions";
DROP TABLE "recommendations";
DROP TABLE "user_profiles";
DROP FUNCTION refuse_change();
DROP TYPE "event_status";
DROP TYPE "recommendation_status";
