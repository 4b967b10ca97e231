import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ClientBase } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { ServerCapabilities } from './capabilities';
import { quoteIdentifier } from './quote';
import type { CopyValue, SeedRow, TableRows } from './seed';

/** COPY text is collected into chunks of about this size, because one socket write per row costs more than the row. */
const CHUNK_CHARACTERS = 64 * 1024;
/** Rows per INSERT on a server without `COPY … FROM STDIN`. */
const INSERT_ROWS = 500;

/**
 * A JSON `null` for a json or jsonb column of {@link writeRows}, where JavaScript's `null` means SQL NULL.
 * `JSON.stringify` sees the null through `toJSON`, so it also works inside an array of JSON values.
 */
export const JSON_NULL: object = Object.freeze({ toJSON: () => null });

/**
 * Writes rows into a table with bounded memory, in the caller's transaction, and returns their number. Uses COPY, or
 * multi-row INSERT on a server without `COPY … FROM STDIN`.
 *
 * The type of the column decides how a value is written:
 * - json, jsonb: the value as JSON. A string becomes a JSON string; it is never parsed. `null` is SQL NULL.
 * - array types: an array literal, nested arrays as dimensions. In an array of JSON values, each element is one value.
 * - bytea: the bytes of a `Uint8Array`.
 * - all other types: a `Date` in ISO 8601; objects and arrays as JSON text, which is also what pgvector reads.
 */
export async function writeRows(
  client: ClientBase,
  capabilities: ServerCapabilities,
  { table, columns, rows }: TableRows,
): Promise<number> {
  const encoders = await readEncoders(client, table, columns);
  const target = `${quoteIdentifier(table)} (${columns.map(quoteIdentifier).join(', ')})`;
  if (!capabilities.copyFrom) return insertRows(client, target, encoders, rows);
  const stream = client.query(copyFrom(`COPY ${target} FROM STDIN`));
  await pipeline(Readable.from(copyText(rows, encoders), { objectMode: false }), stream);
  return stream.rowCount ?? 0;
}

/** The text form of a value that is not null. */
export type Encoder = (value: NonNullable<CopyValue>) => string;

interface ColumnType {
  readonly name: string;
  /** The type under all domains and array levels. */
  readonly type: string;
  /** Between the elements of an array; null for a type that is not an array. */
  readonly delimiter: string | null;
}

const COLUMN_TYPES = `
  WITH RECURSIVE unwrapped AS (
    SELECT attname, atttypid AS type, NULL::"char" AS delimiter
    FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT attname, coalesce(element.oid, wrapper.typbasetype), coalesce(element.typdelim, delimiter)
    FROM unwrapped
    JOIN pg_type wrapper ON wrapper.oid = unwrapped.type
    LEFT JOIN pg_type element ON element.typarray = wrapper.oid
    WHERE element.oid IS NOT NULL OR wrapper.typtype = 'd'
  )
  SELECT attname::text AS name, type::regtype::text AS type, delimiter::text
  FROM unwrapped JOIN pg_type innermost ON innermost.oid = type
  WHERE typtype <> 'd' AND NOT EXISTS (SELECT FROM pg_type element WHERE element.typarray = innermost.oid)`;

/** One encoder per column, in their order, from the types that the server reports. */
export async function readEncoders(
  client: ClientBase,
  table: string,
  columns: readonly string[],
): Promise<readonly Encoder[]> {
  const { rows } = await client.query<ColumnType>(COLUMN_TYPES, [quoteIdentifier(table)]);
  const types = new Map(rows.map((column) => [column.name, column]));
  // The server itself rejects a column that the table does not have.
  return columns.map((name) => encoderOf(types.get(name)));
}

function encoderOf(column: ColumnType | undefined): Encoder {
  const scalar = SCALAR_ENCODERS[column?.type ?? ''] ?? plainText;
  const delimiter = column?.delimiter ?? null;
  if (delimiter === null) return scalar;
  const hasDimensions = scalar !== jsonText;
  return (value) => (Array.isArray(value) ? arrayText(value, scalar, delimiter, hasDimensions) : plainText(value));
}

const SCALAR_ENCODERS: Readonly<Record<string, Encoder>> = { json: jsonText, jsonb: jsonText, bytea: byteText };

function plainText(value: NonNullable<CopyValue>): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (typeof value === 'boolean') return value ? 't' : 'f';
  return value instanceof Date ? value.toISOString() : jsonText(value);
}

function jsonText(value: NonNullable<CopyValue>): string {
  if (typeof value === 'bigint') return String(value);
  const text: string | undefined = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`A ${typeof value} has no JSON form`);
  return text;
}

function byteText(value: NonNullable<CopyValue>): string {
  return value instanceof Uint8Array ? `\\x${Buffer.from(value).toString('hex')}` : plainText(value);
}

function arrayText(items: readonly unknown[], scalar: Encoder, delimiter: string, hasDimensions: boolean): string {
  const elements = items.map((item) => {
    if (item === null || item === undefined) return 'NULL';
    if (hasDimensions && Array.isArray(item)) return arrayText(item, scalar, delimiter, true);
    return `"${scalar(item).replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  });
  return `{${elements.join(delimiter)}}`;
}

const COPY_SPECIAL = /[\\\t\n\r]/g;
const COPY_ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** Chunks of rows in COPY's text format (PostgreSQL manual, COPY, "Text Format"). */
export function* copyText(rows: Iterable<SeedRow>, encoders: readonly Encoder[]): Generator<string, void, undefined> {
  let chunk = '';
  for (const row of rows) {
    for (let column = 0; column < row.length; column += 1) {
      if (column > 0) chunk += '\t';
      const value = row[column] ?? null;
      if (value === null) chunk += '\\N';
      // A row that is too long is the server's to reject.
      else chunk += (encoders[column] ?? plainText)(value).replace(COPY_SPECIAL, escapeCharacter);
    }
    chunk += '\n';
    if (chunk.length >= CHUNK_CHARACTERS) {
      yield chunk;
      chunk = '';
    }
  }
  if (chunk !== '') yield chunk;
}

function escapeCharacter(character: string): string {
  return COPY_ESCAPES[character] ?? character;
}

async function insertRows(
  client: ClientBase,
  target: string,
  encoders: readonly Encoder[],
  rows: Iterable<SeedRow>,
): Promise<number> {
  let written = 0;
  for (const batch of batches(rows, INSERT_ROWS)) {
    // COPY rejects such a row; an INSERT would drop its extra values, or write NULL for missing ones.
    const uneven = batch.find((row) => row.length !== encoders.length);
    if (uneven !== undefined) throw new TypeError(`A row has ${uneven.length} values for ${encoders.length} columns`);
    const values = batch.map(
      (_, row) => `(${encoders.map((_encode, column) => `$${row * encoders.length + column + 1}`).join(', ')})`,
    );
    const parameters = batch.flatMap((row) =>
      encoders.map((encode, column) => {
        const value = row[column] ?? null;
        return value === null ? null : encode(value);
      }),
    );
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
