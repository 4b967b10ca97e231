DROP TABLE "skill_profiles";
DROP TABLE "disputes";
DROP TABLE "escrows";
DROP TABLE "milestones";
DROP TABLE "contracts";
DROP TABLE "applications";
DROP TABLE "jobs";

DROP FUNCTION "check_contract_total"();
DROP FUNCTION "check_milestones_total"();

DROP TYPE "dispute_status";
DROP TYPE "dispute_reason";
DROP TYPE "escrow_status";
DROP TYPE "milestone_status";
DROP TYPE "contract_status";
DROP TYPE "application_status";
DROP TYPE "job_status";
DROP TYPE "currency";
