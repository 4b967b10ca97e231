-- Why: the app role chooses the times of events by the rows that they are about, so it could delete an event that nobody has
-- relayed. Now bookmarks say which transactions had ended when, and an event stays for a day after its commit at least.
-- And publishing costs less: a sequence says whether the relay sleeps, which PostgreSQL reads without a statement.
-- Locks: ACCESS EXCLUSIVE on outbox_relay, which has one row, and on outbox, for a trigger; for milliseconds.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Publishing ----------------------------------------------------------------------------------------------------------

-- It has a value while the relay sleeps. A transaction that has seen the relay awake is still running when "asleep" is set, or has
-- ended before: the relay waits for it, or sees its events.
CREATE SEQUENCE "outbox_asleep";

CREATE FUNCTION "mark_asleep"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM setval('outbox_asleep', 1, NEW.asleep);
  RETURN NULL;
END
$$;

SELECT setval('outbox_asleep', 1, coalesce((SELECT "asleep" FROM "outbox_relay"), false));

CREATE TRIGGER "outbox_relay_asleep" AFTER INSERT OR UPDATE OF "asleep" ON "outbox_relay"
  FOR EACH ROW EXECUTE FUNCTION "mark_asleep"();

-- Wakes the relay, but only if it sleeps: transactions that notify commit one after the other, on the whole server. The relay
-- reads once more after every transaction has ended that may have seen it awake.
-- A trigger of its own for each statement would cost as much again, and a query as much as all the rules.
CREATE OR REPLACE FUNCTION "check_event"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
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
  IF pg_sequence_last_value('outbox_asleep'::regclass) IS NOT NULL THEN
    PERFORM pg_notify('outbox', '');
  END IF;
  RETURN NEW;
END
$$;

-- lint-ignore drops-unmanaged: check_event wakes the relay now
DROP TRIGGER "outbox_wake_relay" ON "outbox";
-- lint-ignore drops-unmanaged: check_event wakes the relay now
DROP FUNCTION "wake_relay"();

-- Retention -----------------------------------------------------------------------------------------------------------

-- A bookmark says that every transaction with a lower id had ended at its time. One is added each day.
-- lint-ignore constraint-missing-not-valid: the table has one row
ALTER TABLE "outbox_relay"
  ADD COLUMN "bookmark_times" TIMESTAMPTZ(6)[] NOT NULL DEFAULT ARRAY[]::TIMESTAMPTZ(6)[],
  ADD COLUMN "bookmark_transaction_ids" BIGINT[] NOT NULL DEFAULT ARRAY[]::BIGINT[],
  ADD CONSTRAINT "outbox_relay_bookmarks_check" CHECK (cardinality("bookmark_times") = cardinality("bookmark_transaction_ids")
    AND to_timestamp(-62135596800) <= ALL ("bookmark_times") AND to_timestamp(253402300800) > ALL ("bookmark_times"));

DROP TRIGGER "outbox_relay_new" ON "outbox_relay";
DROP TRIGGER "outbox_relay_kept" ON "outbox_relay";
CREATE TRIGGER "outbox_relay_new" BEFORE INSERT ON "outbox_relay" FOR EACH ROW
  WHEN (NOT (NEW."identity" IS NULL AND NEW."pruned_transaction_id" IS NULL AND NEW."inbox_pruned_until" IS NULL
    AND cardinality(NEW."bookmark_times") = 0))
  EXECUTE FUNCTION "refuse_relay_change"();
CREATE TRIGGER "outbox_relay_kept" BEFORE UPDATE ON "outbox_relay" FOR EACH ROW
  WHEN (OLD."identity" IS DISTINCT FROM NEW."identity"
    OR OLD."pruned_transaction_id" IS DISTINCT FROM NEW."pruned_transaction_id"
    OR OLD."pruned_position" IS DISTINCT FROM NEW."pruned_position"
    OR OLD."inbox_pruned_until" IS DISTINCT FROM NEW."inbox_pruned_until"
    OR OLD."bookmark_times" IS DISTINCT FROM NEW."bookmark_times"
    OR OLD."bookmark_transaction_ids" IS DISTINCT FROM NEW."bookmark_transaction_ids")
  EXECUTE FUNCTION "refuse_relay_change"();

-- As before; but the bookmarks of another server mean nothing here.
CREATE OR REPLACE FUNCTION "adopt_outbox"() RETURNS text
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
  UPDATE outbox SET transaction_id = pg_current_xact_id()::text::bigint
  WHERE transaction_id >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint;
  UPDATE outbox_relay SET identity = here, pruned_transaction_id = NULL, pruned_position = NULL, bookmark_times = '{}',
    bookmark_transaction_ids = '{}', updated_at = clock_timestamp();
  RETURN here;
END
$$;

-- Deletes events that were relayed, as the relay's snapshot says, and that a bookmark of "p_keep" ago or earlier has seen: at most
-- "p_most" of them, the oldest transactions first. "p_keep" counts as one day if it is less, and as 30 days if it is more. Returns
-- their number; call it again while it is "p_most".
-- Neither the snapshot nor the times of the events can be trusted, because the app role gives both. So the function remembers
-- itself which transactions have ended when; the first call of a day adds a bookmark.
-- Begins where the last call ended, because the index still holds what was deleted as long as a snapshot is held open. No event can
-- appear behind that place, because the transactions behind it have all ended.
CREATE OR REPLACE FUNCTION "prune_outbox"("p_relayed" pg_snapshot, "p_keep" interval, "p_most" integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  relay outbox_relay;
  ended bigint;
  at timestamptz;
  last_bookmark timestamptz;
  last_transaction_id bigint;
  last_position bigint;
  deleted integer;
BEGIN
  -- Another call prunes.
  SELECT * INTO relay FROM outbox_relay FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND OR p_relayed IS NULL THEN
    RETURN 0;
  END IF;
  ended := pg_snapshot_xmin(pg_current_snapshot())::text::bigint;
  at := clock_timestamp();
  last_bookmark := relay.bookmark_times[cardinality(relay.bookmark_times)];
  IF last_bookmark IS NULL OR last_bookmark <= at - interval '1 day' THEN
    relay.bookmark_times := (relay.bookmark_times || at)[cardinality(relay.bookmark_times) - 30:];
    relay.bookmark_transaction_ids := (relay.bookmark_transaction_ids || ended)[cardinality(relay.bookmark_transaction_ids) - 30:];
    UPDATE outbox_relay SET bookmark_times = relay.bookmark_times, bookmark_transaction_ids = relay.bookmark_transaction_ids,
      updated_at = at;
  END IF;
  SELECT max(b.transaction_id) INTO ended
  FROM unnest(relay.bookmark_times, relay.bookmark_transaction_ids) AS b (time, transaction_id)
  WHERE b.time <= at - least(greatest(p_keep, interval '1 day'), interval '30 days');
  IF ended IS NULL THEN
    RETURN 0;
  END IF;
  ended := least(ended, pg_snapshot_xmin(p_relayed)::text::bigint);
  WITH gone AS (
    DELETE FROM outbox WHERE ctid = ANY (ARRAY(
      SELECT ctid FROM outbox
      WHERE (transaction_id, position) > (coalesce(relay.pruned_transaction_id, 0), coalesce(relay.pruned_position, 0))
        AND transaction_id < ended
      ORDER BY transaction_id, position LIMIT least(greatest(p_most, 1), 100000)))
    RETURNING transaction_id, position
  )
  SELECT count(*), (array_agg(transaction_id ORDER BY transaction_id DESC, position DESC))[1],
         (array_agg(position ORDER BY transaction_id DESC, position DESC))[1]
    INTO deleted, last_transaction_id, last_position FROM gone;
  IF deleted > 0 THEN
    UPDATE outbox_relay SET pruned_transaction_id = last_transaction_id, pruned_position = last_position, updated_at = at;
  END IF;
  RETURN deleted;
END
$$;
