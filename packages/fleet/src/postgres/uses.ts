import { findDatabaseError, quoteIdentifier } from '@azora/db-core';
import type { ClientBase } from 'pg';

export interface ColumnName {
  readonly table: string;
  readonly column: string;
}

/** A column where a value may be found. */
export interface Place extends ColumnName {
  /** As a cast names it; of one element, where the column holds lists. */
  readonly type: string;
  readonly isList: boolean;
}

/** Nobody needs to know how many more there are, and to count them all may take minutes. */
export const MOST_USES = 1_001;

/** The value is none of the column's type, or not within the limits of its domain. */
const NO_SUCH_VALUE = /^22|^23514$/;

/**
 * Those of `asked` that are there, with the columns that foreign keys tie `key` to, in either direction. A key of several
 * columns ties them one to one.
 */
export async function findPlaces(
  client: ClientBase,
  asked: readonly ColumnName[],
  key: ColumnName | undefined,
): Promise<readonly Place[]> {
  const { rows } = await client.query<Place>(PLACES, [JSON.stringify(asked), key?.table ?? null, key?.column ?? null]);
  return rows;
}

const PLACES = `
  WITH key AS (
    SELECT attrelid, attnum FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND relname = $2 AND attname = $3 AND attnum > 0),
  tied AS (
    SELECT conrelid, own, confrelid, other
    FROM pg_constraint, unnest(conkey, confkey) AS pair (own, other)
    -- Those with a parent are the parts of a partitioned table's.
    WHERE contype = 'f' AND conparentid = 0),
  wanted (attrelid, attnum) AS (
    SELECT conrelid, own FROM tied JOIN key ON confrelid = attrelid AND other = attnum
    UNION SELECT confrelid, other FROM tied JOIN key ON conrelid = attrelid AND own = attnum
    UNION SELECT attrelid, attnum
    FROM json_to_recordset($1) AS asked ("table" text, "column" text)
    JOIN pg_class ON relname = asked.table AND relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    JOIN pg_attribute ON attrelid = pg_class.oid AND attname = asked.column AND attnum > 0)
  SELECT relname::text AS "table", attname::text AS "column", typcategory = 'A' AS "isList",
         -- Without the modifier of the column: a cast to varchar(3) would cut the value, and find what it is not.
         format_type(CASE typcategory WHEN 'A' THEN typelem ELSE atttypid END, -1) AS type
  FROM wanted JOIN pg_attribute USING (attrelid, attnum) JOIN pg_type ON pg_type.oid = atttypid
  JOIN pg_class ON pg_class.oid = attrelid
  WHERE relnamespace = 'public'::regnamespace
  ORDER BY relname, attname`;

/** In how many rows of each place the value is, up to {@link MOST_USES}; one statement for each type of the places. */
export async function countUses(
  client: ClientBase,
  places: readonly Place[],
  value: string,
): Promise<readonly (ColumnName & { readonly rows: number })[]> {
  const found: (ColumnName & { rows: number })[] = [];
  for (const type of new Set(places.map((place) => place.type))) {
    const alike = places.filter((place) => place.type === type);
    const counts = await counted(client, usesStatement(alike), value);
    found.push(...alike.map(({ table, column }, index) => ({ table, column, rows: counts.get(index) ?? 0 })));
  }
  return found;
}

/** The places must be of one type: the value is sent once, as that. */
export function usesStatement(places: readonly Place[]): string {
  const counts = places.map(({ table, column, type, isList }, index) => {
    const name = quoteIdentifier(column);
    const isUse = isList ? `${name} @> ARRAY[$1::${type}]` : `${name} = $1::${type}`;
    const uses = `SELECT FROM public.${quoteIdentifier(table)} WHERE ${isUse} LIMIT ${MOST_USES}`;
    return `(${index}, (SELECT count(*)::int FROM (${uses}) AS use))`;
  });
  return `SELECT place, rows FROM (VALUES ${counts.join(', ')}) AS counted (place, rows)`;
}

async function counted(client: ClientBase, statement: string, value: string): Promise<ReadonlyMap<number, number>> {
  try {
    const { rows } = await client.query<{ place: number; rows: number }>(statement, [value]);
    return new Map(rows.map(({ place, rows: uses }) => [place, uses]));
  } catch (error) {
    if (NO_SUCH_VALUE.test(findDatabaseError(error)?.sqlState ?? '')) return new Map();
    throw error;
  }
}
