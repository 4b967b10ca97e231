import type { ClientBase } from 'pg';

/** After this time without progress, a relay or a consumer stands still. A restart of a process takes less. */
export const STILL_SECONDS = 60;

/** How far the outbox of a service was relayed. Positions are decimal strings. */
export interface EventSource {
  readonly service: string;
  /** Whether a relay has the lease. */
  readonly isRelayed: boolean;
  /** How long ago the lease of a relay ended that did not give it back; null for one that did, or that has the lease. */
  readonly lapsedSeconds: number | null;
  readonly relayed: number;
  readonly relayedAt: Date | null;
  /** How long ago that was, by the clock of the log; null if never. */
  readonly relayedAgoSeconds: number | null;
  readonly identity: string | null;
  readonly seen: string | null;
  readonly tick: string | null;
  readonly tickPosition: string | null;
}

const SOURCES = `
  SELECT source AS service, coalesce(leased_until > database_time(), false) AS "isRelayed",
         CASE WHEN leased_until <= database_time() THEN extract(epoch FROM database_time() - leased_until)::float8 END AS "lapsedSeconds",
         relayed::float8 AS relayed,
         relayed_at AS "relayedAt", extract(epoch FROM database_time() - relayed_at)::float8 AS "relayedAgoSeconds", identity, seen, tick, tick_position::text AS "tickPosition"
  FROM event_sources ORDER BY source`;

/** A consumer of the log. Ages are in seconds by the clock of the database. */
export interface EventConsumer {
  readonly name: string;
  readonly types: readonly string[];
  readonly maxAttempts: number;
  /** Workers with a lease. */
  readonly workers: number;
  /** Workers that have not given their lease back, although it has ended. */
  readonly lostWorkers: number;
  /** Of the 16 lanes, those that no worker has a lease for. */
  readonly lanesWithoutWorker: number;
  /** Events that the consumer has not come to yet. */
  readonly lag: number;
  /** The age of the oldest event that the consumer has not handled, parked ones included; null without any. */
  readonly lagSeconds: number | null;
  /** Events that failed and will be tried again. */
  readonly retries: number;
  /** Events that wait behind a failed one of their key. */
  readonly waiting: number;
  readonly parkedKeys: number;
  readonly dead: number;
  /** How long an event of a lane without a worker has been due; null if none is. */
  readonly idleSeconds: number | null;
  /** Events of more than 8 days ago that the log keeps for this consumer, which has no worker. */
  readonly heldEvents: number;
}

const CONSUMERS = `
  SELECT s.name, s.types, s.max_attempts AS "maxAttempts", workers.live AS workers, workers.lost AS "lostWorkers",
         lanes.free AS "lanesWithoutWorker", behind.events AS lag,
         extract(epoch FROM database_time() - least(behind.oldest, parked.oldest))::float8 AS "lagSeconds",
         parked.retries, parked.waiting, parked.keys AS "parkedKeys", parked.dead,
         extract(epoch FROM database_time() - least(behind.idle_since, parked.idle_since))::float8 AS "idleSeconds",
         held.events AS "heldEvents"
  FROM subscriptions AS s
  CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE w.leased_until > database_time())::int AS live,
           count(*) FILTER (WHERE w.leased_until <= database_time())::int AS lost
    FROM subscription_workers AS w WHERE w.subscription = s.name
  ) AS workers
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS free FROM subscription_lanes AS l
    WHERE l.subscription = s.name AND (l.leased_until > database_time()) IS NOT TRUE
  ) AS lanes
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS events, min(e.created_at) AS oldest,
           min(e.created_at) FILTER (WHERE (l.leased_until > database_time()) IS NOT TRUE) AS idle_since
    FROM (
      SELECT n.*, lane_position(n.subscription, n.lane) AS position FROM subscription_lanes AS n WHERE n.subscription = s.name OFFSET 0
    ) AS l
    JOIN events AS e ON e.lane = l.lane AND e.position > l.position AND e.type = ANY (s.types)
  ) AS behind
  CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE d.state = 'retry')::int AS retries, count(*) FILTER (WHERE d.state = 'waiting')::int AS waiting,
           count(*) FILTER (WHERE d.state = 'dead')::int AS dead,
           count(DISTINCT d.key) FILTER (WHERE d.state <> 'dead')::int AS keys,
           min(e.created_at) FILTER (WHERE d.state <> 'dead') AS oldest,
           min(d.next_at) FILTER (WHERE d.state = 'retry' AND d.next_at <= database_time()
             AND (l.leased_until > database_time()) IS NOT TRUE) AS idle_since
    FROM deliveries AS d
    JOIN events AS e ON e.position = d.position
    JOIN subscription_lanes AS l ON l.subscription = d.subscription AND l.lane = d.lane
    WHERE d.subscription = s.name
  ) AS parked
  CROSS JOIN LATERAL (
    SELECT count(*)::int AS events FROM events AS e
    WHERE workers.live = 0 AND e.created_at < database_time() - interval '8 days'
      AND e.position > (
        SELECT min(lane_position(l.subscription, l.lane)) FROM subscription_lanes AS l WHERE l.subscription = s.name)
  ) AS held
  ORDER BY s.name`;

/** An event that a consumer has tried in vain as often as it allows. */
export interface DeadLetter {
  readonly consumer: string;
  /** In the log, a decimal string. */
  readonly position: string;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly key: string;
  readonly attempts: number;
  readonly lastError: string | null;
  /** When the last attempt failed. */
  readonly failedAt: Date;
}

/** Which dead letters: those of all consumers, of one, or the one at a position. */
export interface DeadLetterFilter {
  readonly consumer?: string | undefined;
  readonly position?: string | undefined;
}

/** Dead letters in the order of their consumers and positions. `total` also counts those that are not listed. */
export interface DeadLetters {
  readonly total: number;
  readonly letters: readonly DeadLetter[];
}

const IS_CHOSEN = `d.state = 'dead' AND ($1::text IS NULL OR d.subscription = $1) AND ($2::bigint IS NULL OR d.position = $2)`;

const DEAD_LETTERS = `
  SELECT d.subscription AS consumer, d.position::text AS position, e.event_id AS id, e.source, e.type, e.key, d.attempts,
         d.last_error AS "lastError", d.updated_at AS "failedAt"
  FROM deliveries AS d JOIN events AS e ON e.position = d.position
  WHERE ${IS_CHOSEN}
  ORDER BY d.subscription, d.position LIMIT $3`;

/** Whether the connected database has the event log. */
export async function hasEventLog(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(
    `SELECT to_regclass('event_sources') IS NOT NULL AND to_regclass('subscriptions') IS NOT NULL AS found`,
  );
  return rows[0]?.found === true;
}

export async function readSources(client: Pick<ClientBase, 'query'>): Promise<readonly EventSource[]> {
  return (await client.query<EventSource>(SOURCES)).rows;
}

export async function readConsumers(client: ClientBase): Promise<readonly EventConsumer[]> {
  return (await client.query<EventConsumer>(CONSUMERS)).rows;
}

/** Counts dead letters, and lists at most `most` of them. */
export async function readDeadLetters(
  client: ClientBase,
  { consumer, position }: DeadLetterFilter,
  most: number,
): Promise<DeadLetters> {
  const chosen = [consumer ?? null, position ?? null];
  const counted = `SELECT count(*)::int AS total FROM deliveries AS d WHERE ${IS_CHOSEN}`;
  const { rows } = await client.query<{ total: number }>(counted, chosen);
  const { rows: letters } = await client.query<DeadLetter>(DEAD_LETTERS, [...chosen, most]);
  return { total: rows[0]?.total ?? 0, letters };
}

/** The names of all consumers, in their order. */
export async function listConsumers(client: ClientBase): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>('SELECT name::text AS name FROM subscriptions ORDER BY name');
  return rows.map(({ name }) => name);
}
