import type { Pool } from 'pg';

/** How long relayed events stay in the outbox, so that a log that was restored from a backup gets them again. */
const OUTBOX_KEPT = '7 days';
const PRUNED_AT_ONCE = 1_000;
/** The most that one call deletes: the relay has other work. */
const PRUNE_ROUNDS = 20;

/** Names the server, the database and the timeline of the outbox, and makes an outbox readable that was restored or moved. */
export async function adoptOutbox(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ identity: string }>('SELECT adopt_outbox() AS identity');
  return rows[0]?.identity ?? '';
}

/** Says whether transactions that publish must notify. */
export async function setAsleep(pool: Pool, isAsleep: boolean): Promise<void> {
  await pool.query('UPDATE outbox_relay SET asleep = $1, seen_at = clock_timestamp(), updated_at = clock_timestamp()', [
    isAsleep,
  ]);
}

/**
 * The transactions of the server that are running, with or without an id, and the prepared ones. One that began before the relay fell asleep may
 * publish without a notification, because its snapshot still shows the relay awake.
 */
export async function runningTransactions(pool: Pool): Promise<ReadonlySet<string>> {
  const { rows } = await pool.query<{ id: string }>(`
    SELECT DISTINCT virtualtransaction AS id FROM pg_locks
    WHERE locktype IN ('virtualxid', 'transactionid') AND granted AND pid IS DISTINCT FROM pg_backend_pid()`);
  return new Set(rows.map(({ id }) => id));
}

/** Deletes old events that the snapshot sees, a bounded number. Returns whether there are more. */
export async function pruneOutbox(pool: Pool, seen: string | null): Promise<boolean> {
  for (let round = 0; round < PRUNE_ROUNDS; round += 1) {
    const { rows } = await pool.query<{ deleted: number }>(
      'SELECT prune_outbox($1::pg_snapshot, $2::interval, $3) AS deleted',
      [seen, OUTBOX_KEPT, PRUNED_AT_ONCE],
    );
    if ((rows[0]?.deleted ?? 0) < PRUNED_AT_ONCE) return false;
  }
  return true;
}
