-- Reverts 20261201000011_marketplace. Ratings, requests, deliverables, feedback, the ids of holds and the shares of escrows are lost. A
-- requested or canceled escrow becomes a refunded one, and one that is being settled is held again.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER "contracts_keep_terms" ON "contracts";
DROP TRIGGER "escrows_keep_terms" ON "escrows";
DROP TRIGGER "disputes_transition" ON "disputes";
DROP TRIGGER "escrows_transition" ON "escrows";
DROP TRIGGER "milestones_transition" ON "milestones";
DROP TRIGGER "contracts_transition" ON "contracts";
DROP TRIGGER "applications_transition" ON "applications";
DROP TRIGGER "jobs_transition" ON "jobs";
DROP TABLE "ratings";
DROP FUNCTION "keep_rating"();
DROP FUNCTION "check_rating"();
DROP FUNCTION "keep_contract"();
DROP FUNCTION "keep_escrow"();
DROP FUNCTION "check_transition"();
DROP FUNCTION "search_jobs"(text, text[], text, "currency", numeric, numeric, bigint, integer);
DROP FUNCTION "query_term"(text);

-- lint-ignore require-concurrent-index-deletion: the index follows the statuses, and the migration is one transaction
DROP INDEX "disputes_contract_id_created_at_id_idx";
-- lint-ignore require-concurrent-index-deletion: the index follows the statuses, and the migration is one transaction
DROP INDEX "contracts_freelancer_id_created_at_id_idx";
-- lint-ignore require-concurrent-index-deletion: the index follows the statuses, and the migration is one transaction
DROP INDEX "contracts_employer_id_created_at_id_idx";
-- lint-ignore require-concurrent-index-deletion: the index follows the statuses, and the migration is one transaction
DROP INDEX "applications_freelancer_id_created_at_id_idx";
-- lint-ignore require-concurrent-index-deletion: the index follows the statuses, and the migration is one transaction
DROP INDEX "applications_job_id_created_at_id_idx";
-- lint-ignore require-concurrent-index-deletion: the index follows the statuses, and the migration is one transaction
DROP INDEX "jobs_employer_id_created_at_id_idx";

ALTER TABLE "jobs" DROP COLUMN "search";
DROP FUNCTION "job_terms"(bigint, text, text[], numeric, "currency");
DROP TRIGGER "jobs_number_publication" ON "jobs";
DROP FUNCTION "number_publication"();
ALTER TABLE "jobs" DROP CONSTRAINT "jobs_skills_check", DROP COLUMN "publication";
-- lint-ignore adding-field-with-default: PostgreSQL computes a generated column itself, in this rewrite
ALTER TABLE "jobs" ADD COLUMN "search" tsvector GENERATED ALWAYS AS (
  setweight(to_tsvector('english', "title"), 'A')
  || setweight(to_tsvector('english', "category"), 'B')
  || setweight(to_tsvector('english', "description"), 'C')
) STORED;
CREATE INDEX "jobs_search_idx" ON "jobs" USING GIN ("search");

ALTER TABLE "skill_profiles" DROP COLUMN "rating_total";

ALTER TABLE "escrows"
  DROP CONSTRAINT "escrows_shares_check",
  DROP CONSTRAINT "escrows_held_at_check",
  DROP CONSTRAINT "escrows_cancelled_at_check",
  DROP CONSTRAINT "escrows_times_check",
  DROP CONSTRAINT "escrows_hold_id_check",
  DROP CONSTRAINT "escrows_transaction_id_check";
UPDATE "escrows" SET "held_at" = coalesce("held_at", "created_at"),
  "refunded_at" = CASE WHEN "status" = 'settling' THEN NULL ELSE greatest("cancelled_at", "created_at") END,
  "status" = (CASE WHEN "status" = 'settling' THEN 'held' ELSE 'refunded' END)::"escrow_status"
WHERE "status" IN ('requested', 'settling', 'cancelled');
-- lint-ignore require-concurrent-index-deletion: the index follows the statuses, and the migration is one transaction
DROP INDEX "escrows_milestone_id_live_key";
CREATE UNIQUE INDEX "escrows_milestone_id_live_key" ON "escrows" ("milestone_id") WHERE "status" <> 'refunded';
-- lint-ignore adding-not-nullable-field: the statement before fills the column
ALTER TABLE "escrows"
  DROP COLUMN "payout_amount",
  DROP COLUMN "refund_amount",
  DROP COLUMN "hold_id",
  DROP COLUMN "transaction_id",
  DROP COLUMN "cancelled_at",
  ALTER COLUMN "held_at" SET NOT NULL,
  ADD CONSTRAINT "escrows_times_check" CHECK (
    "held_at" >= to_timestamp(-62135596800) AND "held_at" < to_timestamp(253402300800) AND
    "released_at" >= to_timestamp(-62135596800) AND "released_at" < to_timestamp(253402300800) AND
    "refunded_at" >= to_timestamp(-62135596800) AND "refunded_at" < to_timestamp(253402300800) AND
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
    "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800)
  );

ALTER TABLE "milestones" DROP COLUMN "deliverable", DROP COLUMN "feedback";
UPDATE "applications" SET "status" = 'submitted' WHERE "status" = 'shortlisted';
ALTER TABLE "applications" DROP CONSTRAINT "applications_decided_at_check",
  ADD CONSTRAINT "applications_decided_at_check" CHECK (("status" = 'submitted') = ("decided_at" IS NULL));
DROP TABLE "requests";
DROP TYPE "party";
DROP FUNCTION "refuse"(text, jsonb);
DROP FUNCTION "database_time"();
