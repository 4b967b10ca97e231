-- Why: the relays of a process renew their leases with one statement and one commit, so that relays of idle outboxes cost little.
-- Locks: none: the function is new.
-- Runs again: no, once per database; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Prolongs the leases of relays, each of its source and by a time of its own. Returns the sources of which the relay still has the
-- lease. A row that another statement has locked is left out, so that one slow append does not cost the others their leases.
CREATE FUNCTION "renew_sources"("p_sources" text[], "p_owners" uuid[], "p_milliseconds" integer[]) RETURNS SETOF text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  WITH held AS MATERIALIZED (
    SELECT s.source, r.milliseconds
    FROM event_sources AS s JOIN unnest(p_sources, p_owners, p_milliseconds) AS r (source, owner, milliseconds) ON r.source = s.source
    WHERE s.owner = r.owner FOR NO KEY UPDATE OF s SKIP LOCKED
  )
  UPDATE event_sources AS s
  SET leased_until = greatest(s.leased_until, database_time() + held.milliseconds * interval '1 ms'), updated_at = database_time()
  FROM held WHERE s.source = held.source
  RETURNING s.source::text
$$;
