import { findDatabaseError, quoteIdentifier } from '@azora/db-core';
import type { ClientBase } from 'pg';
import { withoutLiterals } from './literals';
import { IS_STUDIO } from './studio/role';

export interface SlowStatement {
  /** Without values. */
  readonly query: string;
  readonly calls: number;
  readonly meanMs: number;
}

const SHOWN = 10;
/** Longer ones say nothing more on a page; what the cut leaves open is taken for a literal. */
const LONGEST_QUERY = 4_000;

/** The extension is there, and the server was started without it; or the administrator may not read it. */
const UNUSABLE = new Set(['55000', '42501']);

/** The statements of this database that took longest on average, without the studio's; null where they are not kept. */
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
