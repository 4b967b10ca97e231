import { quoteIdentifier } from '@azora/db-core';
import { defineCheck } from './check';
import { isOwn } from './own-tables';

interface TableRow {
  readonly name: string;
}

/** Every table has a primary key. */
export const checkPrimaryKeys = defineCheck<TableRow>({
  sql: `SELECT relname::text AS name FROM pg_class
        WHERE relkind IN ('r', 'p') AND NOT relispartition AND ${isOwn('pg_class')}
          AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = pg_class.oid AND contype = 'p')
        ORDER BY relname`,
  judge: (rows) =>
    rows.map(({ name }) => ({
      check: 'primary-key',
      level: 'warning',
      object: name,
      message: 'has no primary key: its rows cannot be told apart, and replication cannot update or delete them',
      next: `ALTER TABLE ${quoteIdentifier(name)} ADD PRIMARY KEY on what makes a row unique`,
    })),
});

interface SequenceRow {
  readonly name: string;
  readonly share: number;
  /** `orders.id`; null for one that serves no column. */
  readonly column: string | null;
}

/** What the type of the served column can hold, when the sequence itself goes on further. */
const COLUMN_LIMIT = `CASE atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
  ELSE 9223372036854775807 END`;

/** No sequence comes to its end soon. */
export const checkSequences = defineCheck<SequenceRow>({
  sql: ({ limits }) => `
    WITH sequence AS (
      SELECT relname::text AS name, increment_by, last_value::numeric, min_value::numeric,
             least(max_value, ${COLUMN_LIMIT})::numeric AS max_value,
             owner.refobjid::regclass::text || '.' || attname AS column
      FROM pg_sequences
      JOIN pg_class ON relname = sequencename AND relkind = 'S'
      LEFT JOIN pg_depend owner ON owner.classid = 'pg_class'::regclass AND owner.objid = pg_class.oid
        AND owner.refclassid = 'pg_class'::regclass AND owner.deptype IN ('a', 'i')
      LEFT JOIN pg_attribute ON attrelid = owner.refobjid AND attnum = owner.refobjsubid
      WHERE schemaname = 'public' AND NOT cycle AND last_value IS NOT NULL AND ${isOwn('pg_class')}),
    used AS (
      SELECT name, sequence.column,
             CASE WHEN increment_by > 0 THEN last_value - min_value ELSE max_value - last_value END
               / nullif(max_value - min_value, 0) AS share
      FROM sequence)
    SELECT name, used.column, share::float8 FROM used WHERE share > ${limits.sequenceShare} ORDER BY name`,
  judge: (rows) =>
    rows.map(({ name, share, column }) => ({
      check: 'sequence',
      level: 'warning',
      object: name,
      message: `has used ${Math.floor(share * 100)} % of its numbers${column === null ? '' : ` (${column})`}`,
      next: 'Make the column and its sequence bigint (ALTER TABLE … TYPE bigint, ALTER SEQUENCE … AS bigint)',
    })),
});
