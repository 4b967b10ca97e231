-- Why: the first schema of story.
-- Locks: none that matter, every table is new.
-- Runs again: no, once per database; inside one transaction.

-- PostgreSQL 18 has uuidv7(); this makes the same on 15 to 17 too: 48 bits of milliseconds, version 7, random bits.
CREATE FUNCTION uuid_v7() RETURNS uuid
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN encode(
  set_bit(
    set_bit(
      overlay(
        uuid_send(gen_random_uuid())
        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
        FROM 1 FOR 6
      ),
      52, 1
    ),
    53, 1
  ),
  'hex'
)::uuid;

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateTable
CREATE TABLE "stories" (
    "id" UUID NOT NULL DEFAULT uuid_v7(),
    "title" VARCHAR(500) NOT NULL,
    "description" TEXT,
    "repository_path" VARCHAR(1000),
    "status" VARCHAR(50) NOT NULL DEFAULT 'Created',
    "worktree_path" VARCHAR(1000),
    "git_branch" VARCHAR(500),
    "analyzed_context" JSONB,
    "execution_plan" JSONB,
    "issue_url" VARCHAR(1000),
    "issue_provider" VARCHAR(50),
    "issue_number" INTEGER,
    "issue_owner" VARCHAR(100),
    "issue_repo" VARCHAR(100),
    "automation_mode" VARCHAR(50) NOT NULL DEFAULT 'Assisted',
    "dispatch_target" VARCHAR(50) NOT NULL DEFAULT 'CopilotCli',
    "source" VARCHAR(50) NOT NULL DEFAULT 'User',
    "source_guardian_id" VARCHAR(100),
    "user_id" TEXT,
    "pattern_name" VARCHAR(100),
    "pattern_language" VARCHAR(50),
    "priority" VARCHAR(50) NOT NULL DEFAULT 'Medium',
    "suggested_capability" VARCHAR(100),
    "chat_history" JSONB,
    "verification_passed" BOOLEAN,
    "verification_result" JSONB,
    "current_wave" INTEGER NOT NULL DEFAULT 0,
    "gate_mode" VARCHAR(50) NOT NULL DEFAULT 'AutoProceed',
    "gate_result" JSONB,
    "max_parallelism" INTEGER NOT NULL DEFAULT 4,
    "pull_request_url" VARCHAR(1000),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "completed_at" TIMESTAMPTZ(6),

    CONSTRAINT "stories_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "story_steps" (
    "id" UUID NOT NULL DEFAULT uuid_v7(),
    "story_id" UUID NOT NULL,
    "order" INTEGER NOT NULL,
    "name" VARCHAR(500) NOT NULL,
    "capability" VARCHAR(100) NOT NULL,
    "description" TEXT,
    "status" VARCHAR(50) NOT NULL DEFAULT 'Pending',
    "assigned_agent_id" VARCHAR(100),
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "output" TEXT,
    "error" TEXT,
    "approval" VARCHAR(50),
    "review_feedback" TEXT,
    "wave" INTEGER NOT NULL DEFAULT 0,
    "started_at" TIMESTAMPTZ(6),
    "completed_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "story_steps_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "story_tasks" (
    "id" UUID NOT NULL DEFAULT uuid_v7(),
    "step_id" UUID NOT NULL,
    "order" INTEGER NOT NULL,
    "description" TEXT NOT NULL,
    "status" VARCHAR(50) NOT NULL DEFAULT 'Pending',
    "completed_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "story_tasks_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "ix_stories_status" ON "stories"("status");

-- CreateIndex
CREATE INDEX "ix_stories_repository" ON "stories"("repository_path");

-- CreateIndex
CREATE INDEX "ix_stories_created_at" ON "stories"("created_at");

-- CreateIndex
CREATE INDEX "stories_user_id_idx" ON "stories"("user_id");

-- CreateIndex
CREATE INDEX "ix_story_steps_story_id" ON "story_steps"("story_id");

-- CreateIndex
CREATE INDEX "ix_story_steps_status" ON "story_steps"("status");

-- CreateIndex
CREATE UNIQUE INDEX "story_steps_story_id_order_key" ON "story_steps"("story_id", "order");

-- CreateIndex
CREATE INDEX "ix_story_tasks_step_id" ON "story_tasks"("step_id");

-- CreateIndex
CREATE UNIQUE INDEX "story_tasks_step_id_order_key" ON "story_tasks"("step_id", "order");

-- AddForeignKey
ALTER TABLE "story_steps" ADD CONSTRAINT "story_steps_story_id_fkey" FOREIGN KEY ("story_id") REFERENCES "stories"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "story_tasks" ADD CONSTRAINT "story_tasks_step_id_fkey" FOREIGN KEY ("step_id") REFERENCES "story_steps"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Stories

ALTER TABLE stories
  ADD CONSTRAINT stories_title_check CHECK (btrim(title) <> ''),
  ADD CONSTRAINT stories_status_check CHECK (
    status IN (
      'Created', 'Analyzing', 'Analyzed', 'Planning', 'Planned', 'Executing', 'GatePending', 'GateFailed',
      'ReadyToComplete', 'Completed', 'Failed', 'Cancelled'
    )
  ),
  ADD CONSTRAINT stories_completed_at_check CHECK (
    CASE status
      WHEN 'Completed' THEN completed_at IS NOT NULL
      WHEN 'Failed' THEN true
      WHEN 'Cancelled' THEN true
      ELSE completed_at IS NULL
    END
  ),
  ADD CONSTRAINT stories_completed_after_created_check CHECK (completed_at >= created_at),
  ADD CONSTRAINT stories_issue_provider_check CHECK (issue_provider IN ('GitHub', 'AzureDevOps')),
  ADD CONSTRAINT stories_issue_number_check CHECK (issue_number > 0),
  -- An issue that was understood is whole; one that was not is only a URL.
  ADD CONSTRAINT stories_issue_check
    CHECK (num_nonnulls(issue_provider, issue_number, issue_owner, issue_repo) IN (0, 4)),
  ADD CONSTRAINT stories_automation_mode_check
    CHECK (automation_mode IN ('Assisted', 'Autonomous', 'FullAutonomous')),
  ADD CONSTRAINT stories_dispatch_target_check CHECK (dispatch_target IN ('CopilotCli', 'InternalAgents')),
  ADD CONSTRAINT stories_source_check CHECK (source IN ('User', 'Guardian', 'System')),
  ADD CONSTRAINT stories_source_guardian_id_check CHECK (source_guardian_id IS NULL OR source = 'Guardian'),
  ADD CONSTRAINT stories_pattern_language_check CHECK (pattern_language IS NULL OR pattern_name IS NOT NULL),
  ADD CONSTRAINT stories_priority_check CHECK (priority IN ('Low', 'Medium', 'High', 'Critical')),
  ADD CONSTRAINT stories_gate_mode_check CHECK (gate_mode IN ('AutoProceed', 'PauseAlways')),
  ADD CONSTRAINT stories_chat_history_check CHECK (jsonb_typeof(chat_history) = 'array'),
  ADD CONSTRAINT stories_verification_result_check CHECK (jsonb_typeof(verification_result) = 'object'),
  ADD CONSTRAINT stories_gate_result_check CHECK (jsonb_typeof(gate_result) = 'object'),
  ADD CONSTRAINT stories_current_wave_check CHECK (current_wave >= 0),
  ADD CONSTRAINT stories_max_parallelism_check CHECK (max_parallelism > 0);

-- Steps

ALTER TABLE story_steps
  ADD CONSTRAINT story_steps_order_check CHECK ("order" > 0),
  ADD CONSTRAINT story_steps_name_check CHECK (btrim(name) <> ''),
  ADD CONSTRAINT story_steps_capability_check CHECK (btrim(capability) <> ''),
  ADD CONSTRAINT story_steps_status_check
    CHECK (status IN ('Pending', 'Running', 'Completed', 'Failed', 'Skipped')),
  ADD CONSTRAINT story_steps_attempts_check CHECK (attempts >= 0),
  ADD CONSTRAINT story_steps_approval_check CHECK (approval IN ('Approved', 'Rejected')),
  ADD CONSTRAINT story_steps_wave_check CHECK (wave >= 0),
  ADD CONSTRAINT story_steps_completed_at_check CHECK (
    CASE status
      WHEN 'Completed' THEN completed_at IS NOT NULL
      WHEN 'Failed' THEN true
      WHEN 'Skipped' THEN true
      ELSE completed_at IS NULL
    END
  ),
  ADD CONSTRAINT story_steps_completed_after_started_check CHECK (completed_at >= started_at);

-- Tasks of steps

ALTER TABLE story_tasks
  ADD CONSTRAINT story_tasks_order_check CHECK ("order" > 0),
  ADD CONSTRAINT story_tasks_description_check CHECK (btrim(description) <> ''),
  ADD CONSTRAINT story_tasks_status_check
    CHECK (status IN ('Pending', 'Running', 'Completed', 'Failed', 'Skipped')),
  ADD CONSTRAINT story_tasks_completed_at_check CHECK (
    CASE status
      WHEN 'Completed' THEN completed_at IS NOT NULL
      WHEN 'Failed' THEN true
      WHEN 'Skipped' THEN true
      ELSE completed_at IS NULL
    END
  );
