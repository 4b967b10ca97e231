-- loses: skills, items, skill_mastery, skill_attempts, assessments.difficulty, assessments.ability, assessments.standard_error, assessments.target_standard_error, assessments.stop_reason, assessment_items.item_id, assessment_items.discrimination, assessment_items.location
-- Reverts 20261202000004_assessments. Answers stay; what they say about ability and mastery is lost.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "abandon_assessment"(text);
DROP FUNCTION "answer_item"(text, integer, integer);
DROP FUNCTION "lock_assessment"(text);
DROP FUNCTION "start_assessment"(text, text, text, text, text, text, integer, double precision);
DROP FUNCTION "ask_next_item"(assessments, timestamptz);
DROP FUNCTION "record_practice"(text, text, text, text, text, boolean);
DROP FUNCTION "add_attempt"(text, text, text, boolean, text, timestamptz);
DROP FUNCTION "retire_item"(text);
DROP FUNCTION "add_item"(text, text, text, text, text, text[], integer, double precision, double precision);
DROP FUNCTION "require_skill"(text);
DROP FUNCTION "create_skill"(text, text, jsonb);
DROP TABLE "skill_attempts";
DROP FUNCTION "refuse_log_change"();
DROP FUNCTION "apply_attempt"();
DROP FUNCTION "bkt_next"(double precision, boolean, double precision, double precision, double precision);
DROP TABLE "skill_mastery";
DROP TRIGGER "assessments_transition" ON "assessments";
DROP TRIGGER "assessment_items_fixed" ON "assessment_items";
DROP FUNCTION "check_answer"();
DROP TRIGGER "assessment_items_ability_changed" ON "assessment_items";
DROP TRIGGER "assessment_items_ability_new" ON "assessment_items";
DROP FUNCTION "carry_ability"();
DROP TRIGGER "assessments_ability" ON "assessments";
DROP FUNCTION "derive_ability"();
ALTER TABLE "assessment_items" DROP COLUMN "location", DROP COLUMN "discrimination", DROP COLUMN "item_id";
ALTER TABLE "assessments" DROP COLUMN "stop_reason", DROP COLUMN "target_standard_error", DROP COLUMN "standard_error",
  DROP COLUMN "ability";
DROP FUNCTION "irt_eap"(double precision[], double precision[], boolean[]);
DROP FUNCTION "irt_probability"(double precision, double precision, double precision);
DROP TABLE "items";
DROP TABLE "skills";
DROP TYPE "attempt_source";
DROP TYPE "stop_reason";
DROP TYPE "item_status";
