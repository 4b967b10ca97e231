import type { AdapterQueryDetails, AdapterQueryResult, Query } from '@prisma/studio-core/data';

// Counting all rows of a larger table takes longer than reading the page of rows.
const ESTIMATED_FROM_ROWS = 50_000;
/** Marks a count as an estimate on its way from the database. */
const ABOUT = '~';

const NAME = '"(?:[^"]|"")+"';
const WHOLE_COUNT = new RegExp(
  '^with "__ps_agg__" as \\(select cast\\(coalesce\\(count\\(\\*\\), 0\\) as text\\) as "__ps_count__" ' +
    `from (${NAME}\\.${NAME}) where true\\)`,
);
const LIMIT = /limit \$(\d+) offset \d+$/;

/**
 * Replaces the row count of a large, unfiltered table with the planner's estimate, and reads one row more than the page
 * shows: whether there is another page must not depend on an estimate.
 */
export function withEstimatedCount<Row>(query: Query<Row>): Query<Row> {
  const [whole, table] = WHOLE_COUNT.exec(query.sql) ?? [];
  if (whole === undefined || table === undefined) return query;
  const estimate = `case when c.reltuples >= ${ESTIMATED_FROM_ROWS} then '${ABOUT}' || c.reltuples::bigint`;
  const name = table.replaceAll("'", "''");
  const count =
    `with "__ps_agg__" as (select ${estimate} else (select count(*)::text from ${table}) end as "__ps_count__" ` +
    `from pg_catalog.pg_class c where c.oid = '${name}'::regclass)`;
  const limit = Number(LIMIT.exec(query.sql)?.[1] ?? 0) - 1;
  const parameters = query.parameters.map((value, index) => (index === limit ? Number(value) + 1 : value));
  return { ...query, sql: count + query.sql.slice(whole.length), parameters };
}

export interface CountedPage {
  readonly result: AdapterQueryResult;
  /** Whether the number of rows is an estimate. */
  readonly isEstimate: boolean;
}

/** Takes the row too many off a page. The number of rows is at least what the page proves, and exact on the last page. */
export function countedPage({ pageIndex, pageSize }: AdapterQueryDetails, result: AdapterQueryResult): CountedPage {
  const count = String(result.filteredRowCount);
  const before = pageIndex * pageSize;
  const rows = result.rows.slice(0, pageSize);
  const isLast = result.rows.length <= pageSize && (result.rows.length > 0 || before > 0);
  const proven = before + result.rows.length;
  if (!count.startsWith(ABOUT)) {
    // Past the end, no row carries the count.
    const filteredRowCount = result.rows.length === 0 ? before : result.filteredRowCount;
    return { result: { ...result, rows, filteredRowCount }, isEstimate: false };
  }
  const most = isLast ? proven : Math.max(proven, Number(count.slice(ABOUT.length)));
  return { result: { ...result, rows, filteredRowCount: most }, isEstimate: !isLast };
}
