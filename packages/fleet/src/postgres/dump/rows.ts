import { pipeline } from 'node:stream/promises';
import { quoteIdentifier } from '@azora/db-core';
import type { ClientBase } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { Meter } from './meter';
import { type DumpedTable, qualified } from './snapshot';

/** What a table holds, as COPY's text format writes it. */
export interface Contents {
  readonly rows: number;
  readonly bytes: number;
  /** Of the text: the same rows in another order give another hash. */
  readonly sha256: string;
}

const BLOCK_BYTES = 256 * 1024;
/** 3,000 rows of a table are read; a whole ANALYZE takes as long as half of a restore. */
const QUICK_TARGET = 10;

/** What stands for a column where a set holds less than the database: SQL over the column. */
export type ColumnExpressions = ReadonlyMap<string, string>;

/** Gives a table's rows to `take`; the caller's transaction says which rows. */
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

/** Reads a table's rows for what they are alone. */
export async function readContents(client: ClientBase, table: DumpedTable): Promise<Contents> {
  return copyOut(client, table, new Map(), async (rows) => {
    for await (const _ of rows);
  });
}

/**
 * Loads rows into an empty table, in a transaction of its own. They come in as frozen: no later vacuum has to rewrite
 * them, and index-only scans work at once. The planner knows a sample of them; what it does not know yet, autovacuum finds
 * within its minute, for it counts rows of the transaction that analyzed them as new.
 */
export async function copyIn(
  client: ClientBase,
  table: DumpedTable,
  rows: AsyncIterable<Uint8Array>,
): Promise<Contents> {
  const name = qualified(table.schema, table.name);
  const meter = new Meter();
  // Emptied in the transaction that fills it, which is what FREEZE asks for.
  await client.query(`BEGIN; TRUNCATE ONLY ${name}`);
  try {
    const target = client.query(copyFrom(`COPY ${name} ${columnList(table)} FROM STDIN WITH (FREEZE)`));
    await pipeline(meter.count(rows), target);
    await client.query(`SET LOCAL default_statistics_target = ${QUICK_TARGET}; ANALYZE ${name}; COMMIT`);
    return { rows: target.rowCount, ...meter.result() };
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** PostgreSQL sends 8 KiB at a time; each piece would be a trip to zlib's thread and back. */
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

/** A table without columns has rows too, of nothing. */
function columnList({ columns }: DumpedTable): string {
  return columns.length === 0 ? '' : `(${columns.map(quoteIdentifier).join(', ')})`;
}

function selection(table: DumpedTable, expressions: ColumnExpressions): string {
  const name = qualified(table.schema, table.name);
  if (expressions.size === 0) return `${name} ${columnList(table)}`;
  const columns = table.columns.map((column) => expressions.get(column) ?? quoteIdentifier(column));
  return `(SELECT ${columns.join(', ')} FROM ONLY ${name})`;
}
