import { quoteIdentifier } from '@azora/db-core';
import type { Client } from 'pg';
import type { RetainedTable } from './retained-tables';

/** The rows of a table that are older than their retention. */
export interface OverdueRows {
  readonly rows: number;
  /** In ISO 8601; null without rows. */
  readonly oldest: string | null;
  readonly newest: string | null;
}

/** Counts the rows that may go. Of a partitioned table, only the rows of partitions that can be dropped as a whole. */
export async function countOverdue(client: Client, table: RetainedTable): Promise<OverdueRows> {
  const { condition, column, method } = table;
  const from = quoteIdentifier(table.table);
  const time = quoteIdentifier(column);
  const partitions = method.kind === 'partitions' ? await oldPartitions(client, table) : [];
  const inPartitions = `${condition} AND tableoid = ANY (ARRAY[${partitions.map(({ oid }) => oid).join(', ')}]::oid[])`;
  const { rows } = await client.query<{ rows: string; oldest: string | null; newest: string | null }>(
    `SELECT count(*) AS rows, ${isoText(`min(${time})`)} AS oldest, ${isoText(`max(${time})`)} AS newest
     FROM ${from} WHERE ${method.kind === 'partitions' ? inPartitions : condition}`,
  );
  const [found] = rows;
  if (found === undefined) throw new Error('An aggregate without GROUP BY returned no row');
  return { ...found, rows: Number(found.rows) };
}

export interface Partition {
  readonly oid: string;
  /** With its schema, quoted for SQL. */
  readonly name: string;
}

/** The partitions that end at the cut-off or before it, oldest first. */
export async function oldPartitions(client: Client, { table, before }: RetainedTable): Promise<readonly Partition[]> {
  const type = before.startsWith('timestamptz') ? 'timestamptz' : 'timestamp';
  const { rows } = await client.query<Partition>(
    `SELECT oid, name FROM (
       SELECT c.oid::text AS oid, format('%I.%I', c.relnamespace::regnamespace, c.relname) AS name,
         (regexp_match(pg_get_expr(c.relpartbound, c.oid), $$TO \\('([^']+)'\\)$$))[1]::${type} AS until
       FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass('public.' || quote_ident($1))
     ) AS parts WHERE until <= ${before} ORDER BY until`,
    [table],
  );
  return rows;
}

/** JSON writes times in ISO 8601, whatever the session's DateStyle is. */
function isoText(time: string): string {
  return `to_jsonb(${time}) #>> '{}'`;
}
