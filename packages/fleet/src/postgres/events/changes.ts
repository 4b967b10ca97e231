import type { ClientBase } from 'pg';

/** What a replay from a position would deliver. */
export interface ReplayPlan {
  /** The position of the first event that is delivered again, a decimal string. */
  readonly from: string;
  /** The events from there to the place that the consumer has reached, of the types that it handles. */
  readonly events: number;
  /** Parked events and dead letters from there on, which the replay forgets and delivers again. */
  readonly forgotten: number;
  /** Whether the log has deleted events that the start may have meant: those before `from`. */
  readonly isCut: boolean;
  /** Events that are older than 30 days, which the inbox of the consumer may have forgotten. */
  readonly beyondInbox: number;
}

/** A position of the log as a decimal string, or a time. */
export type ReplayStart = { readonly position: string } | { readonly time: Date };

/**
 * Positions count from 1; the position in front of the first event is the one that the SQL functions take. The log deletes no event of
 * the last day, so a later time is never in front of what it has deleted.
 */
const PLAN = `
  WITH asked AS (
    SELECT CASE WHEN $3::timestamptz IS NULL THEN $2::numeric - 1 ELSE position_before($3) END AS before
  ), start AS (
    SELECT least(greatest(asked.before, floor), head)::bigint AS before,
           CASE
             WHEN $3::timestamptz IS NULL THEN asked.before < floor
             ELSE floor > 0 AND asked.before <= floor AND $3 < database_time() - interval '1 day'
           END AS is_cut
    FROM asked CROSS JOIN event_log
  ), again AS (
    SELECT e.created_at FROM start
    CROSS JOIN subscriptions AS s
    CROSS JOIN LATERAL (
      SELECT n.*, lane_position(n.subscription, n.lane) AS position FROM subscription_lanes AS n WHERE n.subscription = s.name OFFSET 0
    ) AS l
    JOIN events AS e ON e.lane = l.lane AND e.position > start.before AND e.position <= l.position AND e.type = ANY (s.types)
    WHERE s.name = $1
  )
  SELECT (start.before + 1)::text AS from, start.is_cut AS "isCut",
         (SELECT count(*)::int FROM again) AS events,
         (SELECT count(*)::int FROM again WHERE created_at < database_time() - interval '30 days') AS "beyondInbox",
         (SELECT count(*)::int FROM deliveries AS d WHERE d.subscription = $1 AND d.position > start.before) AS forgotten
  FROM start`;

export async function planReplay(client: ClientBase, consumer: string, start: ReplayStart): Promise<ReplayPlan> {
  const [position, time] = 'position' in start ? [start.position, null] : [null, start.time.toISOString()];
  const { rows } = await client.query<ReplayPlan>(PLAN, [consumer, position, time]);
  const [plan] = rows;
  if (plan === undefined) throw new Error('event_log has no row');
  return plan;
}

/** Delivers every event from this position on again. */
export async function replayFrom(client: ClientBase, consumer: string, from: string): Promise<void> {
  await client.query('SELECT replay_events($1, $2::bigint - 1)', [consumer, from]);
}

export type DeadLetterAction = 'retry' | 'discard';

const CHANGES: Readonly<Record<DeadLetterAction, string>> = {
  retry: 'retry_dead_letter',
  discard: 'discard_dead_letter',
};

/**
 * Delivers dead letters of a consumer again, or gives them up: the one at a position, or all. Returns the positions of those that
 * were dead, in their order.
 */
export async function changeDeadLetters(
  client: ClientBase,
  action: DeadLetterAction,
  consumer: string,
  position: string | undefined,
): Promise<readonly string[]> {
  const { rows } = await client.query<{ position: string }>(
    `WITH dead AS MATERIALIZED (
       SELECT position FROM deliveries
       WHERE subscription = $1 AND state = 'dead' AND ($2::bigint IS NULL OR position = $2) ORDER BY position
     )
     SELECT position::text AS position FROM dead WHERE ${CHANGES[action]}($1, position)`,
    [consumer, position ?? null],
  );
  return rows.map((row) => row.position);
}

/**
 * Removes a consumer with its position, its parked events and its dead letters. Returns false, and changes nothing, while it has a
 * worker with a lease.
 */
export async function removeConsumer(client: ClientBase, consumer: string): Promise<boolean> {
  await client.query('BEGIN');
  // A worker that is claiming its lease holds a lock on this row, and is seen by the next statement.
  await client.query('SELECT FROM subscriptions WHERE name = $1 FOR UPDATE', [consumer]);
  const { rows } = await client.query<{ isRemoved: boolean }>(
    `WITH gone AS (
       DELETE FROM subscriptions AS s WHERE s.name = $1 AND NOT EXISTS (
         SELECT FROM subscription_workers AS w WHERE w.subscription = s.name AND w.leased_until > database_time())
       RETURNING name
     )
     SELECT EXISTS (SELECT FROM gone) AS "isRemoved"`,
    [consumer],
  );
  // The log kept these events for dead letters only.
  await client.query(
    `DELETE FROM events AS e USING event_log
     WHERE e.position <= floor AND NOT EXISTS (SELECT FROM deliveries AS d WHERE d.position = e.position)`,
  );
  await client.query('COMMIT');
  return rows[0]?.isRemoved === true;
}
