-- loses: outbox_relay.bookmark_times, outbox_relay.bookmark_transaction_ids
-- Reverts 20261203000001_outbox_bookmarks: prune_outbox believes the times of the events again.

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION "prune_outbox"("p_relayed" pg_snapshot, "p_keep" interval, "p_most" integer) RETURNS integer
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
  UPDATE outbox_relay SET identity = here, pruned_transaction_id = NULL, pruned_position = NULL,
    updated_at = clock_timestamp();
  RETURN here;
END
$$;

DROP TRIGGER "outbox_relay_new" ON "outbox_relay";
DROP TRIGGER "outbox_relay_kept" ON "outbox_relay";
ALTER TABLE "outbox_relay"
  DROP CONSTRAINT "outbox_relay_bookmarks_check", DROP COLUMN "bookmark_times", DROP COLUMN "bookmark_transaction_ids";
CREATE TRIGGER "outbox_relay_new" BEFORE INSERT ON "outbox_relay" FOR EACH ROW
  WHEN (NOT (NEW."identity" IS NULL AND NEW."pruned_transaction_id" IS NULL AND NEW."inbox_pruned_until" IS NULL))
  EXECUTE FUNCTION "refuse_relay_change"();
CREATE TRIGGER "outbox_relay_kept" BEFORE UPDATE ON "outbox_relay" FOR EACH ROW
  WHEN (OLD."identity" IS DISTINCT FROM NEW."identity"
    OR OLD."pruned_transaction_id" IS DISTINCT FROM NEW."pruned_transaction_id"
    OR OLD."pruned_position" IS DISTINCT FROM NEW."pruned_position"
    OR OLD."inbox_pruned_until" IS DISTINCT FROM NEW."inbox_pruned_until")
  EXECUTE FUNCTION "refuse_relay_change"();

CREATE FUNCTION "wake_relay"() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM outbox_relay WHERE asleep) THEN
    PERFORM pg_notify('outbox', '');
  END IF;
  RETURN NULL;
END
$$;

CREATE TRIGGER "outbox_wake_relay" AFTER INSERT ON "outbox" FOR EACH STATEMENT EXECUTE FUNCTION "wake_relay"();

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
  RETURN NEW;
END
$$;

DROP TRIGGER "outbox_relay_asleep" ON "outbox_relay";
DROP FUNCTION "mark_asleep"();
DROP SEQUENCE "outbox_asleep";
