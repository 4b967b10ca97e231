-- Why: forge becomes a store. The tables keep the way of a milestone's money, ratings, and the requests that took effect; the database
-- holds the order of the statuses; a job can be found among millions.
-- Locks: ACCESS EXCLUSIVE on the tables of the marketplace until the end. The column "search" of jobs is computed again, which
-- rewrites the table: about 20 s for a million jobs.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- One function tells the time of every rule of this database. It reads the clock when it is called, not the start of the
-- transaction: a rule that waited for a lock is judged at the time at which it holds the lock. Only the administrator can
-- replace the function, as tests do.
CREATE FUNCTION "database_time"() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT pg_catalog.clock_timestamp() $$;

-- The rule that rejects a call, its facts as JSON, and what helps.
CREATE FUNCTION "refuse"("rule" text, "facts" jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  RAISE EXCEPTION USING ERRCODE = 'AZ001', MESSAGE = rule, DETAIL = facts::text;
END
$$;

-- CreateEnum
CREATE TYPE "party" AS ENUM ('employer', 'freelancer');

-- CreateTable
CREATE TABLE "ratings" (
    "id" TEXT NOT NULL,
    "contract_id" TEXT NOT NULL,
    "author_id" TEXT NOT NULL,
    "ratee_id" TEXT NOT NULL,
    "ratee_role" "party" NOT NULL,
    "score" SMALLINT NOT NULL,
    "comment" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "ratings_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "ratings_score_check" CHECK ("score" BETWEEN 1 AND 5),
    CONSTRAINT "ratings_parties_check" CHECK ("author_id" <> "ratee_id"),
    CONSTRAINT "ratings_comment_check" CHECK (btrim("comment") <> ''),
    CONSTRAINT "ratings_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);
CREATE UNIQUE INDEX "ratings_contract_id_author_id_key" ON "ratings"("contract_id", "author_id");
CREATE INDEX "ratings_author_id_idx" ON "ratings"("author_id");
CREATE INDEX "ratings_ratee_id_created_at_id_idx" ON "ratings"("ratee_id", "created_at", "id");
ALTER TABLE "ratings" ADD CONSTRAINT "ratings_contract_id_fkey" FOREIGN KEY ("contract_id") REFERENCES "contracts"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- CreateTable
CREATE TABLE "requests" (
    "key" VARCHAR(200) NOT NULL,
    "operation" VARCHAR(50) NOT NULL,
    "body_hash" CHAR(64) NOT NULL,
    "answer_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "requests_pkey" PRIMARY KEY ("key"),
    CONSTRAINT "requests_key_check" CHECK (btrim("key") <> ''),
    CONSTRAINT "requests_times_check" CHECK (
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);
CREATE INDEX "requests_created_at_idx" ON "requests"("created_at");

-- AlterTable
-- lint-ignore drops-unmanaged: the statement adds the wider checks under the same names
-- lint-ignore constraint-missing-not-valid: the rule is part of the change of this transaction, which rewrites or reads the table anyway
ALTER TABLE "applications" DROP CONSTRAINT "applications_decided_at_check",
  ADD CONSTRAINT "applications_decided_at_check" CHECK (("status" IN ('submitted', 'shortlisted')) = ("decided_at" IS NULL));

-- lint-ignore constraint-missing-not-valid: the rule is part of the change of this transaction, which rewrites or reads the table anyway
ALTER TABLE "milestones"
  ADD COLUMN "deliverable" TEXT,
  ADD COLUMN "feedback" TEXT,
  ADD CONSTRAINT "milestones_deliverable_check" CHECK (btrim("deliverable") <> ''),
  ADD CONSTRAINT "milestones_feedback_check" CHECK (btrim("feedback") <> '');

-- Escrow -------------------------------------------------------------------------------------------------------------

-- lint-ignore ban-drop-not-null: a requested escrow has no time of its hold, and older instances never make one
ALTER TABLE "escrows"
  ADD COLUMN "payout_amount" DECIMAL(18,8) NOT NULL DEFAULT 0,
  ADD COLUMN "refund_amount" DECIMAL(18,8) NOT NULL DEFAULT 0,
  ADD COLUMN "hold_id" TEXT,
  ADD COLUMN "transaction_id" TEXT,
  ADD COLUMN "cancelled_at" TIMESTAMPTZ(6),
  ALTER COLUMN "held_at" DROP NOT NULL;

UPDATE "escrows" SET "payout_amount" = CASE "status" WHEN 'released' THEN "amount" ELSE 0 END,
  "refund_amount" = CASE "status" WHEN 'refunded' THEN "amount" ELSE 0 END
WHERE "status" <> 'held';

-- The two parts are together the whole, or nothing is decided: no status exists in which money is missing or doubled.
-- lint-ignore constraint-missing-not-valid: the rule is part of the change of this transaction, which rewrites or reads the table anyway
ALTER TABLE "escrows" DROP CONSTRAINT "escrows_times_check",
  ADD CONSTRAINT "escrows_times_check" CHECK (
    "held_at" >= to_timestamp(-62135596800) AND "held_at" < to_timestamp(253402300800) AND
    "released_at" >= to_timestamp(-62135596800) AND "released_at" < to_timestamp(253402300800) AND
    "refunded_at" >= to_timestamp(-62135596800) AND "refunded_at" < to_timestamp(253402300800) AND
    "cancelled_at" >= to_timestamp(-62135596800) AND "cancelled_at" < to_timestamp(253402300800) AND
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
    "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800)
  ),
  ADD CONSTRAINT "escrows_payout_amount_check" CHECK ("payout_amount" >= 0 AND "payout_amount" <> 'NaN'),
  ADD CONSTRAINT "escrows_refund_amount_check" CHECK ("refund_amount" >= 0 AND "refund_amount" <> 'NaN'),
  ADD CONSTRAINT "escrows_shares_check" CHECK (
    CASE
      WHEN "status" IN ('requested', 'held', 'cancelled') THEN "payout_amount" = 0 AND "refund_amount" = 0
      WHEN "status" = 'refunded' THEN "payout_amount" = 0 AND "refund_amount" = "amount"
      WHEN "status" = 'released' THEN "payout_amount" > 0 AND "payout_amount" + "refund_amount" = "amount"
      ELSE "payout_amount" + "refund_amount" = "amount"
    END
  ),
  ADD CONSTRAINT "escrows_held_at_check" CHECK (("status" IN ('requested', 'cancelled')) = ("held_at" IS NULL)),
  ADD CONSTRAINT "escrows_cancelled_at_check" CHECK (("status" = 'cancelled') = ("cancelled_at" IS NOT NULL)),
  ADD CONSTRAINT "escrows_hold_id_check" CHECK ("status" NOT IN ('requested', 'cancelled') OR "hold_id" IS NULL),
  ADD CONSTRAINT "escrows_transaction_id_check" CHECK ("status" = 'released' OR "transaction_id" IS NULL);

-- A milestone's money is set aside once; after a refund or a canceled request it may be set aside anew.
-- lint-ignore require-concurrent-index-deletion: the index follows the statuses, and the migration is one transaction
DROP INDEX "escrows_milestone_id_live_key";
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE UNIQUE INDEX "escrows_milestone_id_live_key" ON "escrows" ("milestone_id") WHERE "status" NOT IN ('refunded', 'cancelled');
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE UNIQUE INDEX "escrows_hold_id_key" ON "escrows"("hold_id");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE UNIQUE INDEX "escrows_transaction_id_key" ON "escrows"("transaction_id");

-- Profiles -----------------------------------------------------------------------------------------------------------

ALTER TABLE "skill_profiles" ADD COLUMN "rating_total" DECIMAL(12,2) NOT NULL DEFAULT 0;
UPDATE "skill_profiles" SET "rating_total" = "rating" * "rating_count" WHERE "rating_count" > 0;
-- lint-ignore constraint-missing-not-valid: the rule is part of the change of this transaction, which rewrites or reads the table anyway
ALTER TABLE "skill_profiles"
  ADD CONSTRAINT "skill_profiles_rating_total_check" CHECK ("rating_total" >= 0 AND "rating_total" <> 'NaN'),
  ADD CONSTRAINT "skill_profiles_rating_total_mean_check" CHECK (
    CASE WHEN "rating_count" > 0 THEN "rating" = round("rating_total" / "rating_count", 2) ELSE "rating_total" = 0 END
  );

-- Search -------------------------------------------------------------------------------------------------------------

ALTER TABLE "jobs" ADD COLUMN "publication" BIGINT;
CREATE SEQUENCE "jobs_publication_seq" OWNED BY "jobs"."publication";
UPDATE "jobs" SET "publication" = numbered."number" FROM (
  SELECT "id", row_number() OVER (ORDER BY "published_at", "id") AS "number" FROM "jobs" WHERE "published_at" IS NOT NULL
) AS numbered WHERE numbered."id" = "jobs"."id";
SELECT setval('jobs_publication_seq', max("publication")) FROM "jobs" HAVING max("publication") IS NOT NULL;
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE UNIQUE INDEX "jobs_publication_key" ON "jobs"("publication");
-- lint-ignore constraint-missing-not-valid: the rule is part of the change of this transaction, which rewrites or reads the table anyway
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_publication_check" CHECK ("publication" > 0),
  ADD CONSTRAINT "jobs_skills_check" CHECK (
    array_position("skills", NULL) IS NULL AND array_position("skills", '') IS NULL AND cardinality("skills") <= 50
    AND octet_length(array_to_string("skills", '')) <= 10000
  );

-- Numbers a job when it is published. The columns that PostgreSQL generates follow.
CREATE FUNCTION "number_publication"() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  NEW.publication := nextval('jobs_publication_seq');
  RETURN NEW;
END
$$;
CREATE TRIGGER "jobs_number_publication" BEFORE INSERT OR UPDATE OF "status", "publication" ON "jobs" FOR EACH ROW
  WHEN (NEW."published_at" IS NOT NULL AND NEW."publication" IS NULL) EXECUTE FUNCTION "number_publication"();

-- The terms by which an open job is found, besides its words: category, skills, currency, the step of the budget (two steps are a
-- factor of 10), and the ranges of publications that contain it, of 256, 2048, … jobs. The word parser never makes a term that begins
-- with #. A GIN index intersects these terms: a search reads one range after the other, the newest first, and stops when the
-- page is full, so that its cost does not grow with the number of jobs.
CREATE FUNCTION "job_terms"(
  "p_publication" bigint, "p_category" text, "p_skills" text[], "p_budget" numeric, "p_currency" "currency"
) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT array_to_tsvector(ARRAY(
    SELECT term FROM unnest(ARRAY[
      '#0:' || (p_publication / 256)::text, '#1:' || (p_publication / 2048)::text, '#2:' || (p_publication / 16384)::text,
      '#3:' || (p_publication / 131072)::text, '#4:' || (p_publication / 1048576)::text,
      '#c:' || lower(btrim(p_category)), '#m:' || p_currency::text,
      CASE WHEN p_budget > 0 THEN '#b:' || floor(2 * log(p_budget))::text END
    ] || ARRAY(SELECT '#s:' || lower(btrim(skill)) FROM unnest(p_skills) AS skill)) AS term
    WHERE term IS NOT NULL))
$$;

-- lint-ignore ban-drop-column: PostgreSQL before 17 cannot change the expression of a generated column in place
ALTER TABLE "jobs" DROP COLUMN "search";
-- lint-ignore adding-field-with-default: PostgreSQL computes a generated column itself, in this rewrite
ALTER TABLE "jobs" ADD COLUMN "search" tsvector GENERATED ALWAYS AS (
  setweight(to_tsvector('english', "title"), 'A')
  || setweight(to_tsvector('english', "category"), 'B')
  || setweight(to_tsvector('english', "description"), 'C')
  || CASE WHEN "status" = 'open' AND "deleted_at" IS NULL
       THEN "job_terms"("publication", "category", "skills", "budget", "currency") ELSE ''::tsvector END
) STORED;
-- Without a list of pending entries, which every search would read.
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "jobs_search_idx" ON "jobs" USING GIN ("search") WITH (fastupdate = off);

-- CreateIndex
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "jobs_employer_id_created_at_id_idx" ON "jobs"("employer_id", "created_at", "id");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "applications_job_id_created_at_id_idx" ON "applications"("job_id", "created_at", "id");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "applications_freelancer_id_created_at_id_idx" ON "applications"("freelancer_id", "created_at", "id");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "contracts_employer_id_created_at_id_idx" ON "contracts"("employer_id", "created_at", "id");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "contracts_freelancer_id_created_at_id_idx" ON "contracts"("freelancer_id", "created_at", "id");
-- lint-ignore index-not-concurrent: the table is locked by this migration already
CREATE INDEX "disputes_contract_id_created_at_id_idx" ON "disputes"("contract_id", "created_at", "id");

-- A term of a query, quoted as tsquery reads it.
CREATE FUNCTION "query_term"("p_term" text) RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT ('''' || replace(replace(p_term, '\', '\\'), '''', '''''') || '''')::tsquery
$$;

-- Open jobs, the newest publication first, that were published before "p_before". Null and empty parameters do not restrict.
-- The planner cannot know how rare a term is, and would at times read every job; the settings leave it the GIN index.
CREATE FUNCTION "search_jobs"(
  "p_text" text, "p_skills" text[], "p_category" text, "p_currency" "currency", "p_least" numeric, "p_most" numeric,
  "p_before" bigint, "p_limit" integer
) RETURNS SETOF "jobs" LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  edge bigint := least(p_before, (SELECT coalesce(max(publication), 0) + 1 FROM jobs));
  wanted tsquery;
  term text;
  steps tsquery;
  step integer;
  level integer := 0;
  size bigint;
  found_rows integer := 0;
  read_rows integer;
BEGIN
  wanted := websearch_to_tsquery('english', coalesce(p_text, ''));
  IF numnode(wanted) = 0 THEN
    wanted := NULL;
  END IF;
  FOR term IN
    SELECT '#s:' || lower(btrim(skill)) FROM unnest(p_skills) AS skill
    UNION SELECT '#c:' || lower(btrim(p_category)) WHERE p_category IS NOT NULL
    UNION SELECT '#m:' || p_currency::text WHERE p_currency IS NOT NULL
  LOOP
    wanted := coalesce(wanted && query_term(term), query_term(term));
  END LOOP;
  IF p_least > 0 OR p_most > 0 THEN
    -- A budget is from 10^-8 to below 10^10: steps -16 to 19.
    FOR step IN greatest(floor(2 * log(nullif(greatest(p_least, 0), 0))), -16) .. least(floor(2 * log(nullif(greatest(p_most, 0), 0))), 19) LOOP
      steps := coalesce(steps || query_term('#b:' || step), query_term('#b:' || step));
    END LOOP;
    -- No step: the range is empty.
    IF steps IS NULL THEN
      RETURN;
    END IF;
    wanted := coalesce(wanted && steps, steps);
  END IF;
  WHILE edge > 0 AND found_rows < p_limit LOOP
    size := (256 * 8 ^ level)::bigint;
    RETURN QUERY
      WITH hits AS MATERIALIZED (
        SELECT * FROM jobs
        WHERE search @@ coalesce(wanted && query_term('#' || level || ':' || (edge - 1) / size),
                                 query_term('#' || level || ':' || (edge - 1) / size))
          AND publication < edge AND status = 'open' AND deleted_at IS NULL
          AND (deadline IS NULL OR deadline > (SELECT database_time()))
          AND (p_least IS NULL OR budget >= p_least) AND (p_most IS NULL OR budget <= p_most)
      )
      SELECT * FROM hits ORDER BY publication DESC LIMIT p_limit - found_rows;
    GET DIAGNOSTICS read_rows = ROW_COUNT;
    found_rows := found_rows + read_rows;
    edge := (edge - 1) / size * size;
    level := least(level + 1, 4);
  END LOOP;
END
$$;

-- Statuses -----------------------------------------------------------------------------------------------------------

-- Rejects a change of status that the trigger does not list as "from>to".
CREATE FUNCTION "check_transition"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT (OLD.status::text || '>' || NEW.status::text) = ANY (string_to_array(TG_ARGV[1], ' ')) THEN
    PERFORM refuse('illegal_transition', jsonb_build_object('what', TG_ARGV[0], 'id', NEW.id, 'from', OLD.status, 'to', NEW.status));
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER "jobs_transition" AFTER UPDATE ON "jobs" FOR EACH ROW WHEN (OLD."status" <> NEW."status")
  EXECUTE FUNCTION "check_transition"('job',
    'draft>open draft>cancelled open>in_progress open>closed open>cancelled in_progress>closed in_progress>cancelled');
CREATE TRIGGER "applications_transition" AFTER UPDATE ON "applications" FOR EACH ROW WHEN (OLD."status" <> NEW."status")
  EXECUTE FUNCTION "check_transition"('application',
    'submitted>shortlisted submitted>accepted submitted>rejected submitted>withdrawn shortlisted>accepted shortlisted>rejected shortlisted>withdrawn');
CREATE TRIGGER "contracts_transition" AFTER UPDATE ON "contracts" FOR EACH ROW WHEN (OLD."status" <> NEW."status")
  EXECUTE FUNCTION "check_transition"('contract', 'draft>active draft>cancelled active>completed active>cancelled');
CREATE TRIGGER "milestones_transition" AFTER UPDATE ON "milestones" FOR EACH ROW WHEN (OLD."status" <> NEW."status")
  EXECUTE FUNCTION "check_transition"('milestone',
    'planned>funded planned>cancelled funded>submitted funded>settled funded>cancelled submitted>funded submitted>approved submitted>settled submitted>cancelled');
CREATE TRIGGER "escrows_transition" AFTER UPDATE ON "escrows" FOR EACH ROW WHEN (OLD."status" <> NEW."status")
  EXECUTE FUNCTION "check_transition"('escrow',
    'requested>held requested>cancelled held>settling settling>released settling>refunded');
CREATE TRIGGER "disputes_transition" AFTER UPDATE ON "disputes" FOR EACH ROW WHEN (OLD."status" <> NEW."status")
  EXECUTE FUNCTION "check_transition"('dispute',
    'open>under_review open>resolved open>withdrawn under_review>resolved under_review>withdrawn');

-- What an escrow is about, its hold and its decision never change.
CREATE FUNCTION "keep_escrow"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM refuse('escrow_fixed', jsonb_build_object('escrowId', NEW.id));
  RETURN NULL;
END
$$;
CREATE TRIGGER "escrows_keep_terms" AFTER UPDATE ON "escrows" FOR EACH ROW
  WHEN (OLD."contract_id" <> NEW."contract_id" OR OLD."milestone_id" <> NEW."milestone_id" OR OLD."currency" <> NEW."currency"
    OR OLD."amount" <> NEW."amount" OR OLD."payer_wallet_id" <> NEW."payer_wallet_id" OR OLD."payee_wallet_id" <> NEW."payee_wallet_id"
    OR (OLD."hold_id" IS DISTINCT FROM NEW."hold_id" AND OLD."status" <> 'requested')
    OR (NEW."hold_id" IS NULL AND OLD."status" = 'requested' AND NEW."status" = 'held')
    OR ((OLD."payout_amount" <> NEW."payout_amount" OR OLD."refund_amount" <> NEW."refund_amount") AND OLD."status" <> 'held')
    OR (OLD."transaction_id" IS DISTINCT FROM NEW."transaction_id" AND OLD."status" <> 'settling'))
  EXECUTE FUNCTION "keep_escrow"();

-- The parties and the money of a contract never change, and its ratings stay as they were given, except for an erased comment.
CREATE FUNCTION "keep_contract"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM refuse('contract_fixed', jsonb_build_object('contractId', NEW.id));
  RETURN NULL;
END
$$;
CREATE TRIGGER "contracts_keep_terms" AFTER UPDATE ON "contracts" FOR EACH ROW
  WHEN (OLD."employer_id" <> NEW."employer_id" OR OLD."freelancer_id" <> NEW."freelancer_id" OR OLD."job_id" <> NEW."job_id"
    OR OLD."currency" <> NEW."currency" OR (OLD."amount" <> NEW."amount" AND OLD."status" <> 'draft'))
  EXECUTE FUNCTION "keep_contract"();

-- Only the two parties of a contract rate each other, once it has ended and paid something.
CREATE FUNCTION "check_rating"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM contracts AS c WHERE c.id = NEW.contract_id AND c.status IN ('completed', 'cancelled')
      AND CASE NEW.ratee_role WHEN 'freelancer' THEN (c.employer_id, c.freelancer_id) = (NEW.author_id, NEW.ratee_id)
        ELSE (c.freelancer_id, c.employer_id) = (NEW.author_id, NEW.ratee_id) END
      AND EXISTS (SELECT FROM escrows AS e WHERE e.contract_id = c.id AND e.status = 'released')
  ) THEN
    PERFORM refuse('not_ratable', jsonb_build_object('contractId', NEW.contract_id));
  END IF;
  RETURN NULL;
END
$$;
CREATE TRIGGER "ratings_of_contracts" AFTER INSERT ON "ratings" FOR EACH ROW EXECUTE FUNCTION "check_rating"();

CREATE FUNCTION "keep_rating"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM refuse('rating_fixed', jsonb_build_object('ratingId', OLD.id));
  RETURN NULL;
END
$$;
CREATE TRIGGER "ratings_keep" AFTER UPDATE ON "ratings" FOR EACH ROW
  WHEN (OLD."contract_id" <> NEW."contract_id" OR OLD."author_id" <> NEW."author_id" OR OLD."ratee_id" <> NEW."ratee_id"
    OR OLD."ratee_role" <> NEW."ratee_role" OR OLD."score" <> NEW."score")
  EXECUTE FUNCTION "keep_rating"();
