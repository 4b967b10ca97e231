-- Why: the first schema of debate.
-- Locks: none that matter, every table is new.
-- Runs again: no, once per database; inside one transaction.

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateTable
CREATE TABLE "nomic_cycles" (
    "id" SERIAL NOT NULL,
    "loop_id" TEXT NOT NULL,
    "cycle_number" INTEGER NOT NULL,
    "phase" TEXT NOT NULL,
    "stage" TEXT NOT NULL,
    "started_at" TIMESTAMPTZ(6) NOT NULL,
    "completed_at" TIMESTAMPTZ(6),
    "success" BOOLEAN,
    "git_commit" TEXT,
    "task_description" TEXT,
    "total_tasks" INTEGER NOT NULL DEFAULT 0,
    "completed_tasks" INTEGER NOT NULL DEFAULT 0,
    "error_message" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "nomic_cycles_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "debate_artifacts" (
    "id" SERIAL NOT NULL,
    "loop_id" TEXT NOT NULL,
    "cycle_number" INTEGER NOT NULL,
    "phase" TEXT NOT NULL,
    "task" TEXT NOT NULL,
    "agents" JSONB NOT NULL,
    "transcript" JSONB NOT NULL,
    "consensus_reached" BOOLEAN NOT NULL DEFAULT false,
    "confidence" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "winning_proposal" TEXT,
    "vote_tally" JSONB,
    "view_count" INTEGER NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    -- A tsvector holds 1 MB at most: a longer text is found by its beginning instead of being refused.
    "search_vector" tsvector GENERATED ALWAYS AS (
        setweight(to_tsvector('english', left("task", 100000)), 'A')
        || setweight(to_tsvector('english', left(coalesce("winning_proposal", ''), 100000)), 'B')
    ) STORED,

    CONSTRAINT "debate_artifacts_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "stream_events" (
    "id" SERIAL NOT NULL,
    "loop_id" TEXT NOT NULL,
    "cycle" INTEGER NOT NULL,
    "event_type" TEXT NOT NULL,
    "event_data" JSONB NOT NULL DEFAULT '{}',
    "agent" TEXT,
    "timestamp" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "stream_events_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "agent_metrics" (
    "id" SERIAL NOT NULL,
    "loop_id" TEXT NOT NULL,
    "cycle" INTEGER NOT NULL,
    "agent_name" TEXT NOT NULL,
    "model" TEXT,
    "phase" TEXT NOT NULL,
    "messages_sent" INTEGER NOT NULL DEFAULT 0,
    "proposals_made" INTEGER NOT NULL DEFAULT 0,
    "critiques_given" INTEGER NOT NULL DEFAULT 0,
    "votes_won" INTEGER NOT NULL DEFAULT 0,
    "votes_received" INTEGER NOT NULL DEFAULT 0,
    "consensus_contributions" INTEGER NOT NULL DEFAULT 0,
    "avg_response_time_ms" DOUBLE PRECISION,
    "timestamp" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "agent_metrics_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "nomic_rollbacks" (
    "id" TEXT NOT NULL,
    "loop_id" TEXT NOT NULL,
    "cycle_number" INTEGER NOT NULL,
    "phase" TEXT NOT NULL,
    "reason" TEXT NOT NULL,
    "severity" TEXT NOT NULL,
    "rolled_back_commit" TEXT,
    "preserved_branch" TEXT,
    "files_affected" JSONB NOT NULL DEFAULT '[]',
    "diff_summary" TEXT,
    "error_message" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "nomic_rollbacks_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "cycle_evolution" (
    "id" TEXT NOT NULL,
    "loop_id" TEXT NOT NULL,
    "cycle_number" INTEGER NOT NULL,
    "debate_artifact_id" INTEGER,
    "winning_proposal_summary" TEXT,
    "files_changed" JSONB NOT NULL DEFAULT '[]',
    "git_commit" TEXT,
    "rollback_id" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "cycle_evolution_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "cycle_file_changes" (
    "id" SERIAL NOT NULL,
    "loop_id" TEXT NOT NULL,
    "cycle_number" INTEGER NOT NULL,
    "file_path" TEXT NOT NULL,
    "change_type" TEXT NOT NULL,
    "insertions" INTEGER NOT NULL DEFAULT 0,
    "deletions" INTEGER NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "cycle_file_changes_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ratings" (
    "agent_name" TEXT NOT NULL,
    "elo" DOUBLE PRECISION NOT NULL DEFAULT 1500,
    "domain_elos" JSONB NOT NULL DEFAULT '{}',
    "wins" INTEGER NOT NULL DEFAULT 0,
    "losses" INTEGER NOT NULL DEFAULT 0,
    "draws" INTEGER NOT NULL DEFAULT 0,
    "debates_count" INTEGER NOT NULL DEFAULT 0,
    "critiques_accepted" INTEGER NOT NULL DEFAULT 0,
    "critiques_total" INTEGER NOT NULL DEFAULT 0,
    "calibration_correct" INTEGER NOT NULL DEFAULT 0,
    "calibration_total" INTEGER NOT NULL DEFAULT 0,
    "calibration_brier_sum" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "ratings_pkey" PRIMARY KEY ("agent_name")
);

-- CreateTable
CREATE TABLE "matches" (
    "id" SERIAL NOT NULL,
    "debate_id" TEXT NOT NULL,
    "winner" TEXT,
    "participants" JSONB NOT NULL,
    "domain" TEXT,
    "scores" JSONB NOT NULL DEFAULT '{}',
    "elo_changes" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "matches_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "elo_history" (
    "id" SERIAL NOT NULL,
    "agent_name" TEXT NOT NULL,
    "elo" DOUBLE PRECISION NOT NULL,
    "debate_id" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "elo_history_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "positions" (
    "id" TEXT NOT NULL,
    "agent_name" TEXT NOT NULL,
    "claim" TEXT NOT NULL,
    "confidence" DOUBLE PRECISION NOT NULL,
    "debate_id" TEXT NOT NULL,
    "round_num" INTEGER NOT NULL,
    "outcome" TEXT NOT NULL DEFAULT 'pending',
    "reversed" BOOLEAN NOT NULL DEFAULT false,
    "reversal_debate_id" TEXT,
    "domain" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "resolved_at" TIMESTAMPTZ(6),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "positions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "continuum_memory" (
    "id" TEXT NOT NULL,
    "tier" TEXT NOT NULL DEFAULT 'slow',
    "content" TEXT NOT NULL,
    "importance" DOUBLE PRECISION NOT NULL DEFAULT 0.5,
    "surprise_score" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "consolidation_score" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "update_count" INTEGER NOT NULL DEFAULT 0,
    "success_count" INTEGER NOT NULL DEFAULT 0,
    "failure_count" INTEGER NOT NULL DEFAULT 0,
    "semantic_centroid" BYTEA,
    "last_promotion_at" TIMESTAMPTZ(6),
    "expires_at" TIMESTAMPTZ(6),
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    -- A tsvector holds 1 MB at most: a longer text is found by its beginning instead of being refused.
    "search_vector" tsvector GENERATED ALWAYS AS (
        to_tsvector('english', left("content", 100000))
    ) STORED,

    CONSTRAINT "continuum_memory_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "tier_transitions" (
    "id" SERIAL NOT NULL,
    "memory_id" TEXT NOT NULL,
    "from_tier" TEXT NOT NULL,
    "to_tier" TEXT NOT NULL,
    "reason" TEXT,
    "surprise_score" DOUBLE PRECISION,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "tier_transitions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "traces" (
    "trace_id" TEXT NOT NULL,
    "debate_id" TEXT NOT NULL,
    "task" TEXT NOT NULL,
    "agents" JSONB NOT NULL,
    "random_seed" BIGINT,
    "checksum" TEXT,
    "trace_json" JSONB NOT NULL,
    "started_at" TIMESTAMPTZ(6) NOT NULL,
    "completed_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "traces_pkey" PRIMARY KEY ("trace_id")
);

-- CreateTable
CREATE TABLE "share_links" (
    "token" TEXT NOT NULL,
    "debate_id" TEXT NOT NULL,
    "visibility" TEXT NOT NULL DEFAULT 'private',
    "owner_id" TEXT,
    "org_id" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expires_at" TIMESTAMPTZ(6),
    "allow_comments" BOOLEAN NOT NULL DEFAULT false,
    "allow_forking" BOOLEAN NOT NULL DEFAULT false,
    "view_count" INTEGER NOT NULL DEFAULT 0,
    "last_viewed_at" TIMESTAMPTZ(6),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "share_links_pkey" PRIMARY KEY ("token")
);

-- CreateTable
CREATE TABLE "webhook_configs" (
    "id" TEXT NOT NULL,
    "url" TEXT NOT NULL,
    "events_json" JSONB NOT NULL,
    "secret" TEXT NOT NULL,
    "active" BOOLEAN NOT NULL DEFAULT true,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "name" TEXT,
    "description" TEXT,
    "last_delivery_at" TIMESTAMPTZ(6),
    "last_delivery_status" INTEGER,
    "delivery_count" INTEGER NOT NULL DEFAULT 0,
    "failure_count" INTEGER NOT NULL DEFAULT 0,
    "user_id" TEXT,
    "workspace_id" TEXT,

    CONSTRAINT "webhook_configs_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "usage_events" (
    "id" SERIAL NOT NULL,
    "org_id" TEXT NOT NULL,
    "event_type" TEXT NOT NULL,
    "count" INTEGER NOT NULL DEFAULT 1,
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "timestamp" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "idempotency_key" TEXT,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "usage_events_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "usage_months" (
    "id" SERIAL NOT NULL,
    "org_id" TEXT NOT NULL,
    "event_type" TEXT NOT NULL,
    "month" DATE NOT NULL,
    "count" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "usage_months_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "nomic_cycles_loop_id_cycle_number_phase_key" ON "nomic_cycles"("loop_id", "cycle_number", "phase");

-- CreateIndex
CREATE INDEX "debate_artifacts_loop_id_cycle_number_phase_idx" ON "debate_artifacts"("loop_id", "cycle_number", "phase");

-- CreateIndex
CREATE INDEX "debate_artifacts_created_at_idx" ON "debate_artifacts"("created_at" DESC);

-- CreateIndex
CREATE INDEX "debate_artifacts_search_vector_idx" ON "debate_artifacts" USING GIN ("search_vector");

-- CreateIndex
CREATE INDEX "stream_events_loop_id_cycle_timestamp_idx" ON "stream_events"("loop_id", "cycle", "timestamp");

-- CreateIndex
CREATE INDEX "stream_events_timestamp_idx" ON "stream_events"("timestamp");

-- CreateIndex
CREATE INDEX "agent_metrics_loop_id_cycle_idx" ON "agent_metrics"("loop_id", "cycle");

-- CreateIndex
CREATE INDEX "agent_metrics_agent_name_timestamp_idx" ON "agent_metrics"("agent_name", "timestamp");

-- CreateIndex
CREATE INDEX "nomic_rollbacks_loop_id_cycle_number_idx" ON "nomic_rollbacks"("loop_id", "cycle_number");

-- CreateIndex
CREATE INDEX "nomic_rollbacks_severity_idx" ON "nomic_rollbacks"("severity");

-- CreateIndex
CREATE INDEX "cycle_evolution_debate_artifact_id_idx" ON "cycle_evolution"("debate_artifact_id");

-- CreateIndex
CREATE INDEX "cycle_evolution_rollback_id_idx" ON "cycle_evolution"("rollback_id");

-- CreateIndex
CREATE UNIQUE INDEX "cycle_evolution_loop_id_cycle_number_key" ON "cycle_evolution"("loop_id", "cycle_number");

-- CreateIndex
CREATE INDEX "cycle_file_changes_file_path_idx" ON "cycle_file_changes"("file_path");

-- CreateIndex
CREATE UNIQUE INDEX "cycle_file_changes_loop_id_cycle_number_file_path_key" ON "cycle_file_changes"("loop_id", "cycle_number", "file_path");

-- CreateIndex
CREATE INDEX "ratings_elo_idx" ON "ratings"("elo" DESC);

-- CreateIndex
CREATE UNIQUE INDEX "matches_debate_id_key" ON "matches"("debate_id");

-- CreateIndex
CREATE INDEX "matches_winner_idx" ON "matches"("winner");

-- CreateIndex
CREATE INDEX "matches_domain_created_at_idx" ON "matches"("domain", "created_at");

-- CreateIndex
CREATE INDEX "matches_created_at_idx" ON "matches"("created_at");

-- CreateIndex
CREATE INDEX "elo_history_agent_name_created_at_idx" ON "elo_history"("agent_name", "created_at");

-- CreateIndex
CREATE INDEX "elo_history_debate_id_idx" ON "elo_history"("debate_id");

-- CreateIndex
CREATE INDEX "positions_agent_name_outcome_idx" ON "positions"("agent_name", "outcome");

-- CreateIndex
CREATE INDEX "positions_debate_id_idx" ON "positions"("debate_id");

-- CreateIndex
CREATE INDEX "continuum_memory_tier_importance_idx" ON "continuum_memory"("tier", "importance" DESC);

-- CreateIndex
CREATE INDEX "continuum_memory_surprise_score_idx" ON "continuum_memory"("surprise_score" DESC);

-- CreateIndex
CREATE INDEX "continuum_memory_search_vector_idx" ON "continuum_memory" USING GIN ("search_vector");

-- CreateIndex
CREATE INDEX "tier_transitions_memory_id_created_at_idx" ON "tier_transitions"("memory_id", "created_at");

-- CreateIndex
CREATE INDEX "traces_debate_id_idx" ON "traces"("debate_id");

-- CreateIndex
CREATE UNIQUE INDEX "share_links_debate_id_key" ON "share_links"("debate_id");

-- CreateIndex
CREATE INDEX "share_links_owner_id_idx" ON "share_links"("owner_id");

-- CreateIndex
CREATE INDEX "share_links_org_id_visibility_idx" ON "share_links"("org_id", "visibility");

-- CreateIndex
CREATE INDEX "webhook_configs_user_id_idx" ON "webhook_configs"("user_id");

-- CreateIndex
CREATE INDEX "webhook_configs_workspace_id_idx" ON "webhook_configs"("workspace_id");

-- CreateIndex
CREATE UNIQUE INDEX "usage_events_idempotency_key_key" ON "usage_events"("idempotency_key");

-- CreateIndex
CREATE INDEX "idx_usage_org" ON "usage_events"("org_id");

-- CreateIndex
CREATE INDEX "idx_usage_timestamp" ON "usage_events"("timestamp");

-- CreateIndex
CREATE INDEX "usage_months_month_idx" ON "usage_months"("month");

-- CreateIndex
CREATE UNIQUE INDEX "usage_months_org_id_event_type_month_key" ON "usage_months"("org_id", "event_type", "month");

-- AddForeignKey
ALTER TABLE "cycle_evolution" ADD CONSTRAINT "cycle_evolution_debate_artifact_id_fkey" FOREIGN KEY ("debate_artifact_id") REFERENCES "debate_artifacts"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "cycle_evolution" ADD CONSTRAINT "cycle_evolution_rollback_id_fkey" FOREIGN KEY ("rollback_id") REFERENCES "nomic_rollbacks"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "matches" ADD CONSTRAINT "matches_winner_fkey" FOREIGN KEY ("winner") REFERENCES "ratings"("agent_name") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "elo_history" ADD CONSTRAINT "elo_history_agent_name_fkey" FOREIGN KEY ("agent_name") REFERENCES "ratings"("agent_name") ON DELETE RESTRICT ON UPDATE RESTRICT;

-- AddForeignKey
ALTER TABLE "tier_transitions" ADD CONSTRAINT "tier_transitions_memory_id_fkey" FOREIGN KEY ("memory_id") REFERENCES "continuum_memory"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- A memory's expiry is asked for only where there is one.
CREATE INDEX "continuum_memory_expires_at_idx" ON "continuum_memory"("expires_at") WHERE "expires_at" IS NOT NULL;
CREATE INDEX "share_links_expires_at_idx" ON "share_links"("expires_at") WHERE "expires_at" IS NOT NULL;
-- Every event is delivered to the webhooks that are on.
CREATE INDEX "webhook_configs_active_idx" ON "webhook_configs"("user_id") WHERE "active";

ALTER TABLE "nomic_cycles"
  ADD CONSTRAINT "nomic_cycles_loop_id_check" CHECK (btrim("loop_id") <> ''),
  ADD CONSTRAINT "nomic_cycles_cycle_number_check" CHECK ("cycle_number" >= 0),
  ADD CONSTRAINT "nomic_cycles_phase_check" CHECK ("phase" IN ('debate', 'design', 'implement', 'verify', 'commit')),
  ADD CONSTRAINT "nomic_cycles_stage_check" CHECK ("stage" IN ('proposing', 'critiquing', 'voting', 'executing')),
  ADD CONSTRAINT "nomic_cycles_period_check" CHECK ("completed_at" >= "started_at"),
  ADD CONSTRAINT "nomic_cycles_success_check" CHECK ("success" IS NULL OR "completed_at" IS NOT NULL),
  ADD CONSTRAINT "nomic_cycles_tasks_check" CHECK ("completed_tasks" BETWEEN 0 AND "total_tasks");

ALTER TABLE "debate_artifacts"
  ADD CONSTRAINT "debate_artifacts_loop_id_check" CHECK (btrim("loop_id") <> ''),
  ADD CONSTRAINT "debate_artifacts_cycle_number_check" CHECK ("cycle_number" >= 0),
  ADD CONSTRAINT "debate_artifacts_phase_check"
    CHECK ("phase" IN ('debate', 'design', 'implement', 'verify', 'commit')),
  ADD CONSTRAINT "debate_artifacts_task_check" CHECK (btrim("task") <> ''),
  ADD CONSTRAINT "debate_artifacts_agents_check" CHECK (jsonb_typeof("agents") = 'array'),
  ADD CONSTRAINT "debate_artifacts_transcript_check" CHECK (jsonb_typeof("transcript") = 'array'),
  ADD CONSTRAINT "debate_artifacts_vote_tally_check" CHECK (jsonb_typeof("vote_tally") = 'object'),
  ADD CONSTRAINT "debate_artifacts_confidence_check" CHECK ("confidence" BETWEEN 0 AND 1),
  ADD CONSTRAINT "debate_artifacts_view_count_check" CHECK ("view_count" >= 0);

ALTER TABLE "stream_events"
  ADD CONSTRAINT "stream_events_loop_id_check" CHECK (btrim("loop_id") <> ''),
  ADD CONSTRAINT "stream_events_cycle_check" CHECK ("cycle" >= 0),
  ADD CONSTRAINT "stream_events_event_type_check"
    CHECK ("event_type" IN ('cycle_start', 'phase_start', 'task_complete', 'error')),
  ADD CONSTRAINT "stream_events_event_data_check" CHECK (jsonb_typeof("event_data") = 'object');

ALTER TABLE "agent_metrics"
  ADD CONSTRAINT "agent_metrics_loop_id_check" CHECK (btrim("loop_id") <> ''),
  ADD CONSTRAINT "agent_metrics_cycle_check" CHECK ("cycle" >= 0),
  ADD CONSTRAINT "agent_metrics_agent_name_check" CHECK (btrim("agent_name") <> ''),
  ADD CONSTRAINT "agent_metrics_phase_check" CHECK ("phase" IN ('debate', 'design', 'implement', 'verify', 'commit')),
  ADD CONSTRAINT "agent_metrics_counts_check" CHECK (
    LEAST("messages_sent", "proposals_made", "critiques_given", "votes_won", "votes_received", "consensus_contributions")
      >= 0
  ),
  ADD CONSTRAINT "agent_metrics_response_time_check"
    CHECK ("avg_response_time_ms" >= 0 AND "avg_response_time_ms" < 'Infinity');

ALTER TABLE "nomic_rollbacks"
  ADD CONSTRAINT "nomic_rollbacks_loop_id_check" CHECK (btrim("loop_id") <> ''),
  ADD CONSTRAINT "nomic_rollbacks_cycle_number_check" CHECK ("cycle_number" >= 0),
  ADD CONSTRAINT "nomic_rollbacks_phase_check"
    CHECK ("phase" IN ('debate', 'design', 'implement', 'verify', 'commit')),
  ADD CONSTRAINT "nomic_rollbacks_reason_check"
    CHECK ("reason" IN ('verify_failure', 'manual_intervention', 'timeout', 'conflict')),
  ADD CONSTRAINT "nomic_rollbacks_severity_check" CHECK ("severity" IN ('low', 'medium', 'high', 'critical')),
  ADD CONSTRAINT "nomic_rollbacks_files_affected_check" CHECK (jsonb_typeof("files_affected") = 'array');

ALTER TABLE "cycle_evolution"
  ADD CONSTRAINT "cycle_evolution_loop_id_check" CHECK (btrim("loop_id") <> ''),
  ADD CONSTRAINT "cycle_evolution_cycle_number_check" CHECK ("cycle_number" >= 0),
  ADD CONSTRAINT "cycle_evolution_files_changed_check" CHECK (jsonb_typeof("files_changed") = 'array');

ALTER TABLE "cycle_file_changes"
  ADD CONSTRAINT "cycle_file_changes_loop_id_check" CHECK (btrim("loop_id") <> ''),
  ADD CONSTRAINT "cycle_file_changes_cycle_number_check" CHECK ("cycle_number" >= 0),
  ADD CONSTRAINT "cycle_file_changes_file_path_check" CHECK (btrim("file_path") <> ''),
  ADD CONSTRAINT "cycle_file_changes_change_type_check"
    CHECK ("change_type" IN ('added', 'modified', 'deleted', 'renamed')),
  ADD CONSTRAINT "cycle_file_changes_lines_check" CHECK ("insertions" >= 0 AND "deletions" >= 0);

-- "< Infinity" also refuses NaN, which PostgreSQL sorts above every number.
ALTER TABLE "ratings"
  ADD CONSTRAINT "ratings_agent_name_check" CHECK (btrim("agent_name") <> ''),
  ADD CONSTRAINT "ratings_elo_check" CHECK ("elo" > 0 AND "elo" < 'Infinity'),
  ADD CONSTRAINT "ratings_domain_elos_check" CHECK (jsonb_typeof("domain_elos") = 'object'),
  ADD CONSTRAINT "ratings_record_check" CHECK (LEAST("wins", "losses", "draws") >= 0),
  ADD CONSTRAINT "ratings_debates_count_check" CHECK ("debates_count" >= "wins" + "losses" + "draws"),
  ADD CONSTRAINT "ratings_critiques_check" CHECK ("critiques_accepted" BETWEEN 0 AND "critiques_total"),
  ADD CONSTRAINT "ratings_calibration_check" CHECK ("calibration_correct" BETWEEN 0 AND "calibration_total"),
  ADD CONSTRAINT "ratings_brier_sum_check"
    CHECK ("calibration_brier_sum" >= 0 AND "calibration_brier_sum" < 'Infinity');

ALTER TABLE "matches"
  ADD CONSTRAINT "matches_debate_id_check" CHECK (btrim("debate_id") <> ''),
  -- CASE, because jsonb_array_length of anything but an array is an error and not a refusal.
  ADD CONSTRAINT "matches_participants_check" CHECK (
    CASE WHEN jsonb_typeof("participants") = 'array' THEN jsonb_array_length("participants") >= 2 ELSE false END
  ),
  ADD CONSTRAINT "matches_winner_check" CHECK ("participants" ? "winner"),
  ADD CONSTRAINT "matches_scores_check" CHECK (jsonb_typeof("scores") = 'object'),
  ADD CONSTRAINT "matches_elo_changes_check" CHECK (jsonb_typeof("elo_changes") = 'object');

ALTER TABLE "elo_history"
  ADD CONSTRAINT "elo_history_elo_check" CHECK ("elo" > 0 AND "elo" < 'Infinity');

ALTER TABLE "positions"
  ADD CONSTRAINT "positions_agent_name_check" CHECK (btrim("agent_name") <> ''),
  ADD CONSTRAINT "positions_claim_check" CHECK (btrim("claim") <> ''),
  ADD CONSTRAINT "positions_debate_id_check" CHECK (btrim("debate_id") <> ''),
  ADD CONSTRAINT "positions_confidence_check" CHECK ("confidence" BETWEEN 0 AND 1),
  ADD CONSTRAINT "positions_round_num_check" CHECK ("round_num" >= 0),
  ADD CONSTRAINT "positions_outcome_check" CHECK ("outcome" IN ('pending', 'correct', 'incorrect', 'unknown')),
  ADD CONSTRAINT "positions_resolved_at_check" CHECK (("outcome" = 'pending') = ("resolved_at" IS NULL)),
  ADD CONSTRAINT "positions_period_check" CHECK ("resolved_at" >= "created_at"),
  ADD CONSTRAINT "positions_reversal_check" CHECK ("reversed" = ("reversal_debate_id" IS NOT NULL));

ALTER TABLE "continuum_memory"
  ADD CONSTRAINT "continuum_memory_tier_check" CHECK ("tier" IN ('fast', 'medium', 'slow', 'glacial')),
  ADD CONSTRAINT "continuum_memory_content_check" CHECK (btrim("content") <> ''),
  ADD CONSTRAINT "continuum_memory_importance_check" CHECK ("importance" BETWEEN 0 AND 1),
  ADD CONSTRAINT "continuum_memory_surprise_score_check" CHECK ("surprise_score" BETWEEN 0 AND 1),
  ADD CONSTRAINT "continuum_memory_consolidation_score_check" CHECK ("consolidation_score" BETWEEN 0 AND 1),
  ADD CONSTRAINT "continuum_memory_counts_check" CHECK (LEAST("update_count", "success_count", "failure_count") >= 0),
  ADD CONSTRAINT "continuum_memory_metadata_check" CHECK (jsonb_typeof("metadata") = 'object'),
  ADD CONSTRAINT "continuum_memory_period_check" CHECK ("expires_at" > "created_at");

ALTER TABLE "tier_transitions"
  ADD CONSTRAINT "tier_transitions_from_tier_check" CHECK ("from_tier" IN ('fast', 'medium', 'slow', 'glacial')),
  ADD CONSTRAINT "tier_transitions_to_tier_check" CHECK ("to_tier" IN ('fast', 'medium', 'slow', 'glacial')),
  ADD CONSTRAINT "tier_transitions_move_check" CHECK ("from_tier" <> "to_tier"),
  ADD CONSTRAINT "tier_transitions_surprise_score_check" CHECK ("surprise_score" BETWEEN 0 AND 1);

ALTER TABLE "traces"
  ADD CONSTRAINT "traces_debate_id_check" CHECK (btrim("debate_id") <> ''),
  ADD CONSTRAINT "traces_agents_check" CHECK (jsonb_typeof("agents") = 'array'),
  ADD CONSTRAINT "traces_period_check" CHECK ("completed_at" >= "started_at");

ALTER TABLE "share_links"
  ADD CONSTRAINT "share_links_token_check" CHECK (btrim("token") <> ''),
  ADD CONSTRAINT "share_links_debate_id_check" CHECK (btrim("debate_id") <> ''),
  ADD CONSTRAINT "share_links_visibility_check" CHECK ("visibility" IN ('private', 'team', 'public')),
  ADD CONSTRAINT "share_links_team_check" CHECK ("visibility" <> 'team' OR "org_id" IS NOT NULL),
  ADD CONSTRAINT "share_links_period_check" CHECK ("expires_at" > "created_at"),
  ADD CONSTRAINT "share_links_view_count_check" CHECK ("view_count" >= 0),
  ADD CONSTRAINT "share_links_last_viewed_at_check" CHECK ("last_viewed_at" IS NULL OR "view_count" > 0);

ALTER TABLE "webhook_configs"
  ADD CONSTRAINT "webhook_configs_url_check" CHECK ("url" ~* '^https?://[^[:space:]]+$'),
  ADD CONSTRAINT "webhook_configs_events_json_check" CHECK (jsonb_typeof("events_json") = 'array'),
  ADD CONSTRAINT "webhook_configs_secret_check" CHECK (btrim("secret") <> ''),
  ADD CONSTRAINT "webhook_configs_status_check" CHECK ("last_delivery_status" BETWEEN 100 AND 599),
  ADD CONSTRAINT "webhook_configs_last_delivery_check"
    CHECK ("last_delivery_status" IS NULL OR "last_delivery_at" IS NOT NULL),
  ADD CONSTRAINT "webhook_configs_counts_check" CHECK ("failure_count" BETWEEN 0 AND "delivery_count");

ALTER TABLE "usage_events"
  ADD CONSTRAINT "usage_events_org_id_check" CHECK (btrim("org_id") <> ''),
  ADD CONSTRAINT "usage_events_event_type_check" CHECK (btrim("event_type") <> ''),
  ADD CONSTRAINT "usage_events_count_check" CHECK ("count" > 0),
  ADD CONSTRAINT "usage_events_metadata_check" CHECK (jsonb_typeof("metadata") = 'object');

ALTER TABLE "usage_months"
  ADD CONSTRAINT "usage_months_org_id_check" CHECK (btrim("org_id") <> ''),
  ADD CONSTRAINT "usage_months_event_type_check" CHECK (btrim("event_type") <> ''),
  ADD CONSTRAINT "usage_months_month_check" CHECK (extract(day FROM "month") = 1),
  ADD CONSTRAINT "usage_months_count_check" CHECK ("count" > 0);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'Table % is append-only: % is refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
END
$$;

CREATE TRIGGER "nomic_rollbacks_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "nomic_rollbacks"
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER "cycle_file_changes_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "cycle_file_changes"
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER "matches_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "matches"
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER "elo_history_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "elo_history"
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- A transition goes with its memory (the cascade is a DELETE); the app role may not delete it by itself.
CREATE TRIGGER "tier_transitions_append_only" BEFORE UPDATE OR TRUNCATE ON "tier_transitions"
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- Events are written once and leave only by retention.
CREATE TRIGGER "stream_events_append_only" BEFORE UPDATE OR TRUNCATE ON "stream_events"
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER "usage_events_append_only" BEFORE UPDATE OR TRUNCATE ON "usage_events"
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
