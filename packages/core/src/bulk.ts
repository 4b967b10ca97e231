import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ClientBase } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { ServerCapabilities } from './capabilities';
import { quoteIdentifier } from './quote';
import type { CopyValue, TableRows } from './seed';

/** Text is gathered to about this size before it is handed to the socket: a write per row costs more than the row. */
const CHUNK_CHARACTERS = 64 * 1024;
/** Rows of one INSERT where COPY is not to be had. */
const INSERT_ROWS = 500;

/**
 * Writes rows into a table with bounded memory, in the caller's transaction: by COPY, or by multi-row INSERT on a
 * server without `COPY … FROM STDIN`. Returns the number of rows.
 */
export async function writeRows(
  client: ClientBase,
  capabilities: ServerCapabilities,
  { table, columns, rows }: TableRows,
): Promise<number> {
  const target = `${quoteIdentifier(table)} (${columns.map(quoteIdentifier).join(', ')})`;
  if (!capabilities.copyFrom) return insertRows(client, target, columns, rows);
  const stream = client.query(copyFrom(`COPY ${target} FROM STDIN`));
  await pipeline(Readable.from(copyText(rows), { objectMode: false }), stream);
  return stream.rowCount ?? 0;
}

/** Rows as the chunks of text that COPY reads. */
export function* copyText(rows: Iterable<readonly CopyValue[]>): Generator<string> {
  let chunk = '';
  for (const row of rows) {
    for (let column = 0; column < row.length; column += 1) {
      chunk += column === 0 ? copyField(row[column] ?? null) : `\t${copyField(row[column] ?? null)}`;
    }
    chunk += '\n';
    if (chunk.length >= CHUNK_CHARACTERS) {
      yield chunk;
      chunk = '';
    }
  }
  if (chunk !== '') yield chunk;
}

const COPY_SPECIAL = /[\\\t\n\r]/g;
const COPY_ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** One value in COPY's text format (PostgreSQL manual, COPY, «Text Format»). */
function copyField(value: CopyValue): string {
  const text = valueText(value);
  if (text === null) return '\\N';
  return text.replace(COPY_SPECIAL, (character) => COPY_ESCAPES[character] ?? character);
}

function valueText(value: CopyValue): string | null {
  if (value === null) return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return arrayText(value);
  return JSON.stringify(value);
}

function arrayText(items: readonly CopyValue[]): string {
  const elements = items.map((item) => {
    const text = valueText(item);
    return text === null ? 'NULL' : `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  });
  return `{${elements.join(',')}}`;
}

async function insertRows(
  client: ClientBase,
  target: string,
  columns: readonly string[],
  rows: Iterable<readonly CopyValue[]>,
): Promise<number> {
  let written = 0;
  for (const batch of batches(rows, INSERT_ROWS)) {
    const values = batch.map(
      (_, row) => `(${columns.map((_name, column) => `$${row * columns.length + column + 1}`).join(', ')})`,
    );
    const parameters = batch.flatMap((row) => columns.map((_name, column) => valueText(row[column] ?? null)));
    await client.query(`INSERT INTO ${target} VALUES ${values.join(', ')}`, parameters);
    written += batch.length;
  }
  return written;
}

function* batches<Item>(items: Iterable<Item>, size: number): Generator<Item[]> {
  let batch: Item[] = [];
  for (const item of items) {
    batch.push(item);
    if (batch.length === size) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}
