-- loses: requests, artifact_votes, stream_cursors, debate_artifacts.concluded_at, stream_events.sequence
-- Reverts 20261206000001_cycles.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "prune_stream_events"(interval, integer);
DROP FUNCTION "append_stream_events"(text, text, integer, jsonb);
DROP TRIGGER "stream_events_number" ON "stream_events";
DROP FUNCTION "number_stream_event"();
DROP FUNCTION "take_sequence"(text, integer, integer);
-- lint-ignore require-concurrent-index-deletion: the index goes with its column
DROP INDEX "stream_events_loop_id_cycle_sequence_key";
ALTER TABLE "stream_events" DROP COLUMN "sequence";
DROP TABLE "stream_cursors";

DROP FUNCTION "view_artifact"(integer);
DROP FUNCTION "conclude_artifact"(integer, jsonb);
DROP FUNCTION "cast_vote"(integer, text, text);
DROP FUNCTION "append_messages"(text, integer, jsonb);
DROP FUNCTION "demand_agent"("debate_artifacts", text);
DROP FUNCTION "lock_artifact"(integer);
DROP FUNCTION "open_artifact"(text, jsonb);
DROP TRIGGER "debate_artifacts_concluded" ON "debate_artifacts";
DROP FUNCTION "keep_artifact"();
DROP TABLE "artifact_votes";
ALTER TABLE "debate_artifacts" DROP CONSTRAINT "debate_artifacts_times_check",
  DROP COLUMN "concluded_at",
  ADD CONSTRAINT "debate_artifacts_times_check" CHECK (
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
    "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800)
  );

DROP FUNCTION "complete_phase"(text, integer, text, boolean, text, text);
DROP FUNCTION "report_tasks"(text, integer, text, integer, integer);
DROP FUNCTION "move_stage"(text, integer, text, text);
DROP FUNCTION "lock_phase"(text, integer, text);
DROP FUNCTION "start_cycle"(text, jsonb);
DROP FUNCTION "lock_loop"(text);
DROP TRIGGER "nomic_cycles_transition" ON "nomic_cycles";
DROP FUNCTION "check_phase"();

DROP FUNCTION "finish_request"(text, text);
DROP FUNCTION "begin_request"(text, text, jsonb);
DROP TABLE "requests";
DROP FUNCTION "emit"(text, text, jsonb, timestamptz);
DROP FUNCTION "refuse"(text, jsonb);
DROP FUNCTION "database_time"();
