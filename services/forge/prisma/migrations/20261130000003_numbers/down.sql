-- Reverts 20261130000003_numbers.

SET LOCAL lock_timeout = '5s';

ALTER TABLE "jobs" DROP CONSTRAINT "jobs_budget_check", ADD CONSTRAINT "jobs_budget_check" CHECK ("budget" > 0);
ALTER TABLE "applications" DROP CONSTRAINT "applications_proposed_amount_check", ADD CONSTRAINT "applications_proposed_amount_check" CHECK ("proposed_amount" > 0);
ALTER TABLE "contracts" DROP CONSTRAINT "contracts_amount_check", ADD CONSTRAINT "contracts_amount_check" CHECK ("amount" > 0);
ALTER TABLE "milestones" DROP CONSTRAINT "milestones_amount_check", ADD CONSTRAINT "milestones_amount_check" CHECK ("amount" > 0);
ALTER TABLE "escrows" DROP CONSTRAINT "escrows_amount_check", ADD CONSTRAINT "escrows_amount_check" CHECK ("amount" > 0);
ALTER TABLE "skill_profiles" DROP CONSTRAINT "skill_profiles_hourly_rate_check", ADD CONSTRAINT "skill_profiles_hourly_rate_check" CHECK ("hourly_rate" > 0);
ALTER TABLE "skill_profiles" DROP CONSTRAINT "skill_profiles_total_earned_check", ADD CONSTRAINT "skill_profiles_total_earned_check" CHECK ("total_earned" >= 0);
