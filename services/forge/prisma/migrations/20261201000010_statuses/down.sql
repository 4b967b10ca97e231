-- Reverts 20261201000010_statuses. A shortlisted application is submitted again, and a settled milestone canceled.
-- The escrows have statuses of the old list already: the migration after this one reverts them.

SET LOCAL lock_timeout = '5s';

ALTER TYPE "job_status" RENAME VALUE 'closed' TO 'completed';

UPDATE "applications" SET "status" = 'submitted' WHERE "status" = 'shortlisted';
UPDATE "milestones" SET "status" = 'cancelled' WHERE "status" = 'settled';

ALTER TYPE "application_status" RENAME TO "application_status_new";
CREATE TYPE "application_status" AS ENUM ('submitted', 'accepted', 'rejected', 'withdrawn');
ALTER TABLE "applications" DROP CONSTRAINT "applications_decided_at_check", ALTER COLUMN "status" DROP DEFAULT;
-- lint-ignore require-concurrent-index-deletion: the index follows the statuses, and the migration is one transaction
DROP INDEX "applications_job_id_accepted_key";
-- lint-ignore changing-column-type: the type loses values, which no statement does in place
ALTER TABLE "applications"
  ALTER COLUMN "status" TYPE "application_status" USING "status"::text::"application_status",
  ALTER COLUMN "status" SET DEFAULT 'submitted',
  ADD CONSTRAINT "applications_decided_at_check" CHECK (("status" = 'submitted') = ("decided_at" IS NULL));
CREATE UNIQUE INDEX "applications_job_id_accepted_key" ON "applications" ("job_id") WHERE "status" = 'accepted';
DROP TYPE "application_status_new";

ALTER TYPE "milestone_status" RENAME TO "milestone_status_new";
CREATE TYPE "milestone_status" AS ENUM ('planned', 'funded', 'submitted', 'approved', 'cancelled');
ALTER TABLE "milestones"
  DROP CONSTRAINT "milestones_submitted_at_check",
  DROP CONSTRAINT "milestones_approved_at_check",
  ALTER COLUMN "status" DROP DEFAULT;
-- lint-ignore changing-column-type: the type loses values, which no statement does in place
ALTER TABLE "milestones"
  ALTER COLUMN "status" TYPE "milestone_status" USING "status"::text::"milestone_status",
  ALTER COLUMN "status" SET DEFAULT 'planned',
  ADD CONSTRAINT "milestones_submitted_at_check" CHECK (
    CASE
      WHEN "status" IN ('submitted', 'approved') THEN "submitted_at" IS NOT NULL
      WHEN "status" IN ('planned', 'funded') THEN "submitted_at" IS NULL
      ELSE true
    END
  ),
  ADD CONSTRAINT "milestones_approved_at_check" CHECK (("status" = 'approved') = ("approved_at" IS NOT NULL));
DROP TYPE "milestone_status_new";

ALTER TYPE "escrow_status" RENAME TO "escrow_status_new";
CREATE TYPE "escrow_status" AS ENUM ('held', 'released', 'refunded');
ALTER TABLE "escrows"
  DROP CONSTRAINT "escrows_released_at_check",
  DROP CONSTRAINT "escrows_refunded_at_check",
  ALTER COLUMN "status" DROP DEFAULT;
-- lint-ignore require-concurrent-index-deletion: the index follows the statuses, and the migration is one transaction
DROP INDEX "escrows_milestone_id_live_key";
-- lint-ignore changing-column-type: the type loses values, which no statement does in place
ALTER TABLE "escrows"
  ALTER COLUMN "status" TYPE "escrow_status" USING "status"::text::"escrow_status",
  ALTER COLUMN "status" SET DEFAULT 'held',
  ADD CONSTRAINT "escrows_released_at_check" CHECK (("status" = 'released') = ("released_at" IS NOT NULL)),
  ADD CONSTRAINT "escrows_refunded_at_check" CHECK (("status" = 'refunded') = ("refunded_at" IS NOT NULL));
CREATE UNIQUE INDEX "escrows_milestone_id_live_key" ON "escrows" ("milestone_id") WHERE "status" <> 'refunded';
DROP TYPE "escrow_status_new";
