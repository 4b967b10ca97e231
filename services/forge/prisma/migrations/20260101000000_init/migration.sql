-- Why: the first schema of forge.
-- Locks: none that matter, every table is new.
-- Runs again: no, once per database; inside one transaction.

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateEnum
CREATE TYPE "currency" AS ENUM ('AZR', 'BTC', 'ETH', 'USD');

-- CreateEnum
CREATE TYPE "job_status" AS ENUM ('draft', 'open', 'in_progress', 'completed', 'cancelled');

-- CreateEnum
CREATE TYPE "application_status" AS ENUM ('submitted', 'accepted', 'rejected', 'withdrawn');

-- CreateEnum
CREATE TYPE "contract_status" AS ENUM ('draft', 'active', 'completed', 'cancelled');

-- CreateEnum
CREATE TYPE "milestone_status" AS ENUM ('planned', 'funded', 'submitted', 'approved', 'cancelled');

-- CreateEnum
CREATE TYPE "escrow_status" AS ENUM ('held', 'released', 'refunded');

-- CreateEnum
CREATE TYPE "dispute_reason" AS ENUM ('quality', 'deadline', 'payment', 'scope', 'conduct');

-- CreateEnum
CREATE TYPE "dispute_status" AS ENUM ('open', 'under_review', 'resolved', 'withdrawn');

-- CreateTable
CREATE TABLE "jobs" (
    "id" TEXT NOT NULL,
    "employer_id" TEXT NOT NULL,
    "organization_id" TEXT,
    "title" VARCHAR(200) NOT NULL,
    "description" TEXT NOT NULL,
    "category" VARCHAR(100) NOT NULL,
    "skills" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "budget" DECIMAL(18,8) NOT NULL,
    "currency" "currency" NOT NULL DEFAULT 'AZR',
    "deadline" TIMESTAMPTZ(6),
    "status" "job_status" NOT NULL DEFAULT 'draft',
    "published_at" TIMESTAMPTZ(6),
    "closed_at" TIMESTAMPTZ(6),
    "search" tsvector,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deleted_at" TIMESTAMPTZ(6),

    CONSTRAINT "jobs_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "applications" (
    "id" TEXT NOT NULL,
    "job_id" TEXT NOT NULL,
    "freelancer_id" TEXT NOT NULL,
    "cover_letter" TEXT NOT NULL,
    "proposed_amount" DECIMAL(18,8) NOT NULL,
    "estimated_days" INTEGER,
    "status" "application_status" NOT NULL DEFAULT 'submitted',
    "decided_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "applications_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "contracts" (
    "id" TEXT NOT NULL,
    "job_id" TEXT NOT NULL,
    "application_id" TEXT NOT NULL,
    "employer_id" TEXT NOT NULL,
    "freelancer_id" TEXT NOT NULL,
    "terms" TEXT NOT NULL,
    "amount" DECIMAL(18,8) NOT NULL,
    "currency" "currency" NOT NULL DEFAULT 'AZR',
    "status" "contract_status" NOT NULL DEFAULT 'draft',
    "starts_at" TIMESTAMPTZ(6) NOT NULL,
    "ends_at" TIMESTAMPTZ(6),
    "completed_at" TIMESTAMPTZ(6),
    "cancelled_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "contracts_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "milestones" (
    "id" TEXT NOT NULL,
    "contract_id" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "title" VARCHAR(200) NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "amount" DECIMAL(18,8) NOT NULL,
    "status" "milestone_status" NOT NULL DEFAULT 'planned',
    "due_at" TIMESTAMPTZ(6),
    "submitted_at" TIMESTAMPTZ(6),
    "approved_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "milestones_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "escrows" (
    "id" TEXT NOT NULL,
    "contract_id" TEXT NOT NULL,
    "milestone_id" TEXT NOT NULL,
    "payer_wallet_id" TEXT NOT NULL,
    "payee_wallet_id" TEXT NOT NULL,
    "amount" DECIMAL(18,8) NOT NULL,
    "currency" "currency" NOT NULL DEFAULT 'AZR',
    "status" "escrow_status" NOT NULL DEFAULT 'held',
    "held_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "released_at" TIMESTAMPTZ(6),
    "refunded_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "escrows_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "disputes" (
    "id" TEXT NOT NULL,
    "contract_id" TEXT NOT NULL,
    "milestone_id" TEXT,
    "raised_by_id" TEXT NOT NULL,
    "reason" "dispute_reason" NOT NULL,
    "description" TEXT NOT NULL,
    "status" "dispute_status" NOT NULL DEFAULT 'open',
    "resolution" TEXT,
    "resolved_by_id" TEXT,
    "closed_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "disputes_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "skill_profiles" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "headline" VARCHAR(200),
    "bio" TEXT,
    "skills" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "hourly_rate" DECIMAL(18,8),
    "currency" "currency" NOT NULL DEFAULT 'AZR',
    "rating" DECIMAL(3,2),
    "rating_count" INTEGER NOT NULL DEFAULT 0,
    "completed_jobs" INTEGER NOT NULL DEFAULT 0,
    "total_earned" DECIMAL(18,8) NOT NULL DEFAULT 0,
    "is_available" BOOLEAN NOT NULL DEFAULT true,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "skill_profiles_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "jobs_employer_id_idx" ON "jobs"("employer_id");

-- CreateIndex
CREATE INDEX "jobs_organization_id_idx" ON "jobs"("organization_id");

-- CreateIndex
CREATE INDEX "jobs_status_category_idx" ON "jobs"("status", "category");

-- CreateIndex
CREATE INDEX "jobs_created_at_idx" ON "jobs"("created_at");

-- CreateIndex
CREATE INDEX "jobs_skills_idx" ON "jobs" USING GIN ("skills");

-- CreateIndex
CREATE INDEX "jobs_search_idx" ON "jobs" USING GIN ("search");

-- CreateIndex
CREATE UNIQUE INDEX "jobs_id_employer_id_key" ON "jobs"("id", "employer_id");

-- CreateIndex
CREATE INDEX "applications_freelancer_id_status_idx" ON "applications"("freelancer_id", "status");

-- CreateIndex
CREATE UNIQUE INDEX "applications_job_id_freelancer_id_key" ON "applications"("job_id", "freelancer_id");

-- CreateIndex
CREATE UNIQUE INDEX "applications_id_job_id_freelancer_id_key" ON "applications"("id", "job_id", "freelancer_id");

-- CreateIndex
CREATE INDEX "contracts_job_id_idx" ON "contracts"("job_id");

-- CreateIndex
CREATE INDEX "contracts_employer_id_status_idx" ON "contracts"("employer_id", "status");

-- CreateIndex
CREATE INDEX "contracts_freelancer_id_status_idx" ON "contracts"("freelancer_id", "status");

-- CreateIndex
CREATE UNIQUE INDEX "contracts_application_id_job_id_freelancer_id_key" ON "contracts"("application_id", "job_id", "freelancer_id");

-- CreateIndex
CREATE UNIQUE INDEX "contracts_id_currency_key" ON "contracts"("id", "currency");

-- CreateIndex
CREATE INDEX "milestones_status_due_at_idx" ON "milestones"("status", "due_at");

-- CreateIndex
CREATE UNIQUE INDEX "milestones_contract_id_position_key" ON "milestones"("contract_id", "position");

-- CreateIndex
CREATE UNIQUE INDEX "milestones_id_contract_id_key" ON "milestones"("id", "contract_id");

-- CreateIndex
CREATE UNIQUE INDEX "milestones_id_contract_id_amount_key" ON "milestones"("id", "contract_id", "amount");

-- CreateIndex
CREATE INDEX "escrows_contract_id_status_idx" ON "escrows"("contract_id", "status");

-- CreateIndex
CREATE INDEX "escrows_milestone_id_idx" ON "escrows"("milestone_id");

-- CreateIndex
CREATE INDEX "escrows_payer_wallet_id_idx" ON "escrows"("payer_wallet_id");

-- CreateIndex
CREATE INDEX "escrows_payee_wallet_id_idx" ON "escrows"("payee_wallet_id");

-- CreateIndex
CREATE INDEX "disputes_contract_id_idx" ON "disputes"("contract_id");

-- CreateIndex
CREATE INDEX "disputes_milestone_id_idx" ON "disputes"("milestone_id");

-- CreateIndex
CREATE INDEX "disputes_raised_by_id_idx" ON "disputes"("raised_by_id");

-- CreateIndex
CREATE INDEX "disputes_resolved_by_id_idx" ON "disputes"("resolved_by_id");

-- CreateIndex
CREATE INDEX "disputes_status_created_at_idx" ON "disputes"("status", "created_at");

-- CreateIndex
CREATE UNIQUE INDEX "skill_profiles_user_id_key" ON "skill_profiles"("user_id");

-- CreateIndex
CREATE INDEX "skill_profiles_skills_idx" ON "skill_profiles" USING GIN ("skills");

-- CreateIndex
CREATE INDEX "skill_profiles_is_available_rating_idx" ON "skill_profiles"("is_available", "rating");

-- AddForeignKey
ALTER TABLE "applications" ADD CONSTRAINT "applications_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "jobs"("id") ON DELETE CASCADE ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "contracts" ADD CONSTRAINT "contracts_job_id_employer_id_fkey" FOREIGN KEY ("job_id", "employer_id") REFERENCES "jobs"("id", "employer_id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "contracts" ADD CONSTRAINT "contracts_application_id_job_id_freelancer_id_fkey" FOREIGN KEY ("application_id", "job_id", "freelancer_id") REFERENCES "applications"("id", "job_id", "freelancer_id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "milestones" ADD CONSTRAINT "milestones_contract_id_fkey" FOREIGN KEY ("contract_id") REFERENCES "contracts"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "escrows" ADD CONSTRAINT "escrows_contract_id_currency_fkey" FOREIGN KEY ("contract_id", "currency") REFERENCES "contracts"("id", "currency") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "escrows" ADD CONSTRAINT "escrows_milestone_id_contract_id_amount_fkey" FOREIGN KEY ("milestone_id", "contract_id", "amount") REFERENCES "milestones"("id", "contract_id", "amount") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "disputes" ADD CONSTRAINT "disputes_contract_id_fkey" FOREIGN KEY ("contract_id") REFERENCES "contracts"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "disputes" ADD CONSTRAINT "disputes_milestone_id_contract_id_fkey" FOREIGN KEY ("milestone_id", "contract_id") REFERENCES "milestones"("id", "contract_id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- What the schema language cannot say.

ALTER TABLE "jobs"
  ADD CONSTRAINT "jobs_title_check" CHECK (btrim("title") <> ''),
  ADD CONSTRAINT "jobs_description_check" CHECK (btrim("description") <> ''),
  ADD CONSTRAINT "jobs_category_check" CHECK (btrim("category") <> ''),
  ADD CONSTRAINT "jobs_budget_check" CHECK ("budget" > 0),
  ADD CONSTRAINT "jobs_deadline_check" CHECK ("deadline" > "created_at"),
  ADD CONSTRAINT "jobs_published_at_check" CHECK (
    CASE
      WHEN "status" = 'draft' THEN "published_at" IS NULL
      WHEN "status" = 'cancelled' THEN true
      ELSE "published_at" IS NOT NULL
    END
  ),
  ADD CONSTRAINT "jobs_closed_at_check" CHECK (("status" IN ('completed', 'cancelled')) = ("closed_at" IS NOT NULL));

-- The schema language cannot say GENERATED: the plain column of above becomes a generated one, its index follows.
ALTER TABLE "jobs" DROP COLUMN "search";
ALTER TABLE "jobs" ADD COLUMN "search" tsvector GENERATED ALWAYS AS (
  setweight(to_tsvector('english', "title"), 'A')
  || setweight(to_tsvector('english', "category"), 'B')
  || setweight(to_tsvector('english', "description"), 'C')
) STORED;
CREATE INDEX "jobs_search_idx" ON "jobs" USING GIN ("search");

ALTER TABLE "applications"
  ADD CONSTRAINT "applications_cover_letter_check" CHECK (btrim("cover_letter") <> ''),
  ADD CONSTRAINT "applications_proposed_amount_check" CHECK ("proposed_amount" > 0),
  ADD CONSTRAINT "applications_estimated_days_check" CHECK ("estimated_days" > 0),
  ADD CONSTRAINT "applications_decided_at_check" CHECK (("status" = 'submitted') = ("decided_at" IS NULL));

CREATE UNIQUE INDEX "applications_job_id_accepted_key" ON "applications" ("job_id") WHERE "status" = 'accepted';

ALTER TABLE "contracts"
  ADD CONSTRAINT "contracts_parties_check" CHECK ("employer_id" <> "freelancer_id"),
  ADD CONSTRAINT "contracts_terms_check" CHECK (btrim("terms") <> ''),
  ADD CONSTRAINT "contracts_amount_check" CHECK ("amount" > 0),
  ADD CONSTRAINT "contracts_ends_at_check" CHECK ("ends_at" > "starts_at"),
  ADD CONSTRAINT "contracts_completed_at_check" CHECK (("status" = 'completed') = ("completed_at" IS NOT NULL)),
  ADD CONSTRAINT "contracts_cancelled_at_check" CHECK (("status" = 'cancelled') = ("cancelled_at" IS NOT NULL));

ALTER TABLE "milestones"
  ADD CONSTRAINT "milestones_title_check" CHECK (btrim("title") <> ''),
  ADD CONSTRAINT "milestones_position_check" CHECK ("position" >= 1),
  ADD CONSTRAINT "milestones_amount_check" CHECK ("amount" > 0),
  ADD CONSTRAINT "milestones_submitted_at_check" CHECK (
    CASE
      WHEN "status" IN ('submitted', 'approved') THEN "submitted_at" IS NOT NULL
      WHEN "status" IN ('planned', 'funded') THEN "submitted_at" IS NULL
      ELSE true
    END
  ),
  ADD CONSTRAINT "milestones_approved_at_check" CHECK (("status" = 'approved') = ("approved_at" IS NOT NULL)),
  ADD CONSTRAINT "milestones_approved_after_submitted_check" CHECK ("approved_at" >= "submitted_at");

ALTER TABLE "escrows"
  ADD CONSTRAINT "escrows_amount_check" CHECK ("amount" > 0),
  ADD CONSTRAINT "escrows_wallets_check" CHECK ("payer_wallet_id" <> "payee_wallet_id"),
  ADD CONSTRAINT "escrows_released_at_check" CHECK (("status" = 'released') = ("released_at" IS NOT NULL)),
  ADD CONSTRAINT "escrows_refunded_at_check" CHECK (("status" = 'refunded') = ("refunded_at" IS NOT NULL)),
  ADD CONSTRAINT "escrows_settled_after_held_check" CHECK (coalesce("released_at", "refunded_at") >= "held_at");

-- A milestone's money is set aside once; after a refund it may be set aside anew.
CREATE UNIQUE INDEX "escrows_milestone_id_live_key" ON "escrows" ("milestone_id") WHERE "status" <> 'refunded';

ALTER TABLE "disputes"
  ADD CONSTRAINT "disputes_description_check" CHECK (btrim("description") <> ''),
  ADD CONSTRAINT "disputes_closed_at_check" CHECK (("status" IN ('resolved', 'withdrawn')) = ("closed_at" IS NOT NULL)),
  ADD CONSTRAINT "disputes_closed_after_created_check" CHECK ("closed_at" >= "created_at"),
  ADD CONSTRAINT "disputes_resolution_check" CHECK (
    CASE
      WHEN "status" = 'resolved' THEN coalesce(btrim("resolution"), '') <> '' AND "resolved_by_id" IS NOT NULL
      ELSE "resolution" IS NULL AND "resolved_by_id" IS NULL
    END
  );

CREATE UNIQUE INDEX "disputes_contract_id_live_key" ON "disputes" ("contract_id")
  WHERE "status" IN ('open', 'under_review');

ALTER TABLE "skill_profiles"
  ADD CONSTRAINT "skill_profiles_rating_check" CHECK ("rating" BETWEEN 0 AND 5),
  ADD CONSTRAINT "skill_profiles_rating_count_check" CHECK (
    "rating_count" >= 0 AND ("rating_count" = 0) = ("rating" IS NULL)
  ),
  ADD CONSTRAINT "skill_profiles_completed_jobs_check" CHECK ("completed_jobs" >= 0),
  ADD CONSTRAINT "skill_profiles_total_earned_check" CHECK ("total_earned" >= 0),
  ADD CONSTRAINT "skill_profiles_hourly_rate_check" CHECK ("hourly_rate" > 0);

-- Milestones (but cancelled ones) never exceed their contract's amount. The lock on the contract makes two
-- transactions that add milestones to it see each other; in the order of ids, so that they cannot deadlock.
CREATE FUNCTION "check_milestones_total"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  contract record;
BEGIN
  PERFORM FROM "contracts" WHERE "id" IN (SELECT "contract_id" FROM "changed") ORDER BY "id" FOR NO KEY UPDATE;
  SELECT c."id", c."amount", sum(m."amount") AS "total" INTO contract
    FROM "milestones" m JOIN "contracts" c ON c."id" = m."contract_id"
    WHERE c."id" IN (SELECT "contract_id" FROM "changed") AND m."status" <> 'cancelled'
    GROUP BY c."id" HAVING sum(m."amount") > c."amount" LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'milestones of contract % add up to %, its amount is %', contract."id", contract."total", contract."amount"
      USING ERRCODE = 'check_violation', TABLE = 'milestones', CONSTRAINT = 'milestones_contract_total_check';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER "milestones_contract_total_insert" AFTER INSERT ON "milestones"
  REFERENCING NEW TABLE AS "changed" FOR EACH STATEMENT EXECUTE FUNCTION "check_milestones_total"();
CREATE TRIGGER "milestones_contract_total_update" AFTER UPDATE ON "milestones"
  REFERENCING NEW TABLE AS "changed" FOR EACH STATEMENT EXECUTE FUNCTION "check_milestones_total"();

-- A contract never has less than its milestones, and starts only when they add up to it exactly. Rows that are
-- inserted as active (a restore writes contracts before milestones) are not asked.
CREATE FUNCTION "check_contract_total"() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  total numeric := (
    SELECT coalesce(sum("amount"), 0) FROM "milestones" WHERE "contract_id" = NEW."id" AND "status" <> 'cancelled'
  );
BEGIN
  IF total > NEW."amount" OR (NEW."status" = 'active' AND OLD."status" = 'draft' AND total <> NEW."amount") THEN
    RAISE EXCEPTION 'milestones of contract % add up to %, its amount is %', NEW."id", total, NEW."amount"
      USING ERRCODE = 'check_violation', TABLE = 'contracts', CONSTRAINT = 'contracts_milestones_total_check';
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER "contracts_milestones_total" AFTER UPDATE OF "amount", "status" ON "contracts"
  FOR EACH ROW EXECUTE FUNCTION "check_contract_total"();
