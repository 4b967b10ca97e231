-- loses: usage_events.counted_at, share_links.token, webhook_deliveries, webhook_configs.consecutive_failures, webhook_configs.disabled_at
-- Reverts 20261206000003_usage_and_sharing. No link works afterwards, because a token cannot be computed from its hash.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "prune_webhook_deliveries"(interval, integer);
DROP FUNCTION "finish_webhook_delivery"(text, text, text, boolean, integer);
DROP FUNCTION "claim_webhook_deliveries"(text, integer, interval);
DROP FUNCTION "queue_webhooks"(text, jsonb);
DROP FUNCTION "reseal_webhook"(text, text, text);
DROP FUNCTION "delete_webhook"(text, text);
DROP FUNCTION "cancel_webhook_deliveries"(text, timestamptz);
DROP FUNCTION "update_webhook"(text, text, text, jsonb);
DROP FUNCTION "lock_webhook"(text, text);
DROP FUNCTION "create_webhook"(text, text, text, jsonb);
DROP FUNCTION "demand_sealed"(text);
DROP TABLE "webhook_deliveries";
DROP FUNCTION "check_webhook_delivery"();
ALTER TABLE "webhook_configs" DROP CONSTRAINT "webhook_configs_times_check",
  DROP COLUMN "disabled_at",
  DROP COLUMN "consecutive_failures",
  ADD CONSTRAINT "webhook_configs_times_check" CHECK (
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
    "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800) AND
    "last_delivery_at" >= to_timestamp(-62135596800) AND "last_delivery_at" < to_timestamp(253402300800)
  );

DROP FUNCTION "follow_share_link"(text, text, text[]);
DROP FUNCTION "revoke_share_link"(text, text);
DROP FUNCTION "update_share_link"(text, text, text, jsonb);
DROP FUNCTION "lock_share_link"(text, text);
DROP FUNCTION "create_share_link"(text, jsonb);
DROP TRIGGER "share_links_hash_token" ON "share_links";
DROP FUNCTION "hash_share_token"();

DROP FUNCTION "prune_usage"(interval, integer);
DROP FUNCTION "record_usage"(jsonb);
DROP TRIGGER "usage_events_count_pruned" ON "usage_events";
DROP FUNCTION "count_pruned_usage"();
DROP FUNCTION "aggregate_usage"(integer);
DROP FUNCTION "add_usage"(text[], text[], timestamptz[], integer[]);
DROP TRIGGER "usage_events_counted_once" ON "usage_events";
DROP TRIGGER "usage_events_append_only" ON "usage_events";
-- lint-ignore require-concurrent-index-deletion: the index goes with its column
DROP INDEX "usage_events_uncounted_idx";
ALTER TABLE "usage_events" DROP CONSTRAINT "usage_events_times_check",
  DROP COLUMN "counted_at",
  ADD CONSTRAINT "usage_events_times_check" CHECK (
    "timestamp" >= to_timestamp(-62135596800) AND "timestamp" < to_timestamp(253402300800) AND
    "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800)
  );
CREATE TRIGGER "usage_events_append_only" BEFORE UPDATE OR TRUNCATE ON "usage_events"
  FOR EACH STATEMENT EXECUTE FUNCTION "refuse_change"();
