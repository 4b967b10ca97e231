-- loses: log_batches
-- Reverts 20261201000010_log_months. The log lines are carried over into one table.

SET LOCAL lock_timeout = '5s';

DROP FUNCTION "prune_log_batches"(interval, integer);
DROP FUNCTION "append_logs"(json, text, text);
DROP FUNCTION "drop_log_month"(interval);
DROP FUNCTION "make_log_months"(integer);
DROP FUNCTION "make_log_month"(date);
DROP TABLE "log_batches";

ALTER TABLE "logs" RENAME TO "partitioned_logs";
ALTER INDEX "logs_pkey" RENAME TO "partitioned_logs_pkey";

CREATE TABLE "logs" (
    "id" TEXT NOT NULL,
    "level" "log_level" NOT NULL DEFAULT 'INFO',
    "service" VARCHAR(100) NOT NULL,
    "message" TEXT NOT NULL,
    "user_id" TEXT,
    "request_id" VARCHAR(100),
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "logs_pkey" PRIMARY KEY ("id")
);

INSERT INTO "logs" ("id", "level", "service", "message", "user_id", "request_id", "metadata", "created_at")
SELECT "id", "level", "service", "message", "user_id", "request_id", "metadata", "created_at" FROM "partitioned_logs";

DROP TABLE "partitioned_logs";
DROP SCHEMA "log_months";
DROP FUNCTION "database_time"();

CREATE INDEX "logs_service_created_at_idx" ON "logs"("service", "created_at");
CREATE INDEX "logs_user_id_idx" ON "logs"("user_id");
CREATE INDEX "logs_request_id_idx" ON "logs"("request_id");
CREATE INDEX "logs_created_at_idx" ON "logs"("created_at");
CREATE INDEX "logs_failures_idx" ON "logs" ("created_at" DESC) WHERE "level" IN ('ERROR', 'FATAL');

ALTER TABLE "logs"
  ADD CONSTRAINT "logs_service_check" CHECK (btrim("service") <> ''),
  ADD CONSTRAINT "logs_message_check" CHECK (btrim("message") <> ''),
  ADD CONSTRAINT "logs_metadata_check" CHECK (jsonb_typeof("metadata") = 'object'),
  ADD CONSTRAINT "logs_times_check" CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800));
