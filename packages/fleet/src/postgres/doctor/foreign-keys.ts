import { quoteIdentifier } from '@azora/db-core';
import { defineCheck } from './check';
import type { Finding } from './finding';
import { isOwn } from './own-tables';

interface ForeignKeyRow {
  readonly table: string;
  readonly name: string;
  readonly partitioned: boolean;
  readonly columns: readonly string[];
  /** The columns that they reference, in the same order. */
  readonly referenced: readonly string[];
  /** Columns of each index that can find referencing rows; null where one has an expression. */
  readonly indexes: readonly (readonly (string | null)[])[];
  /** Columns of each key of the referenced table. */
  readonly uniqueKeys: readonly (readonly string[])[];
}

const columnsOf = (table: string, numbers: string) => `
  ARRAY(SELECT attname::text FROM unnest(${numbers}) WITH ORDINALITY AS listed (number, place)
        LEFT JOIN pg_attribute ON attrelid = ${table} AND attnum = number AND number > 0 ORDER BY place)`;

/** Without the columns that INCLUDE adds. */
const INDEX_COLUMNS = columnsOf('indrelid', '(indkey::int2[])[0:indnkeyatts - 1]');

/** A partial index that leaves out NULLs will do: a reference that is looked up is not NULL. */
const USABLE_INDEXES = `
  SELECT jsonb_agg(${INDEX_COLUMNS}) FROM pg_index
  JOIN pg_class of_index ON of_index.oid = pg_index.indexrelid
  JOIN pg_am ON pg_am.oid = of_index.relam
  WHERE indrelid = conrelid AND indisvalid AND amname IN ('btree', 'hash')
    AND (indpred IS NULL OR pg_get_expr(indpred, indrelid) IN (
          SELECT format('(%I IS NOT NULL)', attname) FROM pg_attribute
          WHERE attrelid = conrelid AND attnum = ANY (conkey)))`;

const UNIQUE_KEYS = `
  SELECT jsonb_agg(${INDEX_COLUMNS}) FROM pg_index
  WHERE indrelid = confrelid AND indisunique AND indisvalid AND indpred IS NULL AND indexprs IS NULL`;

/** Every foreign key can find its rows by an index. Partitions have those of their parents. */
export const checkForeignKeys = defineCheck<ForeignKeyRow>({
  sql: `
    SELECT referencing.relname::text AS table, conname::text AS name, referencing.relkind = 'p' AS partitioned,
           ${columnsOf('conrelid', 'conkey')} AS columns, ${columnsOf('confrelid', 'confkey')} AS referenced,
           coalesce((${USABLE_INDEXES}), '[]') AS indexes, coalesce((${UNIQUE_KEYS}), '[]') AS "uniqueKeys"
    FROM pg_constraint JOIN pg_class referencing ON referencing.oid = conrelid
    WHERE contype = 'f' AND conparentid = 0 AND ${isOwn('referencing')}
    ORDER BY 1, 2`,
  judge: (rows) => rows.filter((row) => !row.indexes.some((index) => serves(index, row))).map(finding),
});

/**
 * The index begins with all columns of the foreign key, in any order, or with so many of them that they reference a whole
 * key: of (milestone_id, contract_id) the first is enough when milestones.id is unique, for it finds the same rows.
 */
function serves(index: readonly (string | null)[], { columns, referenced, uniqueKeys }: ForeignKeyRow): boolean {
  const end = index.findIndex((column) => column === null || !columns.includes(column));
  const leading = end === -1 ? index : index.slice(0, end);
  const reached = referenced.filter((_, place) => leading.includes(columns[place] ?? null));
  return reached.length === columns.length || uniqueKeys.some((key) => key.every((column) => reached.includes(column)));
}

function finding(row: ForeignKeyRow): Finding {
  return {
    check: 'foreign-key-index',
    level: 'warning',
    object: `${row.table}.${row.name}`,
    message: `has no index on ${row.columns.join(', ')}: each delete of a referenced row looks through the whole table`,
    next: `Add it to the schema (@@index) and to a migration: ${createIndex(row)}`,
  };
}

const LONGEST_NAME = 63;

/** The index, named as Prisma would; PostgreSQL cannot build one concurrently over partitions. */
function createIndex({ table, columns, partitioned }: ForeignKeyRow): string {
  const suffix = '_idx';
  const name = `${[table, ...columns].join('_').slice(0, LONGEST_NAME - suffix.length)}${suffix}`;
  const how = partitioned ? 'CREATE INDEX' : 'CREATE INDEX CONCURRENTLY';
  const list = columns.map(quoteIdentifier).join(', ');
  return `${how} ${quoteIdentifier(name)} ON ${quoteIdentifier(table)} (${list})`;
}
