-- Why: log lines are most of this database, and deleting old ones row by row leaves dead rows and long vacuums. The table is
-- partitioned by month (UTC): retention drops a whole month within milliseconds, and a search reads only the months that it asks for.
-- The database dates each line, and lines are appended by a function: an app role cannot insert a line with another time, or delete one.
-- The partitions are in a schema of their own: they come and go without a migration, so they are no part of the schema that
-- migrations describe.
-- Locks: ACCESS EXCLUSIVE on logs, while its rows are copied.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- The one clock of every rule below; tests replace the function.
CREATE FUNCTION "database_time"() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT pg_catalog.clock_timestamp() $$;

CREATE SCHEMA "log_months";

-- lint-ignore renaming-table: the table is made anew below, under its name and in the same transaction
ALTER TABLE "logs" RENAME TO "former_logs";
ALTER INDEX "logs_pkey" RENAME TO "former_logs_pkey";

-- CreateTable
CREATE TABLE "logs" (
    "id" TEXT NOT NULL,
    "level" "log_level" NOT NULL DEFAULT 'INFO',
    "service" VARCHAR(100) NOT NULL,
    "message" TEXT NOT NULL,
    "user_id" TEXT,
    "request_id" VARCHAR(100),
    "metadata" JSONB NOT NULL DEFAULT '{}',
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "logs_pkey" PRIMARY KEY ("created_at", "id"),
    CONSTRAINT "logs_service_check" CHECK (btrim("service") <> ''),
    CONSTRAINT "logs_message_check" CHECK (btrim("message") <> ''),
    CONSTRAINT "logs_metadata_check" CHECK (jsonb_typeof("metadata") = 'object'),
    CONSTRAINT "logs_times_check" CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
) PARTITION BY RANGE ("created_at");

-- CreateTable
CREATE TABLE "log_batches" (
    "key" VARCHAR(200) NOT NULL,
    "body_hash" CHAR(64) NOT NULL,
    "lines" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "log_batches_pkey" PRIMARY KEY ("key"),
    CONSTRAINT "log_batches_key_check" CHECK (btrim("key") <> ''),
    CONSTRAINT "log_batches_body_hash_check" CHECK ("body_hash" ~ '^[0-9a-f]{64}$'),
    CONSTRAINT "log_batches_lines_check" CHECK ("lines" > 0),
    CONSTRAINT "log_batches_times_check" CHECK ("created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800))
);

-- Months --------------------------------------------------------------------------------------------------------------

-- Makes the partition of the month that contains a day (UTC), if it is missing. The new table is complete before it is attached:
-- ATTACH locks out neither readers nor writers, while CREATE TABLE … PARTITION OF waits for all of them.
CREATE FUNCTION "make_log_month"("p_day" date) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  month timestamp := date_trunc('month', p_day::timestamp);
  part text := to_char(month, '"logs_"YYYY_MM');
BEGIN
  IF EXISTS (SELECT FROM pg_class WHERE relname = part AND relnamespace = 'log_months'::regnamespace) THEN
    RETURN false;
  END IF;
  -- One session at a time makes a month. The others see it when they have the lock.
  LOCK TABLE public.logs IN SHARE UPDATE EXCLUSIVE MODE;
  IF EXISTS (SELECT FROM pg_class WHERE relname = part AND relnamespace = 'log_months'::regnamespace) THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE log_months.%I (LIKE public.logs INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part);
  EXECUTE format('ALTER TABLE public.logs ATTACH PARTITION log_months.%I FOR VALUES FROM (%L) TO (%L)', part,
    month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
  RETURN true;
END
$$;

-- Makes the partitions of the present month and of the next ones, at most 12. Returns the number of partitions that were missing.
CREATE FUNCTION "make_log_months"("p_ahead" integer) RETURNS integer
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT count(*)::integer FROM (
    SELECT make_log_month((present + ahead * interval '1 month')::date) AS made
    FROM (SELECT date_trunc('month', database_time() AT TIME ZONE 'UTC') AS present) AS months,
      generate_series(0, least(greatest(p_ahead, 0), 12)) AS ahead
  ) AS months WHERE made
$$;

-- Drops the oldest partition if all of its lines are older than "p_keep", which counts as 30 days if it is less. Returns the name
-- of the dropped month, such as 2026-07; nothing if no month is old enough. At most one month in a transaction, because the
-- lock on "logs" lasts until its end. A writer that arrives while this function waits for a lock waits behind it, so it waits for
-- 40 ms at most, for the table and for the partition each, and gives up: is_busy is then true.
CREATE FUNCTION "drop_log_month"("p_keep" interval, OUT "dropped" text, OUT "is_busy" boolean) RETURNS SETOF record
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET lock_timeout = '40ms' AS $$
DECLARE
  kept_since timestamp := (database_time() - greatest(p_keep, interval '30 days')) AT TIME ZONE 'UTC';
  oldest text;
BEGIN
  SELECT min(relname) INTO oldest FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
  WHERE inhparent = 'public.logs'::regclass AND relnamespace = 'log_months'::regnamespace AND relname ~ '^logs_\d{4}_\d{2}$';
  IF oldest IS NULL OR to_date(oldest, '"logs_"YYYY_MM') + interval '1 month' > kept_since THEN
    RETURN;
  END IF;
  is_busy := false;
  BEGIN
    EXECUTE format('DROP TABLE log_months.%I', oldest);
    dropped := replace(substr(oldest, 6), '_', '-');
  EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    is_busy := true;
  -- Another call has dropped it.
  WHEN undefined_table THEN
    NULL;
  END;
  RETURN NEXT;
END
$$;

-- Appending -----------------------------------------------------------------------------------------------------------

-- Appends lines in their order: each is a microsecond later than the one before. With a key, the lines are appended once: a
-- repeated call returns the number of the first one.
CREATE FUNCTION "append_logs"("p_lines" json, "p_key" text, "p_hash" text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  earlier log_batches;
  at timestamptz;
  appended integer := json_array_length(p_lines);
BEGIN
  IF p_key IS NOT NULL THEN
    INSERT INTO log_batches (key, body_hash, lines) VALUES (p_key, p_hash, appended) ON CONFLICT (key) DO NOTHING;
    IF NOT FOUND THEN
      SELECT * INTO earlier FROM log_batches WHERE key = p_key;
      IF earlier.body_hash IS DISTINCT FROM p_hash THEN
        RAISE EXCEPTION USING ERRCODE = 'AZ001', MESSAGE = 'key_reused';
      END IF;
      RETURN earlier.lines;
    END IF;
  END IF;
  at := database_time();
  PERFORM make_log_month((at AT TIME ZONE 'UTC')::date);
  -- The last lines of a batch at midnight may belong to the next month.
  IF (at + appended * interval '1 microsecond') AT TIME ZONE 'UTC' >= date_trunc('month', at AT TIME ZONE 'UTC') + interval '1 month' THEN
    PERFORM make_log_month(((at + appended * interval '1 microsecond') AT TIME ZONE 'UTC')::date);
  END IF;
  INSERT INTO logs (id, level, service, message, user_id, request_id, metadata, created_at)
  SELECT line.id, line.level, line.service, line.message, line.user_id, line.request_id, coalesce(line.metadata, '{}'),
    at + (line.number - 1) * interval '1 microsecond'
  FROM ROWS FROM (json_to_recordset(p_lines) AS ("id" text, "level" log_level, "service" text, "message" text, "userId" text,
    "requestId" text, "metadata" jsonb)) WITH ORDINALITY AS line (id, level, service, message, user_id, request_id, metadata, number);
  RETURN appended;
END
$$;

-- Forgets keys of batches that are older than "p_keep", which counts as one day if it is less: at most "p_most" of them.
CREATE FUNCTION "prune_log_batches"("p_keep" interval, "p_most" integer) RETURNS integer
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  WITH old AS (
    SELECT key FROM log_batches WHERE created_at < (SELECT database_time() - greatest(p_keep, interval '1 day'))
    ORDER BY created_at LIMIT least(greatest(p_most, 1), 100000) FOR UPDATE SKIP LOCKED
  ), gone AS (DELETE FROM log_batches WHERE key IN (SELECT key FROM old) RETURNING 1)
  SELECT count(*)::integer FROM gone
$$;

-- Existing lines ------------------------------------------------------------------------------------------------------

SELECT "make_log_month"("day"::date)
FROM (SELECT DISTINCT date_trunc('month', "created_at" AT TIME ZONE 'UTC') AS "day" FROM "former_logs") AS "months";

INSERT INTO "logs" ("id", "level", "service", "message", "user_id", "request_id", "metadata", "created_at")
SELECT "id", "level", "service", "message", "user_id", "request_id", "metadata", "created_at" FROM "former_logs";

-- lint-ignore ban-drop-table: its rows are in the new table of the same name
DROP TABLE "former_logs";

-- The present month and the next three.
SELECT "make_log_months"(3);

-- Indexes -------------------------------------------------------------------------------------------------------------

-- CreateIndex
CREATE INDEX "logs_service_created_at_idx" ON "logs"("service", "created_at");

-- CreateIndex
CREATE INDEX "logs_user_id_idx" ON "logs"("user_id");

-- CreateIndex
CREATE INDEX "logs_request_id_idx" ON "logs"("request_id");

-- CreateIndex
CREATE INDEX "log_batches_created_at_idx" ON "log_batches"("created_at");

-- What an operator looks for, among the many lines that say that all is well.
CREATE INDEX "logs_failures_idx" ON "logs" ("created_at" DESC) WHERE "level" IN ('ERROR', 'FATAL');

CREATE INDEX "logs_words_idx" ON "logs" USING gin (to_tsvector('simple', "message"));
