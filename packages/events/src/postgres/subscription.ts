import { type CloudEvent, toCloudEvent } from '@azora/db-core/events';
import type { Pool } from 'pg';

/** How long a worker has its lanes without a sign of life: then others handle their events. */
export const LANE_LEASE_MS = 30_000;
const LEASE = `${LANE_LEASE_MS} milliseconds`;

/** A worker of a consumer, as the log knows it. */
export interface Worker {
  readonly subscription: string;
  readonly worker: string;
  readonly types: readonly string[];
}

/** The lanes of a worker, each with the version under which it has the lane. */
export type Lanes = ReadonlyMap<number, string>;

/** What a worker has fetched. */
export interface Fetched {
  /** Parked events that are due, each with those of its key that waited behind it, then new events. */
  readonly events: readonly FetchedEvent[];
  /** New events whose key has a parked event: they wait behind it. */
  readonly behind: readonly string[];
  /** The position up to which each lane was read. */
  readonly reached: ReadonlyMap<number, string>;
  /** Whether the worker has more or fewer lanes than its share. */
  readonly isUnbalanced: boolean;
  /** When the next parked event is due; null without one. */
  readonly dueInMs: number | null;
}

export interface FetchedEvent {
  readonly position: string;
  readonly event: CloudEvent;
  readonly isParked: boolean;
}

/** What became of fetched events; positions as decimal strings. */
export interface Acknowledgement {
  readonly lanes: Lanes;
  readonly reached: ReadonlyMap<number, string>;
  /** Parked events that took effect. */
  readonly done: readonly string[];
  readonly failed: readonly { readonly position: string; readonly error: string }[];
  readonly behind: readonly string[];
}

/** Registers a consumer. A new one begins with the oldest event of the log, or with the next one. */
export async function joinSubscription(
  pool: Pool,
  { subscription, types }: Worker,
  maxAttempts: number,
  from: 'start' | 'now',
): Promise<void> {
  await pool.query('SELECT join_subscription($1, $2, $3, $4)', [subscription, types, maxAttempts, from]);
}

/**
 * Renews the lease of a worker. With `claims`, it also takes its fair share of the lanes and gives back what it has more.
 * Returns its lanes; none if a newer version of the consumer, with other types, has joined.
 */
export async function leaseLanes(pool: Pool, { subscription, worker, types }: Worker, claims: boolean): Promise<Lanes> {
  const { rows } = await pool.query<{ lane: number; version: string }>(
    'SELECT * FROM lease_lanes($1, $2, $3, $4, $5)',
    [subscription, worker, types, LEASE, claims],
  );
  return new Map(rows.map(({ lane, version }) => [lane, version]));
}

/** Gives the lanes of a worker back. */
export async function leaveSubscription(pool: Pool, { subscription, worker }: Worker): Promise<void> {
  await pool.query('SELECT leave_subscription($1, $2)', [subscription, worker]);
}

/** A row of FETCH. */
type Row = [
  kind: 'retry' | 'event' | 'behind' | 'lane' | 'state',
  lane: number,
  position: string,
  eventId: string,
  source: string,
  type: string,
  key: string,
  payload: string,
  traceParent: string | null,
  time: string,
  isUnbalanced: boolean,
  dueInMs: number | null,
];

/** The server writes the times as the envelope has them: parsing and printing them here was the largest part of the work of a consumer. */
const FETCH = `SELECT kind, lane, position, event_id, source, type, key, payload, trace_parent,
  to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), is_unbalanced, due_in
  FROM fetch_events($1, $2, $3, $4, $5, $6)`;

/** Lanes, and how far each was read, of a batch that is not acknowledged yet. */
export interface Ahead {
  readonly lanes: Lanes;
  readonly reached: ReadonlyMap<number, string>;
}

/** Fetches at most `most` events of the lanes of a worker: those behind the last acknowledgement, or behind the batch of `ahead`. */
export async function fetchEvents(
  pool: Pool,
  { subscription, worker }: Worker,
  most: number,
  ahead: Ahead = { lanes: new Map(), reached: new Map() },
): Promise<Fetched> {
  const read = [...ahead.reached];
  const { rows } = await pool.query<Row>({
    text: FETCH,
    rowMode: 'array',
    values: [
      ...[subscription, worker, most],
      read.map(([lane]) => lane),
      read.map(([lane]) => ahead.lanes.get(lane) ?? null),
      read.map(([, position]) => position),
    ],
  });
  const events: FetchedEvent[] = [];
  const behind: string[] = [];
  const reached = new Map<number, string>();
  let [isUnbalanced, dueInMs]: readonly [boolean, number | null] = [false, null];
  for (const row of rows) {
    const [kind, lane, position] = row;
    if (kind === 'event' || kind === 'retry')
      events.push({ position, event: eventOf(row), isParked: kind === 'retry' });
    else if (kind === 'behind') behind.push(position);
    else if (kind === 'lane') reached.set(lane, position);
    else [isUnbalanced, dueInMs] = [row[10], row[11]];
  }
  return { events, behind, reached, isUnbalanced, dueInMs };
}

function eventOf([, , position, id, source, type, key, payload, traceParent, time]: Row): CloudEvent {
  return toCloudEvent({ id, source, type, key, data: JSON.parse(payload), traceParent, time, position });
}

/** Records what became of the events that a worker fetched. Returns the lanes that it still has. */
export async function acknowledge(
  pool: Pool,
  { subscription, worker }: Worker,
  { lanes, reached, done, failed, behind }: Acknowledgement,
): Promise<ReadonlySet<number>> {
  const held = [...lanes];
  const { rows } = await pool.query<{ held: readonly number[] }>(
    'SELECT acknowledge_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS held',
    [
      ...[subscription, worker, LEASE],
      held.map(([lane]) => lane),
      held.map(([, version]) => version),
      held.map(([lane]) => reached.get(lane) ?? '0'),
      done,
      failed.map(({ position }) => position),
      failed.map(({ error }) => error),
      behind,
    ],
  );
  return new Set(rows[0]?.held ?? []);
}
