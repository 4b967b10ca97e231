-- Why: the first schema of education.
-- Locks: none that matter, every table is new.
-- Runs again: no, once per database; inside one transaction.

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateEnum
CREATE TYPE "student_status" AS ENUM ('active', 'paused', 'graduated');

-- CreateEnum
CREATE TYPE "course_level" AS ENUM ('beginner', 'intermediate', 'advanced');

-- CreateEnum
CREATE TYPE "course_status" AS ENUM ('draft', 'published', 'archived');

-- CreateEnum
CREATE TYPE "enrollment_status" AS ENUM ('active', 'completed', 'dropped');

-- CreateEnum
CREATE TYPE "submission_status" AS ENUM ('submitted', 'graded');

-- CreateEnum
CREATE TYPE "transaction_type" AS ENUM ('deposit', 'reward', 'refund', 'purchase', 'withdrawal');

-- CreateEnum
CREATE TYPE "transaction_direction" AS ENUM ('in', 'out');

-- CreateTable
CREATE TABLE "students" (
    "id" TEXT NOT NULL,
    "user_id" TEXT NOT NULL,
    "display_name" VARCHAR(200) NOT NULL,
    "grade_level" SMALLINT,
    "country" VARCHAR(2),
    "status" "student_status" NOT NULL DEFAULT 'active',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deleted_at" TIMESTAMPTZ(6),

    CONSTRAINT "students_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "courses" (
    "id" TEXT NOT NULL,
    "slug" VARCHAR(120) NOT NULL,
    "instructor_id" TEXT NOT NULL,
    "title" VARCHAR(200) NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "category" VARCHAR(100) NOT NULL,
    "level" "course_level" NOT NULL DEFAULT 'beginner',
    "price" DECIMAL(18,8) NOT NULL DEFAULT 0,
    "duration_hours" INTEGER NOT NULL,
    "status" "course_status" NOT NULL DEFAULT 'draft',
    "published_at" TIMESTAMPTZ(6),
    "search" tsvector,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "deleted_at" TIMESTAMPTZ(6),

    CONSTRAINT "courses_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "modules" (
    "id" TEXT NOT NULL,
    "course_id" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "title" VARCHAR(200) NOT NULL,
    "description" TEXT NOT NULL DEFAULT '',
    "lessons" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "duration_minutes" INTEGER,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "modules_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "enrollments" (
    "id" TEXT NOT NULL,
    "student_id" TEXT NOT NULL,
    "course_id" TEXT NOT NULL,
    "status" "enrollment_status" NOT NULL DEFAULT 'active',
    "progress" DECIMAL(5,2) NOT NULL DEFAULT 0,
    "enrolled_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "completed_at" TIMESTAMPTZ(6),
    "dropped_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "enrollments_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "learning_progress" (
    "id" TEXT NOT NULL,
    "enrollment_id" TEXT NOT NULL,
    "student_id" TEXT NOT NULL,
    "module_id" TEXT NOT NULL,
    "course_id" TEXT NOT NULL,
    "completed_lessons" INTEGER NOT NULL DEFAULT 0,
    "progress" DECIMAL(5,2) NOT NULL DEFAULT 0,
    "time_spent_seconds" INTEGER NOT NULL DEFAULT 0,
    "last_accessed_at" TIMESTAMPTZ(6),
    "completed_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "learning_progress_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "assessment_submissions" (
    "id" TEXT NOT NULL,
    "enrollment_id" TEXT NOT NULL,
    "student_id" TEXT NOT NULL,
    "module_id" TEXT NOT NULL,
    "course_id" TEXT NOT NULL,
    "attempt" INTEGER NOT NULL DEFAULT 1,
    "answers" JSONB NOT NULL,
    "max_score" DECIMAL(7,2) NOT NULL DEFAULT 100,
    "score" DECIMAL(7,2),
    "status" "submission_status" NOT NULL DEFAULT 'submitted',
    "feedback" TEXT,
    "graded_by_id" TEXT,
    "submitted_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "graded_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "assessment_submissions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "wallets" (
    "id" TEXT NOT NULL,
    "student_id" TEXT NOT NULL,
    "balance" DECIMAL(18,8) NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "wallets_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "transactions" (
    "id" TEXT NOT NULL,
    "wallet_id" TEXT NOT NULL,
    "type" "transaction_type" NOT NULL,
    "direction" "transaction_direction" NOT NULL,
    "amount" DECIMAL(18,8) NOT NULL,
    "enrollment_id" TEXT,
    "description" VARCHAR(500),
    "idempotency_key" VARCHAR(200) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "transactions_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "students_user_id_key" ON "students"("user_id");

-- CreateIndex
CREATE INDEX "students_status_idx" ON "students"("status");

-- CreateIndex
CREATE INDEX "students_country_idx" ON "students"("country");

-- CreateIndex
CREATE UNIQUE INDEX "courses_slug_key" ON "courses"("slug");

-- CreateIndex
CREATE INDEX "courses_instructor_id_idx" ON "courses"("instructor_id");

-- CreateIndex
CREATE INDEX "courses_status_category_idx" ON "courses"("status", "category");

-- CreateIndex
CREATE INDEX "courses_level_idx" ON "courses"("level");

-- CreateIndex
CREATE INDEX "courses_created_at_idx" ON "courses"("created_at");

-- CreateIndex
CREATE INDEX "courses_search_idx" ON "courses" USING GIN ("search");

-- CreateIndex
CREATE UNIQUE INDEX "modules_course_id_position_key" ON "modules"("course_id", "position");

-- CreateIndex
CREATE UNIQUE INDEX "modules_id_course_id_key" ON "modules"("id", "course_id");

-- CreateIndex
CREATE INDEX "enrollments_student_id_status_idx" ON "enrollments"("student_id", "status");

-- CreateIndex
CREATE INDEX "enrollments_course_id_status_idx" ON "enrollments"("course_id", "status");

-- CreateIndex
CREATE UNIQUE INDEX "enrollments_id_student_id_course_id_key" ON "enrollments"("id", "student_id", "course_id");

-- CreateIndex
CREATE INDEX "learning_progress_student_id_last_accessed_at_idx" ON "learning_progress"("student_id", "last_accessed_at");

-- CreateIndex
CREATE INDEX "learning_progress_module_id_idx" ON "learning_progress"("module_id");

-- CreateIndex
CREATE UNIQUE INDEX "learning_progress_enrollment_id_module_id_key" ON "learning_progress"("enrollment_id", "module_id");

-- CreateIndex
CREATE INDEX "assessment_submissions_student_id_submitted_at_idx" ON "assessment_submissions"("student_id", "submitted_at");

-- CreateIndex
CREATE INDEX "assessment_submissions_module_id_idx" ON "assessment_submissions"("module_id");

-- CreateIndex
CREATE INDEX "assessment_submissions_graded_by_id_idx" ON "assessment_submissions"("graded_by_id");

-- CreateIndex
CREATE INDEX "assessment_submissions_status_submitted_at_idx" ON "assessment_submissions"("status", "submitted_at");

-- CreateIndex
CREATE UNIQUE INDEX "assessment_submissions_enrollment_id_module_id_attempt_key" ON "assessment_submissions"("enrollment_id", "module_id", "attempt");

-- CreateIndex
CREATE UNIQUE INDEX "wallets_student_id_key" ON "wallets"("student_id");

-- CreateIndex
CREATE UNIQUE INDEX "transactions_idempotency_key_key" ON "transactions"("idempotency_key");

-- CreateIndex
CREATE INDEX "transactions_wallet_id_created_at_idx" ON "transactions"("wallet_id", "created_at");

-- CreateIndex
CREATE INDEX "transactions_enrollment_id_idx" ON "transactions"("enrollment_id");

-- CreateIndex
CREATE INDEX "transactions_type_created_at_idx" ON "transactions"("type", "created_at");

-- AddForeignKey
ALTER TABLE "modules" ADD CONSTRAINT "modules_course_id_fkey" FOREIGN KEY ("course_id") REFERENCES "courses"("id") ON DELETE CASCADE ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "enrollments" ADD CONSTRAINT "enrollments_student_id_fkey" FOREIGN KEY ("student_id") REFERENCES "students"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "enrollments" ADD CONSTRAINT "enrollments_course_id_fkey" FOREIGN KEY ("course_id") REFERENCES "courses"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "learning_progress" ADD CONSTRAINT "learning_progress_enrollment_id_student_id_course_id_fkey" FOREIGN KEY ("enrollment_id", "student_id", "course_id") REFERENCES "enrollments"("id", "student_id", "course_id") ON DELETE CASCADE ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "learning_progress" ADD CONSTRAINT "learning_progress_module_id_course_id_fkey" FOREIGN KEY ("module_id", "course_id") REFERENCES "modules"("id", "course_id") ON DELETE CASCADE ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "learning_progress" ADD CONSTRAINT "learning_progress_student_id_fkey" FOREIGN KEY ("student_id") REFERENCES "students"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "assessment_submissions" ADD CONSTRAINT "assessment_submissions_enrollment_id_student_id_course_id_fkey" FOREIGN KEY ("enrollment_id", "student_id", "course_id") REFERENCES "enrollments"("id", "student_id", "course_id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "assessment_submissions" ADD CONSTRAINT "assessment_submissions_module_id_course_id_fkey" FOREIGN KEY ("module_id", "course_id") REFERENCES "modules"("id", "course_id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "assessment_submissions" ADD CONSTRAINT "assessment_submissions_student_id_fkey" FOREIGN KEY ("student_id") REFERENCES "students"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "wallets" ADD CONSTRAINT "wallets_student_id_fkey" FOREIGN KEY ("student_id") REFERENCES "students"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "transactions" ADD CONSTRAINT "transactions_wallet_id_fkey" FOREIGN KEY ("wallet_id") REFERENCES "wallets"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "transactions" ADD CONSTRAINT "transactions_enrollment_id_fkey" FOREIGN KEY ("enrollment_id") REFERENCES "enrollments"("id") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- What the schema language cannot say.

ALTER TABLE "students"
  ADD CONSTRAINT "students_display_name_check" CHECK (btrim("display_name") <> ''),
  ADD CONSTRAINT "students_grade_level_check" CHECK ("grade_level" BETWEEN 1 AND 12),
  ADD CONSTRAINT "students_country_check" CHECK ("country" ~ '^[A-Z]{2}$');

ALTER TABLE "courses"
  ADD CONSTRAINT "courses_slug_check" CHECK ("slug" ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
  ADD CONSTRAINT "courses_title_check" CHECK (btrim("title") <> ''),
  ADD CONSTRAINT "courses_category_check" CHECK (btrim("category") <> ''),
  ADD CONSTRAINT "courses_price_check" CHECK ("price" >= 0),
  ADD CONSTRAINT "courses_duration_hours_check" CHECK ("duration_hours" > 0),
  ADD CONSTRAINT "courses_published_at_check" CHECK (
    CASE "status" WHEN 'draft' THEN "published_at" IS NULL WHEN 'published' THEN "published_at" IS NOT NULL ELSE true END
  );

-- The schema language cannot say GENERATED: the plain column of above becomes a generated one, its index follows.
ALTER TABLE "courses" DROP COLUMN "search";
ALTER TABLE "courses" ADD COLUMN "search" tsvector GENERATED ALWAYS AS (
  setweight(to_tsvector('english', "title"), 'A')
  || setweight(to_tsvector('english', "category"), 'B')
  || setweight(to_tsvector('english', "description"), 'C')
) STORED;
CREATE INDEX "courses_search_idx" ON "courses" USING GIN ("search");

ALTER TABLE "modules"
  ADD CONSTRAINT "modules_title_check" CHECK (btrim("title") <> ''),
  ADD CONSTRAINT "modules_position_check" CHECK ("position" >= 1),
  ADD CONSTRAINT "modules_duration_minutes_check" CHECK ("duration_minutes" > 0);

ALTER TABLE "enrollments"
  ADD CONSTRAINT "enrollments_progress_check" CHECK ("progress" BETWEEN 0 AND 100),
  ADD CONSTRAINT "enrollments_completed_progress_check" CHECK ("status" <> 'completed' OR "progress" = 100),
  ADD CONSTRAINT "enrollments_completed_at_check" CHECK (("status" = 'completed') = ("completed_at" IS NOT NULL)),
  ADD CONSTRAINT "enrollments_dropped_at_check" CHECK (("status" = 'dropped') = ("dropped_at" IS NOT NULL)),
  ADD CONSTRAINT "enrollments_ends_after_start_check" CHECK (coalesce("completed_at", "dropped_at") >= "enrolled_at");

CREATE UNIQUE INDEX "enrollments_student_id_course_id_active_key" ON "enrollments" ("student_id", "course_id")
  WHERE "status" = 'active';

ALTER TABLE "learning_progress"
  ADD CONSTRAINT "learning_progress_progress_check" CHECK ("progress" BETWEEN 0 AND 100),
  ADD CONSTRAINT "learning_progress_completed_lessons_check" CHECK ("completed_lessons" >= 0),
  ADD CONSTRAINT "learning_progress_time_spent_seconds_check" CHECK ("time_spent_seconds" >= 0),
  ADD CONSTRAINT "learning_progress_completed_at_check" CHECK (("progress" = 100) = ("completed_at" IS NOT NULL));

ALTER TABLE "assessment_submissions"
  ADD CONSTRAINT "assessment_submissions_attempt_check" CHECK ("attempt" >= 1),
  ADD CONSTRAINT "assessment_submissions_max_score_check" CHECK ("max_score" > 0),
  ADD CONSTRAINT "assessment_submissions_score_check" CHECK ("score" BETWEEN 0 AND "max_score"),
  ADD CONSTRAINT "assessment_submissions_graded_check" CHECK (
    CASE
      WHEN "status" = 'graded' THEN "score" IS NOT NULL AND "graded_at" IS NOT NULL
      ELSE "score" IS NULL AND "graded_at" IS NULL AND "graded_by_id" IS NULL
    END
  ),
  ADD CONSTRAINT "assessment_submissions_graded_at_check" CHECK ("graded_at" >= "submitted_at");

ALTER TABLE "wallets"
  ADD CONSTRAINT "wallets_balance_check" CHECK ("balance" >= 0);

ALTER TABLE "transactions"
  ADD CONSTRAINT "transactions_amount_check" CHECK ("amount" > 0),
  ADD CONSTRAINT "transactions_direction_check" CHECK (
    ("direction" = 'in') = ("type" IN ('deposit', 'reward', 'refund'))
  ),
  ADD CONSTRAINT "transactions_enrollment_check" CHECK (
    ("type" IN ('purchase', 'refund')) = ("enrollment_id" IS NOT NULL)
  ),
  ADD CONSTRAINT "transactions_description_check" CHECK (btrim("description") <> ''),
  ADD CONSTRAINT "transactions_idempotency_key_check" CHECK (btrim("idempotency_key") <> '');

-- An enrollment is paid once and refunded once.
CREATE UNIQUE INDEX "transactions_enrollment_id_type_key" ON "transactions" ("enrollment_id", "type")
  WHERE "enrollment_id" IS NOT NULL;

CREATE FUNCTION "refuse_change"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: its rows are never changed', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'restrict_violation', HINT = 'Record a further transaction that undoes this one.';
END
$$;

CREATE TRIGGER "transactions_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "transactions"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
