import { findDatabaseError, quoteIdentifier } from '@azora/db-core';
import type { Client, QueryResult } from 'pg';
import { oldPartitions } from './overdue-rows';
import type { RetainedTable } from './retained-tables';

/** The rows that went, and whether the rest waits for the next run, because others held its locks. */
export interface PrunedRows {
  readonly deleted: number;
  readonly isBusy: boolean;
}

/** One step of a pruning. */
export interface Batch {
  /** Undefined when nothing is left. */
  readonly deleted: number | undefined;
}

/** A writer that arrives while a batch waits for a lock waits behind it. */
const LOCK_TIMEOUT_MS = 40;
/** The longest time that the locks of a batch may last: no writer waits for 100 ms. */
const BATCH_TIMEOUT_MS = 80;
const AIM_MS = 40;
const FIRST_ROWS = 200;
const MOST_ROWS = 5_000;
/** Attempts of a batch of one row in a row. */
const MAX_ATTEMPTS = 25;
/** A lock was not granted in time, a batch took too long, or a deadlock was broken. */
const RETRIED: ReadonlySet<string | undefined> = new Set(['55P03', '57014', '40P01']);

/** Deletes the old rows of a table in transactions so short that no writer waits for 100 ms. Aborting stops between two of them. */
export async function pruneTable(
  client: Client,
  table: RetainedTable,
  signal: AbortSignal | undefined,
  onProgress: (deleted: number) => void,
): Promise<PrunedRows> {
  const { method } = table;
  if (method.kind === 'partitions') return dropPartitions(client, table, signal, onProgress);
  if (method.kind === 'rows') return repeatBatches(rowBatches(client, table), signal, onProgress);
  if (method.kind !== 'function') throw new Error(`${table.table} has no rows to delete in batches`);
  const keep = method.takesInterval ? `interval '${table.days} days', ` : '';
  const run = async (rows: number) => {
    const text = `SELECT ${quoteIdentifier(`prune_${table.table}`)}(${keep}${rows}) AS deleted`;
    const { deleted } = await runBatch<{ deleted: number }>(client, text, rows);
    return { deleted: deleted === 0 ? undefined : deleted };
  };
  return repeatBatches(run, signal, onProgress);
}

/**
 * Runs batches until nothing is left. Their size follows the time that they take.
 * @param run deletes at most the given number of rows in one transaction
 */
export async function repeatBatches(
  run: (rows: number) => Promise<Batch>,
  signal: AbortSignal | undefined,
  onProgress: (deleted: number) => void,
): Promise<PrunedRows> {
  let rows = FIRST_ROWS;
  let total = 0;
  for (let attempts = 0; attempts < MAX_ATTEMPTS; ) {
    signal?.throwIfAborted();
    const start = performance.now();
    try {
      const { deleted } = await run(rows);
      if (deleted === undefined) return { deleted: total, isBusy: false };
      attempts = 0;
      total += deleted;
      onProgress(total);
      rows = nextSize(rows, performance.now() - start);
    } catch (error) {
      if (!RETRIED.has(findDatabaseError(error)?.sqlState)) throw error;
      if (rows === 1) attempts += 1;
      rows = Math.max(1, Math.floor(rows / 4));
    }
  }
  return { deleted: total, isBusy: true };
}

function nextSize(rows: number, elapsedMs: number): number {
  if (elapsedMs > AIM_MS) return Math.max(1, Math.floor(rows / 2));
  return elapsedMs < AIM_MS / 3 ? Math.min(MOST_ROWS, rows * 2) : rows;
}

/**
 * Runs one statement with its limits as one message, which is one transaction: its locks end before the answer arrives, however
 * slow this process is. A batch of one row has no limit of time, so that every pruning moves on.
 */
export async function runBatch<Row>(client: Client, statement: string, rows: number): Promise<Row> {
  const limit = rows === 1 ? 0 : BATCH_TIMEOUT_MS;
  const limits = `SELECT set_config('lock_timeout', '${LOCK_TIMEOUT_MS}ms', true), set_config('statement_timeout', '${limit}ms', true)`;
  // Of several statements, pg returns several results.
  const results = (await client.query(`${limits}; ${statement}`)) as unknown as readonly QueryResult[];
  return results.at(-1)?.rows[0] as Row;
}

/** Each batch begins where the last one ended: the entries of deleted rows in the index are not read again. */
function rowBatches(client: Client, { table, column, condition }: RetainedTable): (rows: number) => Promise<Batch> {
  const [name, time] = [quoteIdentifier(table), quoteIdentifier(column)];
  let reached: string | null = null;
  return async (rows) => {
    const from: string = reached === null ? '' : ` AND ${time} >= '${reached}'`;
    const { deleted, last } = await runBatch<{ deleted: number; last: string | null }>(
      client,
      `WITH gone AS (
         DELETE FROM ${name} WHERE ctid = ANY (ARRAY(
           SELECT ctid FROM ${name} WHERE ${condition}${from} ORDER BY ${time} LIMIT ${rows} FOR UPDATE SKIP LOCKED))
         RETURNING ${time}
       ) SELECT count(*)::int AS deleted, max(${time})::text AS last FROM gone`,
      rows,
    );
    reached = last ?? reached;
    return { deleted: deleted === 0 ? undefined : deleted };
  };
}

/** One partition in each transaction. Its rows are counted before, without a lock that writers wait for. */
async function dropPartitions(
  client: Client,
  table: RetainedTable,
  signal: AbortSignal | undefined,
  onProgress: (deleted: number) => void,
): Promise<PrunedRows> {
  let total = 0;
  for (const { name } of await oldPartitions(client, table)) {
    const { rows } = await client.query<{ rows: string }>(`SELECT count(*) AS rows FROM ${name}`);
    let isDropped = false;
    const dropped = await repeatBatches(
      async () => {
        if (isDropped) return { deleted: undefined };
        await runBatch(client, `DROP TABLE ${name}`, 1);
        isDropped = true;
        return { deleted: Number(rows[0]?.rows) };
      },
      signal,
      (deleted) => onProgress(total + deleted),
    );
    total += dropped.deleted;
    if (dropped.isBusy) return { deleted: total, isBusy: true };
  }
  return { deleted: total, isBusy: false };
}
