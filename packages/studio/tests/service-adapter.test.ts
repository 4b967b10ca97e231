/** @server none */
import type { AdapterQueryDetails, AdapterQueryResult } from '@prisma/studio-core/data';
import { countedPage, withEstimatedCount } from '../src/data/row-count';

const COUNT = 'with "__ps_agg__" as (select cast(coalesce(count(*), 0) as text) as "__ps_count__" from';

describe('withEstimatedCount', () => {
  it('estimates the rows of a large table without a filter', () => {
    const { sql, parameters } = withEstimatedCount({
      sql: `${COUNT} "public"."it's" where true) select 1 limit $1 offset 50`,
      parameters: [25],
    });

    expect(sql).toContain(`else (select count(*)::text from "public"."it's")`);
    expect(sql).toContain(`c.oid = '"public"."it''s"'::regclass) select 1 limit`);
    expect(parameters).toEqual([26]);
  });

  it('counts the rows that match a filter', () => {
    const query = { sql: `${COUNT} "public"."users" where "id" = $1) select 1`, parameters: ['a'] };

    expect(withEstimatedCount(query)).toEqual(query);
  });
});

describe('the number of rows of a page', () => {
  const page = (pageIndex: number, rows: number, filteredRowCount: string) => {
    const details = { pageIndex, pageSize: 25 } as AdapterQueryDetails;
    const read = Array.from({ length: rows }, (_, id) => ({ id }));
    const { result, isEstimate } = countedPage(details, {
      rows: read,
      filteredRowCount,
    } as unknown as AdapterQueryResult);
    return [result.rows.length, result.filteredRowCount, isEstimate];
  };

  it.each([
    ['an estimate that is too low does not end the table', page(4000, 26, '~60000'), [25, 100_026, true]],
    ['an estimate stands where more rows follow', page(0, 26, '~60000'), [25, 60_000, true]],
    ['the last page knows the number', page(4000, 7, '~60000'), [7, 100_007, false]],
    ['a full last page knows the number', page(1, 25, '~60000'), [25, 50, false]],
    ['past the end there is the page before', page(3000, 0, '0'), [0, 75_000, false]],
    ['a counted number stays', page(0, 26, '40'), [25, '40', false]],
    ['an empty table has none', page(0, 0, '0'), [0, 0, false]],
  ])('%s', (_title, found, expected) => {
    expect(found).toEqual(expected);
  });
});
