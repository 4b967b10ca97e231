-- Why: other services learn what has happened here from events. A change and its event are one transaction: the event stands in the
-- outbox if and only if the change was committed. A consumer records an event in its inbox in the transaction of the effect, so
-- that an event that arrives twice has its effect once.
-- A relay reads the outbox by ranges of transaction ids. The primary key is the only index, so that publishing costs little.
-- Locks: none: the tables are new.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- CreateTable
CREATE TABLE "outbox" (
    "position" BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY,
    "transaction_id" BIGINT NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    "event_id" UUID NOT NULL DEFAULT gen_random_uuid(),
    "type" VARCHAR(100) NOT NULL,
    "key" VARCHAR(200) NOT NULL,
    "payload" JSONB NOT NULL,
    "trace_parent" VARCHAR(55),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "outbox_pkey" PRIMARY KEY ("transaction_id", "position")
);

-- CreateTable
CREATE TABLE "outbox_relay" (
    "id" BOOLEAN NOT NULL DEFAULT true,
    "asleep" BOOLEAN NOT NULL DEFAULT false,
    "seen_at" TIMESTAMPTZ(6),
    "identity" VARCHAR(100),
    "pruned_transaction_id" BIGINT,
    "pruned_position" BIGINT,
    "inbox_pruned_until" TIMESTAMPTZ(6),
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "outbox_relay_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "outbox_relay_id_check" CHECK ("id"),
    CONSTRAINT "outbox_relay_pruned_check" CHECK (("pruned_transaction_id" IS NULL) = ("pruned_position" IS NULL)),
    CONSTRAINT "outbox_relay_times_check" CHECK (
      "seen_at" >= to_timestamp(-62135596800) AND "seen_at" < to_timestamp(253402300800) AND
      "inbox_pruned_until" >= to_timestamp(-62135596800) AND "inbox_pruned_until" < to_timestamp(253402300800) AND
      "created_at" >= to_timestamp(-62135596800) AND "created_at" < to_timestamp(253402300800) AND
      "updated_at" >= to_timestamp(-62135596800) AND "updated_at" < to_timestamp(253402300800)
    )
);

-- CreateTable
CREATE TABLE "inbox" (
    "consumer" VARCHAR(100) NOT NULL,
    "event_id" UUID NOT NULL,
    "handled_at" TIMESTAMPTZ(6) NOT NULL DEFAULT clock_timestamp(),

    CONSTRAINT "inbox_pkey" PRIMARY KEY ("consumer", "event_id"),
    CONSTRAINT "inbox_times_check" CHECK ("handled_at" >= to_timestamp(-62135596800) AND "handled_at" < to_timestamp(253402300800)),
    CONSTRAINT "inbox_consumer_check" CHECK ("consumer" ~ '^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$')
);

-- CreateIndex
CREATE INDEX "inbox_handled_at_idx" ON "inbox"("handled_at");

INSERT INTO "outbox_relay" DEFAULT VALUES;

-- Publishing ----------------------------------------------------------------------------------------------------------

-- Publishes an event in the transaction of its caller, and returns its id. The app role cannot insert into the outbox, so
-- that it cannot choose positions, transaction ids and times.
CREATE FUNCTION "publish_event"("p_type" text, "p_key" text, "p_payload" jsonb, "p_trace_parent" text) RETURNS uuid
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  INSERT INTO outbox (type, key, payload, trace_parent) VALUES (p_type, p_key, p_payload, p_trace_parent)
  RETURNING event_id
$$;

-- The rules of an event. They are in a trigger, because PostgreSQL parses each CHECK constraint again in each statement that
-- publishes. They fail as constraints do, with names such as "outbox_key_check". The argument is the service, which publishes no events
-- of others.
CREATE FUNCTION "check_event"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  rule text := CASE
    WHEN NEW.type !~ '^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*\.v[1-9][0-9]{0,3}$' THEN 'outbox_type_check'
    WHEN NOT starts_with(NEW.type, TG_ARGV[0] || '.') THEN 'outbox_service_check'
    WHEN btrim(NEW.key) = '' THEN 'outbox_key_check'
    WHEN jsonb_typeof(NEW.payload) <> 'object' THEN 'outbox_payload_check'
    WHEN octet_length(NEW.payload::text) > 131072 THEN 'outbox_payload_size_check'
    -- W3C Trace Context: version, trace, parent and flags; neither id is zero.
    WHEN NEW.trace_parent !~ '^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$'
      THEN 'outbox_trace_parent_check'
    WHEN NOT (NEW.created_at >= to_timestamp(-62135596800) AND NEW.created_at < to_timestamp(253402300800)) THEN 'outbox_times_check'
  END;
BEGIN
  IF rule IS NOT NULL THEN
    RAISE EXCEPTION 'new row for relation "%" violates check constraint "%"', TG_TABLE_NAME, rule
      USING ERRCODE = 'check_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = rule;
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER "outbox_check_event" BEFORE INSERT ON "outbox" FOR EACH ROW EXECUTE FUNCTION "check_event"('notification');

-- Wakes the relay, but only if it sleeps: transactions that notify commit one after the other, on the whole server. The relay
-- reads once more after every transaction has ended that may have seen it awake.
CREATE FUNCTION "wake_relay"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM outbox_relay WHERE asleep) THEN
    PERFORM pg_notify('outbox', '');
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER "outbox_wake_relay" AFTER INSERT ON "outbox" FOR EACH STATEMENT EXECUTE FUNCTION "wake_relay"();

-- The state of the relay ----------------------------------------------------------------------------------------------

-- A relay sets only whether it sleeps and when it has read. The functions below keep the rest.
CREATE FUNCTION "refuse_relay_change"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT pg_has_role((SELECT "relowner" FROM "pg_catalog"."pg_class" WHERE "oid" = TG_RELID), 'USAGE') THEN
    RAISE EXCEPTION 'Only its functions change the identity and the pruned range of %', TG_TABLE_NAME
      USING ERRCODE = 'insufficient_privilege', TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME;
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER "outbox_relay_new" BEFORE INSERT ON "outbox_relay" FOR EACH ROW
  WHEN (NOT (NEW."identity" IS NULL AND NEW."pruned_transaction_id" IS NULL AND NEW."inbox_pruned_until" IS NULL))
  EXECUTE FUNCTION "refuse_relay_change"();
CREATE TRIGGER "outbox_relay_kept" BEFORE UPDATE ON "outbox_relay" FOR EACH ROW
  WHEN (OLD."identity" IS DISTINCT FROM NEW."identity"
    OR OLD."pruned_transaction_id" IS DISTINCT FROM NEW."pruned_transaction_id"
    OR OLD."pruned_position" IS DISTINCT FROM NEW."pruned_position"
    OR OLD."inbox_pruned_until" IS DISTINCT FROM NEW."inbox_pruned_until")
  EXECUTE FUNCTION "refuse_relay_change"();

-- Names the server, the database and the timeline that hold the outbox, such as 7401234567890123456/16384/00000001, and
-- remembers the name. When the name has changed (the database was restored or moved, or a standby was promoted), transaction ids
-- mean something else: those in the outbox may be in the future of this server, and a relay may have seen ids whose
-- transactions are lost. Every event of the outbox then gets the id of this transaction, so that a relay reads all of them again,
-- in the order of their positions.
CREATE FUNCTION "adopt_outbox"() RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  here text := (SELECT oid FROM pg_database WHERE datname = current_database());
BEGIN
  -- Some providers keep this function to themselves.
  IF has_function_privilege('pg_control_system()', 'EXECUTE') THEN
    here := concat((SELECT system_identifier FROM pg_control_system()), '/', here);
  END IF;
  here := concat(here, '/', left(pg_walfile_name(pg_current_wal_lsn()), 8));
  IF EXISTS (SELECT FROM outbox_relay WHERE identity = here) THEN
    RETURN here;
  END IF;
  INSERT INTO outbox_relay DEFAULT VALUES ON CONFLICT DO NOTHING;
  PERFORM FROM outbox_relay FOR NO KEY UPDATE;
  IF EXISTS (SELECT FROM outbox_relay WHERE identity = here) THEN
    RETURN here;
  END IF;
  UPDATE outbox SET transaction_id = pg_current_xact_id()::text::bigint;
  UPDATE outbox_relay SET identity = here, pruned_transaction_id = NULL, pruned_position = NULL,
    updated_at = clock_timestamp();
  RETURN here;
END
$$;

-- Retention -----------------------------------------------------------------------------------------------------------

-- Deletes events that were relayed, as the relay's snapshot says, and are older than "p_keep", which counts as one day if it is
-- less: at most "p_most" of them, the oldest transactions first. Returns their number; call it again while it is "p_most".
-- Begins where the last call ended, because the index still holds what was deleted as long as a snapshot is held open. No event can
-- appear behind that place, because the transactions behind it have all ended.
CREATE FUNCTION "prune_outbox"("p_relayed" pg_snapshot, "p_keep" interval, "p_most" integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  relay outbox_relay;
  ended bigint;
  kept_since timestamptz;
  last_transaction_id bigint;
  last_position bigint;
  deleted integer;
BEGIN
  -- Another call prunes.
  SELECT * INTO relay FROM outbox_relay FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND OR p_relayed IS NULL THEN
    RETURN 0;
  END IF;
  ended := least(pg_snapshot_xmin(p_relayed), pg_snapshot_xmin(pg_current_snapshot()))::text::bigint;
  kept_since := clock_timestamp() - greatest(p_keep, interval '1 day');
  WITH next AS (
    SELECT ctid, transaction_id, position, created_at FROM outbox
    WHERE (transaction_id, position) > (coalesce(relay.pruned_transaction_id, 0), coalesce(relay.pruned_position, 0))
      AND transaction_id < ended
    ORDER BY transaction_id, position LIMIT least(greatest(p_most, 1), 100000)
  ), judged AS (
    -- Stops at the first event that is kept, so that no later call has to come back for it.
    SELECT ctid, bool_and(created_at < kept_since) OVER (ORDER BY transaction_id, position) AS is_old FROM next
  ), gone AS (
    DELETE FROM outbox WHERE ctid = ANY (ARRAY(SELECT judged.ctid FROM judged WHERE is_old))
    RETURNING transaction_id, position
  )
  SELECT count(*), (array_agg(transaction_id ORDER BY transaction_id DESC, position DESC))[1],
         (array_agg(position ORDER BY transaction_id DESC, position DESC))[1]
    INTO deleted, last_transaction_id, last_position FROM gone;
  IF deleted > 0 THEN
    UPDATE outbox_relay SET pruned_transaction_id = last_transaction_id, pruned_position = last_position,
      updated_at = clock_timestamp();
  END IF;
  RETURN deleted;
END
$$;

-- The database dates what the app role records: an event with an earlier time would be forgotten too early.
CREATE FUNCTION "set_handled_at"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF NOT pg_has_role((SELECT "relowner" FROM "pg_catalog"."pg_class" WHERE "oid" = TG_RELID), 'USAGE') THEN
    NEW."handled_at" := clock_timestamp();
  END IF;
  RETURN NEW;
END
$$;

-- The default needs no correction, so that most rows do not call the function.
CREATE TRIGGER "inbox_handled_at" BEFORE INSERT ON "inbox" FOR EACH ROW
  WHEN ((NEW."handled_at" BETWEEN clock_timestamp() - interval '1 minute' AND clock_timestamp() + interval '1 minute') IS NOT TRUE)
  EXECUTE FUNCTION "set_handled_at"();

-- Forgets events that were handled longer ago than "p_keep", which counts as 30 days if it is less: as long as an event may be
-- delivered again. At most "p_most" of them, the oldest first. Returns their number; call it again while it is "p_most".
-- Begins where the last call ended, as prune_outbox does.
CREATE FUNCTION "prune_inbox"("p_keep" interval, "p_most" integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  relay outbox_relay;
  kept_since timestamptz;
  last_handled_at timestamptz;
  deleted integer;
BEGIN
  SELECT * INTO relay FROM outbox_relay FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  kept_since := clock_timestamp() - greatest(p_keep, interval '30 days');
  WITH gone AS (
    DELETE FROM inbox WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM inbox
      WHERE handled_at >= coalesce(relay.inbox_pruned_until, '-infinity') AND handled_at < kept_since
      ORDER BY handled_at LIMIT least(greatest(p_most, 1), 100000)))
    RETURNING handled_at
  )
  SELECT count(*), max(handled_at) INTO deleted, last_handled_at FROM gone;
  IF deleted > 0 THEN
    UPDATE outbox_relay SET inbox_pruned_until = last_handled_at, updated_at = clock_timestamp();
  END IF;
  RETURN deleted;
END
$$;
