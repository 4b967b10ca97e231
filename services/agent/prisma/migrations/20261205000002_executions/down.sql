-- Reverts 20261205000002_executions. A running execution becomes a failed one.
-- loses: agent_executions.status, agent_executions.prompt_tokens, agent_executions.completion_tokens, agent_executions.finished_at
-- loses: model_prices

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "execution_statistics"(timestamptz, timestamptz, text, text);
DROP TABLE "model_prices";
DROP FUNCTION "keep_price"();
DROP TRIGGER "agent_executions_transition" ON "agent_executions";
DROP TRIGGER "agent_executions_outcome" ON "agent_executions";
DROP FUNCTION "set_outcome"();
-- lint-ignore require-concurrent-index-deletion: the migration is one transaction
DROP INDEX "agent_executions_created_at_id_idx";
-- lint-ignore require-concurrent-index-deletion: the migration is one transaction
DROP INDEX "agent_executions_user_id_created_at_id_idx";
-- lint-ignore require-concurrent-index-deletion: the migration is one transaction
DROP INDEX "agent_executions_agent_id_created_at_id_idx";
ALTER TABLE "agent_executions"
  DROP CONSTRAINT "agent_executions_times_check",
  DROP COLUMN "status",
  DROP COLUMN "prompt_tokens",
  DROP COLUMN "completion_tokens",
  DROP COLUMN "finished_at",
  ADD CONSTRAINT "agent_executions_times_check" CHECK (
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800));
DROP TYPE "execution_status";
