-- Reverts 20261205000011_planning.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "append_chat"(text, text, uuid, text, text);
DROP FUNCTION "record_plan"(uuid, jsonb);
DROP FUNCTION "record_analysis"(uuid, jsonb);
DROP FUNCTION "move_story"(uuid, text);
DROP FUNCTION "update_story"(uuid, jsonb);
DROP FUNCTION "create_story"(text, text, jsonb);
DROP FUNCTION "refuse_move"(text, uuid, text, text);
DROP FUNCTION "lock_open_story"(uuid);
DROP FUNCTION "lock_story"(uuid);

-- A constraint cannot become NOT VALID again: it is made anew.
ALTER TABLE "story_steps" DROP CONSTRAINT "story_steps_claim_check", DROP CONSTRAINT "story_steps_lapses_check",
  DROP CONSTRAINT "story_steps_lease_until_check";
ALTER TABLE "stories" DROP CONSTRAINT "stories_verification_agrees_check", DROP CONSTRAINT "stories_gate_decision_check",
  DROP CONSTRAINT "stories_chat_size_check";
ALTER TABLE "story_steps"
  ADD CONSTRAINT "story_steps_claim_check" CHECK (
    ("status" = 'Running') = ("claim_id" IS NOT NULL) AND ("claim_id" IS NULL) = ("lease_until" IS NULL)) NOT VALID,
  ADD CONSTRAINT "story_steps_lapses_check" CHECK ("lapses" BETWEEN 0 AND 5) NOT VALID,
  ADD CONSTRAINT "story_steps_lease_until_check" CHECK (
    "lease_until" >= to_timestamp(-62135596800) AND "lease_until" < to_timestamp(253402300800)) NOT VALID;
ALTER TABLE "stories"
  ADD CONSTRAINT "stories_verification_agrees_check" CHECK (
    coalesce(jsonb_typeof("verification_result" -> 'passed') <> 'boolean', true)
    OR "verification_passed" IS NOT DISTINCT FROM ("verification_result" -> 'passed')::boolean) NOT VALID,
  ADD CONSTRAINT "stories_gate_decision_check" CHECK (
    "gate_result" IS NULL OR "status" IN ('Completed', 'Cancelled')
    OR ("gate_result" ?& '{wave,passed}' AND jsonb_typeof("gate_result" -> 'wave') = 'number'
      AND jsonb_typeof("gate_result" -> 'passed') = 'boolean')) NOT VALID,
  ADD CONSTRAINT "stories_chat_size_check" CHECK (octet_length("chat_history"::text) <= 1000000) NOT VALID;
