-- Reverts 20261207170001_replay_backwards: a replay moves lanes forward again, too.

SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION "lease_lanes"("p_subscription" text, "p_worker" uuid, "p_types" text[], "p_lease" interval, "p_claims" boolean)
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

CREATE OR REPLACE FUNCTION "leave_subscription"("p_subscription" text, "p_worker" uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  UPDATE subscription_lanes SET owner = NULL, leased_until = NULL WHERE subscription = p_subscription AND owner = p_worker;
  IF FOUND THEN
    PERFORM pg_notify('events', '');
  END IF;
  DELETE FROM subscription_workers WHERE subscription = p_subscription AND worker = p_worker;
END
$$;

CREATE OR REPLACE FUNCTION "replay_events"("p_subscription" text, "p_position" bigint) RETURNS void
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
