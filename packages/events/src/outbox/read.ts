import type { Pool, PoolClient } from 'pg';
import type { WakeUp } from '../wake-up';
import { type Cursor, unseenRange } from './snapshot';

/** An event as it stands in an outbox. */
export interface OutboxEvent {
  readonly position: string;
  readonly id: string;
  readonly type: string;
  readonly key: string;
  /** The JSON of its data. */
  readonly payload: string;
  readonly traceParent: string | null;
  readonly time: string;
}

/** Events in the order of their positions, and the snapshot that saw them. */
export interface OutboxRead {
  readonly snapshot: string;
  /** The end of the write-ahead log when the snapshot had been taken, and whether all before it was on disk. */
  readonly written: string;
  readonly isFlushed: boolean;
  readonly events: readonly OutboxEvent[];
}

/** A batch of a backlog. `isLast` says that the snapshot has no more events. */
export interface BacklogBatch extends OutboxRead {
  readonly isLast: boolean;
}

const COLUMNS = `"position", event_id AS id, type, key, payload::text AS payload, trace_parent AS "traceParent",
  to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS time`;

/** The end of the write-ahead log. At the beginning of a page it counts the header, which is not written before the next record. */
const WRITTEN = `(SELECT lsn - CASE WHEN bytes % 8192 = 24 THEN 24 WHEN bytes % 1048576 = 40 THEN 40 ELSE 0 END
  FROM pg_current_wal_insert_lsn() AS lsn CROSS JOIN LATERAL (SELECT lsn - '0/0'::pg_lsn AS bytes) AS size)`;

const MOMENT = `pg_current_snapshot()::text AS snapshot, log.written::text, pg_current_wal_flush_lsn() >= log.written AS "isFlushed"
  FROM (SELECT ${WRITTEN} AS written) AS log`;

interface Moment {
  readonly snapshot: string;
  readonly written: string;
  readonly isFlushed: boolean;
}

/**
 * The events that this statement sees and `seen` does not ($1, $2), without those of the backlog in progress that were relayed
 * ($3, $4). Both parts are ranges of the primary key: an open transaction, dead rows and events that were relayed cost nothing.
 */
const UNSEEN = `
  SELECT * FROM (
    SELECT * FROM outbox WHERE transaction_id >= $1::bigint
    UNION ALL
    SELECT * FROM outbox WHERE transaction_id = ANY ($2::bigint[])
  ) AS unseen
  WHERE $3::pg_snapshot IS NULL OR "position" > $4::bigint
    OR NOT pg_visible_in_snapshot(transaction_id::text::xid8, $3::pg_snapshot)`;

function parametersOf({ seen, tick, tickPosition }: Cursor): unknown[] {
  const { xmax, inProgress } = unseenRange(seen);
  return [xmax, inProgress, tick, tickPosition];
}

/** Reads at most `most` events that the cursor has not seen, in one statement. */
export async function readOutbox(pool: Pool, cursor: Cursor, most: number): Promise<OutboxRead> {
  // The statement has one snapshot: what it does not return is not visible in the snapshot that it returns.
  const sql = `
    WITH unseen AS (${UNSEEN} ORDER BY "position" LIMIT $5)
    SELECT moment.*, found.* FROM (SELECT ${MOMENT}) AS moment
    LEFT JOIN (SELECT ${COLUMNS} FROM unseen) AS found ON true ORDER BY found."position"`;
  const { rows } = await pool.query<OutboxEvent & Moment & { id: string | null }>(sql, [...parametersOf(cursor), most]);
  const [first] = rows;
  if (first === undefined) throw new Error('A LEFT JOIN of one row returned none');
  const { snapshot, written, isFlushed } = first;
  return { snapshot, written, isFlushed, events: first.id === null ? [] : rows };
}

/**
 * Whether nothing is visible that the cursor has not seen, as the session that listens says; false if it does not answer. It costs
 * a small part of a read.
 */
export async function isQuiet(wakeUp: WakeUp, { seen, tick }: Cursor): Promise<boolean> {
  if (tick !== null) return false;
  const { xmax, inProgress } = unseenRange(seen);
  const sql = `SELECT EXISTS (SELECT FROM outbox WHERE transaction_id >= $1::bigint)
    OR EXISTS (SELECT FROM outbox WHERE transaction_id = ANY ($2::bigint[])) AS unseen`;
  const rows = await wakeUp.ask<{ unseen: boolean }>(sql, [xmax, inProgress]);
  return rows?.[0]?.unseen === false;
}

/** Whether the write-ahead log is on disk up to a position. */
export async function isOnDisk(pool: Pool, written: string): Promise<boolean> {
  const sql = 'SELECT pg_current_wal_flush_lsn() >= $1::pg_lsn AS "isFlushed"';
  const { rows } = await pool.query<{ isFlushed: boolean }>(sql, [written]);
  return rows[0]?.isFlushed ?? false;
}

/** A batch of a backlog has as many events as probably have this many characters of JSON. */
const BATCH_CHARACTERS = 2 ** 20;

/** As many positions as a backlog is sorted for at once: a sort of millions of events could exceed the limit of a statement. */
const SORTED_AT_ONCE = 200_000;

/**
 * Reads the oldest events that the cursor has not seen, in batches of at most `most`, each while the caller has the one before it:
 * fewer if events are large. They are sorted once, so a deep backlog takes several calls: the events of `sorted` positions each.
 * The caller must stop after a bounded time, because a transaction is open meanwhile.
 */
export async function* readBacklog(
  pool: Pool,
  cursor: Cursor,
  most: number,
  sorted = SORTED_AT_ONCE,
): AsyncGenerator<BacklogBatch> {
  const client = await pool.connect();
  let isSound = false;
  try {
    await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    const bounds = `SELECT (min("position") + $5::bigint)::text AS "end", coalesce(max("position") >= min("position") + $5::bigint, false) AS "isCut"
      FROM (${UNSEEN}) AS unseen`;
    const { rows } = await client.query<Bounds>(bounds, [...parametersOf(cursor), sorted]);
    const declare = `DECLARE backlog NO SCROLL CURSOR FOR
      SELECT ${COLUMNS} FROM (${UNSEEN}) AS unseen WHERE unseen."position" < $5::bigint ORDER BY unseen."position"`;
    await client.query(declare, [...parametersOf(cursor), rows[0]?.end]);
    yield* fetchBatches(client, most, rows[0]?.isCut ?? false);
    isSound = true;
  } finally {
    // Also when the caller stops early.
    if (isSound) await client.query('COMMIT').catch(() => undefined);
    else await client.query('ROLLBACK').catch(() => undefined);
    client.release();
  }
}

/** The position behind those that are sorted, and whether the backlog has later ones. */
interface Bounds {
  readonly end: string | null;
  readonly isCut: boolean;
}

/** What a FETCH returned. `isEnd` says that the cursor of PostgreSQL has no more rows. */
interface Part {
  readonly events: readonly OutboxEvent[];
  readonly isEnd: boolean;
}

async function* fetchBatches(client: PoolClient, most: number, isCut: boolean): AsyncGenerator<BacklogBatch> {
  const { rows } = await client.query<Moment>(`SELECT ${MOMENT}`);
  const [moment] = rows;
  if (moment === undefined) throw new Error('A SELECT of one row returned none');
  const fetch = async (size: number): Promise<Part> => {
    const { rows: events } = await client.query<OutboxEvent>(`FETCH ${size} FROM backlog`);
    return { events, isEnd: events.length < size };
  };
  let next: Promise<Part> | undefined = fetch(most);
  while (next !== undefined) {
    const part: Part = await next;
    next = part.isEnd ? undefined : fetch(nextSize(part.events, most));
    // It is awaited later, or not at all when the caller stops early.
    next?.catch(() => undefined);
    const { events, isEnd } = part;
    yield { ...moment, events, isLast: isEnd && !isCut };
  }
}

function nextSize(events: readonly OutboxEvent[], most: number): number {
  const characters = events.reduce((sum, { payload }) => sum + payload.length, 0);
  const size = Math.floor((BATCH_CHARACTERS * events.length) / Math.max(characters, 1));
  return Math.min(Math.max(size, 1), most);
}
