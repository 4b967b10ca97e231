import { pipeline } from 'node:stream/promises';
import { quoteIdentifier } from '@azora/db-core';
import type { ClientBase } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { Meter } from '../../system/meter';
import { type DumpedTable, qualified } from './snapshot';

/** The rows of a table in COPY's text format. */
export interface Contents {
  readonly rows: number;
  readonly bytes: number;
  /** The SHA-256 of the text. It depends on the order of the rows. */
  readonly sha256: string;
}

const BLOCK_BYTES = 256 * 1024;
/** A sample of 3,000 rows per table. A full ANALYZE takes half as long as the whole restore. */
const QUICK_STATISTICS_TARGET = 10;

/** SQL expressions that replace columns in a masked set, by the name of the column. */
export type ColumnExpressions = ReadonlyMap<string, string>;

/** Hands the rows of a table to `take`, as the caller's transaction sees them. */
export async function copyOut(
  client: ClientBase,
  table: DumpedTable,
  expressions: ColumnExpressions,
  take: (rows: AsyncIterable<Buffer>) => Promise<unknown>,
): Promise<Contents> {
  const source = client.query(copyTo(`COPY ${selection(table, expressions)} TO STDOUT`));
  const meter = new Meter();
  await pipeline(source, (rows: AsyncIterable<Buffer>) => take(meter.count(inBlocks(rows))));
  return { rows: source.rowCount, ...meter.result() };
}

/** Reads the rows of a table to count and hash them. */
export async function readContents(client: ClientBase, table: DumpedTable): Promise<Contents> {
  return copyOut(client, table, new Map(), async (rows) => {
    for await (const _ of rows);
  });
}

/**
 * Loads rows into a table that is empty or has only the rows of its extension, in a transaction of its own. The rows of an
 * empty table are frozen: no later vacuum has to rewrite them,
 * and index-only scans work at once. The planner gets statistics from a small sample. Autovacuum analyzes the table fully
 * within a minute, because it counts the rows as changed since that ANALYZE.
 */
export async function copyIn(
  client: ClientBase,
  table: DumpedTable,
  rows: AsyncIterable<Uint8Array>,
): Promise<Contents> {
  const name = qualified(table.schema, table.name);
  const meter = new Meter();
  // COPY with FREEZE requires that the same transaction truncated the table. The rows that an extension made stay.
  const isEmpty = table.filter === null;
  await client.query(isEmpty ? `BEGIN; TRUNCATE ONLY ${name}` : 'BEGIN');
  try {
    const options = isEmpty ? ' WITH (FREEZE)' : '';
    const target = client.query(copyFrom(`COPY ${name} ${columnList(table)} FROM STDIN${options}`));
    await pipeline(meter.count(rows), target);
    await client.query(`SET LOCAL default_statistics_target = ${QUICK_STATISTICS_TARGET}; ANALYZE ${name}; COMMIT`);
    return { rows: target.rowCount, ...meter.result() };
  } catch (error) {
    // A session that cannot roll back is lost, which `error` says already.
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** PostgreSQL sends pieces of 8 KiB. Larger blocks save switches to zlib's thread and back. */
async function* inBlocks(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let block: Buffer[] = [];
  let bytes = 0;
  for await (const piece of pieces) {
    block.push(piece);
    bytes += piece.length;
    if (bytes < BLOCK_BYTES) continue;
    yield Buffer.concat(block, bytes);
    block = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(block, bytes);
}

/** COPY takes no list for a table without columns, which can have rows too. */
function columnList({ columns }: DumpedTable): string {
  return columns.length === 0 ? '' : `(${columns.map(quoteIdentifier).join(', ')})`;
}

function selection(table: DumpedTable, expressions: ColumnExpressions): string {
  const name = qualified(table.schema, table.name);
  if (expressions.size === 0 && table.filter === null) return `${name} ${columnList(table)}`;
  const columns = table.columns.map((column) => expressions.get(column) ?? quoteIdentifier(column));
  return `(SELECT ${columns.join(', ')} FROM ONLY ${name} ${table.filter ?? ''})`;
}
