-- PostgreSQL takes NaN for greater than every number, so it passed these checks. The next migration reads the existing rows.
-- Locks: ACCESS EXCLUSIVE on each table for milliseconds.

SET LOCAL lock_timeout = '5s';

-- lint-ignore drops-unmanaged: the statement adds the stricter check under the same name
ALTER TABLE "jobs" DROP CONSTRAINT "jobs_budget_check",
  ADD CONSTRAINT "jobs_budget_check" CHECK ("budget" > 0 AND "budget" <> 'NaN') NOT VALID;
-- lint-ignore drops-unmanaged: the statement adds the stricter check under the same name
ALTER TABLE "applications" DROP CONSTRAINT "applications_proposed_amount_check",
  ADD CONSTRAINT "applications_proposed_amount_check" CHECK ("proposed_amount" > 0 AND "proposed_amount" <> 'NaN') NOT VALID;
-- lint-ignore drops-unmanaged: the statement adds the stricter check under the same name
ALTER TABLE "contracts" DROP CONSTRAINT "contracts_amount_check",
  ADD CONSTRAINT "contracts_amount_check" CHECK ("amount" > 0 AND "amount" <> 'NaN') NOT VALID;
-- lint-ignore drops-unmanaged: the statement adds the stricter check under the same name
ALTER TABLE "milestones" DROP CONSTRAINT "milestones_amount_check",
  ADD CONSTRAINT "milestones_amount_check" CHECK ("amount" > 0 AND "amount" <> 'NaN') NOT VALID;
-- lint-ignore drops-unmanaged: the statement adds the stricter check under the same name
ALTER TABLE "escrows" DROP CONSTRAINT "escrows_amount_check",
  ADD CONSTRAINT "escrows_amount_check" CHECK ("amount" > 0 AND "amount" <> 'NaN') NOT VALID;
-- lint-ignore drops-unmanaged: the statement adds the stricter check under the same name
ALTER TABLE "skill_profiles" DROP CONSTRAINT "skill_profiles_hourly_rate_check",
  ADD CONSTRAINT "skill_profiles_hourly_rate_check" CHECK ("hourly_rate" > 0 AND "hourly_rate" <> 'NaN') NOT VALID;
-- lint-ignore drops-unmanaged: the statement adds the stricter check under the same name
ALTER TABLE "skill_profiles" DROP CONSTRAINT "skill_profiles_total_earned_check",
  ADD CONSTRAINT "skill_profiles_total_earned_check" CHECK ("total_earned" >= 0 AND "total_earned" <> 'NaN') NOT VALID;
