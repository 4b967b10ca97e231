-- loses: items, profile_items, item_pairs, interactions.event_id, interactions.rating, interactions.occurred_at, user_profiles.stale_since
-- Reverts 20261202000001_items. The catalog, the ratings and the ids of events are lost, so an event that is sent again counts again.

SET LOCAL lock_timeout = '5s';

DROP TRIGGER "recommendations_transition" ON "recommendations";
DROP FUNCTION "check_recommendation_change"();
-- lint-ignore require-concurrent-index-deletion: the trigger has locked the table already
DROP INDEX "recommendations_expiry_idx";

DROP TRIGGER "interactions_forget_all" ON "interactions";
DROP TRIGGER "interactions_forget" ON "interactions";
DROP TRIGGER "interactions_change" ON "interactions";
DROP TRIGGER "interactions_learn" ON "interactions";
DROP TABLE "item_pairs";
DROP TABLE "profile_items";
DROP TABLE "items";
DROP FUNCTION "forget_pairs"();
DROP FUNCTION "count_items"();
DROP FUNCTION "forget_all_interactions"();
DROP FUNCTION "change_interactions"();
DROP FUNCTION "forget_interactions"();
DROP FUNCTION "relearn_items"(text[], text[], text[]);
DROP FUNCTION "learn_interactions"();
DROP FUNCTION "add_items"(text[], text[], timestamptz);
DROP FUNCTION "wanted_counts"(text[]);
DROP FUNCTION "signal_weight"(smallint, timestamptz);
DROP FUNCTION "signal_strength"(text, smallint);

-- lint-ignore require-concurrent-index-deletion: the column below locks the table as well
DROP INDEX "user_profiles_stale_idx";
ALTER TABLE "user_profiles" DROP CONSTRAINT "user_profiles_times_check", DROP COLUMN "stale_since",
  ADD CONSTRAINT "user_profiles_times_check" CHECK (
    "last_active_at" >= to_timestamp(-62135596800) AND "last_active_at" < to_timestamp(253402300800) AND
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
    "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800));

-- lint-ignore require-concurrent-index-deletion: the columns below lock the table as well
DROP INDEX "interactions_profile_id_event_id_key";
ALTER TABLE "interactions" DROP CONSTRAINT "interactions_times_check", DROP CONSTRAINT "interactions_occurred_at_check",
  DROP CONSTRAINT "interactions_rating_check", DROP CONSTRAINT "interactions_event_id_check",
  DROP COLUMN "occurred_at", DROP COLUMN "rating", DROP COLUMN "event_id",
  ADD CONSTRAINT "interactions_times_check" CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800));

DROP FUNCTION "refuse"(text, jsonb);
