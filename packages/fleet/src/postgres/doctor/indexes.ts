import { quoteIdentifier } from '@azora/db-core';
import { dottedName, isOwnRelation, partsOf, relationName, sqlOfName } from '@azora/db-migrate';
import { sizeText } from '../../system/quantities';
import { type CheckContext, defineCheck, type Finding } from './check';

/** An index of one of the service's tables. */
interface IndexRow {
  readonly table: string;
  readonly name: string;
  readonly method: string;
  readonly valid: boolean;
  readonly unique: boolean;
  readonly primary: boolean;
  /** The index belongs to a partitioned table, or to a partition. */
  readonly partitioned: boolean;
  /** A session is building the index now. */
  readonly inProgress: boolean;
  /** The constraint that uses the index: a primary key, UNIQUE or EXCLUDE. */
  readonly constraint: string | null;
  readonly exclusion: boolean;
  /** Whether NULLs are equal, and when uniqueness is checked. Indexes that differ here enforce different rules. */
  readonly rule: string;
  /** Column or expression, operator class, collation and direction of each key. */
  readonly keys: readonly string[];
  readonly included: readonly string[];
  readonly predicate: string | null;
  /** The size at the last VACUUM or ANALYZE: the current size would need a lock on the index. */
  readonly bytes: number;
  readonly scans: number;
  readonly tableScans: number;
  /** How long scans have been counted. */
  readonly countedMs: number;
}

const KEY = `concat_ws(' ', pg_get_indexdef(of_index.oid, place, false), indclass[place - 1], indcollation[place - 1],
  indoption[place - 1])`;

/** The time when counting began: a reset, or a crash that lost the counts, which shows in the background writer's reset. */
const COUNTED_SINCE = `greatest(
  (SELECT stats_reset FROM pg_stat_database WHERE datname = current_database()),
  (SELECT stats_reset FROM pg_stat_bgwriter))`;

const INDEXES = `
  SELECT ${relationName('on_table')} AS table, of_index.relname::text AS name, amname::text AS method, indisvalid AS valid,
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
  WHERE on_table.relkind IN ('r', 'p', 'm') AND ${isOwnRelation('on_table')}
  ORDER BY 1, 2`;

/** Finds invalid indexes, and indexes that slow down writes without serving reads. */
export const checkIndexes = defineCheck<IndexRow>({
  sql: INDEXES,
  judge: (indexes, context) => [
    ...indexes.flatMap(invalidFinding),
    ...duplicateFindings(indexes),
    ...indexes.filter((index) => isUnused(index, context)).map(unusedFinding),
  ],
});

function invalidFinding(index: IndexRow): readonly Finding[] {
  if (index.valid || index.inProgress) return [];
  return [
    {
      check: 'invalid-index',
      level: 'error',
      object: `${index.table}.${index.name}`,
      message: 'is invalid: its build failed, no query uses it, and every write still maintains it',
      next: `${dropStatement(index)}, and build it again`,
    },
  ];
}

function isUnused(index: IndexRow, { limits }: CheckContext): boolean {
  if (index.unique || index.constraint !== null || !index.valid || index.partitioned) return false;
  return (
    index.scans === 0 &&
    index.tableScans > limits.unusedIndexTableScans &&
    index.bytes > limits.unusedIndexBytes &&
    index.countedMs > limits.statisticsAgeMs
  );
}

function unusedFinding(index: IndexRow): Finding {
  return {
    check: 'unused-index',
    level: 'note',
    object: `${index.table}.${index.name}`,
    message: `takes ${sizeText(index.bytes)} and served none of ${index.tableScans} reads of its table`,
    next: `Unless standbys use it, remove it from schema.prisma, and in a migration: ${dropStatement(index)}`,
  };
}

/**
 * Redundant indexes: those equal to another index of the same table (a warning), and plain B-trees whose columns are the
 * first columns of another plain B-tree (a note). Of two equal indexes, the one with the stronger role stays: primary key,
 * constraint, unique.
 */
function duplicateFindings(indexes: readonly IndexRow[]): readonly Finding[] {
  // Indexes of partitions come and go with the parent's index.
  const ranked = indexes.filter(({ valid, partitioned }) => valid && !partitioned).sort(byRank);
  const kept: IndexRow[] = [];
  const findings: Finding[] = [];
  for (const index of ranked) {
    const twin = kept.find((other) => isSame(index, other));
    if (twin === undefined) kept.push(index);
    else findings.push(duplicateFinding(index, 'warning', `is the same as ${twin.name}`));
  }
  for (const index of kept) {
    const wider = kept.find((other) => isPrefix(index, other));
    if (wider !== undefined) findings.push(duplicateFinding(index, 'note', `has the first columns of ${wider.name}`));
  }
  return findings;
}

function byRank(left: IndexRow, right: IndexRow): number {
  const weight = ({ primary, constraint, unique }: IndexRow) =>
    (primary ? 4 : 0) + (constraint === null ? 0 : 2) + (unique ? 1 : 0);
  return weight(right) - weight(left) || (left.name < right.name ? -1 : 1);
}

/** `other` ranks higher, so it enforces everything that `index` enforces, unless their rules differ. */
function isSame(index: IndexRow, other: IndexRow): boolean {
  if (index.exclusion || (index.unique && (!other.unique || index.rule !== other.rule))) return false;
  return isAlike(index, other) && sameList(index.keys, other.keys) && sameList(index.included, other.included);
}

function isPrefix(index: IndexRow, other: IndexRow): boolean {
  if (index === other || index.method !== 'btree' || index.included.length > 0) return false;
  if ([index, other].some(({ unique, constraint }) => unique || constraint !== null)) return false;
  const { length } = index.keys;
  return isAlike(index, other) && length < other.keys.length && sameList(index.keys, other.keys.slice(0, length));
}

function isAlike(index: IndexRow, other: IndexRow): boolean {
  return index.table === other.table && index.method === other.method && index.predicate === other.predicate;
}

function sameList(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((item, place) => item === right[place]);
}

function duplicateFinding(index: IndexRow, level: Finding['level'], message: string): Finding {
  return {
    check: 'duplicate-index',
    level,
    object: `${index.table}.${index.name}`,
    message: `${message}, so every write maintains both`,
    next: `Remove it from schema.prisma, and in a migration: ${dropStatement(index)}`,
  };
}

/** The statement that drops the index. */
function dropStatement({ table, name, constraint, partitioned }: IndexRow): string {
  if (constraint !== null) return `ALTER TABLE ${sqlOfName(table)} DROP CONSTRAINT ${quoteIdentifier(constraint)}`;
  return `DROP INDEX ${partitioned ? '' : 'CONCURRENTLY '}${sqlOfName(dottedName(partsOf(table).schema, name))}`;
}
