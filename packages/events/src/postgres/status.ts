import type { Pool } from 'pg';
import type { BusStatus, ConsumerStatus, SourceStatus } from '../bus';

const SOURCES = `
  SELECT source AS service, coalesce(leased_until > database_time(), false) AS "isRelayed", relayed::float8 AS relayed,
         relayed_at AS "relayedAt"
  FROM event_sources ORDER BY source`;

const CONSUMERS = `
  SELECT s.name,
    (SELECT count(*)::int FROM subscription_workers AS w
     WHERE w.subscription = s.name AND w.leased_until > database_time()) AS workers,
    (SELECT count(*)::int FROM (
      SELECT n.*, lane_position(n.subscription, n.lane) AS position FROM subscription_lanes AS n WHERE n.subscription = s.name OFFSET 0
    ) AS l
     JOIN events AS e ON e.lane = l.lane AND e.position > l.position AND e.type = ANY (s.types)) AS lag,
    (SELECT count(*)::int FROM deliveries AS d WHERE d.subscription = s.name AND d.state <> 'dead') AS parked,
    (SELECT count(*)::int FROM deliveries AS d WHERE d.subscription = s.name AND d.state = 'dead') AS dead
  FROM subscriptions AS s ORDER BY s.name`;

/** Reads how far relays and consumers have come. */
export async function readStatus(pool: Pool): Promise<BusStatus> {
  const { rows: sources } = await pool.query<SourceStatus>(SOURCES);
  const { rows: consumers } = await pool.query<ConsumerStatus>(CONSUMERS);
  return { sources, consumers };
}
