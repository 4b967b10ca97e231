-- Applies the checks of the last migration to the existing rows. It fails if a row has NaN; correct the row and run it again.
-- Locks: SHARE UPDATE EXCLUSIVE, which lets others read and write.

SET LOCAL lock_timeout = '5s';

ALTER TABLE "jobs" VALIDATE CONSTRAINT "jobs_budget_check";
ALTER TABLE "applications" VALIDATE CONSTRAINT "applications_proposed_amount_check";
ALTER TABLE "contracts" VALIDATE CONSTRAINT "contracts_amount_check";
ALTER TABLE "milestones" VALIDATE CONSTRAINT "milestones_amount_check";
ALTER TABLE "escrows" VALIDATE CONSTRAINT "escrows_amount_check";
ALTER TABLE "skill_profiles" VALIDATE CONSTRAINT "skill_profiles_hourly_rate_check";
ALTER TABLE "skill_profiles" VALIDATE CONSTRAINT "skill_profiles_total_earned_check";
