import type { ClientBase } from 'pg';
import type { EventSource } from './log';

/** The events of an outbox that no relay has moved. */
export interface OutboxState {
  readonly waiting: number;
  /** The age of the oldest of them, by the clock of the database; null without any. */
  readonly oldestSeconds: number | null;
}

type Cursor = Pick<EventSource, 'identity' | 'seen' | 'tick' | 'tickPosition'>;

/** As the relay reads: what the snapshot of the cursor ($1) does not see, without the relayed part of a backlog ($2, $3). */
const WAITING = `
  SELECT count(*)::int AS waiting, extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS "oldestSeconds"
  FROM (
    SELECT * FROM outbox WHERE transaction_id >= coalesce(pg_snapshot_xmax($1::pg_snapshot)::text::bigint, 0)
    UNION ALL
    SELECT * FROM outbox WHERE transaction_id IN (SELECT pg_snapshot_xip($1::pg_snapshot)::text::bigint)
  ) AS unseen
  WHERE $2::pg_snapshot IS NULL OR "position" > $3::bigint
    OR NOT pg_visible_in_snapshot(transaction_id::text::xid8, $2::pg_snapshot)`;

/** Whether the connected database has an outbox. */
export async function hasOutbox(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(`SELECT to_regclass('outbox_relay') IS NOT NULL AS found`);
  return rows[0]?.found === true;
}

/**
 * Counts the events that the relay of this source has not moved. Without a source, or if the outbox was restored or moved since,
 * these are all events. Returns undefined if the database has no outbox.
 */
export async function readOutboxState(
  client: ClientBase,
  source: Cursor | undefined,
): Promise<OutboxState | undefined> {
  if (!(await hasOutbox(client))) return undefined;
  const { rows: relays } = await client.query<{ identity: string | null }>('SELECT identity FROM outbox_relay');
  const isSame = source !== undefined && source.identity === (relays[0]?.identity ?? null);
  const cursor = isSame ? [source.seen, source.tick, source.tickPosition] : [null, null, null];
  const { rows } = await client.query<OutboxState>(WAITING, cursor);
  return rows[0] ?? { waiting: 0, oldestSeconds: null };
}
