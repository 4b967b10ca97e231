import { quoteIdentifier } from '@azora/db-core';
import { isOwnRelation, partsOf, relationName, sqlOfName } from '@azora/db-migrate';
import { defineCheck, type Finding } from './check';

interface ForeignKeyRow {
  readonly table: string;
  readonly name: string;
  readonly partitioned: boolean;
  readonly columns: readonly string[];
  /** The referenced columns, in the same order. */
  readonly referenced: readonly string[];
  /** The columns of each index that can find referencing rows; null for an expression. */
  readonly indexes: readonly (readonly (string | null)[])[];
  /** The columns of each unique key of the referenced table. */
  readonly uniqueKeys: readonly (readonly string[])[];
}

const columnsOf = (table: string, numbers: string) => `
  ARRAY(SELECT attname::text FROM unnest(${numbers}) WITH ORDINALITY AS listed (number, place)
        LEFT JOIN pg_attribute ON attrelid = ${table} AND attnum = number AND number > 0 ORDER BY place)`;

/** Without INCLUDE columns. */
const INDEX_COLUMNS = columnsOf('indrelid', '(indkey::int2[])[0:indnkeyatts - 1]');

/** A partial index without NULLs is sufficient: a reference that is looked up is not NULL. */
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

/** Finds foreign keys without an index. Partitions have the foreign keys of their parents. */
export const checkForeignKeys = defineCheck<ForeignKeyRow>({
  sql: `
    SELECT ${relationName('referencing')} AS table, conname::text AS name, referencing.relkind = 'p' AS partitioned,
           ${columnsOf('conrelid', 'conkey')} AS columns, ${columnsOf('confrelid', 'confkey')} AS referenced,
           coalesce((${USABLE_INDEXES}), '[]') AS indexes, coalesce((${UNIQUE_KEYS}), '[]') AS "uniqueKeys"
    FROM pg_constraint JOIN pg_class referencing ON referencing.oid = conrelid
    WHERE contype = 'f' AND conparentid = 0 AND ${isOwnRelation('referencing')}
    ORDER BY 1, 2`,
  judge: (rows) => rows.filter((row) => !row.indexes.some((index) => serves(index, row))).map(finding),
});

/**
 * Whether the index begins with all columns of the foreign key, in any order, or with enough of them to reference a whole
 * unique key: of (milestone_id, contract_id), the first is enough when milestones.id is unique, because it finds the same
 * rows.
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
    message: `has no index on ${row.columns.join(', ')}, so each delete of a referenced row scans the whole table`,
    next: `Add @@index to schema.prisma, and in a migration: ${createIndex(row)}`,
  };
}

const LONGEST_NAME = 63;

/** The index, with Prisma's name for it. PostgreSQL cannot build an index on a partitioned table concurrently. */
function createIndex({ table, columns, partitioned }: ForeignKeyRow): string {
  const suffix = '_idx';
  const name = `${[partsOf(table).name, ...columns].join('_').slice(0, LONGEST_NAME - suffix.length)}${suffix}`;
  const how = partitioned ? 'CREATE INDEX' : 'CREATE INDEX CONCURRENTLY';
  const list = columns.map(quoteIdentifier).join(', ');
  return `${how} ${quoteIdentifier(name)} ON ${sqlOfName(table)} (${list})`;
}
