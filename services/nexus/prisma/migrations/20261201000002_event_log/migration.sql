-- Why: nexus becomes the log of all events. Relays append the events of every outbox here, and consumers read them from here.
-- Positions become visible in their order: an append locks the head, numbers its events and commits. A reader that remembers a
-- position therefore skips nothing, however many relays append.
-- The rows of the former table are carried over. No program has read or written it.
-- Locks: ACCESS EXCLUSIVE on events, while its rows are copied.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- The one clock of every rule below; tests replace the function.
CREATE FUNCTION "database_time"() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT pg_catalog.clock_timestamp() $$;

-- CreateEnum
CREATE TYPE "delivery_state" AS ENUM ('waiting', 'retry', 'dead');

-- lint-ignore renaming-table: no program has read or written the former table
ALTER TABLE "events" RENAME TO "former_events";
ALTER INDEX "events_pkey" RENAME TO "former_events_pkey";

-- CreateTable
CREATE TABLE "events" (
    "position" BIGINT NOT NULL,
    "event_id" UUID NOT NULL,
    "source" VARCHAR(50) NOT NULL,
    "type" VARCHAR(100) NOT NULL,
    "key" VARCHAR(200) NOT NULL,
    "lane" SMALLINT NOT NULL,
    "payload" JSONB NOT NULL,
    "trace_parent" VARCHAR(55),
    "occurred_at" TIMESTAMPTZ(6) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "events_pkey" PRIMARY KEY ("position"),
    CONSTRAINT "events_source_check" CHECK (btrim("source") <> ''),
    CONSTRAINT "events_type_check" CHECK ("type" ~ '^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*\.v[1-9][0-9]{0,3}$'),
    CONSTRAINT "events_key_check" CHECK (btrim("key") <> ''),
    CONSTRAINT "events_lane_check" CHECK ("lane" BETWEEN 0 AND 15),
    CONSTRAINT "events_payload_check" CHECK (jsonb_typeof("payload") = 'object')
);

-- CreateTable
CREATE TABLE "event_log" (
    "id" BOOLEAN NOT NULL DEFAULT true,
    "head" BIGINT NOT NULL DEFAULT 0,
    "floor" BIGINT NOT NULL DEFAULT 0,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "event_log_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "event_log_id_check" CHECK ("id"),
    CONSTRAINT "event_log_floor_check" CHECK ("floor" BETWEEN 0 AND "head")
);

-- CreateTable
CREATE TABLE "event_sources" (
    "source" VARCHAR(50) NOT NULL,
    "identity" VARCHAR(100),
    "seen" TEXT,
    "tick" TEXT,
    "tick_position" BIGINT,
    "owner" UUID,
    "leased_until" TIMESTAMPTZ(6),
    "relayed" BIGINT NOT NULL DEFAULT 0,
    "relayed_at" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "event_sources_pkey" PRIMARY KEY ("source"),
    CONSTRAINT "event_sources_source_check" CHECK ("source" ~ '^[a-z][a-z0-9-]*$'),
    CONSTRAINT "event_sources_seen_check" CHECK ("seen" ~ '^\d+:\d+:[\d,]*$'),
    CONSTRAINT "event_sources_tick_check" CHECK (("tick" ~ '^\d+:\d+:[\d,]*$') IS NOT FALSE AND ("tick" IS NULL) = ("tick_position" IS NULL)),
    CONSTRAINT "event_sources_owner_check" CHECK (("owner" IS NULL) = ("leased_until" IS NULL))
);

-- CreateTable
CREATE TABLE "subscriptions" (
    "name" VARCHAR(100) NOT NULL,
    "types" TEXT[] NOT NULL,
    "start" BIGINT NOT NULL,
    "max_attempts" INTEGER NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "subscriptions_pkey" PRIMARY KEY ("name"),
    CONSTRAINT "subscriptions_name_check" CHECK ("name" ~ '^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$'),
    CONSTRAINT "subscriptions_types_check" CHECK (cardinality("types") > 0 AND array_position("types", NULL) IS NULL),
    CONSTRAINT "subscriptions_max_attempts_check" CHECK ("max_attempts" BETWEEN 1 AND 1000)
);

-- CreateTable
CREATE TABLE "subscription_workers" (
    "subscription" VARCHAR(100) NOT NULL,
    "worker" UUID NOT NULL,
    "leased_until" TIMESTAMPTZ(6) NOT NULL,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "subscription_workers_pkey" PRIMARY KEY ("subscription", "worker")
);

-- CreateTable
CREATE TABLE "subscription_lanes" (
    "subscription" VARCHAR(100) NOT NULL,
    "lane" SMALLINT NOT NULL,
    "owner" UUID,
    "leased_until" TIMESTAMPTZ(6),
    "version" BIGINT NOT NULL DEFAULT 0,

    CONSTRAINT "subscription_lanes_pkey" PRIMARY KEY ("subscription", "lane"),
    CONSTRAINT "subscription_lanes_lane_check" CHECK ("lane" BETWEEN 0 AND 15),
    CONSTRAINT "subscription_lanes_owner_check" CHECK (("owner" IS NULL) = ("leased_until" IS NULL))
);

-- CreateTable
CREATE TABLE "subscription_progress" (
    "subscription" VARCHAR(100) NOT NULL,
    "lane" SMALLINT NOT NULL,
    "step" BIGINT NOT NULL,
    "position" BIGINT NOT NULL,

    CONSTRAINT "subscription_progress_pkey" PRIMARY KEY ("subscription", "lane", "step"),
    CONSTRAINT "subscription_progress_lane_check" CHECK ("lane" BETWEEN 0 AND 15),
    CONSTRAINT "subscription_progress_position_check" CHECK ("position" >= 0)
);

-- CreateTable
CREATE TABLE "deliveries" (
    "position" BIGINT NOT NULL,
    "subscription" VARCHAR(100) NOT NULL,
    "key" VARCHAR(200) NOT NULL,
    "lane" SMALLINT NOT NULL,
    "state" "delivery_state" NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "next_at" TIMESTAMPTZ(6),
    "last_error" VARCHAR(500),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT database_time(),

    CONSTRAINT "deliveries_pkey" PRIMARY KEY ("position", "subscription"),
    CONSTRAINT "deliveries_attempts_check" CHECK ("attempts" >= 0),
    CONSTRAINT "deliveries_next_at_check" CHECK (("state" = 'retry') = ("next_at" IS NOT NULL))
);

INSERT INTO "event_log" DEFAULT VALUES;

-- The key is the user, or the id of the event. A name that begins with a digit or a hyphen gets an x.
INSERT INTO "events" ("position", "event_id", "source", "type", "key", "lane", "payload", "occurred_at", "created_at")
SELECT row_number() OVER (ORDER BY "created_at", "id"), md5("id")::uuid, "source",
       left(regexp_replace("type", '\.([0-9-])', '.x\1'), 97) || '.v1', "key", get_byte(sha256(convert_to("key", 'UTF8')), 0) & 15,
       "payload", "created_at", "created_at"
FROM "former_events" CROSS JOIN LATERAL (SELECT left(coalesce(nullif(btrim("user_id"), ''), "id"), 200) AS "key") AS "chosen";
UPDATE "event_log" SET "head" = (SELECT count(*) FROM "events");

-- lint-ignore ban-drop-table: its rows are in the new table, and no program has read or written it
DROP TABLE "former_events";
DROP TYPE "event_status";

-- CreateIndex
CREATE UNIQUE INDEX "events_event_id_key" ON "events"("event_id");

-- CreateIndex
CREATE INDEX "events_lane_position_idx" ON "events"("lane", "position");

-- CreateIndex
CREATE INDEX "deliveries_subscription_idx" ON "deliveries"("subscription");

-- CreateIndex
CREATE INDEX "events_created_at_idx" ON "events" USING BRIN ("created_at");

-- AddForeignKey
ALTER TABLE "subscription_workers" ADD CONSTRAINT "subscription_workers_subscription_fkey" FOREIGN KEY ("subscription") REFERENCES "subscriptions"("name") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "subscription_lanes" ADD CONSTRAINT "subscription_lanes_subscription_fkey" FOREIGN KEY ("subscription") REFERENCES "subscriptions"("name") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "subscription_progress" ADD CONSTRAINT "subscription_progress_subscription_fkey" FOREIGN KEY ("subscription") REFERENCES "subscriptions"("name") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_subscription_fkey" FOREIGN KEY ("subscription") REFERENCES "subscriptions"("name") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "deliveries" ADD CONSTRAINT "deliveries_position_fkey" FOREIGN KEY ("position") REFERENCES "events"("position") ON DELETE RESTRICT ON UPDATE CASCADE;

-- The deliveries that hold back later events of their key, in the order of the key.
CREATE INDEX "deliveries_open_idx" ON "deliveries" ("subscription", "key", "position") WHERE "state" <> 'dead';
-- The deliveries that are due, and the dead letters.
CREATE INDEX "deliveries_retry_idx" ON "deliveries" ("subscription", "lane", "next_at") WHERE "state" = 'retry';
CREATE INDEX "deliveries_dead_idx" ON "deliveries" ("subscription", "position") WHERE "state" = 'dead';

-- No client can read a time beyond the years 1 to 9999.
DO $$
DECLARE
  bounded record;
BEGIN
  FOR bounded IN
    SELECT relname, string_agg(
      format('%1$I >= to_timestamp(-62135596800) AND %1$I < to_timestamp(253402300800)', attname), ' AND ' ORDER BY attnum
    ) AS condition
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relname IN
      ('deliveries', 'event_log', 'event_sources', 'events', 'subscription_lanes', 'subscription_workers', 'subscriptions')
      AND atttypid = 'timestamptz'::regtype AND attnum > 0 AND NOT attisdropped
    GROUP BY relname ORDER BY relname
  LOOP
    EXECUTE format('ALTER TABLE public.%I ADD CONSTRAINT %I CHECK (%s)',
      bounded.relname, bounded.relname || '_times_check', bounded.condition);
  END LOOP;
END
$$;

-- Relays --------------------------------------------------------------------------------------------------------------

-- Makes "p_owner" the relay of a source, if no other relay has a lease, or renews its lease. Returns whether it succeeded, and how
-- far the source was relayed. Another identity means that the outbox was restored or moved: everything in it is relayed again.
CREATE FUNCTION "claim_source"(
  "p_source" text, "p_owner" uuid, "p_identity" text, "p_lease" interval,
  OUT "is_held" boolean, OUT "seen" text, OUT "tick" text, OUT "tick_position" bigint
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  found_row event_sources;
  at timestamptz;
BEGIN
  INSERT INTO event_sources (source) VALUES (p_source) ON CONFLICT DO NOTHING;
  SELECT * INTO found_row FROM event_sources AS s WHERE s.source = p_source FOR NO KEY UPDATE;
  at := database_time();
  is_held := coalesce(found_row.owner = p_owner OR found_row.leased_until <= at, true);
  IF NOT is_held THEN
    RETURN;
  END IF;
  UPDATE event_sources AS s
  SET owner = p_owner, leased_until = at + p_lease, identity = p_identity, updated_at = at,
      seen = CASE WHEN s.identity = p_identity THEN s.seen END,
      tick = CASE WHEN s.identity = p_identity THEN s.tick END,
      tick_position = CASE WHEN s.identity = p_identity THEN s.tick_position END
  WHERE s.source = p_source
  RETURNING s.seen, s.tick, s.tick_position INTO claim_source.seen, claim_source.tick, claim_source.tick_position;
END
$$;

-- Gives a lease back, so that another relay need not wait for its end.
CREATE FUNCTION "release_source"("p_source" text, "p_owner" uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE event_sources SET owner = NULL, leased_until = NULL, updated_at = database_time()
  WHERE source = p_source AND owner = p_owner
$$;

-- Appends events in their order and remembers how far the source was relayed, in one transaction. Events that the log has are left
-- out. Refuses a relay that has lost its lease to another one. Returns the number of new events.
CREATE FUNCTION "append_events"(
  "p_source" text, "p_owner" uuid, "p_lease" interval, "p_seen" text, "p_tick" text, "p_tick_position" bigint,
  "p_ids" uuid[], "p_types" text[], "p_keys" text[], "p_payloads" text[], "p_trace_parents" text[], "p_times" timestamptz[]
) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  base bigint;
  at timestamptz;
  appended integer;
BEGIN
  PERFORM FROM event_sources WHERE source = p_source AND owner = p_owner FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'event_sources_lease' USING ERRCODE = 'AZ001';
  END IF;
  -- Every append waits here for the one before it: positions are visible in their order.
  UPDATE event_log SET head = head + cardinality(p_ids), updated_at = database_time()
  RETURNING head - cardinality(p_ids) INTO base;
  at := database_time();
  INSERT INTO events (position, event_id, source, type, key, lane, payload, trace_parent, occurred_at, created_at)
  SELECT base + e.n, e.id, p_source, e.type, e.key, get_byte(sha256(convert_to(e.key, 'UTF8')), 0) & 15, e.payload::jsonb,
         e.trace_parent, e.time, at
  FROM unnest(p_ids, p_types, p_keys, p_payloads, p_trace_parents, p_times) WITH ORDINALITY
    AS e (id, type, key, payload, trace_parent, time, n)
  ORDER BY e.n
  ON CONFLICT (event_id) DO NOTHING;
  GET DIAGNOSTICS appended = ROW_COUNT;
  UPDATE event_sources
  SET seen = p_seen, tick = p_tick, tick_position = p_tick_position, leased_until = at + p_lease, relayed = relayed + appended,
      relayed_at = at, updated_at = at
  WHERE source = p_source;
  IF appended > 0 THEN
    PERFORM pg_notify('events', '');
  END IF;
  RETURN appended;
END
$$;

-- Subscriptions -------------------------------------------------------------------------------------------------------

-- The position up to which a lane was handled. A batch inserts a row and deletes the one before it, instead of updating a row: a
-- snapshot that is held open keeps every old version, and each lookup of an updated row would pass all of them. The newest row
-- stands at the end of its range of the index, in front of all that were deleted. The planner would read a table that was small when
-- the plan was made as a whole, so it may use the index only.
CREATE FUNCTION "lane_position"("p_subscription" text, "p_lane" smallint) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off AS $$
  SELECT position FROM subscription_progress WHERE subscription = p_subscription AND lane = p_lane ORDER BY step DESC LIMIT 1
$$;

-- Sets the positions of lanes; with "p_forward", only to later ones. The caller has locked the rows of the lanes.
CREATE FUNCTION "move_lanes"("p_subscription" text, "p_lanes" smallint[], "p_positions" bigint[], "p_forward" boolean) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off AS $$
  WITH moved AS MATERIALIZED (
    SELECT g.lane, g.position, newest.step
    FROM unnest(p_lanes, p_positions) AS g (lane, position) CROSS JOIN LATERAL (
      SELECT p.step, p.position FROM subscription_progress AS p
      WHERE p.subscription = p_subscription AND p.lane = g.lane ORDER BY p.step DESC LIMIT 1
    ) AS newest
    WHERE g.position > newest.position OR (NOT p_forward AND g.position < newest.position)
  ), gone AS (
    DELETE FROM subscription_progress AS p USING moved
    WHERE p.subscription = p_subscription AND p.lane = moved.lane AND p.step = moved.step
  )
  INSERT INTO subscription_progress (subscription, lane, step, position)
  SELECT p_subscription, lane, step + 1, position FROM moved
$$;

-- Registers a consumer. A new one begins with the oldest event of the log, or with the next one. The types of the call that came
-- last are those of the subscription.
CREATE FUNCTION "join_subscription"("p_name" text, "p_types" text[], "p_max_attempts" integer, "p_from" text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  sorted_types text[] := ARRAY(SELECT DISTINCT t FROM unnest(p_types) AS t ORDER BY t);
  first_position bigint;
BEGIN
  SELECT CASE WHEN p_from = 'start' THEN floor ELSE head END INTO first_position FROM event_log;
  INSERT INTO subscriptions (name, types, start, max_attempts) VALUES (p_name, sorted_types, first_position, p_max_attempts)
  ON CONFLICT (name) DO UPDATE SET types = EXCLUDED.types, max_attempts = EXCLUDED.max_attempts, updated_at = database_time()
  WHERE (subscriptions.types, subscriptions.max_attempts) IS DISTINCT FROM (EXCLUDED.types, EXCLUDED.max_attempts);
  WITH new_lanes AS (
    INSERT INTO subscription_lanes (subscription, lane) SELECT p_name, lane FROM generate_series(0, 15) AS lane
    ON CONFLICT DO NOTHING RETURNING lane
  )
  INSERT INTO subscription_progress (subscription, lane, step, position)
  SELECT name, lane, 0, start FROM subscriptions, new_lanes WHERE name = p_name;
END
$$;

-- Renews the lease of a worker and of its lanes. With "p_claims", it also takes its fair share of the lanes: it gives lanes back
-- when there are more workers, and takes lanes that nobody has or whose lease has lapsed. A worker claims only between two batches.
-- Returns its lanes; none if the subscription has other types, because a newer version of the consumer has joined.
CREATE FUNCTION "lease_lanes"("p_subscription" text, "p_worker" uuid, "p_types" text[], "p_lease" interval, "p_claims" boolean)
RETURNS TABLE ("lane" smallint, "version" bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz;
  share integer;
  mine integer;
  current_types text[];
  released integer;
BEGIN
  SELECT s.types INTO current_types FROM subscriptions AS s WHERE s.name = p_subscription FOR NO KEY UPDATE;
  at := database_time();
  IF current_types IS DISTINCT FROM ARRAY(SELECT DISTINCT t FROM unnest(p_types) AS t ORDER BY t) THEN
    PERFORM leave_subscription(p_subscription, p_worker);
    RETURN;
  END IF;
  INSERT INTO subscription_workers AS w (subscription, worker, leased_until) VALUES (p_subscription, p_worker, at + p_lease)
  ON CONFLICT ON CONSTRAINT subscription_workers_pkey DO UPDATE SET leased_until = EXCLUDED.leased_until;
  IF p_claims THEN
    DELETE FROM subscription_workers AS w WHERE w.subscription = p_subscription AND w.leased_until <= at;
    share := (SELECT ceil(16.0 / count(*)) FROM subscription_workers AS w WHERE w.subscription = p_subscription);
    UPDATE subscription_lanes AS l SET owner = NULL, leased_until = NULL
    WHERE l.subscription = p_subscription AND l.owner = p_worker AND l.lane IN (
      SELECT o.lane FROM subscription_lanes AS o WHERE o.subscription = p_subscription AND o.owner = p_worker
      ORDER BY o.lane OFFSET share);
    GET DIAGNOSTICS released = ROW_COUNT;
    IF released > 0 THEN
      PERFORM pg_notify('events', '');
    END IF;
    mine := (SELECT count(*) FROM subscription_lanes AS l WHERE l.subscription = p_subscription AND l.owner = p_worker);
    UPDATE subscription_lanes AS l SET owner = p_worker, leased_until = at + p_lease, version = l.version + 1
    WHERE l.subscription = p_subscription AND l.lane IN (
      SELECT o.lane FROM subscription_lanes AS o
      WHERE o.subscription = p_subscription AND o.owner IS DISTINCT FROM p_worker AND (o.owner IS NULL OR o.leased_until <= at)
      ORDER BY o.lane LIMIT share - mine);
  END IF;
  RETURN QUERY UPDATE subscription_lanes AS l SET leased_until = at + p_lease
  WHERE l.subscription = p_subscription AND l.owner = p_worker RETURNING l.lane, l.version;
END
$$;

-- Gives the lanes of a worker back, so that the others need not wait for the end of its lease.
CREATE FUNCTION "leave_subscription"("p_subscription" text, "p_worker" uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE subscription_lanes SET owner = NULL, leased_until = NULL WHERE subscription = p_subscription AND owner = p_worker;
  IF FOUND THEN
    PERFORM pg_notify('events', '');
  END IF;
  DELETE FROM subscription_workers WHERE subscription = p_subscription AND worker = p_worker;
END
$$;

-- Returns up to "p_most" events of the lanes of a worker: first parked ones that are due ("retry"), each with those of its key that
-- wait behind it, then new ones ("event", or "behind" if an earlier event of the key is parked), the oldest first. A row "lane"
-- says how far a lane was read. The last row, "state", says whether the worker should claim lanes or give some back, and in how
-- many milliseconds the next parked event is due.
-- A worker that has not acknowledged its last batch yet passes how far that batch has read ("p_positions"). It counts for lanes
-- that still have the version of the worker: after a replay, reading begins at the replay.
-- The log is read in its order, whatever the number of lanes: each page once. A lane that is far behind goes first.
CREATE FUNCTION "fetch_events"(
  "p_subscription" text, "p_worker" uuid, "p_most" integer,
  "p_lanes" smallint[] DEFAULT '{}', "p_versions" bigint[] DEFAULT '{}', "p_positions" bigint[] DEFAULT '{}'
) RETURNS TABLE (
  "kind" text, "lane" smallint, "position" bigint, "event_id" uuid, "source" text, "type" text, "key" text, "payload" text,
  "trace_parent" text, "occurred_at" timestamptz, "is_unbalanced" boolean, "due_in" double precision
) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
DECLARE
  -- A consumer of rare types reads at most this many events at once.
  scan_limit constant integer := 10000;
  at timestamptz := database_time();
  top bigint;
  wanted text[];
  remaining integer := p_most;
  parked integer := 0;
BEGIN
  SELECT head INTO top FROM event_log;
  SELECT s.types INTO wanted FROM subscriptions AS s WHERE s.name = p_subscription;
  IF EXISTS (SELECT FROM deliveries AS d WHERE d.subscription = p_subscription AND d.state = 'retry' AND d.next_at <= at) THEN
    RETURN QUERY
    WITH due AS MATERIALIZED (
      SELECT d.key, d.next_at FROM deliveries AS d
      JOIN subscription_lanes AS l ON l.subscription = d.subscription AND l.lane = d.lane
      WHERE d.subscription = p_subscription AND l.owner = p_worker AND d.state = 'retry' AND d.next_at <= at
      ORDER BY d.next_at LIMIT p_most
    ), chosen AS MATERIALIZED (
      SELECT d.position FROM due CROSS JOIN LATERAL (
        SELECT o.position FROM deliveries AS o
        WHERE o.subscription = p_subscription AND o.key = due.key AND o.state <> 'dead' ORDER BY o.position LIMIT p_most
      ) AS d
      ORDER BY due.next_at, due.key, d.position LIMIT p_most
    )
    SELECT 'retry', e.lane, e.position, e.event_id, e.source::text, e.type::text, e.key::text, e.payload::text,
           e.trace_parent::text, e.occurred_at, NULL::boolean, NULL::double precision
    FROM chosen JOIN events AS e ON e.position = chosen.position ORDER BY e.position;
    GET DIAGNOSTICS parked = ROW_COUNT;
    remaining := p_most - parked;
  END IF;
  IF remaining > 0 THEN
    RETURN QUERY
    WITH mine AS MATERIALIZED (
      SELECT l.lane, greatest(newest.position, ahead.position) AS position
      FROM subscription_lanes AS l
      CROSS JOIN LATERAL (
        SELECT p.position FROM subscription_progress AS p
        WHERE p.subscription = p_subscription AND p.lane = l.lane ORDER BY p.step DESC LIMIT 1
      ) AS newest
      LEFT JOIN unnest(p_lanes, p_versions, p_positions) AS ahead (lane, version, position)
        ON ahead.lane = l.lane AND ahead.version = l.version
      WHERE l.subscription = p_subscription AND l.owner = p_worker
    ), passed AS MATERIALIZED (
      -- The element of a lane is null if the worker does not have the lane.
      SELECT (SELECT min(mine.position) FROM mine) AS by_all, ARRAY(
        SELECT mine.position FROM generate_series(0, 15) AS every (lane) LEFT JOIN mine ON mine.lane = every.lane ORDER BY every.lane
      ) AS by_lane
    ), found AS MATERIALIZED (
      SELECT s.* FROM (
        SELECT n.* FROM events AS n
        WHERE n.position > (SELECT passed.by_all FROM passed) AND n.position <= top ORDER BY n.position LIMIT scan_limit
      ) AS s
      WHERE s.position > (SELECT passed.by_lane FROM passed)[s.lane + 1] AND s.type = ANY (wanted)
      ORDER BY s.position LIMIT remaining
    ), reached AS MATERIALIZED (
      SELECT CASE
        WHEN (SELECT count(*) FROM found) = remaining THEN (SELECT max(found.position) FROM found)
        ELSE coalesce((
          SELECT n.position FROM events AS n
          WHERE n.position > (SELECT passed.by_all FROM passed) AND n.position <= top ORDER BY n.position OFFSET scan_limit - 1 LIMIT 1
        ), top)
      END AS position
    ), judged AS (
      SELECT found.*, EXISTS (
        SELECT FROM deliveries AS d WHERE d.subscription = p_subscription AND d.key = found.key AND d.state <> 'dead') AS is_behind
      FROM found
    )
    SELECT CASE WHEN j.is_behind THEN 'behind' ELSE 'event' END, j.lane, j.position, j.event_id, j.source::text, j.type::text,
           j.key::text, CASE WHEN NOT j.is_behind THEN j.payload::text END, j.trace_parent::text, j.occurred_at, NULL::boolean,
           NULL::double precision
    FROM (SELECT * FROM judged ORDER BY judged.position) AS j
    UNION ALL
    SELECT 'lane', mine.lane, reached.position, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM mine JOIN reached ON mine.position < reached.position;
  END IF;
  RETURN QUERY
  WITH share AS (
    SELECT ceil(16.0 / greatest(count(*), 1)) AS most FROM subscription_workers AS w
    WHERE w.subscription = p_subscription AND w.leased_until > at
  ), lanes AS (
    SELECT count(*) FILTER (WHERE l.owner = p_worker) AS mine,
           count(*) FILTER (WHERE l.owner IS NULL OR (l.owner <> p_worker AND l.leased_until <= at)) AS free
    FROM subscription_lanes AS l WHERE l.subscription = p_subscription
  )
  SELECT 'state', NULL::smallint, NULL::bigint, NULL::uuid, NULL, NULL, NULL, NULL, NULL, NULL::timestamptz,
         lanes.mine > share.most OR (lanes.mine < share.most AND lanes.free > 0),
         (SELECT extract(epoch FROM min(d.next_at) - at)::double precision * 1000 FROM deliveries AS d
          JOIN subscription_lanes AS l ON l.subscription = d.subscription AND l.lane = d.lane
          WHERE d.subscription = p_subscription AND l.owner = p_worker AND d.state = 'retry')
  FROM share CROSS JOIN lanes;
END
$$;

-- Records what a worker did with the events that it fetched, and renews its lease. Lanes that have got another version, because
-- another worker took them or a replay began, are left alone with their events. Returns the lanes that were recorded.
-- "p_done" are parked events that took effect. "p_failed" are parked with a delay, or are dead after the last attempt.
-- "p_behind" wait for an earlier event of their key.
CREATE FUNCTION "acknowledge_events"(
  "p_subscription" text, "p_worker" uuid, "p_lease" interval, "p_lanes" smallint[], "p_versions" bigint[], "p_positions" bigint[],
  "p_done" bigint[], "p_failed" bigint[], "p_errors" text[], "p_behind" bigint[]
) RETURNS smallint[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  at timestamptz;
  held smallint[];
  most integer;
  keys text[];
BEGIN
  held := ARRAY(
    SELECT l.lane FROM subscription_lanes AS l
    JOIN unnest(p_lanes, p_versions) AS g (lane, version) ON g.lane = l.lane AND g.version = l.version
    WHERE l.subscription = p_subscription AND l.owner = p_worker ORDER BY l.lane FOR NO KEY UPDATE OF l);
  at := database_time();
  PERFORM move_lanes(p_subscription, array_agg(g.lane), array_agg(g.position), true)
  FROM unnest(p_lanes, p_positions) AS g (lane, position) WHERE g.lane = ANY (held);
  -- Not with each batch, for the same reason.
  UPDATE subscription_lanes AS l SET leased_until = at + p_lease
  WHERE l.subscription = p_subscription AND l.lane = ANY (held) AND l.leased_until < at + p_lease * 0.75;
  IF cardinality(p_done) + cardinality(p_failed) + cardinality(p_behind) = 0 THEN
    RETURN held;
  END IF;
  SELECT max_attempts INTO most FROM subscriptions WHERE name = p_subscription;
  keys := ARRAY(
    SELECT DISTINCT e.key FROM events AS e WHERE e.position = ANY (p_done || p_failed || p_behind) AND e.lane = ANY (held));
  DELETE FROM deliveries AS d
  WHERE d.subscription = p_subscription AND d.position = ANY (p_done) AND d.lane = ANY (held) AND d.state <> 'dead';
  INSERT INTO deliveries AS d (subscription, position, key, lane, state, attempts, next_at, last_error, created_at, updated_at)
  SELECT p_subscription, e.position, e.key, e.lane, CASE WHEN most > 1 THEN 'retry' ELSE 'dead' END::delivery_state, 1,
         CASE WHEN most > 1 THEN at + retry_delay(1) END, left(f.error, 500), at, at
  FROM unnest(p_failed, p_errors) AS f (position, error) JOIN events AS e ON e.position = f.position AND e.lane = ANY (held)
  ON CONFLICT (position, subscription) DO UPDATE
  SET attempts = d.attempts + 1, last_error = EXCLUDED.last_error, updated_at = at,
      state = CASE WHEN d.attempts + 1 < most THEN 'retry' ELSE 'dead' END::delivery_state,
      next_at = CASE WHEN d.attempts + 1 < most THEN at + retry_delay(d.attempts + 1) END
  WHERE d.state <> 'dead';
  INSERT INTO deliveries (subscription, position, key, lane, state, created_at, updated_at)
  SELECT p_subscription, e.position, e.key, e.lane, 'waiting', at, at
  FROM events AS e WHERE e.position = ANY (p_behind) AND e.lane = ANY (held)
  ON CONFLICT DO NOTHING;
  PERFORM unblock_keys(p_subscription, keys);
  RETURN held;
END
$$;

-- The delay before the next attempt: random, up to a limit that doubles with each attempt, at most ten minutes.
CREATE FUNCTION "retry_delay"("p_attempts" integer) RETURNS interval
LANGUAGE sql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT least(power(2, least(p_attempts, 20)), 600) * random() * interval '1 second'
$$;

-- Makes the first open delivery of each key due, if it waits for nothing any more.
CREATE FUNCTION "unblock_keys"("p_subscription" text, "p_keys" text[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, public, pg_temp AS $$
  UPDATE deliveries AS d SET state = 'retry', next_at = database_time(), updated_at = database_time()
  FROM (
    SELECT DISTINCT ON (o.key) o.position FROM deliveries AS o
    WHERE o.subscription = p_subscription AND o.key = ANY (p_keys) AND o.state <> 'dead' ORDER BY o.key, o.position
  ) AS first
  WHERE d.subscription = p_subscription AND d.position = first.position AND d.state = 'waiting'
$$;

-- Operations of the administrator -------------------------------------------------------------------------------------

-- Delivers again every event of a subscription that follows a position, as far as the log has them. Parked events and dead letters
-- behind the position are forgotten, because they are delivered again too. Those whose events the log keeps for their sake only stay
-- as they are. A batch that a worker has in its hands is not acknowledged.
CREATE FUNCTION "replay_events"("p_subscription" text, "p_position" bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  before bigint;
BEGIN
  PERFORM FROM subscriptions WHERE name = p_subscription FOR NO KEY UPDATE;
  SELECT least(greatest(p_position, floor), head) INTO before FROM event_log;
  UPDATE subscription_lanes SET version = version + 1 WHERE subscription = p_subscription;
  PERFORM move_lanes(p_subscription, array_agg(lane), array_agg(before), false)
  FROM subscription_lanes WHERE subscription = p_subscription;
  DELETE FROM deliveries WHERE subscription = p_subscription AND position > before;
  PERFORM pg_notify('events', '');
END
$$;

-- The position before the first event that was appended at this time or later.
CREATE FUNCTION "position_before"("p_time" timestamptz) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT coalesce((SELECT min(position) - 1 FROM events WHERE created_at >= p_time), (SELECT head FROM event_log))
$$;

-- Delivers a dead letter again, as if it had never failed. Returns whether there was one.
CREATE FUNCTION "retry_dead_letter"("p_subscription" text, "p_position" bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  found_key text;
BEGIN
  -- Events of its key that are parked now came later: they wait behind it.
  SELECT key INTO found_key FROM deliveries
  WHERE subscription = p_subscription AND position = p_position AND state = 'dead' FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  UPDATE deliveries SET state = 'waiting', next_at = NULL, updated_at = database_time()
  WHERE subscription = p_subscription AND key = found_key AND state = 'retry' AND position > p_position;
  UPDATE deliveries SET state = 'waiting', attempts = 0, updated_at = database_time()
  WHERE subscription = p_subscription AND position = p_position;
  PERFORM unblock_keys(p_subscription, ARRAY[found_key]);
  PERFORM pg_notify('events', '');
  RETURN true;
END
$$;

-- Gives a dead letter up. Returns whether there was one.
CREATE FUNCTION "discard_dead_letter"("p_subscription" text, "p_position" bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  DELETE FROM deliveries WHERE subscription = p_subscription AND position = p_position AND state = 'dead';
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  -- The log kept the event for its dead letter only.
  DELETE FROM events AS e USING event_log
  WHERE e.position = p_position AND e.position <= floor AND NOT EXISTS (SELECT FROM deliveries AS d WHERE d.position = e.position);
  RETURN true;
END
$$;

-- Retention -----------------------------------------------------------------------------------------------------------

-- Deletes events that every subscription has passed and that are older than "p_keep", which counts as one day if it is less: at most
-- "p_most" of them. Events with a parked delivery or a dead letter stay. Returns how many it passed; call it again while it is
-- "p_most". Begins where the last call ended, because the index still holds what was deleted as long as a snapshot is held open.
CREATE FUNCTION "prune_events"("p_keep" interval, "p_most" integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  kept_since timestamptz := database_time() - greatest(p_keep, interval '1 day');
  old_floor bigint;
  new_floor bigint;
  passed integer;
BEGIN
  -- A replay moves lanes back: it comes before this call or after it.
  PERFORM FROM subscriptions FOR SHARE;
  SELECT floor INTO old_floor FROM event_log;
  SELECT max(position), count(*) INTO new_floor, passed FROM (
    SELECT e.position, bool_and(e.created_at < kept_since) OVER (ORDER BY e.position) AS is_old FROM (
      SELECT n.position, n.created_at FROM events AS n
      WHERE n.position > old_floor AND n.position <= coalesce((SELECT min(lane_position(l.subscription, l.lane)) FROM subscription_lanes AS l), n.position)
      ORDER BY n.position LIMIT least(greatest(p_most, 1), 100000)
    ) AS e
  ) AS judged WHERE is_old;
  IF passed > 0 THEN
    DELETE FROM events AS e WHERE e.position > old_floor AND e.position <= new_floor
      AND NOT EXISTS (SELECT FROM deliveries AS d WHERE d.position = e.position);
    UPDATE event_log SET floor = greatest(floor, new_floor), updated_at = database_time();
  END IF;
  RETURN passed;
END
$$;
