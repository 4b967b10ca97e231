import { quoteIdentifier } from '@azora/db-core';
import { partsOf } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import type { Loss } from './statement-effects';

/** The losses that a file names, as far as they would remove existing rows or values. A loss that cannot be checked counts. Two queries in all. */
export async function findLosses(client: ClientBase, losses: readonly Loss[]): Promise<readonly Loss[]> {
  if (losses.length === 0) return [];
  const places = await readPlaces(client, losses);
  const asked = losses.map((loss, at) => conditionOf(loss, places[at]));
  const { rows } = await client.query<{ hit: boolean[] }>(`SELECT ARRAY[${asked.join(', ')}] AS hit`);
  return losses.filter((_, at) => rows[0]?.hit[at] === true);
}

/** A loss in words: `the rows of users`. */
export function describeLoss({ what, table, column }: Loss): string {
  if (what === 'column') return `the values of ${table}.${column}`;
  if (what === 'type') return `values of ${table}.${column} that the new type cannot hold`;
  if (what === 'objects') return `every object that depends on ${table}`;
  return `${what === 'table' ? 'the table' : 'rows of'} ${table}`;
}

/** Where a loss would be: the table as SQL, and the type of the column, or an empty text for a whole table. */
interface Place {
  readonly relation: string | null;
  /** Null when there is no such table or column, or when the object is not a table. */
  readonly type: string | null;
}

async function readPlaces(client: ClientBase, losses: readonly Loss[]): Promise<readonly Place[]> {
  const { rows } = await client.query<Place>(
    `SELECT relation::text, CASE WHEN name IS NULL THEN (SELECT '' FROM pg_class WHERE oid = relation AND relkind IN ('r', 'p'))
              ELSE (SELECT format_type(atttypid, atttypmod) FROM pg_attribute
                    WHERE attrelid = relation AND attname = name AND NOT attisdropped) END AS type
     FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked(sql, name, at), to_regclass(sql) AS relation ORDER BY at`,
    [losses.map(({ table }) => qualifiedName(table)), losses.map(({ column }) => column ?? null)],
  );
  return rows;
}

function qualifiedName(table: string): string {
  const { schema, name } = partsOf(table);
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

function conditionOf({ what, column, type }: Loss, place: Place | undefined): string {
  if (what === 'objects') return 'true';
  const { relation = null, type: now = null } = place ?? {};
  if (relation === null || now === null) return 'false';
  if (what === 'type' && type !== undefined && isWidening(now, type)) return 'false';
  const values = column === undefined ? '' : ` WHERE ${quoteIdentifier(column)} IS NOT NULL`;
  return `EXISTS (SELECT FROM ${relation}${values})`;
}

/** In each chain, a type holds every value of the types before it. */
const CHAINS: readonly (readonly string[])[] = [
  ['smallint', 'integer', 'bigint', 'numeric'],
  ['real', 'double precision'],
  ['character varying', 'text'],
  ['character', 'character varying', 'text'],
];

/** The parser's short names of types, with the names of the SQL standard. */
const NAMES: Readonly<Record<string, string>> = {
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  float4: 'real',
  float8: 'double precision',
  varchar: 'character varying',
  bpchar: 'character',
};

/**
 * Whether the second type holds every value of the first; false when that is not known. Takes the wording of `format_type`
 * and of the parser: `character varying(20)`, `varchar(20)`.
 */
export function isWidening(from: string, to: string): boolean {
  const [old, next] = [typeParts(from), typeParts(to)];
  if (old.name === next.name) return holds(old, next);
  const chain = CHAINS.find((names) => names.includes(old.name) && names.includes(next.name));
  if (chain === undefined || chain.indexOf(old.name) > chain.indexOf(next.name)) return false;
  return next.name === 'numeric' ? next.sizes.length === 0 : holds(old, next);
}

/** A type without a size has no limit. */
function holds(from: TypeParts, to: TypeParts): boolean {
  if (to.sizes.length === 0) return true;
  const [length = Number.POSITIVE_INFINITY, scale = 0] = from.sizes;
  const [newLength = 0, newScale = 0] = to.sizes;
  return newScale >= scale && newLength - newScale >= length - scale;
}

interface TypeParts {
  readonly name: string;
  readonly sizes: readonly number[];
}

function typeParts(type: string): TypeParts {
  const [, base = type, sizes = '', suffix = ''] =
    /^(.*?)(?:\(([\d, ]+)\))?( with(?:out)? time zone|\[\])?$/.exec(type) ?? [];
  const name = base.trim();
  return {
    name: `${NAMES[name] ?? name}${suffix}`,
    sizes: sizes === '' ? [] : sizes.split(',').map(Number),
  };
}
