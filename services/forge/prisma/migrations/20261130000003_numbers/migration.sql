-- PostgreSQL takes NaN for greater than every number, so it passed these checks.
-- Locks: ACCESS EXCLUSIVE on each table for milliseconds; the rows are read under a lock that lets others write.

SET LOCAL lock_timeout = '5s';

ALTER TABLE "jobs" DROP CONSTRAINT "jobs_budget_check",
  ADD CONSTRAINT "jobs_budget_check" CHECK ("budget" > 0 AND "budget" <> 'NaN') NOT VALID;
ALTER TABLE "applications" DROP CONSTRAINT "applications_proposed_amount_check",
  ADD CONSTRAINT "applications_proposed_amount_check" CHECK ("proposed_amount" > 0 AND "proposed_amount" <> 'NaN') NOT VALID;
ALTER TABLE "contracts" DROP CONSTRAINT "contracts_amount_check",
  ADD CONSTRAINT "contracts_amount_check" CHECK ("amount" > 0 AND "amount" <> 'NaN') NOT VALID;
ALTER TABLE "milestones" DROP CONSTRAINT "milestones_amount_check",
  ADD CONSTRAINT "milestones_amount_check" CHECK ("amount" > 0 AND "amount" <> 'NaN') NOT VALID;
ALTER TABLE "escrows" DROP CONSTRAINT "escrows_amount_check",
  ADD CONSTRAINT "escrows_amount_check" CHECK ("amount" > 0 AND "amount" <> 'NaN') NOT VALID;
ALTER TABLE "skill_profiles" DROP CONSTRAINT "skill_profiles_hourly_rate_check",
  ADD CONSTRAINT "skill_profiles_hourly_rate_check" CHECK ("hourly_rate" > 0 AND "hourly_rate" <> 'NaN') NOT VALID;
ALTER TABLE "skill_profiles" DROP CONSTRAINT "skill_profiles_total_earned_check",
  ADD CONSTRAINT "skill_profiles_total_earned_check" CHECK ("total_earned" >= 0 AND "total_earned" <> 'NaN') NOT VALID;

ALTER TABLE "jobs" VALIDATE CONSTRAINT "jobs_budget_check";
ALTER TABLE "applications" VALIDATE CONSTRAINT "applications_proposed_amount_check";
ALTER TABLE "contracts" VALIDATE CONSTRAINT "contracts_amount_check";
ALTER TABLE "milestones" VALIDATE CONSTRAINT "milestones_amount_check";
ALTER TABLE "escrows" VALIDATE CONSTRAINT "escrows_amount_check";
ALTER TABLE "skill_profiles" VALIDATE CONSTRAINT "skill_profiles_hourly_rate_check";
ALTER TABLE "skill_profiles" VALIDATE CONSTRAINT "skill_profiles_total_earned_check";
