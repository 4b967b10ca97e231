import { findDatabaseError, quoteIdentifier } from '@azora/db-core';
import { scanSql } from '@azora/db-migrate';
import type { ClientBase } from 'pg';
import { IS_STUDIO } from './studio/role';

export interface SlowStatement {
  /** The text, with a placeholder for every value. */
  readonly query: string;
  readonly calls: number;
  readonly meanMs: number;
}

const SHOWN = 10;
/** Longer texts do not help on a page. A string that the cut leaves open counts as a literal. */
const LONGEST_QUERY = 4_000;

/** The server was started without the library of the extension, or the administrator may not read the view. */
const UNUSABLE = new Set(['55000', '42501']);

/** The statements of this database with the longest mean time, except the studio's; null without statistics. */
export async function readSlowest(
  client: ClientBase,
  { schema, hasPlans }: { readonly schema: string; readonly hasPlans: boolean },
): Promise<readonly SlowStatement[] | null> {
  const total = hasPlans ? 'total_exec_time' : 'total_time';
  try {
    const { rows } = await client.query<SlowStatement>(`
      SELECT left(min(query), ${LONGEST_QUERY}) AS query, sum(calls)::float8 AS calls,
             sum(${total}) / sum(calls) AS "meanMs"
      FROM ${quoteIdentifier(schema)}.pg_stat_statements
      WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND queryid IS NOT NULL AND calls > 0
        AND userid NOT IN (SELECT oid FROM pg_roles WHERE ${IS_STUDIO})
      GROUP BY queryid ORDER BY "meanMs" DESC LIMIT ${SHOWN}`);
    return rows.map((row) => ({ ...row, query: withoutLiterals(row.query) }));
  } catch (error) {
    if (UNUSABLE.has(findDatabaseError(error)?.sqlState ?? '')) return null;
    throw error;
  }
}

/**
 * A statement with `?` in place of every value, and without its comments. PostgreSQL stores most statements with `$1` for
 * their values, but not utility statements (`CREATE ROLE … PASSWORD '…'`), and not a statement that was evicted while it ran.
 */
export function withoutLiterals(sql: string): string {
  const texts = { literal: '?', comment: ' ' };
  return [...scanSql(sql)]
    .map(({ kind, start, end }) => (kind === 'literal' || kind === 'comment' ? texts[kind] : sql.slice(start, end)))
    .join('');
}
