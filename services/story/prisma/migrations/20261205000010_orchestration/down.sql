-- loses: requests, step_attempts, story_steps.claim_id, story_steps.lease_until, story_steps.lapses
-- Reverts 20261205000010_orchestration. Idempotency keys, the history of attempts and the leases of running steps are lost.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER "story_tasks_open_changed" ON "story_tasks";
DROP TRIGGER "story_tasks_open_new" ON "story_tasks";
DROP FUNCTION "check_step_open"();
DROP TRIGGER "story_steps_tasks_done" ON "story_steps";
DROP FUNCTION "check_tasks_done"();
DROP TRIGGER "story_tasks_transition" ON "story_tasks";
DROP TRIGGER "story_steps_open_changed" ON "story_steps";
DROP TRIGGER "story_steps_open_new" ON "story_steps";
DROP FUNCTION "check_story_open"();
DROP TRIGGER "story_steps_derive_gone" ON "story_steps";
DROP TRIGGER "story_steps_derive_changed" ON "story_steps";
DROP TRIGGER "story_steps_derive_new" ON "story_steps";
DROP FUNCTION "derive_from_steps"();
DROP TRIGGER "story_steps_transition" ON "story_steps";
DROP TRIGGER "stories_publish" ON "stories";
DROP FUNCTION "publish_story"();
DROP TRIGGER "stories_transition" ON "stories";
DROP TRIGGER "stories_derived" ON "stories";
DROP FUNCTION "derive_story"();
-- lint-ignore require-concurrent-index-deletion: the lock of the dropped triggers on stories is as strong
DROP INDEX "stories_verification_failed_idx";
-- lint-ignore require-concurrent-index-deletion: the lock of the dropped triggers on stories is as strong
DROP INDEX "stories_executing_idx";
DROP FUNCTION "priority_rank"(text);
ALTER TABLE "stories"
  DROP CONSTRAINT "stories_chat_size_check",
  DROP CONSTRAINT "stories_gate_decision_check",
  DROP CONSTRAINT "stories_verification_agrees_check";
DROP TABLE "step_attempts";
ALTER TABLE "story_steps"
  DROP CONSTRAINT "story_steps_lease_until_check",
  DROP CONSTRAINT "story_steps_lapses_check",
  DROP CONSTRAINT "story_steps_claim_check",
  DROP COLUMN "lapses",
  DROP COLUMN "lease_until",
  DROP COLUMN "claim_id";
DROP FUNCTION "check_transition"();
DROP FUNCTION "audit"(text, text, text, uuid, jsonb, timestamptz);
DROP FUNCTION "emit"(text, uuid, jsonb, timestamptz);
DROP FUNCTION "begin_request"(text, text, text, uuid);
DROP TABLE "requests";
DROP FUNCTION "refuse"(text, jsonb);
DROP FUNCTION "database_time"();
