import { quoteLiteral } from '@azora/db-core';
import { isOwnRelation, relationName } from '@azora/db-migrate';
import type { ClientBase } from 'pg';

export interface TableHealth {
  readonly name: string;
  readonly rows: number;
  /** Including indexes and values that are stored out of line. */
  readonly bytes: number;
  readonly deadRows: number;
  /** The share of the table's scans that used an index; null before the first scan. */
  readonly indexUse: number | null;
}

/** PostgreSQL's statistics of one database. */
export interface Health {
  /** Sessions other than this one. */
  readonly connections: number;
  /** The lowest of the limits of the role, the database, and the server without the connections reserved for superusers. */
  readonly connectionLimit: number;
  /** The share of blocks that PostgreSQL found in its own memory; null before the first read. */
  readonly cacheHitRatio: number | null;
  readonly oldestTransactionSeconds: number | null;
  /** The lag of the replica that is furthest behind; null without replicas. */
  readonly replicationLagBytes: number | null;
  readonly tables: readonly TableHealth[];
  /** The schema of pg_stat_statements; null without the extension. */
  readonly statements: { readonly schema: string; readonly hasPlans: boolean } | null;
}

/** Reads the statistics of the connected database; the connection limit is that of `role`. */
export async function readHealth(client: ClientBase, role: string): Promise<Health> {
  const { rows } = await client.query<Health>(`
    SELECT (${CONNECTIONS}) AS connections, (${connectionLimit(role)}) AS "connectionLimit",
           (${CACHE_HIT_RATIO}) AS "cacheHitRatio", (${OLDEST_TRANSACTION}) AS "oldestTransactionSeconds",
           (${REPLICATION_LAG}) AS "replicationLagBytes", (${TABLES}) AS tables, (${STATEMENTS}) AS statements`);
  const [row] = rows;
  if (row === undefined) throw new Error('a SELECT without FROM returned no row');
  return row;
}

/** Excludes the server's own workers, which have no user. */
const OTHERS = 'datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL';

const CONNECTIONS = `SELECT count(*)::int FROM pg_stat_activity WHERE ${OTHERS} AND leader_pid IS NULL`;

/** PostgreSQL 15 has no reserved_connections. */
function connectionLimit(role: string): string {
  return `SELECT least(
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
      - coalesce(current_setting('reserved_connections', true)::int, 0),
    (SELECT datconnlimit FROM pg_database WHERE datname = current_database() AND datconnlimit >= 0),
    (SELECT rolconnlimit FROM pg_roles WHERE rolname = ${quoteLiteral(role)} AND rolconnlimit >= 0))`;
}

const CACHE_HIT_RATIO = `SELECT blks_hit::float8 / nullif(blks_hit + blks_read, 0)
  FROM pg_stat_database WHERE datname = current_database()`;

/** A prepared transaction has no session, but holds its locks like any other. */
const OLDEST_TRANSACTION = `SELECT extract(epoch FROM clock_timestamp() - min(begun))::float8
  FROM (SELECT xact_start FROM pg_stat_activity WHERE ${OTHERS}
        UNION ALL SELECT prepared FROM pg_prepared_xacts WHERE database = current_database()) AS open (begun)`;

/** A standby may have replicas too, but has no current write position. */
const REPLICATION_LAG = `SELECT max(pg_wal_lsn_diff(
    CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END, replay_lsn))::float8
  FROM pg_stat_replication`;

/** The size of a table needs a lock on the table and its indexes; a locked table has the size of its last ANALYZE. */
const LOCKED = `SELECT coalesce(indrelid, relation) FROM pg_locks LEFT JOIN pg_index ON indexrelid = relation
  WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;

const ANALYZED_BYTES = `SELECT sum(part.relpages)::float8 * current_setting('block_size')::int FROM pg_class part
  WHERE part.oid IN (relation.oid, relation.reltoastrelid)
     OR part.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = relation.oid)`;

/** Statistics that were reset, or lost in a crash, are zero; the last ANALYZE is then the better estimate. */
const LIVE_ROWS = `CASE WHEN n_live_tup + n_dead_tup + n_tup_ins + n_tup_del = 0 THEN greatest(reltuples, 0)
  ELSE n_live_tup END`;

/** A table, or the partitions of a partitioned table. */
const PARTS = `SELECT listed.oid WHERE listed.relkind = 'r'
  UNION ALL SELECT relid FROM pg_partition_tree(listed.oid) WHERE listed.relkind = 'p' AND isleaf`;

const TABLES = `SELECT coalesce(json_agg(json_build_object(
    'name', ${relationName('listed')}, 'rows', coalesce(parts.rows, 0), 'deadRows', coalesce(parts.dead_rows, 0),
    'bytes', coalesce(parts.bytes, 0), 'indexUse', parts.index_scans::float8 / nullif(parts.all_scans, 0)) ORDER BY ${relationName('listed')}), '[]')
  FROM pg_class AS listed CROSS JOIN LATERAL (
    SELECT sum(${LIVE_ROWS})::float8 AS rows, sum(n_dead_tup)::float8 AS dead_rows,
      sum(coalesce(CASE WHEN relation.oid IN (${LOCKED}) THEN (${ANALYZED_BYTES})
                        ELSE pg_total_relation_size(relation.oid) END, 0))::float8 AS bytes,
      sum(coalesce(idx_scan, 0)) AS index_scans, sum(seq_scan + coalesce(idx_scan, 0)) AS all_scans
    FROM pg_class AS relation JOIN pg_stat_all_tables ON relid = relation.oid WHERE relation.oid IN (${PARTS})
  ) AS parts
  WHERE listed.relkind IN ('r', 'p') AND NOT listed.relispartition AND ${isOwnRelation('listed')}`;

/** An extension that was not updated with its server may still have the columns of PostgreSQL 12. */
const STATEMENTS = `SELECT json_build_object('schema', nspname, 'hasPlans', EXISTS (
      SELECT FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
      WHERE relnamespace = pg_namespace.oid AND relname = 'pg_stat_statements' AND attname = 'mean_exec_time'))
  FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'pg_stat_statements'`;
