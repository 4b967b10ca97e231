import { quoteLiteral } from '@azora/db-core';
import { isOwnRelation, relationName, withClient } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { toSuiteError } from './fleet';
import type { Target } from './targets';

/** A table with the planner's estimate of its rows; -1 when the table was never analyzed. */
export interface EstimatedTable {
  readonly name: string;
  /** The name as SQL. */
  readonly sql: string;
  readonly estimate: number;
}

/** The number of rows of each table; estimates for large tables. */
export type RowCounts = Readonly<Record<string, number>>;

/** Counting a larger table takes too long for a status; its number of rows is an estimate. */
export const COUNT_LIMIT_ROWS = 50_000;
/** A table that was never analyzed can be large; its count ends after this time. */
const COUNT_TIMEOUT_MS = 3_000;
const QUERY_CANCELED = '57014';

/** The tables of a service as JSON, for a SELECT. */
export const ESTIMATED_TABLES = `
  SELECT json_agg(json_build_object('name', ${relationName('pg_class')}, 'sql', oid::regclass::text, 'estimate', CASE relkind WHEN 'p' THEN (
      -- Nobody analyzes a partitioned table by itself.
      SELECT coalesce(sum(greatest(part.reltuples, 0)), 0) FROM pg_partition_tree(pg_class.oid) JOIN pg_class AS part ON part.oid = relid
      WHERE isleaf) ELSE reltuples END) ORDER BY ${relationName('pg_class')})
  FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition AND ${isOwnRelation('pg_class')}`;

/** Counts the rows of the tables in one statement; takes PostgreSQL's estimate above 50,000 rows. */
export async function countRows(client: ClientBase, tables: readonly EstimatedTable[]): Promise<RowCounts> {
  if (tables.length === 0) return {};
  const counts = tables.map(({ name, sql, estimate }) =>
    estimate > COUNT_LIMIT_ROWS
      ? `(${quoteLiteral(name)}, ${Math.round(estimate)}::bigint)`
      : `(${quoteLiteral(name)}, (SELECT count(*) FROM ${sql}))`,
  );
  const { rows } = await client.query<{ name: string; rows: string }>(
    `SELECT * FROM (VALUES ${counts.join(', ')}) AS counted (name, rows)`,
  );
  return Object.fromEntries(rows.map(({ name, rows: count }) => [name, Number(count)]));
}

/** The number of tables and rows of a database, or the reason why they are not known. */
export type DatabaseContents =
  | { readonly target: Target; readonly tables: number; readonly rows: number | undefined }
  | { readonly target: Target; readonly error: string };

/**
 * Counts the tables and rows of each database, within seconds. `rows` is undefined where the count took too long. Databases
 * that do not exist are left out.
 */
export async function readContents(targets: readonly Target[]): Promise<readonly DatabaseContents[]> {
  const all = await Promise.all(
    targets.map((target) =>
      withClient(target.admin, async (client): Promise<DatabaseContents> => {
        const { rows } = await client.query<{ tables: readonly EstimatedTable[] | null }>(
          `SELECT (${ESTIMATED_TABLES}) AS tables`,
        );
        const tables = rows[0]?.tables ?? [];
        // For this transaction only: all connections of a companion share one session.
        await client.query(`BEGIN READ ONLY; SET LOCAL statement_timeout = ${COUNT_TIMEOUT_MS}`);
        const counts = await countRows(client, tables).catch((error: unknown) => {
          if (toSuiteError(error).meta['sqlState'] === QUERY_CANCELED) return undefined;
          throw error;
        });
        await client.query('ROLLBACK');
        const sum = counts && Object.values(counts).reduce((total, count) => total + count, 0);
        return { target, tables: tables.length, rows: sum };
      }).catch((error: unknown): DatabaseContents | undefined => {
        const { code, message } = toSuiteError(error);
        return code === 'SERVER.NO_DATABASE' ? undefined : { target, error: message };
      }),
    ),
  );
  return all.filter((contents) => contents !== undefined);
}

/** The sums over databases; `rows` is undefined if the rows of one of them are not known. */
export function totalOf(contents: readonly DatabaseContents[]): {
  readonly tables: number;
  readonly rows: number | undefined;
} {
  let tables = 0;
  let rows: number | undefined = 0;
  for (const it of contents) {
    const known: { readonly tables: number; readonly rows: number | undefined } =
      'error' in it ? { tables: 0, rows: undefined } : it;
    tables += known.tables;
    rows = rows === undefined || known.rows === undefined ? undefined : rows + known.rows;
  }
  return { tables, rows };
}
