-- Why: the first schema of sapiens.
-- Locks: none that matter, every table is new.
-- Runs again: no, once per database; inside one transaction.

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateEnum
CREATE TYPE "skill_level" AS ENUM ('beginner', 'intermediate', 'advanced', 'expert');

-- CreateEnum
CREATE TYPE "learning_style" AS ENUM ('visual', 'auditory', 'reading', 'kinesthetic');

-- CreateEnum
CREATE TYPE "session_status" AS ENUM ('active', 'paused', 'completed', 'abandoned');

-- CreateEnum
CREATE TYPE "message_role" AS ENUM ('student', 'tutor', 'system');

-- CreateEnum
CREATE TYPE "insight_kind" AS ENUM ('strength', 'weakness', 'misconception', 'recommendation');

-- CreateEnum
CREATE TYPE "path_status" AS ENUM ('active', 'paused', 'completed', 'abandoned');

-- CreateEnum
CREATE TYPE "step_kind" AS ENUM ('lesson', 'practice', 'quiz', 'project', 'review');

-- CreateEnum
CREATE TYPE "assessment_status" AS ENUM ('in_progress', 'completed', 'abandoned');

-- CreateTable
CREATE TABLE "student_profiles" (
    "id" TEXT NOT NULL,
    "student_id" TEXT NOT NULL,
    "level" "skill_level" NOT NULL DEFAULT 'beginner',
    "learning_style" "learning_style",
    "preferred_language" TEXT NOT NULL DEFAULT 'en',
    "goals" TEXT,
    "interests" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "strengths" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "weaknesses" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "ability" DOUBLE PRECISION NOT NULL DEFAULT 0.5,
    "topic_mastery" JSONB NOT NULL DEFAULT '{}',
    "last_active_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "student_profiles_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "tutoring_sessions" (
    "id" TEXT NOT NULL,
    "student_id" TEXT NOT NULL,
    "course_id" TEXT,
    "topic" TEXT NOT NULL,
    "status" "session_status" NOT NULL DEFAULT 'active',
    "started_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(6),
    "duration_minutes" INTEGER,
    "rating" INTEGER,
    "summary" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "tutoring_sessions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "messages" (
    "id" TEXT NOT NULL,
    "session_id" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "role" "message_role" NOT NULL,
    "content" TEXT NOT NULL,
    "confidence" DOUBLE PRECISION,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "messages_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "learning_insights" (
    "id" TEXT NOT NULL,
    "session_id" TEXT NOT NULL,
    "kind" "insight_kind" NOT NULL,
    "topic" TEXT NOT NULL,
    "content" TEXT NOT NULL,
    "confidence" DOUBLE PRECISION NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "learning_insights_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "learning_paths" (
    "id" TEXT NOT NULL,
    "student_id" TEXT NOT NULL,
    "course_id" TEXT,
    "title" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "description" TEXT,
    "start_level" "skill_level" NOT NULL,
    "target_level" "skill_level" NOT NULL,
    "estimated_hours" INTEGER NOT NULL,
    "status" "path_status" NOT NULL DEFAULT 'active',
    "started_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "completed_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "learning_paths_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "path_steps" (
    "id" TEXT NOT NULL,
    "path_id" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "kind" "step_kind" NOT NULL DEFAULT 'lesson',
    "title" TEXT NOT NULL,
    "description" TEXT,
    "estimated_minutes" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "path_steps_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "progress" (
    "id" TEXT NOT NULL,
    "path_id" TEXT NOT NULL,
    "step_id" TEXT NOT NULL,
    "percent" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "score" DOUBLE PRECISION,
    "time_spent_minutes" INTEGER NOT NULL DEFAULT 0,
    "started_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "completed_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "progress_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "questions" (
    "id" TEXT NOT NULL,
    "student_id" TEXT NOT NULL,
    "topic" TEXT NOT NULL,
    "question" TEXT NOT NULL,
    "answer" TEXT,
    "difficulty" DOUBLE PRECISION,
    "confidence" DOUBLE PRECISION,
    "helpful" BOOLEAN,
    "answered_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "search" tsvector GENERATED ALWAYS AS (
      to_tsvector('english', "question" || ' ' || coalesce("answer", ''))) STORED,

    CONSTRAINT "questions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "assessments" (
    "id" TEXT NOT NULL,
    "student_id" TEXT NOT NULL,
    "course_id" TEXT,
    "topic" TEXT NOT NULL,
    "status" "assessment_status" NOT NULL DEFAULT 'in_progress',
    "difficulty" DOUBLE PRECISION NOT NULL DEFAULT 0.5,
    "max_items" INTEGER NOT NULL DEFAULT 10,
    "score" DOUBLE PRECISION,
    "feedback" TEXT,
    "started_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "ended_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "assessments_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "assessment_items" (
    "id" TEXT NOT NULL,
    "assessment_id" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "prompt" TEXT NOT NULL,
    "options" TEXT[],
    "correct_option" INTEGER NOT NULL,
    "difficulty" DOUBLE PRECISION NOT NULL,
    "chosen_option" INTEGER,
    "answered_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "assessment_items_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "student_profiles_student_id_key" ON "student_profiles"("student_id");

-- CreateIndex
CREATE INDEX "tutoring_sessions_student_id_started_at_idx" ON "tutoring_sessions"("student_id", "started_at");

-- CreateIndex
CREATE INDEX "tutoring_sessions_course_id_idx" ON "tutoring_sessions"("course_id");

-- CreateIndex
CREATE INDEX "tutoring_sessions_status_idx" ON "tutoring_sessions"("status");

-- CreateIndex
CREATE UNIQUE INDEX "messages_session_id_position_key" ON "messages"("session_id", "position");

-- CreateIndex
CREATE INDEX "learning_insights_session_id_idx" ON "learning_insights"("session_id");

-- CreateIndex
CREATE INDEX "learning_paths_student_id_created_at_idx" ON "learning_paths"("student_id", "created_at");

-- CreateIndex
CREATE INDEX "learning_paths_course_id_idx" ON "learning_paths"("course_id");

-- CreateIndex
CREATE INDEX "learning_paths_status_idx" ON "learning_paths"("status");

-- CreateIndex
CREATE UNIQUE INDEX "path_steps_path_id_position_key" ON "path_steps"("path_id", "position");

-- CreateIndex
CREATE UNIQUE INDEX "path_steps_path_id_id_key" ON "path_steps"("path_id", "id");

-- CreateIndex
CREATE UNIQUE INDEX "progress_path_id_step_id_key" ON "progress"("path_id", "step_id");

-- CreateIndex
CREATE INDEX "questions_student_id_created_at_idx" ON "questions"("student_id", "created_at");

-- CreateIndex
CREATE INDEX "questions_topic_idx" ON "questions"("topic");

-- CreateIndex
CREATE INDEX "questions_search_idx" ON "questions" USING GIN ("search");

-- CreateIndex
CREATE INDEX "assessments_student_id_started_at_idx" ON "assessments"("student_id", "started_at");

-- CreateIndex
CREATE INDEX "assessments_course_id_idx" ON "assessments"("course_id");

-- CreateIndex
CREATE UNIQUE INDEX "assessment_items_assessment_id_position_key" ON "assessment_items"("assessment_id", "position");

-- AddForeignKey
ALTER TABLE "messages" ADD CONSTRAINT "messages_session_id_fkey" FOREIGN KEY ("session_id") REFERENCES "tutoring_sessions"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "learning_insights" ADD CONSTRAINT "learning_insights_session_id_fkey" FOREIGN KEY ("session_id") REFERENCES "tutoring_sessions"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "path_steps" ADD CONSTRAINT "path_steps_path_id_fkey" FOREIGN KEY ("path_id") REFERENCES "learning_paths"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "progress" ADD CONSTRAINT "progress_path_id_fkey" FOREIGN KEY ("path_id") REFERENCES "learning_paths"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "progress" ADD CONSTRAINT "progress_path_id_step_id_fkey" FOREIGN KEY ("path_id", "step_id") REFERENCES "path_steps"("path_id", "id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "assessment_items" ADD CONSTRAINT "assessment_items_assessment_id_fkey" FOREIGN KEY ("assessment_id") REFERENCES "assessments"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Lists: an unknown list is an empty one.
ALTER TABLE "student_profiles"
  ALTER COLUMN "interests" SET NOT NULL,
  ALTER COLUMN "strengths" SET NOT NULL,
  ALTER COLUMN "weaknesses" SET NOT NULL;
ALTER TABLE "assessment_items" ALTER COLUMN "options" SET NOT NULL;

-- Rules of single rows
ALTER TABLE "student_profiles"
  ADD CONSTRAINT "student_profiles_student_id_check" CHECK (btrim("student_id") <> ''),
  ADD CONSTRAINT "student_profiles_ability_check" CHECK ("ability" BETWEEN 0 AND 1),
  ADD CONSTRAINT "student_profiles_preferred_language_check"
    CHECK ("preferred_language" ~ '^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$'),
  -- Strict, because a lax path looks into arrays instead of at them; silent, because strict fails on a non-object.
  ADD CONSTRAINT "student_profiles_topic_mastery_check" CHECK (
    jsonb_typeof("topic_mastery") = 'object'
    AND NOT jsonb_path_exists(
      "topic_mastery", 'strict $.* ? (@.type() != "number" || @ < 0 || @ > 1)', '{}', true));

ALTER TABLE "tutoring_sessions"
  ADD CONSTRAINT "tutoring_sessions_topic_check" CHECK (btrim("topic") <> ''),
  ADD CONSTRAINT "tutoring_sessions_ended_at_check" CHECK ("ended_at" >= "started_at"),
  ADD CONSTRAINT "tutoring_sessions_status_ended_at_check"
    CHECK (("status" IN ('completed', 'abandoned')) = ("ended_at" IS NOT NULL)),
  ADD CONSTRAINT "tutoring_sessions_duration_minutes_check" CHECK (
    "duration_minutes" IS NULL
    OR ("ended_at" IS NOT NULL AND "duration_minutes" >= 0
      -- Minutes are rounded up.
      AND "duration_minutes" * interval '1 minute' < "ended_at" - "started_at" + interval '1 minute')),
  ADD CONSTRAINT "tutoring_sessions_rating_check"
    CHECK ("rating" IS NULL OR ("ended_at" IS NOT NULL AND "rating" BETWEEN 1 AND 5));

ALTER TABLE "messages"
  ADD CONSTRAINT "messages_position_check" CHECK ("position" >= 1),
  ADD CONSTRAINT "messages_content_check" CHECK (btrim("content") <> ''),
  ADD CONSTRAINT "messages_confidence_check"
    CHECK ("confidence" IS NULL OR ("role" = 'tutor' AND "confidence" BETWEEN 0 AND 1));

ALTER TABLE "learning_insights"
  ADD CONSTRAINT "learning_insights_topic_check" CHECK (btrim("topic") <> ''),
  ADD CONSTRAINT "learning_insights_content_check" CHECK (btrim("content") <> ''),
  ADD CONSTRAINT "learning_insights_confidence_check" CHECK ("confidence" BETWEEN 0 AND 1);

ALTER TABLE "learning_paths"
  ADD CONSTRAINT "learning_paths_title_check" CHECK (btrim("title") <> ''),
  ADD CONSTRAINT "learning_paths_subject_check" CHECK (btrim("subject") <> ''),
  ADD CONSTRAINT "learning_paths_target_level_check" CHECK ("target_level" >= "start_level"),
  ADD CONSTRAINT "learning_paths_estimated_hours_check" CHECK ("estimated_hours" > 0),
  ADD CONSTRAINT "learning_paths_completed_at_check" CHECK ("completed_at" >= "started_at"),
  ADD CONSTRAINT "learning_paths_status_completed_at_check"
    CHECK (("status" = 'completed') = ("completed_at" IS NOT NULL));

ALTER TABLE "path_steps"
  ADD CONSTRAINT "path_steps_position_check" CHECK ("position" >= 1),
  ADD CONSTRAINT "path_steps_title_check" CHECK (btrim("title") <> ''),
  ADD CONSTRAINT "path_steps_estimated_minutes_check" CHECK ("estimated_minutes" > 0);

ALTER TABLE "progress"
  ADD CONSTRAINT "progress_percent_check" CHECK ("percent" BETWEEN 0 AND 100),
  ADD CONSTRAINT "progress_score_check" CHECK ("score" BETWEEN 0 AND 1),
  ADD CONSTRAINT "progress_time_spent_minutes_check" CHECK ("time_spent_minutes" >= 0),
  ADD CONSTRAINT "progress_completed_at_check" CHECK ("completed_at" >= "started_at"),
  ADD CONSTRAINT "progress_percent_completed_at_check" CHECK (("percent" = 100) = ("completed_at" IS NOT NULL));

ALTER TABLE "questions"
  ADD CONSTRAINT "questions_topic_check" CHECK (btrim("topic") <> ''),
  ADD CONSTRAINT "questions_question_check" CHECK (btrim("question") <> ''),
  ADD CONSTRAINT "questions_answer_check" CHECK (btrim("answer") <> ''),
  ADD CONSTRAINT "questions_difficulty_check" CHECK ("difficulty" BETWEEN 0 AND 1),
  ADD CONSTRAINT "questions_answered_at_check" CHECK (("answer" IS NULL) = ("answered_at" IS NULL)),
  ADD CONSTRAINT "questions_confidence_check"
    CHECK ("confidence" IS NULL OR ("answer" IS NOT NULL AND "confidence" BETWEEN 0 AND 1)),
  ADD CONSTRAINT "questions_helpful_check" CHECK ("helpful" IS NULL OR "answer" IS NOT NULL);

ALTER TABLE "assessments"
  ADD CONSTRAINT "assessments_topic_check" CHECK (btrim("topic") <> ''),
  ADD CONSTRAINT "assessments_difficulty_check" CHECK ("difficulty" BETWEEN 0 AND 1),
  ADD CONSTRAINT "assessments_max_items_check" CHECK ("max_items" BETWEEN 1 AND 200),
  ADD CONSTRAINT "assessments_score_check" CHECK ("score" BETWEEN 0 AND 1),
  ADD CONSTRAINT "assessments_ended_at_check" CHECK ("ended_at" >= "started_at"),
  ADD CONSTRAINT "assessments_status_ended_at_check" CHECK (("status" = 'in_progress') = ("ended_at" IS NULL)),
  ADD CONSTRAINT "assessments_status_score_check" CHECK (("status" = 'completed') = ("score" IS NOT NULL));

ALTER TABLE "assessment_items"
  ADD CONSTRAINT "assessment_items_position_check" CHECK ("position" >= 1),
  ADD CONSTRAINT "assessment_items_prompt_check" CHECK (btrim("prompt") <> ''),
  ADD CONSTRAINT "assessment_items_options_check" CHECK (cardinality("options") BETWEEN 2 AND 10),
  ADD CONSTRAINT "assessment_items_correct_option_check"
    CHECK ("correct_option" >= 0 AND "correct_option" < cardinality("options")),
  ADD CONSTRAINT "assessment_items_chosen_option_check"
    CHECK ("chosen_option" >= 0 AND "chosen_option" < cardinality("options")),
  ADD CONSTRAINT "assessment_items_difficulty_check" CHECK ("difficulty" BETWEEN 0 AND 1),
  ADD CONSTRAINT "assessment_items_answered_at_check" CHECK (("chosen_option" IS NULL) = ("answered_at" IS NULL));

-- A student is tutored in one session at a time; the others are paused.
CREATE UNIQUE INDEX "tutoring_sessions_active_key" ON "tutoring_sessions" ("student_id") WHERE "status" = 'active';

-- A path that was asked for twice is made once.
CREATE UNIQUE INDEX "learning_paths_open_key" ON "learning_paths" ("student_id", lower("title"))
  WHERE "status" IN ('active', 'paused');

CREATE UNIQUE INDEX "assessments_in_progress_key" ON "assessments" ("student_id", lower("topic"))
  WHERE "status" = 'in_progress';

-- The next item depends on the answer to the last one, so one item at a time waits for an answer.
CREATE UNIQUE INDEX "assessment_items_open_key" ON "assessment_items" ("assessment_id") WHERE "answered_at" IS NULL;
