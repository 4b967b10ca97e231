/** What a relay remembers of an outbox: the events that it has relayed. Snapshots are texts of PostgreSQL's `pg_snapshot`. */
export interface Cursor {
  /** Events of transactions that this snapshot sees were relayed; null before the first read. */
  readonly seen: string | null;
  /** The snapshot of a backlog in progress: of its events, those up to `tickPosition` were relayed. */
  readonly tick: string | null;
  /** A decimal string, because a position may exceed what a number holds exactly. */
  readonly tickPosition: string | null;
}

/** Where events that a snapshot does not see stand in the index of the outbox. */
export interface UnseenRange {
  /** No transaction with this id or a later one is seen. */
  readonly xmax: string;
  /** Transactions before it that were in progress: a long one may commit after many later ones. */
  readonly inProgress: readonly string[];
}

/** Reads `xmin:xmax:xip,…`. Before the first read, everything is unseen. */
export function unseenRange(snapshot: string | null): UnseenRange {
  if (snapshot === null) return { xmax: '0', inProgress: [] };
  const [, xmax = '0', inProgress = ''] = snapshot.split(':');
  return { xmax, inProgress: inProgress === '' ? [] : inProgress.split(',') };
}

/**
 * The cursor when a part of a backlog was relayed, up to a position. A backlog that was interrupted is read again with a later
 * snapshot, which may see events in front of the old position: until the new part has reached that position, the cursor stays.
 */
export function partOf(cursor: Cursor, snapshot: string, position: string): Cursor {
  if (cursor.tickPosition !== null && BigInt(position) < BigInt(cursor.tickPosition)) return cursor;
  return { seen: cursor.seen, tick: snapshot, tickPosition: position };
}
