import { HISTORY, isOwnRelation, relationName, sqlOfName } from '@azora/db-migrate';
import { defineCheck, type Finding } from './check';

interface TableRow {
  readonly name: string;
}

/** Finds tables without a primary key. */
export const checkPrimaryKeys = defineCheck<TableRow>({
  sql: `SELECT ${relationName('pg_class')} AS name FROM pg_class
        WHERE relkind IN ('r', 'p') AND NOT relispartition AND ${isOwnRelation('pg_class')}
          AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = pg_class.oid AND contype = 'p')
        ORDER BY 1`,
  judge: (rows) =>
    rows.map(({ name }) => ({
      check: 'primary-key',
      level: 'warning',
      object: name,
      message: 'has no primary key, so replication cannot update or delete its rows',
      next: `ALTER TABLE ${sqlOfName(name)} ADD PRIMARY KEY (the columns that identify a row)`,
    })),
});

interface SequenceRow {
  readonly name: string;
  readonly share: number;
  /** `orders.id`; null for a sequence that no column owns. */
  readonly column: string | null;
}

/** The largest value of the column's type, which may be less than the sequence's own maximum. */
const COLUMN_LIMIT = `CASE atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
  ELSE 9223372036854775807 END`;

/** Finds sequences near their maximum. */
export const checkSequences = defineCheck<SequenceRow>({
  sql: ({ limits }) => `
    WITH sequence AS (
      SELECT ${relationName('pg_class')} AS name, increment_by, last_value::numeric, min_value::numeric,
             least(max_value, ${COLUMN_LIMIT})::numeric AS max_value,
             owner.refobjid::regclass::text || '.' || attname AS column
      FROM pg_sequences
      JOIN pg_class ON relname = sequencename AND relkind = 'S' AND relnamespace = to_regnamespace(quote_ident(schemaname))
      LEFT JOIN pg_depend owner ON owner.classid = 'pg_class'::regclass AND owner.objid = pg_class.oid
        AND owner.refclassid = 'pg_class'::regclass AND owner.deptype IN ('a', 'i')
      LEFT JOIN pg_attribute ON attrelid = owner.refobjid AND attnum = owner.refobjsubid
      WHERE NOT cycle AND last_value IS NOT NULL AND ${isOwnRelation('pg_class')}),
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
      message: `has used ${Math.floor(share * 100)}% of its values${column === null ? '' : ` (${column})`}`,
      next: 'Make the column and its sequence bigint (ALTER TABLE … TYPE bigint, ALTER SEQUENCE … AS bigint)',
    })),
});

interface HistoryCounts {
  readonly attempts: number;
  readonly unfinished: readonly string[] | null;
}

/** Finds migrations that are half done, and a history full of failed attempts. Only for a database with the history table. */
export const checkHistory = defineCheck<HistoryCounts>({
  sql: `SELECT count(*) FILTER (WHERE finished_at IS NULL OR rolled_back_at IS NOT NULL)::int AS attempts,
               array_agg(DISTINCT migration_name::text)
                 FILTER (WHERE finished_at IS NULL AND rolled_back_at IS NULL) AS unfinished
        FROM ${HISTORY}`,
  judge: (rows, { limits }) =>
    rows.flatMap(({ attempts, unfinished }) => [
      ...(unfinished ?? []).map(unfinishedFinding),
      ...(attempts > limits.historyAttempts ? [bloatFinding(attempts)] : []),
    ]),
});

function unfinishedFinding(name: string): Finding {
  return {
    check: 'history-unfinished',
    level: 'error',
    object: name,
    message: 'began and did not finish, so a part of it may be applied',
    next: `Complete it by hand and run "npx azora-db migrate resolve applied <service> ${name}", or undo it and run "npx azora-db migrate resolve rolled-back <service> ${name}"`,
  };
}

function bloatFinding(attempts: number): Finding {
  return {
    check: 'history-bloat',
    level: 'warning',
    object: '_prisma_migrations',
    message: `has ${attempts} rows of failed attempts`,
    next: `Find the process that keeps retrying, then DELETE FROM ${HISTORY} WHERE rolled_back_at IS NOT NULL`,
  };
}
