import type { Column, Query, Table } from '@prisma/studio-core/data';

// From so many rows on, the number of rows of a whole table is the planner's estimate: to count takes longer than the page.
const ESTIMATED_FROM_ROWS = 50_000;

const NAME = '"(?:[^"]|"")+"';
const WHOLE_COUNT = new RegExp(
  '^with "__ps_agg__" as \\(select cast\\(coalesce\\(count\\(\\*\\), 0\\) as text\\) as "__ps_count__" ' +
    `from (${NAME}\\.${NAME}) where true\\)`,
);

/** The statement with the count of an unfiltered large table taken from the planner's estimate. */
export function withEstimatedCount<Row>(query: Query<Row>): Query<Row> {
  const sql = query.sql.replace(WHOLE_COUNT, (_match, table: string) => {
    const estimate = `case when c.reltuples >= ${ESTIMATED_FROM_ROWS} then c.reltuples::bigint::text`;
    const name = table.replaceAll("'", "''");
    return (
      `with "__ps_agg__" as (select ${estimate} else (select count(*)::text from ${table}) end as "__ps_count__" ` +
      `from pg_catalog.pg_class c where c.oid = '${name}'::regclass)`
    );
  });
  return { ...query, sql };
}

function asComparable(column: Column): Column {
  const { datatype } = column;
  const isCast = !datatype.isArray && (datatype.group === 'numeric' || datatype.name === 'uuid');
  return isCast ? { ...column, datatype: { ...datatype, group: 'string' } } : column;
}

/**
 * The table as a SELECT is to see it. Studio sorts numbers by `cast(x as numeric)` and compares uuids as text, which no
 * index serves; what it takes for a string it leaves alone.
 */
export function withComparableColumns(table: Table): Table {
  const columns = Object.entries(table.columns).map(([name, column]) => [name, asComparable(column)] as const);
  return { ...table, columns: Object.fromEntries(columns) };
}
