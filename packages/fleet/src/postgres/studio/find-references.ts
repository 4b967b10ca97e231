import { findDatabaseError, quoteIdentifier } from '@azora/db-core';
import type { ClientBase } from 'pg';

export interface ColumnName {
  readonly table: string;
  readonly column: string;
}

/** A column that may hold the value. */
export interface CandidateColumn extends ColumnName {
  /** As a cast names it. Of an array column, the type of its elements. */
  readonly type: string;
  readonly isArray: boolean;
}

/** Rows are counted up to here: an exact count of a large table may take minutes. */
export const COUNT_LIMIT = 1_001;

/** Class 22, data exception, or a domain's CHECK: the value cannot be of the column's type. */
const NOT_OF_TYPE = /^22|^23514$/;

/**
 * Returns the columns of `asked` that exist, and the columns that foreign keys connect to `key` in either direction. A
 * composite foreign key connects its columns pairwise.
 */
export async function findCandidates(
  client: ClientBase,
  asked: readonly ColumnName[],
  key: ColumnName | undefined,
): Promise<readonly CandidateColumn[]> {
  const { rows } = await client.query<CandidateColumn>(CANDIDATES, [
    JSON.stringify(asked),
    key?.table ?? null,
    key?.column ?? null,
  ]);
  return rows;
}

const CANDIDATES = `
  WITH key AS (
    SELECT attrelid, attnum FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relname = $2 AND attname = $3 AND attnum > 0),
  tied AS (
    SELECT conrelid, own, confrelid, other
    FROM pg_constraint, unnest(conkey, confkey) AS pair (own, other)
    -- A constraint with a parent belongs to a partition.
    WHERE contype = 'f' AND conparentid = 0),
  wanted (attrelid, attnum) AS (
    SELECT conrelid, own FROM tied JOIN key ON confrelid = attrelid AND other = attnum
    UNION SELECT confrelid, other FROM tied JOIN key ON conrelid = attrelid AND own = attnum
    UNION SELECT attrelid, attnum
    FROM json_to_recordset($1) AS asked ("table" text, "column" text)
    JOIN pg_class ON relname = asked.table AND relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    JOIN pg_attribute ON attrelid = pg_class.oid AND attname = asked.column AND attnum > 0)
  SELECT relname::text AS "table", attname::text AS "column", typcategory = 'A' AS "isArray",
         -- Without the type modifier: a cast to varchar(3) would truncate the value and match a different one.
         format_type(CASE typcategory WHEN 'A' THEN typelem ELSE atttypid END, -1) AS type
  FROM wanted JOIN pg_attribute USING (attrelid, attnum) JOIN pg_type ON pg_type.oid = atttypid
  JOIN pg_class ON pg_class.oid = attrelid
  WHERE relnamespace = 'public'::regnamespace
  ORDER BY relname, attname`;

/** Counts the rows of each column that hold the value, up to {@link COUNT_LIMIT}, with one statement per column type. */
export async function countReferences(
  client: ClientBase,
  columns: readonly CandidateColumn[],
  value: string,
): Promise<readonly (ColumnName & { readonly rows: number })[]> {
  const found: (ColumnName & { rows: number })[] = [];
  for (const type of new Set(columns.map((column) => column.type))) {
    const alike = columns.filter((column) => column.type === type);
    const counts = await countAlike(client, countStatement(alike), value);
    found.push(...alike.map(({ table, column }, index) => ({ table, column, rows: counts.get(index) ?? 0 })));
  }
  return found;
}

/** The columns must have one type, because the value is sent once, as that type. */
export function countStatement(columns: readonly CandidateColumn[]): string {
  const counts = columns.map(({ table, column, type, isArray }, index) => {
    const name = quoteIdentifier(column);
    const holdsValue = isArray ? `${name} @> ARRAY[$1::${type}]` : `${name} = $1::${type}`;
    const rows = `SELECT FROM public.${quoteIdentifier(table)} WHERE ${holdsValue} LIMIT ${COUNT_LIMIT}`;
    return `(${index}, (SELECT count(*)::int FROM (${rows}) AS found))`;
  });
  return `SELECT place, rows FROM (VALUES ${counts.join(', ')}) AS counted (place, rows)`;
}

async function countAlike(client: ClientBase, statement: string, value: string): Promise<ReadonlyMap<number, number>> {
  try {
    const { rows } = await client.query<{ place: number; rows: number }>(statement, [value]);
    return new Map(rows.map(({ place, rows: found }) => [place, found]));
  } catch (error) {
    if (NOT_OF_TYPE.test(findDatabaseError(error)?.sqlState ?? '')) return new Map();
    throw error;
  }
}
