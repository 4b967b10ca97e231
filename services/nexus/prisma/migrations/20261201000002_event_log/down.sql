-- loses: event_sources, subscriptions, subscription_workers, subscription_lanes, subscription_progress, deliveries, events.position, events.event_id, events.key, events.lane, events.trace_parent, events.occurred_at
-- Reverts 20261201000002_event_log. The events are carried over as pending ones.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "prune_events"(interval, integer);
DROP FUNCTION "discard_dead_letter"(text, bigint);
DROP FUNCTION "retry_dead_letter"(text, bigint);
DROP FUNCTION "position_before"(timestamptz);
DROP FUNCTION "replay_events"(text, bigint);
DROP FUNCTION "unblock_keys"(text, text[]);
DROP FUNCTION "retry_delay"(integer);
DROP FUNCTION "acknowledge_events"(text, uuid, interval, smallint[], bigint[], bigint[], bigint[], bigint[], text[], bigint[]);
DROP FUNCTION "fetch_events"(text, uuid, integer, smallint[], bigint[], bigint[]);
DROP FUNCTION "leave_subscription"(text, uuid);
DROP FUNCTION "lease_lanes"(text, uuid, text[], interval, boolean);
DROP FUNCTION "join_subscription"(text, text[], integer, text);
DROP FUNCTION "move_lanes"(text, smallint[], bigint[], boolean);
DROP FUNCTION "lane_position"(text, smallint);
DROP FUNCTION "append_events"(text, uuid, interval, text, text, bigint, uuid[], text[], text[], text[], text[], timestamptz[]);
DROP FUNCTION "release_source"(text, uuid);
DROP FUNCTION "claim_source"(text, uuid, text, interval);

DROP TABLE "deliveries";
DROP TABLE "subscription_progress";
DROP TABLE "subscription_lanes";
DROP TABLE "subscription_workers";
DROP TABLE "subscriptions";
DROP TABLE "event_sources";
DROP TABLE "event_log";
DROP TYPE "delivery_state";

ALTER TABLE "events" RENAME TO "log_events";
ALTER INDEX "events_pkey" RENAME TO "log_events_pkey";

CREATE TYPE "event_status" AS ENUM ('pending', 'processed', 'failed');

CREATE TABLE "events" (
    "id" TEXT NOT NULL,
    "type" VARCHAR(100) NOT NULL,
    "source" VARCHAR(50) NOT NULL,
    "user_id" TEXT,
    "payload" JSONB NOT NULL DEFAULT '{}',
    "status" "event_status" NOT NULL DEFAULT 'pending',
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "last_error" TEXT,
    "idempotency_key" VARCHAR(200) NOT NULL,
    "available_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "processed_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "events_pkey" PRIMARY KEY ("id")
);

INSERT INTO "events" ("id", "type", "source", "payload", "idempotency_key", "available_at", "created_at", "updated_at")
SELECT "event_id"::text, regexp_replace(split_part("type", '.', 1), '[^a-z]', '', 'g') || '.' || split_part("type", '.', 2), "source", "payload", "event_id"::text, "created_at", "created_at",
       "created_at"
FROM "log_events";

DROP TABLE "log_events";
DROP FUNCTION "database_time"();

CREATE INDEX "events_type_created_at_idx" ON "events"("type", "created_at");
CREATE INDEX "events_user_id_idx" ON "events"("user_id");
CREATE INDEX "events_created_at_idx" ON "events"("created_at");
CREATE UNIQUE INDEX "events_source_idempotency_key_key" ON "events"("source", "idempotency_key");

ALTER TABLE "events"
  ADD CONSTRAINT "events_type_check" CHECK ("type" ~ '^[a-z]+[.][a-z0-9-]+$'),
  ADD CONSTRAINT "events_source_check" CHECK (btrim("source") <> ''),
  ADD CONSTRAINT "events_payload_check" CHECK (jsonb_typeof("payload") = 'object'),
  ADD CONSTRAINT "events_attempts_check" CHECK ("attempts" >= 0),
  ADD CONSTRAINT "events_processed_at_check" CHECK (("status" = 'processed') = ("processed_at" IS NOT NULL)),
  ADD CONSTRAINT "events_last_error_check" CHECK ("status" <> 'failed' OR "last_error" IS NOT NULL);

CREATE INDEX "events_pending_idx" ON "events" ("available_at") WHERE "status" = 'pending';

DO $$
DECLARE
  bounded record;
BEGIN
  FOR bounded IN
    SELECT relname, string_agg(
      format('%1$I >= to_timestamp(-62135596800) AND %1$I < to_timestamp(253402300800)', attname), ' AND ' ORDER BY attnum
    ) AS condition
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relname = 'events'
      AND atttypid = 'timestamptz'::regtype AND attnum > 0 AND NOT attisdropped
    GROUP BY relname ORDER BY relname
  LOOP
    EXECUTE format('ALTER TABLE public.%I ADD CONSTRAINT %I CHECK (%s)',
      bounded.relname, bounded.relname || '_times_check', bounded.condition);
  END LOOP;
END
$$;
