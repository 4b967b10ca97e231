import { quoteIdentifier } from '@azora/db-core';
import { isOwn } from './own-tables';

/** An index of the service's own tables. */
export interface IndexRow {
  readonly table: string;
  readonly name: string;
  readonly method: string;
  readonly valid: boolean;
  readonly unique: boolean;
  readonly primary: boolean;
  /** Of a partitioned table, or of one of its partitions. */
  readonly partitioned: boolean;
  /** Somebody is building it right now. */
  readonly inProgress: boolean;
  /** The constraint that stands on it: a primary key, UNIQUE or EXCLUDE. */
  readonly constraint: string | null;
  readonly exclusion: boolean;
  /** Whether NULLs are equal and when uniqueness is checked; two that differ are two different rules. */
  readonly rule: string;
  /** Column or expression, operator class, collation and direction of each. */
  readonly keys: readonly string[];
  readonly included: readonly string[];
  readonly predicate: string | null;
  /** As of the last VACUUM or ANALYZE: asking for the size now would wait for a lock on the index. */
  readonly bytes: number;
  readonly scans: number;
  readonly tableScans: number;
  /** For how long the numbers of scans were counted. */
  readonly countedMs: number;
}

const KEY = `concat_ws(' ', pg_get_indexdef(of_index.oid, place, false), indclass[place - 1], indcollation[place - 1],
  indoption[place - 1])`;

/** When counting began: a reset, or the crash that lost the numbers; the latter shows in the background writer's. */
const COUNTED_SINCE = `greatest(
  (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),
  (SELECT stats_reset FROM pg_stat_bgwriter))`;

export const INDEXES = `
  SELECT on_table.relname::text AS table, of_index.relname::text AS name, amname::text AS method, indisvalid AS valid,
         indisunique AS unique, indisprimary AS primary, of_index.relkind = 'I' OR on_table.relispartition AS partitioned,
         EXISTS (SELECT FROM pg_stat_progress_create_index WHERE index_relid = of_index.oid) AS "inProgress",
         conname::text AS constraint, indisexclusion AS exclusion,
         concat_ws(' ', to_jsonb(pg_index) ->> 'indnullsnotdistinct', indimmediate) AS rule,
         ARRAY(SELECT ${KEY} FROM generate_series(1, indnkeyatts) AS place ORDER BY place) AS keys,
         ARRAY(SELECT pg_get_indexdef(of_index.oid, place, false)
               FROM generate_series(indnkeyatts + 1, indnatts) AS place ORDER BY 1) AS included,
         pg_get_expr(indpred, indrelid) AS predicate,
         of_index.relpages::float8 * current_setting('block_size')::int AS bytes,
         coalesce(index_use.idx_scan, 0)::float8 AS scans,
         (coalesce(table_use.seq_scan, 0) + coalesce(table_use.idx_scan, 0))::float8 AS "tableScans",
         coalesce(extract(epoch FROM clock_timestamp() - ${COUNTED_SINCE}) * 1000, 0)::float8 AS "countedMs"
  FROM pg_index
  JOIN pg_class of_index ON of_index.oid = pg_index.indexrelid
  JOIN pg_class on_table ON on_table.oid = indrelid
  JOIN pg_am ON pg_am.oid = of_index.relam
  LEFT JOIN pg_constraint ON conindid = of_index.oid AND conrelid = indrelid AND contype IN ('p', 'u', 'x')
  LEFT JOIN pg_stat_user_indexes index_use ON index_use.indexrelid = of_index.oid
  LEFT JOIN pg_stat_user_tables table_use ON table_use.relid = indrelid
  WHERE on_table.relkind IN ('r', 'p', 'm') AND ${isOwn('on_table')}
  ORDER BY 1, 2`;

/** The statement that takes it away. */
export function dropStatement({ table, name, constraint, partitioned }: IndexRow): string {
  if (constraint !== null)
    return `ALTER TABLE ${quoteIdentifier(table)} DROP CONSTRAINT ${quoteIdentifier(constraint)}`;
  return `DROP INDEX ${partitioned ? '' : 'CONCURRENTLY '}${quoteIdentifier(name)}`;
}
