-- Why: a replay that began behind the position of a lane moved the lane there, so the consumer never handled the events in between.
-- A replay moves lanes back only. And every function locks lanes in their order, as an acknowledgement does: a replay, or a worker that
-- renewed its lease, could end in a deadlock with it.
-- Locks: none: functions are replaced.
-- Runs again: yes; inside one transaction.

SET LOCAL lock_timeout = '5s';

-- Renews the lease of a worker and of its lanes. With "p_claims", it also takes its fair share of the lanes: it gives lanes back
-- when there are more workers, and takes lanes that nobody has or whose lease has lapsed. A worker claims only between two batches.
-- Returns its lanes; none if the subscription has other types, because a newer version of the consumer has joined.
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
  -- An acknowledgement locks lanes in this order.
  PERFORM FROM subscription_lanes AS l
  WHERE l.subscription = p_subscription AND (p_claims OR l.owner = p_worker) ORDER BY l.lane FOR NO KEY UPDATE;
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
CREATE OR REPLACE FUNCTION "leave_subscription"("p_subscription" text, "p_worker" uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  PERFORM FROM subscription_lanes WHERE subscription = p_subscription AND owner = p_worker ORDER BY lane FOR NO KEY UPDATE;
  UPDATE subscription_lanes SET owner = NULL, leased_until = NULL WHERE subscription = p_subscription AND owner = p_worker;
  IF FOUND THEN
    PERFORM pg_notify('events', '');
  END IF;
  DELETE FROM subscription_workers WHERE subscription = p_subscription AND worker = p_worker;
END
$$;

-- Delivers again every event of a subscription that follows a position, as far as the log has them. Lanes that have not come to the
-- position stay where they are. Parked events and dead letters behind the position are forgotten, because they are delivered again too.
-- Those whose events the log keeps for their sake only stay as they are. A batch that a worker has in its hands is not acknowledged.
CREATE OR REPLACE FUNCTION "replay_events"("p_subscription" text, "p_position" bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  before bigint;
BEGIN
  PERFORM FROM subscriptions WHERE name = p_subscription FOR NO KEY UPDATE;
  SELECT least(greatest(p_position, floor), head) INTO before FROM event_log;
  PERFORM FROM subscription_lanes WHERE subscription = p_subscription ORDER BY lane FOR NO KEY UPDATE;
  UPDATE subscription_lanes SET version = version + 1 WHERE subscription = p_subscription;
  PERFORM move_lanes(p_subscription, array_agg(lane), array_agg(least(before, lane_position(subscription, lane))), false)
  FROM subscription_lanes WHERE subscription = p_subscription;
  DELETE FROM deliveries WHERE subscription = p_subscription AND position > before;
  PERFORM pg_notify('events', '');
END
$$;
