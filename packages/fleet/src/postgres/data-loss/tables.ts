import { quoteIdentifier, quoteLiteral } from '@azora/db-core';
import type { ClientBase } from 'pg';
import { query } from './query';

/** A column of a table, by its number: that stays the same when the column is renamed or retyped. */
export interface Column {
  readonly number: number;
  readonly name: string;
  readonly type: string;
  readonly modifier: number;
  /** The values are computed from other columns. */
  readonly generated: boolean;
  /** The labels of an enum by their oids, which stay the same when a label is renamed; null for other types. */
  readonly labels: Readonly<Record<string, string>> | null;
}

/** A table, foreign table or partitioned table, by its oid: that stays the same when the table is renamed or moved. */
export interface Table {
  readonly oid: string;
  /** The partitioned table at the top, or the table itself. */
  readonly root: string;
  readonly schema: string;
  readonly name: string;
  readonly kind: 'r' | 'p' | 'f';
  /** For a table of an extension: the condition on the rows of users, as pg_dump takes it. */
  readonly condition: string;
  readonly columns: readonly Column[];
}

/** PostgreSQL's FirstNormalObjectId: objects of initdb have lower numbers. */
export const FIRST_USER_OID = 16_384;

/**
 * Every table of users in every schema. Of the tables of extensions, those that the extension marks as containing rows of
 * users. Left out are temporary tables and the migration history, which the
 * guard compares by itself.
 */
const TABLES = `
  SELECT relation.oid::text AS oid, coalesce(pg_partition_root(relation.oid), relation.oid)::oid::text AS root,
         nspname::text AS schema, relname::text AS name, relkind AS kind, coalesce(config.condition, '') AS condition,
         coalesce((SELECT json_agg(json_build_object(
             'number', attnum, 'name', attname, 'type', atttypid::text, 'modifier', atttypmod,
             'generated', attgenerated <> '',
             'labels', (SELECT json_object_agg(label.oid, enumlabel) FROM pg_enum label WHERE enumtypid = atttypid)
           ) ORDER BY attnum)
           FROM pg_attribute WHERE attrelid = relation.oid AND attnum > 0 AND NOT attisdropped), '[]') AS columns
  FROM pg_class relation
  JOIN pg_namespace ON pg_namespace.oid = relnamespace
  LEFT JOIN pg_depend member ON member.classid = 'pg_class'::regclass AND member.objid = relation.oid
    AND member.objsubid = 0 AND member.deptype = 'e'
  LEFT JOIN LATERAL (
    SELECT condition FROM pg_extension, unnest(extconfig, extcondition) AS marked (relation_oid, condition)
    WHERE pg_extension.oid = member.refobjid AND relation_oid = relation.oid) config ON true
  WHERE relkind IN ('r', 'p', 'f') AND relpersistence <> 't'
    AND relation.oid >= ${FIRST_USER_OID} AND NOT starts_with(nspname, 'pg_t')
    AND NOT (nspname = 'public' AND relname = '_prisma_migrations')
    AND (member.objid IS NULL OR config.condition IS NOT NULL)
  ORDER BY nspname COLLATE "C", relname COLLATE "C"`;

export function readTables(client: ClientBase): Promise<readonly Table[]> {
  return query<Table>(client, TABLES);
}

/** The name for SQL. */
export function sqlName({ schema, name }: Pick<Table, 'schema' | 'name'>): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** The name for people, and the one that the analysis of statements uses: without the schema public. */
export function shortName({ schema, name }: Pick<Table, 'schema' | 'name'>): string {
  return schema === 'public' ? name : `${schema}.${name}`;
}

/** A column as it is measured: under this name, with this SQL for its value. */
export interface Cell {
  readonly name: string;
  readonly value: string;
}

/** The content of rows, independent of their order. Two contents are equal only if each row has the same values under the same names. */
export interface Content {
  readonly rows: number;
  readonly hash: bigint;
  /** For each cell, the number of values that are not null, and their hash. */
  readonly values: readonly number[];
  readonly hashes: readonly bigint[];
}

interface ContentRow {
  readonly rows: string;
  readonly hash: string;
  readonly values: readonly string[];
  readonly hashes: readonly string[];
}

/**
 * Measures rows of a table in one pass and constant memory. A value is compared by the text of its type's output function; a cast
 * would call a function of the user. A null adds nothing, so a column that is null in every row does not matter. OFFSET 0 keeps the
 * planner from computing each hash twice.
 */
export async function measure(
  client: ClientBase,
  table: Table,
  cells: readonly Cell[],
  condition: string,
): Promise<Content> {
  const hashes = cells.map(
    ({ value }, at) =>
      `CASE num_nulls(${value}) WHEN 0 THEN hashtextextended(concat(${value}) COLLATE "C", 0) END AS h${at}`,
  );
  const mixed = cells.map(
    ({ name }, at) => `coalesce(hashint8extended(h${at}, hashtextextended(${quoteLiteral(name)}, 0)), 0)`,
  );
  const list = (items: readonly string[]) => `ARRAY[${items.join(', ')}]::text[]`;
  const only = table.kind === 'p' ? '' : 'ONLY ';
  const where = [table.condition.replace(/^\s*WHERE\b/i, ''), condition].filter((text) => text.trim() !== '');
  const [row] = await query<ContentRow>(
    client,
    `SELECT count(*)::text AS rows, coalesce(sum(hash), 0)::text AS hash,
            ${list(cells.map((_, at) => `count(h${at})`))} AS values,
            ${list(cells.map((_, at) => `coalesce(sum(h${at}), 0)`))} AS hashes
     FROM (SELECT *, hashint8extended(${['0', ...mixed].join(' # ')}, 0) AS hash
           FROM (SELECT ${['0 AS zero', ...hashes].join(', ')} FROM ${only}${sqlName(table)}
                 ${where.length === 0 ? '' : `WHERE (${where.join(') AND (')})`} OFFSET 0) AS cells) AS mixed`,
  );
  if (row === undefined) throw new Error('an aggregate returned no row');
  return {
    rows: Number(row.rows),
    hash: BigInt(row.hash),
    values: row.values.map(Number),
    hashes: row.hashes.map(BigInt),
  };
}
